//! The secret behind an uplink's pseudonyms: made once or each day, kept in a file for the gateway's own user alone.
//!
//! A secret is on disk before the first pseudonym that rests on it leaves, so a power cut changes none. One that changes
//! daily is replaced at midnight, UTC, by a new one that has nothing to do with it, and is gone: whom the pseudonyms of a
//! past day stood for nobody can find out, not even with the gateway in hand, but for what an SD card keeps of files that
//! were replaced. Only a clock that can be trusted says what day it is. Without one a secret stays for 24 hours of running,
//! and over a restart; when the clock is set, one whose day is not known is replaced at once.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::folder;
use crate::config::PseudonymsChange;
use crate::message::Received;
use crate::pseudonym::{Kept, Key, SecretError};

/// How long a secret that changes daily is used where the clock can't be trusted.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A secret in use.
#[derive(Clone)]
struct Held {
    kept: Kept,
    key: Key,
    /// Since when this process uses it.
    since: Instant,
    /// Whether the disk has it.
    written: bool,
}

/// The pseudonyms of one uplink.
pub struct Pseudonyms {
    file: PathBuf,
    state: Mutex<(Option<PseudonymsChange>, Option<Held>)>,
}

fn file(data_dir: &Path, uplink: &str) -> PathBuf {
    folder(data_dir).join(format!("{uplink}.secret"))
}

/// The day in days since 1970, where the clock can be trusted.
fn day(now: &Received) -> Option<u64> {
    let since = now.trusted()?.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs() / DAY.as_secs())
}

