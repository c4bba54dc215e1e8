//! Checking passwords, so that neither guessing them nor checking them harms anybody.
//!
//! One hash is checked at a time, on a thread where it holds up nobody, and only so many may wait for it, of one address only
//! a few: nobody can take all the places. What was right
//! a while ago is remembered (as a digest under a key that ends with the process), so that a fleet that comes back
//! at once need not be hashed one by one. Who must wait before another try is for `guesses.rs` to say. A name that
//! nobody has costs what a wrong password costs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ring::hmac;
use tokio::sync::Semaphore;

use super::Hash;
use super::guesses::{Attempt, Guesses};

/// Clients that wait for their password to be checked. Policy: one more is told to come back later. At a tenth of a second
/// each, the last of them waits for as long as a client's patience lasts.
const WAITING: usize = 64;
/// How many of them may be of one address, for IPv6 of one network. Policy: the same.
const WAITING_OF_ADDRESS: usize = 4;
/// Passwords that are remembered. Policy: the one that was used longest ago goes.
const REMEMBERED: usize = 1024;
/// How long a password is remembered after its last use.
const REMEMBER: Duration = Duration::from_secs(3600);

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the user's password.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// There were too many wrong ones; it was not looked at.
    HeldBack,
    /// Too many wait already, or it waited for too long; it was not looked at.
    Busy,
}

/// What was done with a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Check {
    /// It was checked against a hash, or for as long as that takes.
    Hashed,
    /// It was known to be right.
    Remembered,
    /// It was not looked at: there had been too many wrong ones.
    HeldBack,
    /// It was not looked at: too many waited already.
    Busy,
}

/// Passwords that came, by what was done with them.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; 4]);

impl Counts {
    fn add(&self, how: Check) {
        self.0[how as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// With the words for metrics.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        ["hashed", "remembered", "held-back", "busy"].into_iter().zip(counts)
    }
}

/// Leave to hash: one at a time, whoever asks. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Permit(Arc<Semaphore>);

impl Default for Permit {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Permit {
    /// Has something hashed when it is its turn, on a thread where it holds up nobody.
    ///
    /// # Errors
    /// When the hashing panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, hash: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|closed| closed.to_string())?;
        let hashed = tokio::task::spawn_blocking(move || {
            let out = hash();
            drop(permit);
            out
        });
        hashed.await.map_err(|panic| panic.to_string())
    }
}

/// What proves a user.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Proof<'a> {
    /// The password itself, where it stands in the settings.
    Plain(&'a str),
    /// Its hash.
    Hash(&'a Hash),
}

/// A password to be checked.
pub(crate) struct Asked<'a> {
    pub(crate) user: &'a str,
    /// What proves the user; `None` where there is no such user.
    pub(crate) proof: Option<Proof<'a>>,
    /// Empty where none was given.
    pub(crate) password: &'a [u8],
    pub(crate) address: IpAddr,
}

impl Asked<'_> {
    /// User, hash and password in one, so that no two of these are alike. The hash is there so that a password that was right
    /// by another one, before a change, is not known to be right.
    fn to_sign(&self) -> Vec<u8> {
        let hash = hash_of(self.proof).map_or("", Hash::expose);
        let (user_len, hash_len) = (self.user.len().to_be_bytes(), hash.len().to_be_bytes());
        [&user_len[..], self.user.as_bytes(), &hash_len, hash.as_bytes(), self.password].concat()
    }
}

/// A password that was right: its digest, and when it was used last.
struct Remembered {
    digest: hmac::Tag,
    last: Instant,
}

#[derive(Default)]
struct Memory {
    guesses: Guesses,
    remembered: HashMap<Arc<str>, Remembered>,
    /// Who waits, by address.
    waiting: HashMap<IpAddr, usize>,
}

/// See the module's head.
pub(crate) struct Passwords {
    permit: Permit,
    key: Option<hmac::Key>,
    memory: Mutex<Memory>,
    counts: Arc<Counts>,
}

/// One of those who wait; gives its place back when dropped.
struct Place<'a> {
    passwords: &'a Passwords,
    address: IpAddr,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut memory = self.passwords.lock();
        if let Some(count) = memory.waiting.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                memory.waiting.remove(&self.address);
            }
        }
    }
}

impl Passwords {
    pub(crate) fn new(permit: Permit, counts: Arc<Counts>) -> Self {
        let mut random = [0; 32];
        // Without random numbers nothing is remembered; each check is then a hash.
        let key = getrandom::fill(&mut random).ok().map(|()| hmac::Key::new(hmac::HMAC_SHA256, &random));
        Self { permit, key, memory: Mutex::default(), counts }
    }

