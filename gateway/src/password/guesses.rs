//! Back-off on wrong passwords. Pure: times are handed in.
//!
//! Wrong passwords are counted in three places: for the pair of user and address, for the address, and for the user. The
//! first few are free; after that, each makes the next attempt there wait twice as long, up to a limit. Nobody who waits
//! is evaluated, and trying meanwhile does not prolong it.
//!
//! What a stranger does must not keep a user out. So a pair that has been right before is *known*, and only its own
//! wrong passwords count for it: neither those of others at its address (a network behind one address, one device in
//! it with an old password) nor those of strangers who try its name. Devices that share a name may share an address too, and
//! one of them may have an old password: so a known pair waits for a few seconds at most, too. A user who comes from a new address may have to
//! wait for what strangers did to his name, but for a few seconds at most ([`Key::longest`]).

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::accept::counted_as;

/// Wrong passwords that cost no wait.
const FREE: u32 = 5;
/// The first wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait of a pair that has been right before: others with the same name may be behind the address.
const LONGEST_KNOWN: Duration = Duration::from_secs(5);
/// After this long without a wrong password, those before are forgotten.
const FORGET: Duration = Duration::from_secs(600);
/// Entries of each table. Policy: the one that was touched longest ago goes. Each wrong password makes three at most, and
/// costs a hash, so they can't be washed out quickly.
const ENTRIES: usize = 4096;
/// Names are cut to this for the tables; no user has a longer one.
const NAME_BYTES: usize = 256;

/// Where wrong passwords are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Pair(Arc<str>, IpAddr),
    Address(IpAddr),
    User(Arc<str>),
}

impl Key {
    /// The longest wait.
    fn longest(&self) -> Duration {
        match self {
            Self::Pair(..) => Duration::from_secs(60),
            // Others may be behind it.
            Self::Address(_) => Duration::from_secs(30),
            // The user himself may want to come from a new address.
            Self::User(_) => Duration::from_secs(5),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Count {
    wrong: u32,
    wait_until: Instant,
    last: Instant,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    counts: HashMap<Key, Count>,
    known: HashMap<(Arc<str>, IpAddr), Instant>,
}

/// Somebody who tries a password.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    user: Arc<str>,
    address: IpAddr,
}

impl Attempt {
    /// By a user from an address.
    pub(super) fn new(user: &str, address: IpAddr) -> Self {
        Self { user: user[..user.floor_char_boundary(NAME_BYTES)].into(), address: counted_as(address) }
    }

    /// Where it comes from, as it counts.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    fn pair(&self) -> (Arc<str>, IpAddr) {
        (Arc::clone(&self.user), self.address)
    }

    fn keys(&self) -> [Key; 3] {
        let (user, address) = self.pair();
        [Key::Pair(Arc::clone(&user), address), Key::Address(address), Key::User(user)]
    }
}

impl Guesses {
    fn waits(&self, key: &Key, now: Instant) -> bool {
        self.counts.get(key).is_some_and(|count| now < count.wait_until)
    }

    /// Whether nothing from there is to be looked at now, whether it is right or wrong.
    pub(super) fn holds_off(&self, attempt: &Attempt, now: Instant) -> bool {
        let [pair, address, _] = attempt.keys();
        self.waits(&pair, now) || (!self.known.contains_key(&attempt.pair()) && self.waits(&address, now))
    }

    /// Whether a password that is not known to be right is to be looked at now.
    pub(super) fn holds_off_guess(&self, attempt: &Attempt, now: Instant) -> bool {
        let [_, _, user] = attempt.keys();
        self.holds_off(attempt, now) || (!self.known.contains_key(&attempt.pair()) && self.waits(&user, now))
    }

    /// Counts a wrong password.
    pub(super) fn wrong(&mut self, attempt: &Attempt, now: Instant) {
        let [pair, address, user] = attempt.keys();
        let known = self.known.contains_key(&attempt.pair());
        let elsewhere = if known { Vec::new() } else { vec![address, user] };
        for key in std::iter::once(pair).chain(elsewhere) {
            make_room(&mut self.counts, &key, |count| count.last);
            let longest = if known { LONGEST_KNOWN } else { key.longest() };
            let count = self.counts.entry(key).or_insert(Count { wrong: 0, wait_until: now, last: now });
            if now.saturating_duration_since(count.last) > FORGET {
                count.wrong = 0;
            }
            count.wrong = count.wrong.saturating_add(1);
            count.last = now;
            if let Some(beyond) = count.wrong.checked_sub(FREE) {
                count.wait_until = now + FIRST.saturating_mul(1 << beyond.min(16)).min(longest);
            }
        }
    }

    /// Notes that a password was right and that a hash was spent on it: the wrong ones before are forgotten.
    pub(super) fn right(&mut self, attempt: &Attempt, now: Instant) {
        let [pair, _, _] = attempt.keys();
        self.counts.remove(&pair);
        self.right_again(attempt, now);
    }

    /// Notes that a password was right and cost nothing. If that made wrong ones forgotten, a user could have as many of
    /// those hashed as he liked, with a right one in between.
    pub(super) fn right_again(&mut self, attempt: &Attempt, now: Instant) {
        make_room(&mut self.known, &attempt.pair(), |last| *last);
        self.known.insert(attempt.pair(), now);
    }
}

fn make_room<K: Hash + Eq + Clone, V>(table: &mut HashMap<K, V>, newcomer: &K, last: impl Fn(&V) -> Instant) {
    if table.len() >= ENTRIES && !table.contains_key(newcomer) {
        let oldest = table.iter().min_by_key(|(_, value)| last(value)).map(|(key, _)| key.clone());
        oldest.and_then(|key| table.remove(&key));
    }
}

#[cfg(test)]
mod tests;