impl Pseudonyms {
    /// Those of the uplink of this name. Reads nothing yet.
    pub fn of(data_dir: &Path, uplink: &str) -> Self {
        Self { file: file(data_dir, uplink), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, (Option<PseudonymsChange>, Option<Held>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says when they change; `None`: there are none.
    pub fn set(&self, change: Option<PseudonymsChange>) {
        self.state().0 = change;
    }

    /// The secret of now.
    pub fn key(&self) -> Option<Key> {
        self.state().1.as_ref().map(|held| held.key.clone())
    }

    /// Whether [`renew`](Self::renew) has something to do.
    pub fn due(&self, now: &Received) -> bool {
        let state = self.state();
        match (&state.0, &state.1) {
            (None, _) => false,
            (_, None) => true,
            (Some(change), Some(held)) => !held.written || (!change.is_never() && held.is_over(now)),
        }
    }

    /// Sees that there is a secret, and the right one. Waits for the disk.
    ///
    /// # Errors
    /// When it can't be read or written. One that is over is replaced nevertheless, by one that no disk has yet.
    pub fn renew(&self, now: &Received) -> Result<(), SecretError> {
        if !self.due(now) {
            return Ok(());
        }
        let (change, before) = {
            let state = self.state();
            (state.0, state.1.clone())
        };
        let before = match before {
            None => Kept::read(&self.file)?.map(|kept| Held::of(kept, now, true)),
            held => held,
        };
        let over = |held: &Held| change.is_some_and(|change| !change.is_never()) && held.is_over(now);
        // Nobody uses a first one before the disk has it; one that is over nobody uses any more, whatever the disk does.
        let first = before.is_none();
        let mut held = match before.filter(|held| !over(held)) {
            Some(held) => held,
            None => Held::new(now)?,
        };
        let written = if held.written { Ok(()) } else { held.kept.write(&self.file) };
        held.written = written.is_ok();
        if held.written || !first {
            self.state().1 = Some(held);
        }
        written
    }
}

impl Held {
    fn new(now: &Received) -> Result<Self, SecretError> {
        Ok(Self::of(Kept::new(day(now))?, now, false))
    }

    fn of(kept: Kept, now: &Received, written: bool) -> Self {
        let key = Key::new(&kept.secret);
        Self { kept, key, since: now.monotonic, written }
    }

    /// Whether another day has begun than the one for which it was made.
    fn is_over(&self, now: &Received) -> bool {
        match day(now) {
            Some(today) => self.kept.day != Some(today),
            None => now.monotonic.saturating_duration_since(self.since) >= DAY,
        }
    }
}

/// The secret of an uplink as it is on disk.
#[derive(Debug)]
pub enum Known {
    /// It is there.
    Real(Key),
    /// There is none yet.
    None,
    /// It can't be read.
    Unreadable(SecretError),
}

/// Looks for the secret of an uplink, and makes none.
pub fn known(data_dir: &Path, uplink: &str) -> Known {
    match Kept::read(&file(data_dir, uplink)) {
        Ok(Some(kept)) => Known::Real(Key::new(&kept.secret)),
        Ok(None) => Known::None,
        Err(error) => Known::Unreadable(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::*;
    use crate::message::ClockQuality;

    /// So many hours after the beginning of some day, by a clock that is set or not.
    fn at(hours: u64, set: bool) -> Received {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        let passed = Duration::from_secs(hours * 3600);
        let clock = if set { ClockQuality::Synchronised } else { ClockQuality::Unsynchronised };
        let wall: SystemTime = UNIX_EPOCH + 20_000 * DAY + passed;
        Received { wall, monotonic: *START.get_or_init(Instant::now) + passed, clock }
    }

    /// A start of the gateway, and what somebody is called then.
    fn started(dir: &Path, change: PseudonymsChange, now: &Received) -> (Pseudonyms, String) {
        let pseudonyms = Pseudonyms::of(dir, "cloud");
        pseudonyms.set(Some(change));
        assert!(pseudonyms.key().is_none() && pseudonyms.due(now));
        pseudonyms.renew(now).unwrap();
        let name = name(&pseudonyms);
        (pseudonyms, name)
    }

    fn name(pseudonyms: &Pseudonyms) -> String {
        pseudonyms.key().unwrap().pseudonym("anna")
    }

    fn after(pseudonyms: &Pseudonyms, now: &Received) -> String {
        pseudonyms.renew(now).unwrap();
        assert!(!pseudonyms.due(now));
        name(pseudonyms)
    }

    #[test]
    fn what_never_changes_outlasts_days_and_restarts_and_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (pseudonyms, first) = started(dir.path(), PseudonymsChange::Never, &at(0, true));
        assert_eq!(after(&pseudonyms, &at(1000, true)), first);
        assert_eq!(started(dir.path(), PseudonymsChange::Never, &at(2000, false)).1, first);
        let file = file(dir.path(), "cloud");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        let other = Pseudonyms::of(dir.path(), "other");
        other.set(Some(PseudonymsChange::Never));
        other.renew(&at(0, true)).unwrap();
        assert_ne!(name(&other), first, "two remotes can't compare theirs");
    }

    #[test]
    fn what_changes_daily_changes_at_midnight_and_stays_the_same_over_a_restart_of_the_day() {
        let dir = tempfile::tempdir().unwrap();
        let (pseudonyms, first) = started(dir.path(), PseudonymsChange::Daily, &at(1, true));
        assert_eq!(after(&pseudonyms, &at(23, true)), first);
        assert_eq!(started(dir.path(), PseudonymsChange::Daily, &at(23, true)).1, first);
        let second = after(&pseudonyms, &at(24, true));
        assert_ne!(second, first);
        assert_eq!(started(dir.path(), PseudonymsChange::Daily, &at(25, true)).1, second);
        let back = started(dir.path(), PseudonymsChange::Daily, &at(1, true)).1;
        assert!(back != first && back != second, "the clock went back: what is gone is gone");
    }

    #[test]
    fn without_a_clock_a_secret_stays_for_a_day_of_running_and_goes_when_the_clock_is_set() {
        let dir = tempfile::tempdir().unwrap();
        let (pseudonyms, first) = started(dir.path(), PseudonymsChange::Daily, &at(1, false));
        assert_eq!(after(&pseudonyms, &at(24, false)), first, "23 hours");
        assert_eq!(started(dir.path(), PseudonymsChange::Daily, &at(24, false)).1, first);
        let second = after(&pseudonyms, &at(25, false));
        assert_ne!(second, first);
        let third = after(&pseudonyms, &at(26, true));
        assert_ne!(third, second, "nobody knows on which days it was used");
        assert_eq!(started(dir.path(), PseudonymsChange::Daily, &at(100, false)).1, third, "the clock is lost again");
    }

    #[test]
    fn a_secret_that_the_disk_does_not_take_is_no_first_one_but_a_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("blocked");
        fs::write(&blocked, "").unwrap();
        let pseudonyms = Pseudonyms::of(&blocked, "cloud");
        pseudonyms.set(Some(PseudonymsChange::Daily));
        let error = pseudonyms.renew(&at(1, true)).unwrap_err();
        assert!(error.to_string().starts_with("can't "), "{error}");
        assert!(pseudonyms.key().is_none());
        fs::remove_file(&blocked).unwrap();
        let first = after(&pseudonyms, &at(1, true));
        fs::remove_dir_all(&blocked).unwrap();
        fs::write(&blocked, "").unwrap();
        pseudonyms.renew(&at(24, true)).unwrap_err();
        let second = name(&pseudonyms);
        assert_ne!(second, first, "the day is over, whatever the disk does");
        assert!(pseudonyms.due(&at(24, true)));
        fs::remove_file(&blocked).unwrap();
        assert_eq!(after(&pseudonyms, &at(25, true)), second);
        assert_eq!(started(&blocked, PseudonymsChange::Daily, &at(26, true)).1, second);
    }

    #[test]
    fn a_damaged_secret_is_told_of_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sharing")).unwrap();
        let file = file(dir.path(), "cloud");
        for text in ["", "{}", "{\"secret\":[0]}", "{\"secret\":\"00\"}"] {
            fs::write(&file, text).unwrap();
            let pseudonyms = Pseudonyms::of(dir.path(), "cloud");
            pseudonyms.set(Some(PseudonymsChange::Never));
            assert!(matches!(pseudonyms.renew(&at(0, true)), Err(SecretError::Read { .. })), "{text}");
            assert!(matches!(known(dir.path(), "cloud"), Known::Unreadable(_)));
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }
}
