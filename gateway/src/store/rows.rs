//! What can be kept, as the other rooms see it.

use std::collections::{BTreeMap, HashMap};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::message::{Message, QoS, TopicFilter};

/// A session, but for what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The client id.
    pub client: Arc<str>,
    /// The user that the client came as.
    pub user: Option<Arc<str>>,
    /// How long the session outlives its connection; whole seconds are kept.
    pub expiry: Duration,
    /// When its client left; `None` while it is there.
    pub left: Option<SystemTime>,
}

/// The options of a subscription (MQTT 5.0, section 3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionRow {
    /// The most that is delivered.
    pub qos: QoS,
    /// Not what the client itself published.
    pub no_local: bool,
    /// With the retain flag as published.
    pub retain_as_published: bool,
    /// What the client calls it.
    pub subscription_id: Option<NonZeroU32>,
}

/// A message with QoS 1 or 2 that waits for a client or for its acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedRow {
    /// The session's number.
    pub session: u64,
    /// What it is sent under, before a restart and after.
    pub packet_id: NonZeroU16,
    /// The quality of service of this delivery.
    pub qos: QoS,
    /// The retain flag to send.
    pub retain: bool,
    /// The subscription identifier to send.
    pub subscription_id: Option<NonZeroU32>,
    /// The shared subscription that it came by, as the client wrote it.
    pub share: Option<TopicFilter>,
    /// The client has received it, and PUBREL may have gone.
    pub released: bool,
    /// The message.
    pub message: Arc<Message>,
}

/// A session with all that belongs to it, as it was found at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// Its number.
    pub id: u64,
    /// The session.
    pub row: SessionRow,
    /// Its subscriptions, by the filter as the client wrote it.
    pub subscriptions: Vec<(TopicFilter, SubscriptionRow)>,
    /// QoS 2 messages from the client whose PUBREL has not come.
    pub received: Vec<NonZeroU16>,
    /// What waits, with the numbers of the rows, oldest first.
    pub queued: Vec<(u64, QueuedRow)>,
}

/// The gateway's own session at a remote broker: what is kept of a client's session, seen from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRow {
    /// The uplink's name.
    pub uplink: Arc<str>,
    /// Where the remote is, and as whom the gateway comes there. With another one it is another session.
    pub place: String,
    /// The remote may have forgotten the session since.
    pub doubted: bool,
}

/// The same with what belongs to it, as it was found at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRemote {
    /// Its number, of those of sessions.
    pub id: u64,
    /// The session.
    pub row: RemoteRow,
    /// QoS 2 messages of the remote whose PUBREL has not come.
    pub received: Vec<NonZeroU16>,
}

/// A message that is held for a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// The plugin's name.
    pub owner: Arc<str>,
    /// The plugin failed at this one; otherwise it could judge nothing.
    pub apart: bool,
    /// The plugins that it has behind it; `None` where nobody knows.
    pub behind: Option<Arc<[Arc<str>]>>,
    /// The message.
    pub message: Arc<Message>,
}

/// How much longer something is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lasts {
    /// The time that was left; whole seconds are kept, and what has begun of one.
    pub left: Duration,
    /// When that was left, where the wall clock could be trusted.
    pub at: Option<SystemTime>,
}

/// A value that a plugin remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryRow {
    /// The value.
    pub value: Arc<[u8]>,
    /// `None`: for as long as the plugin wants it.
    pub lasts: Option<Lasts>,
}

/// What one plugin remembers, as it was found at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredMemory {
    /// Keys and values.
    pub entries: Vec<(String, MemoryRow)>,
    /// When the settings ceased to name the plugin; `None` while they do, and where nobody could tell the time.
    pub left: Option<SystemTime>,
}

/// Changes that the audit log keeps. Policy: the oldest go.
pub(super) const AUDIT_ROWS: usize = 1000;
/// What was refused or failed, beside them: whoever is refused again and again pushes out nothing that was done.
pub(super) const AUDIT_REFUSED_ROWS: usize = 200;
/// What people did of themselves, beside them, and of each person: whoever signs in and out again and again pushes out
/// neither what was changed nor others' comings.
pub(super) const AUDIT_OWN_ROWS: usize = 500;
/// See above.
pub(super) const AUDIT_OWN_ROWS_EACH: usize = 20;

