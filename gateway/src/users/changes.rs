//! The changes of users that may be asked for, by the command line as by the page. Each is refused whole or made whole.

use std::time::SystemTime;

use super::UsersFile;
use crate::config::{self, Allowed, Credential, FileUser, User};
use crate::message::TopicFilter;
use crate::password::Hash;

/// What a user is to be allowed, as somebody has written it down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Everything; the rest says nothing then.
    pub everything: bool,
    /// Names of groups of the settings.
    pub groups: Vec<String>,
    /// Filters, with `%u` and `%c` for the user's name and the client id.
    pub publish: Vec<String>,
    /// The same for subscriptions.
    pub subscribe: Vec<String>,
}

impl Grant {
    /// The same, checked: `None` is everything.
    ///
    /// # Errors
    /// In words, the group that is not there or the filter that is none.
    pub fn allowed(&self, settings: &config::Broker) -> Result<Option<Allowed>, String> {
        if self.everything {
            return Ok(None);
        }
        for name in &self.groups {
            if !settings.group.iter().any(|group| group.name == *name) {
                return Err(format!("there is no group `{name}`; add a [[broker.group]] of that name to the settings"));
            }
        }
        let filters = |texts: &[String]| -> Result<Vec<TopicFilter>, String> {
            texts.iter().map(|text| config::right(text).map_err(|is| format!("the filter `{text}` {is}"))).collect()
        };
        let (publish, subscribe) = (filters(&self.publish)?, filters(&self.subscribe)?);
        Ok(Some(Allowed { groups: self.groups.clone(), publish, subscribe }))
    }
}

/// Whether a user of this name could be added, as far as the settings say: asked before a password is hashed for him.
///
/// # Errors
/// In words, why not.
pub fn check_new(settings: &config::Broker, name: &str) -> Result<(), String> {
    if !config::is_user_name(name) {
        return Err("a user's name is a text of 1 to 256 bytes without control characters".to_owned());
    }
    not_of_the_settings(settings, name, "is there already")
}

/// Whether a user's password could be changed here, as far as the settings say.
///
/// # Errors
/// In words, why not.
pub fn check_password_is_here(settings: &config::Broker, name: &str) -> Result<(), String> {
    not_of_the_settings(settings, name, "has its password there")
}

fn not_of_the_settings(settings: &config::Broker, name: &str, what: &str) -> Result<(), String> {
    if settings.user.iter().any(|user| user.name == name) {
        return Err(format!("the user `{name}` stands in the settings, in a [[broker.user]], and {what}"));
    }
    Ok(())
}

fn unknown(name: &str) -> String {
    format!("there is no user `{name}`; `stile user list` names them")
}

/// Each waits for the disk, and for whoever changes the file at the same time.
///
/// # Errors
/// In words, why it is not done. Then the file is what it was.
impl UsersFile {
    /// Adds a user; `allowed` is what [`Grant::allowed`] gives.
    pub fn add(
        &self,
        settings: &config::Broker,
        name: &str,
        hash: Hash,
        allowed: Option<Allowed>,
    ) -> Result<(), String> {
        check_new(settings, name)?;
        self.change(|users| {
            if users.iter().any(|other| other.user.name == name) {
                return Err(format!("the user `{name}` is there already; `stile user passwd` gives another password"));
            }
            let user = User { name: name.to_owned(), credential: Credential::Hash(hash), allowed };
            let now = Some(SystemTime::now());
            users.push(FileUser { user, made: now, changed: now });
            Ok(())
        })
    }

    /// Removes a user.
    pub fn remove(&self, settings: &config::Broker, name: &str) -> Result<(), String> {
        not_of_the_settings(settings, name, "can't be removed here")?;
        self.change(|users| {
            let before = users.len();
            users.retain(|other| other.user.name != name);
            if users.len() < before { Ok(()) } else { Err(unknown(name)) }
        })
    }

    /// Gives a user another password.
    pub fn give_password(&self, settings: &config::Broker, name: &str, hash: Hash) -> Result<(), String> {
        check_password_is_here(settings, name)?;
        self.change_one(name, |user| user.credential = Credential::Hash(hash))
    }

    /// Gives a user other rights; `allowed` is what [`Grant::allowed`] gives.
    pub fn give_rights(&self, settings: &config::Broker, name: &str, allowed: Option<Allowed>) -> Result<(), String> {
        not_of_the_settings(settings, name, "has its rights there")?;
        self.change_one(name, |user| user.allowed = allowed)
    }

    fn change_one(&self, name: &str, change: impl FnOnce(&mut User)) -> Result<(), String> {
        self.change(|users| {
            let found = users.iter_mut().find(|other| other.user.name == name).ok_or_else(|| unknown(name))?;
            change(&mut found.user);
            found.changed = Some(SystemTime::now());
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_added_changed_and_removed_but_for_those_of_the_settings() {
        let dir = tempfile::tempdir().unwrap();
        let file = UsersFile::of(dir.path());
        let group = config::Group { name: "devices".into(), publish: Vec::new(), subscribe: Vec::new() };
        let settings =
            config::Broker { user: vec![User::plain("ops", "p")], group: vec![group], ..config::Broker::default() };
        let hash = |cost| {
            Hash::parse(&format!("$argon2id$v=19$m={cost},t=1,p=1$c29tZXNhbHRzb21lc2FsdA$6DPzKexkBPCxTUxUZd2uXg"))
        };
        let (one, two) = (hash(64).unwrap(), hash(72).unwrap());
        let grant = |groups: &[&str], publish: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            Grant { groups: texts(groups), publish: texts(publish), ..Grant::default() }
        };
        let rights = grant(&["devices"], &["a/%u/#"]).allowed(&settings).unwrap();
        assert!(grant(&["x"], &[]).allowed(&settings).unwrap_err().contains("no group `x`"));
        assert!(grant(&[], &["a/#/b"]).allowed(&settings).unwrap_err().contains("the filter `a/#/b`"));
        file.add(&settings, "kitchen", one.clone(), rights.clone()).unwrap();
        assert!(file.add(&settings, "kitchen", one.clone(), None).unwrap_err().contains("there already"));
        assert!(file.add(&settings, "\n", one.clone(), None).unwrap_err().contains("control characters"));
        for refused in [
            file.add(&settings, "ops", one.clone(), None),
            file.give_password(&settings, "ops", one.clone()),
            file.give_rights(&settings, "ops", None),
            file.remove(&settings, "ops"),
        ] {
            assert!(refused.unwrap_err().contains("stands in the settings"));
        }
        assert!(file.give_password(&settings, "nobody", one).unwrap_err().contains("no user `nobody`"));
        let now = || file.read().unwrap().unwrap().remove(0).user;
        assert_eq!(now().allowed, rights);
        file.give_rights(
            &settings,
            "kitchen",
            Grant { everything: true, ..Grant::default() }.allowed(&settings).unwrap(),
        )
        .unwrap();
        file.give_password(&settings, "kitchen", two.clone()).unwrap();
        assert_eq!((now().allowed, now().credential), (None, Credential::Hash(two)));
        file.remove(&settings, "kitchen").unwrap();
        assert!(file.remove(&settings, "kitchen").unwrap_err().contains("no user `kitchen`"));
    }
}
