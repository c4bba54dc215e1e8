//! One client's standing: who it is, and what it may do now.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;

use super::accounts::Accounts;
use super::rights::{Rights, Scope};
use crate::config::Credential;
use crate::message::{Topic, TopicFilter};

/// Who somebody has been found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// Nobody in particular; a name that nobody has proved does not count.
    Anonymous,
    /// A user, by his password.
    User(Arc<str>),
    /// Whoever a certificate names, or just somebody who has one.
    Certified(Option<Arc<str>>),
}

impl Who {
    /// The name, where there is one that was proved.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(name) => Some(name),
            Self::Certified(name) => name.as_deref(),
        }
    }
}

/// Before a name that a certificate gave, in the store. No name has such a character.
const CERTIFIED: char = '\u{1}';

impl Who {
    /// As the store writes it: nothing, a user's name, or the mark and perhaps a name.
    pub(super) fn to_row(&self) -> Option<Arc<str>> {
        match self {
            Self::Anonymous => None,
            Self::User(name) => Some(Arc::clone(name)),
            Self::Certified(name) => Some(format!("{CERTIFIED}{}", name.as_deref().unwrap_or_default()).into()),
        }
    }

    /// What [`to_row`](Self::to_row) has written.
    pub(super) fn of_row(row: Option<&str>) -> Self {
        match row.map(|row| (row, row.strip_prefix(CERTIFIED))) {
            None => Self::Anonymous,
            Some((name, None)) => Self::User(name.into()),
            Some((_, Some(""))) => Self::Certified(None),
            Some((_, Some(name))) => Self::Certified(Some(name.into())),
        }
    }
}

/// What a session, a will and a connection know of whose they are.
pub(super) struct Access {
    pub(super) who: Who,
    pub(super) client: Arc<str>,
    accounts: Arc<Accounts>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("who", &self.who).field("client", &self.client).finish_non_exhaustive()
    }
}

impl Access {
    pub(super) fn new(who: Who, client: Arc<str>, accounts: Arc<Accounts>) -> Self {
        Self { who, client, accounts }
    }

    /// What its client may do now.
    pub(super) fn rights(&self) -> Rights {
        self.accounts.roster().rights(&self.who, Some(&self.client))
    }

    /// Whether its client may publish to a topic now; a refusal is counted and told.
    pub(super) fn may_publish(&self, topic: &Topic) -> bool {
        let may = self.rights().may_publish(topic);
        if !may {
            self.accounts.denials.publish(self, topic.as_str());
        }
        may
    }
}

/// What has become of a connection's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// They may be others.
    Changed,
    /// Its client would not be let in any more.
    Over,
}

/// A connection's rights, kept until the accounts change.
pub(super) struct Standing {
    pub(super) access: Arc<Access>,
    proof: Option<Credential>,
    /// Where it comes from.
    address: IpAddr,
    rights: Rights,
    /// The generation of the accounts that `rights` are of; 0: none yet.
    seen: u64,
    change: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl Standing {
    /// Before the first [`look_again`](Self::look_again) nothing is allowed.
    pub(super) fn new(access: Arc<Access>, proof: Option<Credential>, address: IpAddr) -> Self {
        let change = change(access.accounts.changes());
        Self { access, proof, address, rights: Rights::NONE, seen: 0, change }
    }

    /// Takes what has changed since it was asked last. One atomic read where nothing has.
    pub(super) fn look_again(&mut self) -> News {
        let generation = self.access.accounts.generation();
        if generation == self.seen {
            return News::None;
        }
        self.seen = generation;
        if !self.lets_in() {
            self.rights = Rights::NONE;
            return News::Over;
        }
        self.rights = self.access.rights();
        News::Changed
    }

    /// Whether its client would be let in now.
    pub(super) fn lets_in(&self) -> bool {
        let Access { who, accounts, .. } = &*self.access;
        // It may have come by the admin port while nobody needed a name.
        let by_mistake = *who == Who::Anonymous && accounts.anonymous_by_mistake(self.address);
        !by_mistake && accounts.roster().still_lets_in(who, self.proof.as_ref())
    }

    /// What was found when it was asked last.
    pub(super) fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Whether a message may be published; a refusal is counted and told.
    pub(super) fn may_publish(&self, topic: &Topic) -> bool {
        let may = self.rights.may_publish(topic);
        if !may {
            self.access.accounts.denials.publish(&self.access, topic.as_str());
        }
        may
    }

    /// Whether any of a filter may be subscribed to; a refusal is counted and told.
    pub(super) fn may_subscribe(&self, filter: &TopicFilter) -> bool {
        let may = self.rights.scope(filter) != Scope::Nothing;
        if !may {
            self.access.accounts.denials.subscription(&self.access, filter.as_str());
        }
        may
    }

    /// Ready when the accounts have changed. Registered once for each change and not anew with each look.
    pub(super) fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.change.as_mut().poll(cx));
        // What changes from now on; what has changed, `look_again` finds out.
        self.change = change(self.access.accounts.changes());
        Poll::Ready(())
    }
}

/// The next change.
fn change(mut changes: watch::Receiver<()>) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
    Box::pin(async move {
        if changes.changed().await.is_err() {
            // The accounts live as long as whoever holds them, and `access` does.
            std::future::pending::<()>().await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::accounts::MoreUsers;
    use super::*;
    use crate::config;

    #[test]
    fn whose_a_session_is_survives_the_store_and_no_name_stands_for_another_kind() {
        let name = |name: &str| -> Arc<str> { name.into() };
        let all = [
            Who::Anonymous,
            Who::User(name("a")),
            Who::Certified(Some(name("a"))),
            Who::Certified(None),
            Who::User(name("ä b")),
        ];
        for (number, who) in all.iter().enumerate() {
            assert_eq!(Who::of_row(who.to_row().as_deref()), *who);
            assert!(all.iter().skip(number + 1).all(|other| other.to_row() != who.to_row()), "{who:?}");
        }
    }

    #[test]
    fn settings_that_say_the_same_wake_nobody_and_forget_no_password() {
        let accounts = Accounts::new(Arc::default(), MoreUsers::None, &Arc::default());
        let before = accounts.generation();
        accounts.take_settings(Arc::default());
        assert_eq!(accounts.generation(), before);
        accounts.take_settings(Arc::new(config::Broker { allow_anonymous: true, ..Default::default() }));
        assert!(accounts.generation() > before);
    }

    #[test]
    fn a_nameless_client_from_outside_stays_only_as_long_as_nobody_needs_a_name() {
        let open = config::Broker { allow_anonymous: true, ..Default::default() };
        let accounts = Arc::new(Accounts::new(Arc::new(open), MoreUsers::None, &Arc::default()));
        let standing = |address: [u8; 4]| {
            let access = Access::new(Who::Anonymous, "c".into(), Arc::clone(&accounts));
            Standing::new(Arc::new(access), None, address.into())
        };
        let (mut outside, mut inside) = (standing([192, 0, 2, 1]), standing([127, 0, 0, 1]));
        assert_eq!((outside.look_again(), inside.look_again()), (News::Changed, News::Changed));
        accounts.take_settings(Arc::default());
        assert_eq!((outside.look_again(), inside.look_again()), (News::Over, News::Changed));
    }
}
