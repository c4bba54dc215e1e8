//! The users as operators see and change them, while the broker runs: what `stile user` does, and in force at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::may::{Answer, Question, judge};
use super::{Broker, Transport};
use crate::config::{self, FileUser, User};
use crate::message::TopicFilter;
use crate::password::{self, Hash};
use crate::users::{self, Grant, UsersFile};

/// A user, wherever he stands.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The MQTT user name.
    pub name: String,
    /// He stands in the settings, and is changed there.
    pub in_settings: bool,
    /// What he may do, as it was given.
    pub grant: Grant,
    /// When he was added, where that is known.
    pub made: Option<SystemTime>,
    /// When he got his last password or rights.
    pub changed: Option<SystemTime>,
}

impl Listed {
    fn new(user: &User) -> Self {
        let texts = |filters: &[TopicFilter]| filters.iter().map(ToString::to_string).collect();
        let grant = match &user.allowed {
            None => Grant { everything: true, ..Grant::default() },
            Some(allowed) => Grant {
                everything: false,
                groups: allowed.groups.clone(),
                publish: texts(&allowed.publish),
                subscribe: texts(&allowed.subscribe),
            },
        };
        Self { name: user.name.clone(), in_settings: true, grant, made: None, changed: None }
    }
}

impl From<&FileUser> for Listed {
    fn from(FileUser { user, made, changed }: &FileUser) -> Self {
        Self { in_settings: false, made: *made, changed: *changed, ..Self::new(user) }
    }
}

/// All users, and how the broker lets others in.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// By name.
    pub users: Vec<Listed>,
    /// Names of the groups of the settings.
    pub groups: Vec<String>,
    /// Clients without a name may connect.
    pub anonymous: bool,
}

impl Broker {
    /// All users of now.
    pub fn users(&self) -> Enrolled {
        let accounts = &self.shared.accounts;
        let (settings, more) = accounts.sources();
        let mut users: Vec<_> = settings.user.iter().map(Listed::new).collect();
        // Of two with one name, that of the settings stands.
        let others = more.iter().filter(|other| settings.user.iter().all(|user| user.name != other.user.name));
        users.extend(others.map(Listed::from));
        users.sort_by(|one, other| one.name.cmp(&other.name));
        let groups = settings.group.iter().map(|group| group.name.clone()).collect();
        Enrolled { users, groups, anonymous: accounts.roster().anonymous() }
    }

    /// Whether a user may do something now, and by which right.
    ///
    /// # Errors
    /// When there is no such user, or the topic is none.
    pub fn may(&self, question: &Question<'_>) -> Result<Answer, String> {
        judge(&self.shared.accounts.roster(), &self.shared.settings.get(), question)
    }

    /// Everywhere that clients connect, by the settings.
    pub fn listeners(&self) -> Vec<(Transport, SocketAddr)> {
        self.shared.settings.get().listeners()
    }

    /// Adds a user with a password that is thought up, and gives that. It is kept nowhere.
    ///
    /// # Errors
    /// In words, why he is not added.
    pub async fn add_user(&self, name: String, grant: Grant) -> Result<String, String> {
        let settings = self.shared.settings.get();
        users::check_new(&settings, &name)?;
        let allowed = grant.allowed(&settings)?;
        let (password, hash) = self.think_up().await?;
        self.change_users(move |file, settings| file.add(settings, &name, hash, allowed)).await?;
        Ok(password)
    }

    /// Gives a user another password, which is thought up; his clients are sent away.
    ///
    /// # Errors
    /// In words, why he has the old one.
    pub async fn renew_password(&self, name: String) -> Result<String, String> {
        users::check_password_is_here(&self.shared.settings.get(), &name)?;
        let (password, hash) = self.think_up().await?;
        self.change_users(move |file, settings| file.give_password(settings, &name, hash)).await?;
        Ok(password)
    }

    /// Gives a user other rights.
    ///
    /// # Errors
    /// In words, why he has the old ones.
    pub async fn give_rights(&self, name: String, grant: Grant) -> Result<(), String> {
        let allowed = grant.allowed(&self.shared.settings.get())?;
        self.change_users(move |file, settings| file.give_rights(settings, &name, allowed)).await
    }

    /// Removes a user; his clients are sent away.
    ///
    /// # Errors
    /// In words, why he is still there.
    pub async fn remove_user(&self, name: String) -> Result<(), String> {
        self.change_users(move |file, settings| file.remove(settings, &name)).await
    }

    async fn think_up(&self) -> Result<(String, Hash), String> {
        let password = password::generate()?;
        let given = password.clone();
        let hash = self.permit().run(move || Hash::of(&given)).await??;
        Ok((password, hash))
    }

    /// Changes the file, then what is in force.
    async fn change_users(
        &self,
        change: impl FnOnce(&UsersFile, &config::Broker) -> Result<(), String> + Send + 'static,
    ) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        let changed = tokio::task::spawn_blocking(move || change(&shared.users.file(), &shared.settings.get())).await;
        changed.map_err(|panic| panic.to_string())??;
        let known = self.reload_users().await;
        known.map_err(|error| format!("it is written, and can't be read again: {error}"))
    }
}
