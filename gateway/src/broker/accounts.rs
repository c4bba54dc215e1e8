//! Who may connect and what each may do, as it is at this moment: users, groups and their rights.
//!
//! Two sources make one roster: the settings, and `users.toml`. A change takes effect with its next reader, and all who
//! are connected are woken (`access.rs`). Never hashes a password (`password` does).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;

use super::access::Who;
use super::denials::Denials;
use super::rights::{Pattern, Patterns, Rights};
use super::stats::Stats;
use crate::config::{self, Allowed, Credential, FileUser, User};
use crate::message::TopicFilter;
use crate::password::{Passwords, Permit};

/// The group whose rights clients without a name have.
const ANONYMOUS: &str = "anonymous";
/// The group whose rights clients have that a certificate, and no user, stands for.
const CERTIFIED: &str = "certified";

/// What is known of users outside the settings.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum MoreUsers {
    /// There is no `users.toml`.
    None,
    /// What it says.
    Good(Vec<FileUser>),
    /// It is there and has never been good: nobody is in it, and nobody gets in because of that.
    Damaged,
}

/// One user.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) credential: Credential,
    publish: Patterns,
    subscribe: Patterns,
}

/// All of it at one moment.
#[derive(Debug)]
pub(super) struct Roster {
    users: HashMap<Arc<str>, Account>,
    groups: HashMap<Arc<str>, config::Group>,
    /// Clients without a name may connect.
    anonymous: bool,
    /// There are users, so a name counts.
    named: bool,
    /// There may be more users than are known: whose name a certificate has can't be told.
    damaged: bool,
}

struct Sources {
    settings: Arc<config::Broker>,
    more: MoreUsers,
}

/// The roster, which changes, and all that watches over its use.
pub(super) struct Accounts {
    sources: Mutex<Sources>,
    roster: RwLock<Arc<Roster>>,
    /// Counts changes; from 1.
    generation: AtomicU64,
    changed: watch::Sender<()>,
    pub(super) passwords: Passwords,
    pub(super) denials: Denials,
}

impl Accounts {
    pub(super) fn new(settings: Arc<config::Broker>, more: MoreUsers, stats: &Arc<Stats>) -> Self {
        let roster = Arc::new(Roster::new(&settings, &more));
        Self {
            sources: Mutex::new(Sources { settings, more }),
            roster: RwLock::new(roster),
            generation: AtomicU64::new(1),
            changed: watch::Sender::new(()),
            passwords: Passwords::new(Permit::default(), Arc::clone(&stats.password_checks)),
            denials: Denials::new(Arc::clone(stats)),
        }
    }

    /// What holds now.
    pub(super) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number that is another after each change. Asked for before each publish, so it costs no lock.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Told after each change.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Takes new settings.
    pub(super) fn take_settings(&self, settings: Arc<config::Broker>) {
        self.change(|sources| {
            let differ = sources.settings != settings;
            sources.settings = settings;
            differ
        });
    }

    /// Takes what was found in `users.toml`; `None`, where it is damaged, leaves the last good ones.
    pub(super) fn take_users(&self, found: Option<MoreUsers>) {
        self.change(|sources| {
            let found = match found {
                Some(found) => found,
                None if sources.more == MoreUsers::None => MoreUsers::Damaged,
                None => return false,
            };
            let differs = sources.more != found;
            sources.more = found;
            differs
        });
    }

    /// `change` says whether anything is another now.
    fn change(&self, change: impl FnOnce(&mut Sources) -> bool) {
        // Held to the end, so that of two changes the later one stands.
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if !change(&mut sources) {
            return;
        }
        let roster = Arc::new(Roster::new(&sources.settings, &sources.more));
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = roster;
        self.announce();
    }

    /// Has all who are connected look again. Gives the new generation.
    pub(super) fn announce(&self) -> u64 {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.changed.send_replace(());
        generation
    }

    /// The settings, and the users of `users.toml`, that hold now.
    pub(super) fn sources(&self) -> (Arc<config::Broker>, Vec<FileUser>) {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let more = match &sources.more {
            MoreUsers::Good(users) => users.clone(),
            MoreUsers::None | MoreUsers::Damaged => Vec::new(),
        };
        (Arc::clone(&sources.settings), more)
    }

    /// The users of `users.toml` that the settings name too, and those that are in a group that the settings lack.
    pub(super) fn oddities(&self) -> (Vec<String>, Vec<FileUser>) {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let MoreUsers::Good(users) = &sources.more else { return Default::default() };
        let settings = &sources.settings;
        let twice = users.iter().filter(|u| settings.user.iter().any(|other| other.name == u.user.name));
        let there = |name: &String| settings.group.iter().any(|group| group.name == *name);
        let lost = users.iter().filter(|u| u.user.allowed.iter().flat_map(|a| &a.groups).any(|name| !there(name)));
        (twice.map(|user| user.user.name.clone()).collect(), lost.cloned().collect())
    }

