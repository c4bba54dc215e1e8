//! Which PIN was tried on a modem's SIM card, on disk: a card that is given a wrong one three times is blocked.
//!
//! The mark is on disk before the modem is told the PIN, and goes only when the card is open. So a PIN that was wrong, or of
//! which nobody heard, is not tried again, over restarts and power cuts too. It is a keyed hash: it says nothing of the PIN
//! without the secret beside it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::config::Secret;
use crate::pseudonym::{Key, own_folder};
use crate::whole_file;

/// More than a mark has, in bytes.
const MARK_MAX: u64 = 256;

/// The PIN of one modem, and its mark.
#[derive(Clone)]
pub(super) struct Pins {
    file: PathBuf,
    /// What the mark of this PIN looks like; `None` without a PIN.
    pin: Option<(Secret, String)>,
}

/// What may be done with a card that wants a PIN.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum May {
    /// Tell it this one; that it was told is on disk.
    Try(Secret),
    /// It was tried before.
    Tried,
    /// There is none.
    NoPin,
}

impl Pins {
    /// Those of the radio of this name. Reads nothing yet.
    pub(super) fn new(folder: &Path, radio: &str, pin: Option<&Secret>, key: &Key) -> Self {
        let mark = |pin: &Secret| (pin.clone(), key.pseudonym(&format!("pin:{}", pin.expose())));
        Self { file: folder.join(format!("{radio}.pin")), pin: pin.map(mark) }
    }

    /// Whether the card may be told, and notes that it is. Waits for the disk.
    ///
    /// # Errors
    /// When nobody can tell what was tried, or it can't be noted. Then it may not.
    pub(super) fn may(&self) -> io::Result<May> {
        let Some((pin, mark)) = &self.pin else { return Ok(May::NoPin) };
        let tried = match fs::File::open(&self.file) {
            Ok(file) => Some(io::read_to_string(io::Read::take(file, MARK_MAX))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match tried {
            Some(tried) if tried == *mark => return Ok(May::Tried),
            Some(tried) if tried.len() != mark.len() => {
                return Err(io::Error::other(format!("{} is damaged", self.file.display())));
            }
            _ => {}
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        own_folder(folder)?;
        whole_file::write(&self.file, mark.as_bytes(), 0o600, folder)?;
        Ok(May::Try(pin.clone()))
    }

    /// The card is open. Waits for the disk.
    pub(super) fn open(&self) {
        // One that stays bars a PIN that was good: rather that than a blocked card.
        let _ = whole_file::remove(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_tried_once_until_the_card_is_open_or_the_pin_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cellular");
        let pins = |pin: &str| Pins::new(&folder, "a", Some(&Secret::new(pin)), &Key::example());
        assert_eq!(pins("1234").may().unwrap(), May::Try(Secret::new("1234")));
        assert_eq!(pins("1234").may().unwrap(), May::Tried, "over a restart too");
        assert_eq!(pins("4321").may().unwrap(), May::Try(Secret::new("4321")));
        pins("4321").open();
        assert_eq!(pins("4321").may().unwrap(), May::Try(Secret::new("4321")));
        let kept = fs::read_to_string(folder.join("a.pin")).unwrap();
        assert!(!kept.contains("4321"), "{kept}");
        assert_eq!(Pins::new(&folder, "b", None, &Key::example()).may().unwrap(), May::NoPin);
    }

    #[test]
    fn a_pin_is_not_tried_when_nobody_can_tell_which_one_was() {
        let dir = tempfile::tempdir().unwrap();
        let pins = Pins::new(dir.path(), "a", Some(&Secret::new("1234")), &Key::example());
        pins.may().unwrap();
        let file = dir.path().join("a.pin");
        let mark = fs::read(&file).unwrap();
        for damaged in [&mark[..0], &mark[..7], &[0xff; 300]] {
            fs::write(&file, damaged).unwrap();
            assert!(pins.may().is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn a_pin_that_can_t_be_noted_is_not_tried() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("blocked");
        fs::write(&blocked, "").unwrap();
        assert!(Pins::new(&blocked, "a", Some(&Secret::new("1234")), &Key::example()).may().is_err());
    }
}
