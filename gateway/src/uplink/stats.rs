//! One uplink's counters and state, for `/metrics`, `stile uplink status` and pages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;

use crate::sharing::Withheld;

/// Why a message did not reach the remote, besides what its spool drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Dead {
    /// It is larger than the remote takes.
    TooLarge,
    /// The remote takes no such topic: too long, or too deep.
    BadTopic,
    /// The remote refused it.
    Refused,
    /// No rule sends it any more.
    NoRule,
    /// Its expiry interval ran out while it waited.
    Expired,
    /// Its record can't be read.
    Unreadable,
    /// It came where the spool was full, and nobody could be made to wait.
    NoRoom,
    /// The remote takes JSON alone there.
    BadPayload,
    /// It answers what nobody asks, or not any more.
    NoCall,
}

impl Dead {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::TooLarge,
        Self::BadTopic,
        Self::Refused,
        Self::NoRule,
        Self::Expired,
        Self::Unreadable,
        Self::NoRoom,
        Self::BadPayload,
        Self::NoCall,
    ];

    /// The word for metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::BadTopic => "bad-topic",
            Self::Refused => "refused",
            Self::NoRule => "no-rule",
            Self::Expired => "expired",
            Self::Unreadable => "unreadable",
            Self::NoRoom => "no-room",
            Self::BadPayload => "bad-payload",
            Self::NoCall => "no-call",
        }
    }
}

/// How an uplink is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Condition {
    /// Whether the remote has let the gateway in, and is there.
    pub online: bool,
    /// What the remote said of its limits when it let the gateway in.
    pub limits: Option<super::Limits>,
    /// Why it was lost or could not be reached last.
    pub last_error: Option<String>,
    /// When `online` last changed, RFC 3339.
    pub since: String,
    /// The paths of the settings, in their order; empty where they name none.
    pub paths: Vec<PathCondition>,
    /// How long the last change of paths left the remote without messages.
    pub path_gap: Option<Duration>,
}

/// How one of an uplink's paths is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct PathCondition {
    /// What it is called.
    pub name: String,
    /// It is the one in use, or was the last one.
    pub current: bool,
    /// Times that no connection came about on it, or that one broke.
    pub failed: u64,
    /// What went wrong on it last.
    pub last_error: Option<String>,
}

/// Counters of one uplink. All only grow.
#[derive(Debug, Default)]
pub struct UplinkStats {
    /// Messages given to the spool.
    pub taken: AtomicU64,
    /// PUBLISH packets sent, repeated ones included.
    pub sent: AtomicU64,
    /// Of these, repeated ones: the remote may have them twice.
    pub repeated: AtomicU64,
    /// Messages that the remote has acknowledged, or, with QoS 0, that were handed to the connection.
    pub delivered: AtomicU64,
    /// Messages that came from the remote and were taken in.
    pub received: AtomicU64,
    /// Messages of the remote that no rule wants.
    pub unwanted: AtomicU64,
    /// Times that the remote let the gateway in.
    pub connected: AtomicU64,
    /// Times that a connection was lost or could not be made.
    pub failed: AtomicU64,
    /// Times that another path was taken than before.
    pub path_changes: AtomicU64,
    dead: [AtomicU64; Dead::ALL.len()],
    withheld: [AtomicU64; Withheld::ALL.len()],
    condition: Mutex<Condition>,
    /// The limits that the remote named, as long as it is there.
    said: RwLock<Option<super::Limits>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl UplinkStats {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dead(&self, why: Dead) {
        Self::add(&self.dead[why as usize]);
    }

    /// Counts a message that is not shared. Says whether it is the first one for this reason.
    pub(super) fn withhold(&self, why: Withheld) -> bool {
        self.withheld[why as usize].fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Messages that its rules send and its sharing policy keeps here, by reason. They are in none of the other counters.
    pub fn withholdings(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Withheld::ALL.iter().map(|why| (why.as_str(), self.withheld[*why as usize].load(Ordering::Relaxed)))
    }

    /// Messages that did not reach the remote, by reason.
    pub fn deaths(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Dead::ALL.iter().map(|why| (why.as_str(), self.dead[*why as usize].load(Ordering::Relaxed)))
    }

    /// How it is.
    pub fn condition(&self) -> Condition {
        lock(&self.condition).clone()
    }

    /// The limits that the remote named, as long as it is there.
    pub(super) fn said(&self) -> Option<super::Limits> {
        *self.said.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, limits: Option<super::Limits>) {
        *self.said.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    pub(super) fn online(&self, limits: super::Limits, since: String) {
        self.say(Some(limits));
        let mut condition = lock(&self.condition);
        (condition.online, condition.limits, condition.since) = (true, Some(limits), since);
    }

    pub(super) fn offline(&self, why: String, since: String) {
        self.say(None);
        let mut condition = lock(&self.condition);
        if condition.online || condition.since.is_empty() {
            condition.since = since;
        }
        (condition.online, condition.last_error) = (false, Some(why));
    }

    /// The settings have these paths.
    pub(super) fn paths_are(&self, names: Vec<String>) {
        let mut condition = lock(&self.condition);
        let known = std::mem::take(&mut condition.paths);
        let of = |name: String| {
            known.iter().find(|path| path.name == name).cloned().unwrap_or(PathCondition { name, ..Default::default() })
        };
        condition.paths = names.into_iter().map(of).collect();
    }

    /// A connection goes over this one.
    pub(super) fn path_taken(&self, name: &str) {
        let mut condition = lock(&self.condition);
        if condition.paths.iter().any(|path| path.current && path.name != name) {
            Self::add(&self.path_changes);
        }
        condition.paths.iter_mut().for_each(|path| path.current = path.name == name);
    }

    pub(super) fn path_failed(&self, name: &str, why: String) {
        if let Some(path) = lock(&self.condition).paths.iter_mut().find(|path| path.name == name) {
            path.failed += 1;
            path.last_error = Some(why);
        }
    }

    pub(super) fn path_gap(&self, gap: Duration) {
        lock(&self.condition).path_gap = Some(gap);
    }

    pub(super) fn trouble(&self, what: String) {
        lock(&self.condition).last_error = Some(what);
    }
}