    /// Whether a client from `address` needs no name only because the broker's own listeners are out of its reach.
    pub(super) fn anonymous_by_mistake(&self, address: IpAddr) -> bool {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.settings.anonymous_by_mistake(address, sources.more != MoreUsers::None)
    }
}

impl Roster {
    pub(super) fn new(settings: &config::Broker, more: &MoreUsers) -> Self {
        let groups: HashMap<Arc<str>, _> =
            settings.group.iter().map(|group| (group.name.as_str().into(), group.clone())).collect();
        let elsewhere = match more {
            MoreUsers::Good(users) => users.as_slice(),
            MoreUsers::None | MoreUsers::Damaged => &[],
        };
        // What the settings say of a name stands, since they are what an operator reads first.
        let all = elsewhere.iter().map(|user| &user.user).chain(&settings.user);
        let users = all.map(|user| (user.name.as_str().into(), account(user, &groups))).collect();
        let (damaged, more) = (*more == MoreUsers::Damaged, *more != MoreUsers::None);
        Self { users, groups, anonymous: settings.anonymous(more), named: more || !settings.user.is_empty(), damaged }
    }

    pub(super) fn user(&self, name: &str) -> Option<&Account> {
        self.users.get(name)
    }

    /// Whether clients without a name may connect.
    pub(super) fn anonymous(&self) -> bool {
        self.anonymous
    }

    /// Whether there are users.
    pub(super) fn named(&self) -> bool {
        self.named
    }

    /// What somebody may do. A user who is gone may do nothing, nor may a nameless client where a name is needed now: wills
    /// that wait and sessions of absent clients ask too.
    pub(super) fn rights(&self, who: &Who, client: Option<&str>) -> Rights {
        let name = who.name();
        if let Some(account) = name.and_then(|name| self.user(name)) {
            return Rights { publish: account.publish.of(name, client), subscribe: account.subscribe.of(name, client) };
        }
        match who {
            Who::User(_) => Rights::NONE,
            Who::Anonymous if !self.anonymous => Rights::NONE,
            Who::Anonymous => self.rights_of_group(ANONYMOUS, None, client).unwrap_or(Rights::EVERYTHING),
            Who::Certified(None) if self.named && !self.anonymous => Rights::NONE,
            Who::Certified(None) => self.rights_of_group(CERTIFIED, None, client).unwrap_or(Rights::EVERYTHING),
            Who::Certified(Some(_)) if self.damaged => Rights::NONE,
            Who::Certified(Some(_)) => {
                // With users, a name that is none of theirs may be that of one who was removed.
                let ungrouped = if self.named { Rights::NONE } else { Rights::EVERYTHING };
                self.rights_of_group(CERTIFIED, name, client).unwrap_or(ungrouped)
            }
        }
    }

    /// The rights of a group that need not be there.
    fn rights_of_group(&self, group: &str, user: Option<&str>, client: Option<&str>) -> Option<Rights> {
        let (name, group) = self.groups.get_key_value(group)?;
        let of = |filters: &[TopicFilter]| Patterns::These(patterns(filters, Some(name))).of(user, client);
        Some(Rights { publish: of(&group.publish), subscribe: of(&group.subscribe) })
    }

    /// Whether somebody who was let in with this proof would be let in again.
    pub(super) fn still_lets_in(&self, who: &Who, proof: Option<&Credential>) -> bool {
        let account = who.name().and_then(|name| self.user(name));
        match who {
            Who::Anonymous => self.anonymous,
            Who::User(_) => account.is_some_and(|account| Some(&account.credential) == proof),
            // A password does not concern a certificate; that its user was removed does.
            Who::Certified(Some(_)) => account.is_some() || proof.is_none(),
            Who::Certified(None) => !self.named || self.anonymous,
        }
    }
}

fn account(user: &User, groups: &HashMap<Arc<str>, config::Group>) -> Account {
    let credential = user.credential.clone();
    let Some(Allowed { groups: names, publish, subscribe }) = &user.allowed else {
        return Account { credential, publish: Patterns::Everything, subscribe: Patterns::Everything };
    };
    let (mut may_publish, mut may_subscribe) = (patterns(publish, None), patterns(subscribe, None));
    for name in names {
        // One that is not there gives no right; whoever reads the file says so.
        if let Some((name, group)) = groups.get_key_value(name.as_str()) {
            may_publish.extend(patterns(&group.publish, Some(name)));
            may_subscribe.extend(patterns(&group.subscribe, Some(name)));
        }
    }
    Account { credential, publish: Patterns::These(may_publish), subscribe: Patterns::These(may_subscribe) }
}

fn patterns(filters: &[TopicFilter], group: Option<&Arc<str>>) -> Vec<Pattern> {
    filters.iter().map(|filter| Pattern { filter: filter.clone(), group: group.cloned() }).collect()
}

#[cfg(test)]
mod tests;
