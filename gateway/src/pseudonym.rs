//! Pseudonyms: a keyed hash, HMAC-SHA-256 (RFC 2104) cut to 128 bits. Without the secret nobody can find whom one stands
//! for by trying all names.
//!
//! Owns the hash and the file that a secret is kept in. Never knows whom a pseudonym stands for, nor when a secret is to be
//! replaced.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::whole_file;

/// Bytes of a secret.
pub(crate) const SECRET_BYTES: usize = 32;

/// Bytes of a pseudonym; it is written as twice as many hexadecimal digits.
const BYTES: usize = 16;

/// More than a file of ours ever has, in bytes.
const FILE_MAX: u64 = 4096;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file can't be read.
    #[error("can't read {file}: {why}; see that the gateway may read it, or remove it: then all pseudonyms change")]
    Read {
        /// Which.
        file: PathBuf,
        /// What the system says, or what is wrong with it.
        why: String,
    },
    /// The file can't be written.
    #[error("can't write {file}: {why}; see that the disk has room and the gateway may write there")]
    Write {
        /// Which.
        file: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// The system has no random numbers.
    #[error("the system has no random numbers: {0}")]
    Random(getrandom::Error),
}

/// A secret as it is on disk.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) secret: [u8; SECRET_BYTES],
    /// The day for which it was made, in days since 1970; not there where nobody could tell, or it is for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) day: Option<u64>,
}

impl Kept {
    /// A new one, which no disk has yet.
    pub(crate) fn new(day: Option<u64>) -> Result<Self, SecretError> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(SecretError::Random)?;
        Ok(Self { secret, day })
    }

    /// What a file holds; `None` where there is none.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>, SecretError> {
        let text = match fs::File::open(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.and_then(|file| io::read_to_string(io::Read::take(file, FILE_MAX))),
        };
        let text = text.map_err(|why| SecretError::Read { file: file.to_owned(), why: why.to_string() })?;
        let damaged = |_| SecretError::Read { file: file.to_owned(), why: "it is damaged".to_owned() };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    /// Puts it into a file for its owner alone, in a folder that is made where there is none.
    pub(crate) fn write(&self, file: &Path) -> Result<(), SecretError> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let written = own_folder(folder).and_then(|()| {
            let text = serde_json::to_vec(self).map_err(io::Error::other)?;
            whole_file::write(file, &text, 0o600, folder)
        });
        written.map_err(|why| SecretError::Write { file: file.to_owned(), why })
    }
}

/// Makes a folder that is for the gateway's own user alone, and outlasts a power cut.
pub(crate) fn own_folder(folder: &Path) -> io::Result<()> {
    whole_file::make_folder(folder, None)?;
    // Else what is kept in it would go with it.
    whole_file::sync_folder(folder)
}

/// A secret, ready to use.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl Key {
    /// The one in this file, made where there is none. It is on disk before anybody uses it. Waits for the disk.
    ///
    /// # Errors
    /// When the file can't be read or made. One that is damaged is not replaced.
    pub(crate) fn kept_in(file: &Path) -> Result<Self, SecretError> {
        let kept = match Kept::read(file)? {
            Some(kept) => kept,
            None => {
                let new = Kept::new(None)?;
                new.write(file)?;
                new
            }
        };
        Ok(Self::new(&kept.secret))
    }

    pub(crate) fn new(secret: &[u8; SECRET_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// One that everybody knows, for showing what pseudonyms look like.
    pub fn example() -> Self {
        Self::new(&[0; SECRET_BYTES])
    }

    /// The pseudonym of a text: 32 hexadecimal digits, the same each time.
    pub fn pseudonym(&self, text: &str) -> String {
        hex(hmac::sign(&self.0, text.as_bytes()).as_ref().get(..BYTES).unwrap_or_default())
    }
}

/// The secret is no text for anybody.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(********)")
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_hash_that_others_would_compute() {
        // RFC 4231, test case 1: a key of 20 bytes, which HMAC fills up with zeros.
        let mut secret = [0; SECRET_BYTES];
        secret[..20].fill(0x0b);
        assert_eq!(Key::new(&secret).pseudonym("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b");
        assert_ne!(Key::example().pseudonym("Hi There"), Key::new(&secret).pseudonym("Hi There"));
    }

    #[test]
    fn a_key_that_is_kept_is_made_once_for_its_owner_alone_and_a_damaged_one_is_not_replaced() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("folder/a.secret");
        let name = Key::kept_in(&file).unwrap().pseudonym("anna");
        assert_eq!(Key::kept_in(&file).unwrap().pseudonym("anna"), name);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        assert_ne!(Key::kept_in(&dir.path().join("b.secret")).unwrap().pseudonym("anna"), name);
        fs::write(&file, "{").unwrap();
        assert!(matches!(Key::kept_in(&file), Err(SecretError::Read { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "{");
    }
}