/// One change by the admin page, its API or the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When, by the wall clock; whole seconds are kept.
    pub at: SystemTime,
    /// Who did it: a person, a token, or the command line.
    pub who: String,
    /// From which address, where that means something.
    pub whence: Option<String>,
    /// What was done, in words.
    pub what: String,
    /// What came of it, in a word or two.
    pub outcome: String,
}

impl AuditRow {
    /// The outcome of what was done.
    pub const DONE: &str = "done";
    /// What somebody did who came in.
    pub const SIGNED_IN: &str = "signed in";
    /// What somebody did who went.
    pub const SIGNED_OUT: &str = "signed out";
    /// What somebody did who has another password.
    pub const OWN_PASSWORD: &str = "changed the own password";
    /// What anybody may do of himself as often as he likes.
    pub(super) const OWN: [&str; 3] = [Self::SIGNED_IN, Self::SIGNED_OUT, Self::OWN_PASSWORD];

    /// Whether it was done, and not refused or failed at.
    pub fn was_done(&self) -> bool {
        self.outcome == Self::DONE
    }

    fn is_own(&self) -> bool {
        self.was_done() && Self::OWN.contains(&&*self.what)
    }
}

/// How many rows of the audit log are too many, of each kind.
#[derive(Debug)]
pub struct AuditSurplus {
    done: usize,
    refused: usize,
    own: usize,
    /// Of each person.
    each: HashMap<String, usize>,
}

impl AuditSurplus {
    /// Of these rows.
    pub fn of<'a>(rows: impl Iterator<Item = &'a AuditRow>) -> Self {
        let mut found = Self { done: 0, refused: 0, own: 0, each: HashMap::new() };
        for row in rows {
            if row.is_own() {
                found.own += 1;
                *found.each.entry(row.who.clone()).or_default() += 1;
            } else if row.was_done() {
                found.done += 1;
            } else {
                found.refused += 1;
            }
        }
        found.each.values_mut().for_each(|count| *count = count.saturating_sub(AUDIT_OWN_ROWS_EACH));
        let gone: usize = found.each.values().sum();
        found.own = (found.own - gone).saturating_sub(AUDIT_OWN_ROWS);
        found.done = found.done.saturating_sub(AUDIT_ROWS);
        found.refused = found.refused.saturating_sub(AUDIT_REFUSED_ROWS);
        found
    }

    /// Whether a row stays; to be asked of each, the oldest first.
    pub fn keeps(&mut self, row: &AuditRow) -> bool {
        let surplus = if !row.is_own() {
            if row.was_done() { &mut self.done } else { &mut self.refused }
        } else {
            self.each.get_mut(&row.who).filter(|count| **count > 0).unwrap_or(&mut self.own)
        };
        let goes = *surplus > 0;
        *surplus -= usize::from(goes);
        !goes
    }
}

/// All that was found at the start.
#[derive(Debug, Default)]
pub struct Stored {
    /// Retained messages, one a topic.
    pub retained: Vec<Arc<Message>>,
    /// Sessions, one a client.
    pub sessions: Vec<StoredSession>,
    /// Sessions at remotes, one an uplink.
    pub remotes: Vec<StoredRemote>,
    /// Messages of shared subscriptions that a member gave back when its session ended and that no other had got yet,
    /// with the numbers of the rows.
    pub homeless: Vec<(u64, QueuedRow)>,
    /// What plugins remember, by their names.
    pub memories: BTreeMap<Arc<str>, StoredMemory>,
    /// Messages that are held for plugins, by the numbers of the rows: oldest first.
    pub held: BTreeMap<u64, HeldRow>,
    /// What was changed by whom, by the numbers of the rows: oldest first.
    pub audit: BTreeMap<u64, AuditRow>,
    /// Rows that could not be read and were let go.
    pub unreadable: u64,
    /// Where a damaged file was moved to. What could be read of it is in here.
    pub set_aside: Option<PathBuf>,
}
