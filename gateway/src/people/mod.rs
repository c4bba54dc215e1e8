//! `people.toml` in the data folder: who may sign in to the admin page, and the tokens of programs that use its API. Read
//! and written by the daemon and by the command line.
//!
//! Owns the file: how it is read, and that a change of it happens whole or not at all and never two at once. Never
//! checks a password, and never decides what a role opens. People are not MQTT's users: a device's password, which stands
//! in many places, must not open the page.
//! `file.rs` is the file as a whole, `form.rs` how hashes and times stand in it.

mod file;
mod form;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

pub use self::file::{FILE, PeopleFile};
use self::form::{hash, time};
use crate::password::{self, Hash};

/// People, and tokens. Policy: one more is refused.
const MOST: usize = 100;
/// The longest name, in bytes.
const NAME_BYTES: usize = 64;
/// Passwords: the shortest, in characters, and the longest, in bytes.
const PASSWORD_LEAST: usize = 10;
const PASSWORD_MOST: usize = 1024;
/// What tokens begin with, so that one that leaked is known for what it is.
pub const TOKEN_MARK: &str = "stile_";

/// What somebody may do; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads `/metrics` and nothing else. For tokens alone.
    Metrics,
    /// Sees everything but secrets, and changes nothing.
    Viewer,
    /// Sends frames and messages, disconnects clients, switches plugins.
    Operator,
    /// Everything: settings, people, tokens, certificates, restart.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Metrics, Self::Viewer, Self::Operator, Self::Admin];

    /// The word for files and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Person {
    /// Unique among people.
    pub name: String,
    /// What is allowed.
    pub role: Role,
    /// The password's hash.
    #[serde(rename = "password-hash", with = "hash")]
    pub hash: Hash,
    /// When name and role were given.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time")]
    pub made: Option<SystemTime>,
    /// When the password or the role changed last.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time")]
    pub changed: Option<SystemTime>,
}

/// A token: what stands for a program. The token itself is shown once and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Token {
    /// Unique among tokens.
    pub name: String,
    /// What is allowed.
    pub scope: Role,
    /// SHA-256 of the token, hex.
    pub digest: String,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time")]
    pub made: Option<SystemTime>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
}

/// All that stands in the file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// In the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub person: Vec<Person>,
    /// In the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token: Vec<Token>,
}

impl People {
    /// The person with this name.
    pub fn person(&self, name: &str) -> Option<&Person> {
        self.person.iter().find(|person| person.name == name)
    }

    /// Whether anybody may change everything. Without one, the page is to be set up.
    pub fn has_admin(&self) -> bool {
        self.person.iter().any(|person| person.role == Role::Admin)
    }

    /// Adds somebody.
    ///
    /// # Errors
    /// When the name can't be one or is taken.
    pub fn add(&mut self, name: &str, role: Role, hash: Hash) -> Result<(), String> {
        check_name(name)?;
        if self.person(name).is_some() {
            return Err(format!("there is a person `{name}` already"));
        }
        let now = Some(SystemTime::now());
        self.person.push(Person { name: name.to_owned(), role, hash, made: now, changed: now });
        Ok(())
    }

    /// Changes somebody.
    ///
    /// # Errors
    /// When there is nobody of that name, or when there would be no admin any more.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut Person)) -> Result<(), String> {
        let person = self.person.iter_mut().find(|person| person.name == name).ok_or_else(|| unknown(name))?;
        let was = person.role;
        change(person);
        person.changed = Some(SystemTime::now());
        self.keeps_an_admin(was)
    }

    /// Removes somebody.
    ///
    /// # Errors
    /// When there is nobody of that name, or when there would be no admin any more.
    pub fn remove(&mut self, name: &str) -> Result<(), String> {
        let at = self.person.iter().position(|person| person.name == name).ok_or_else(|| unknown(name))?;
        let was = self.person.remove(at).role;
        self.keeps_an_admin(was)
    }

    fn keeps_an_admin(&self, was: Role) -> Result<(), String> {
        if was == Role::Admin && !self.has_admin() {
            return Err("there would be no admin any more; make somebody else one first".to_owned());
        }
        Ok(())
    }

    /// Makes a token and gives it, for showing it once.
    ///
    /// # Errors
    /// When the name can't be one or is taken, or the system has no random numbers.
    pub fn add_token(&mut self, name: &str, scope: Role, made_by: Option<&str>) -> Result<String, String> {
        check_name(name)?;
        if self.token.iter().any(|token| token.name == name) {
            return Err(format!("there is a token `{name}` already"));
        }
        let secret = format!("{TOKEN_MARK}{}{}", password::generate()?, password::generate()?);
        let (digest, made_by) = (digest(&secret), made_by.map(str::to_owned));
        self.token.push(Token { name: name.to_owned(), scope, digest, made: Some(SystemTime::now()), made_by });
        Ok(secret)
    }

    /// Removes a token.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn remove_token(&mut self, name: &str) -> Result<(), String> {
        let before = self.token.len();
        self.token.retain(|token| token.name != name);
        if self.token.len() < before { Ok(()) } else { Err(format!("there is no token `{name}`")) }
    }

    fn check(&self) -> Result<(), String> {
        for (what, names) in [
            ("person", self.person.iter().map(|person| &person.name).collect::<Vec<_>>()),
            ("token", self.token.iter().map(|token| &token.name).collect()),
        ] {
            if names.len() > MOST {
                return Err(format!("{} times [[{what}]], and {MOST} is the most", names.len()));
            }
            for (at, name) in names.iter().enumerate() {
                check_name(name)?;
                if names.iter().take(at).any(|other| other == name) {
                    return Err(format!("the {what} `{name}` stands there twice"));
                }
            }
        }
        match self.person.iter().find(|person| person.role == Role::Metrics) {
            Some(person) => Err(format!("`{}` has the role `metrics`, which is for tokens alone", person.name)),
            None => Ok(()),
        }
    }
}

fn unknown(name: &str) -> String {
    format!("there is no person `{name}`; `stile person list` names them")
}

/// Whether somebody, or a token, can be called that.
///
/// # Errors
/// In words.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control) && name.trim() == name;
    if fits { Ok(()) } else { Err(format!("a name has 1 to {NAME_BYTES} bytes and no blank at its ends")) }
}

/// Whether a password is long enough, and not longer than anybody needs.
///
/// # Errors
/// In words.
pub fn check_password(password: &str) -> Result<(), String> {
    if password.chars().count() < PASSWORD_LEAST {
        return Err(format!(
            "the password has less than {PASSWORD_LEAST} characters; several words are easy to keep in mind"
        ));
    }
    if password.len() > PASSWORD_MOST {
        Err(format!("the password has more than {PASSWORD_MOST} bytes"))
    } else {
        Ok(())
    }
}

/// SHA-256 of a secret that nobody can guess, hex.
pub fn digest(secret: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