    /// Another handle of the permit.
    pub(crate) fn permit(&self) -> Permit {
        self.permit.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks a password; `deadline` is for the wait. A hash that has begun is finished and counts.
    pub(crate) async fn check(&self, asked: &Asked<'_>, deadline: tokio::time::Instant) -> Verdict {
        // None at all is no guess: it can't be right, and that is no secret.
        if asked.password.is_empty() {
            return Verdict::Wrong;
        }
        let attempt = Attempt::new(asked.user, asked.address);
        if let Some(verdict) = self.without_hash(&attempt, asked) {
            return verdict;
        }
        let Some(_place) = self.take_place(attempt.address()) else {
            self.counts.add(Check::Busy);
            return Verdict::Busy;
        };
        let permit = tokio::time::timeout_at(deadline, Arc::clone(&self.permit.0).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            self.counts.add(Check::Busy);
            return Verdict::Busy;
        };
        // Whoever went before may have changed what is to be said of this one.
        if let Some(verdict) = self.without_hash(&attempt, asked) {
            return verdict;
        }
        self.counts.add(Check::Hashed);
        let (hash, given) = (hash_of(asked.proof).cloned(), asked.password.to_vec());
        // The permit goes along: the thread goes on when this client goes.
        let hashed = tokio::task::spawn_blocking(move || (verify(hash.as_ref(), &given), permit)).await;
        // Held until the outcome is noted, so that the next one is judged by it.
        let Ok((right, _permit)) = hashed else { return Verdict::Busy };
        self.note(&attempt, asked, right);
        if right { Verdict::Right } else { Verdict::Wrong }
    }

    /// A place among those who wait, where there is one.
    fn take_place(&self, address: IpAddr) -> Option<Place<'_>> {
        let mut memory = self.lock();
        let of_address = memory.waiting.get(&address).copied().unwrap_or(0);
        if of_address >= WAITING_OF_ADDRESS || memory.waiting.values().sum::<usize>() >= WAITING {
            return None;
        }
        memory.waiting.insert(address, of_address + 1);
        Some(Place { passwords: self, address })
    }

    /// What can be said without hashing.
    fn without_hash(&self, attempt: &Attempt, asked: &Asked<'_>) -> Option<Verdict> {
        let now = Instant::now();
        let mut memory = self.lock();
        let held_back = if memory.guesses.holds_off(attempt, now) {
            true
        } else if is_plain(asked) || self.remembers(&mut memory, asked, now) {
            memory.guesses.right_again(attempt, now);
            self.counts.add(Check::Remembered);
            return Some(Verdict::Right);
        } else {
            memory.guesses.holds_off_guess(attempt, now)
        };
        held_back.then(|| {
            self.counts.add(Check::HeldBack);
            Verdict::HeldBack
        })
    }

    fn remembers(&self, memory: &mut Memory, asked: &Asked<'_>, now: Instant) -> bool {
        let Some((key, known)) = self.key.as_ref().zip(memory.remembered.get_mut(asked.user)) else { return false };
        let right = now.saturating_duration_since(known.last) < REMEMBER
            && hmac::verify(key, &asked.to_sign(), known.digest.as_ref()).is_ok();
        if right {
            known.last = now;
        }
        right
    }

    fn note(&self, attempt: &Attempt, asked: &Asked<'_>, right: bool) {
        let now = Instant::now();
        let mut memory = self.lock();
        if !right {
            return memory.guesses.wrong(attempt, now);
        }
        memory.guesses.right(attempt, now);
        if let Some(key) = &self.key {
            let remembered = &mut memory.remembered;
            if remembered.len() >= REMEMBERED && !remembered.contains_key(asked.user) {
                let oldest = remembered.iter().min_by_key(|(_, known)| known.last).map(|(user, _)| Arc::clone(user));
                oldest.and_then(|user| remembered.remove(&user));
            }
            let digest = hmac::sign(key, &asked.to_sign());
            remembered.insert(asked.user.into(), Remembered { digest, last: now });
        }
    }
}

/// Whether it is the password that stands in the settings.
fn is_plain(asked: &Asked<'_>) -> bool {
    matches!(asked.proof, Some(Proof::Plain(expected)) if same(expected.as_bytes(), asked.password))
}

fn hash_of(proof: Option<Proof<'_>>) -> Option<&Hash> {
    match proof {
        Some(Proof::Hash(hash)) => Some(hash),
        Some(Proof::Plain(_)) | None => None,
    }
}

/// A password that is not UTF-8 is a wrong one. Whatever is wrong takes its time.
fn verify(hash: Option<&Hash>, password: &[u8]) -> bool {
    match hash {
        Some(hash) => hash.verify(password) && std::str::from_utf8(password).is_ok(),
        None => {
            Hash::spend_time(password);
            false
        }
    }
}

/// Compares in a time that depends on the lengths alone, so that a guess can't be bettered byte by byte.
pub(crate) fn same(expected: &[u8], given: &[u8]) -> bool {
    let differing = expected.iter().zip(given).fold(0, |acc, (a, b)| acc | (a ^ b));
    std::hint::black_box(differing) == 0 && expected.len() == given.len()
}

#[cfg(test)]
mod tests;
