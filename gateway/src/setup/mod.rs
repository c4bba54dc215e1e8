//! The whole set-up of a gateway as one file: settings and users, without secrets or sealed by a passphrase.
//!
//! Owns the file's form. Never writes settings or users itself. What is not in it: keys and certificates, the files that
//! `password-file` names, people and tokens of the admin page, `STILE_*` variables, components of plugins and what they remember, sessions and messages.
//! Those belong to the machine, or are installed by verbs of their own.
//!
//! `masked.rs` leaves secrets out, `shown.rs` does in settings that were read, `sealed.rs` seals. `pieces.rs` writes what the first
//! steps on the page ask for.

mod masked;
mod pieces;
mod sealed;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::pieces::{radio, with_gateway_id};
pub use self::shown::shown;
use crate::config::{self, FileUser, MASK, Settings};
use crate::password::{self, Hash};

/// The longest file taken, in bytes.
pub const FILE_MAX_BYTES: u64 = 16 << 20;

/// The form that this version writes.
const FORMAT: u32 = 1;

/// The shortest passphrase, in characters: the file may be tried for ever.
pub const PASSPHRASE_MIN: usize = 12;

/// A set-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SetUp {
    /// The form.
    stile_set_up: u32,
    /// The version that wrote it.
    pub version: String,
    /// The gateway that it is of.
    pub gateway: String,
    /// When, by RFC 3339.
    pub made: String,
    /// The main file of the settings.
    pub main: String,
    /// The files of `conf.d` by their names.
    pub small: BTreeMap<String, String>,
    /// `users.toml`; without secrets its users have no password.
    pub users: Option<String>,
}

/// The users of a set-up.
#[derive(Debug, Default)]
pub struct Users {
    /// All of them.
    pub all: Vec<FileUser>,
    /// New passwords of those who had none, by name: to be shown once.
    pub passwords: BTreeMap<String, String>,
}

/// Why a file is no set-up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// It is sealed, and no passphrase was given.
    #[error("it is sealed; give its passphrase")]
    Sealed,
    /// The passphrase is another, or the file is damaged: nobody can tell which.
    #[error("the passphrase is wrong, or the file is damaged")]
    NotOpened,
    /// In words.
    #[error("{0}")]
    Other(String),
}

impl SetUp {
    /// From the texts of the settings' files, by the names that `changes` gives them, and the text of the users.
    pub fn of(gateway: &str, main_name: &str, texts: &BTreeMap<String, String>, users: Option<String>) -> Self {
        let small =
            texts.iter().filter_map(|(name, text)| Some((name.strip_prefix("conf.d/")?.to_owned(), text.clone())));
        Self {
            stile_set_up: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            gateway: gateway.to_owned(),
            made: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
            main: texts.get(main_name).cloned().unwrap_or_default(),
            small: small.collect(),
            users,
        }
    }

    /// The file for somebody else: all of it, sealed by the passphrase, or without secrets. `settings` are what the texts say, and
    /// the users are those of `data_dir`. Takes its time.
    ///
    /// # Errors
    /// In words: what can't be read, or a passphrase that is too short.
    pub fn export(
        settings: Settings,
        data_dir: &Path,
        (main_name, texts): (&str, &BTreeMap<String, String>),
        passphrase: Option<&str>,
    ) -> Result<String, String> {
        let set_up = Self::of(&settings.gateway.id, main_name, texts, read_users(&config::users_path(data_dir))?);
        match passphrase {
            Some(passphrase) => set_up.seal(passphrase),
            None => Ok(set_up.without_secrets(&shown(settings))?.to_text()),
        }
    }

    /// The same with a mask in the place of each secret. In the settings of plugins that is what differs in `shown`, which are
    /// the settings as they may be seen.
    ///
    /// # Errors
    /// When a text is no TOML.
    pub fn without_secrets(mut self, shown: &Settings) -> Result<Self, String> {
        let texts = std::iter::once(&mut self.main).chain(self.small.values_mut());
        for text in texts {
            *text = masked::settings(text, shown)?;
        }
        self.users = self.users.as_deref().map(masked::users).transpose()?;
        Ok(self)
    }

    /// The lines of its settings in which a secret was left out: the file's name and the line, from 1.
    pub fn left_out(&self) -> Vec<(String, usize)> {
        let small = self.small.iter().map(|(name, text)| (format!("conf.d/{name}"), text));
        let all = std::iter::once(("the main file".to_owned(), &self.main)).chain(small);
        let lines = all.flat_map(|(name, text)| masks(text).into_iter().map(move |line| (name.clone(), line)));
        lines.collect()
    }

    /// The names of its users.
    ///
    /// # Errors
    /// When their text is no TOML.
    pub fn user_names(&self) -> Result<Vec<String>, String> {
        self.users.as_deref().map_or(Ok(Vec::new()), masked::names)
    }

    /// Its users. Those whose password was left out get a new one, which `hash` hashes.
    ///
    /// # Errors
    /// In words, when there is something wrong with them.
    pub fn users(&self, mut hash: impl FnMut(&str) -> Result<Hash, String>) -> Result<Users, String> {
        let Some(text) = &self.users else { return Ok(Users::default()) };
        let (text, passwords) = masked::fill_in(text, || {
            let password = password::generate()?;
            Ok((hash(&password)?.expose().to_owned(), password))
        })?;
        let all = config::parse_users(Path::new("users.toml"), &text).map_err(|problems| problems.to_string())?;
        Ok(Users { all, passwords: passwords.into_iter().collect() })
    }

    /// As a file that anybody may read.
    pub fn to_text(&self) -> String {
        // Texts alone can't fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// As a file that only the passphrase opens. Takes its time.
    ///
    /// # Errors
    /// When the passphrase is too short, or the system has no random numbers.
    pub fn seal(&self, passphrase: &str) -> Result<String, String> {
        if passphrase.chars().count() < PASSPHRASE_MIN {
            return Err(format!("the passphrase has fewer than {PASSPHRASE_MIN} characters"));
        }
        sealed::seal(self.to_text().as_bytes(), passphrase)
    }

    /// Reads a file, sealed or not. Takes its time where it is.
    ///
    /// # Errors
    /// Why it is none, or can't be opened.
    pub fn parse(text: &str, passphrase: Option<&str>) -> Result<Self, SetUpError> {
        let wrong = |error: serde_json::Error| SetUpError::Other(format!("it is no set-up: {error}"));
        let opened = match sealed::Sealed::parse(text) {
            Some(sealed) => {
                let bytes = sealed.open(passphrase.ok_or(SetUpError::Sealed)?)?;
                String::from_utf8(bytes).map_err(|_| SetUpError::NotOpened)?
            }
            None => text.to_owned(),
        };
        let set_up: Self = serde_json::from_str(&opened).map_err(wrong)?;
        match set_up.stile_set_up {
            FORMAT => Ok(set_up),
            other => Err(SetUpError::Other(format!("it has form {other}, and this version knows form {FORMAT}"))),
        }
    }
}

/// The lines of a text, from 1, in which a mask stands in the place of a secret.
pub fn masks(text: &str) -> Vec<usize> {
    let mask = format!("\"{MASK}\"");
    text.lines().enumerate().filter(|(_, line)| line.contains(&mask)).map(|(at, _)| at + 1).collect()
}

fn read_users(path: &Path) -> Result<Option<String>, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
        Ok(_) if text.len() as u64 > FILE_MAX_BYTES => {
            Err(format!("{}: it is larger than {FILE_MAX_BYTES} bytes", path.display()))
        }
        Ok(_) => Ok(Some(text)),
    }
}
