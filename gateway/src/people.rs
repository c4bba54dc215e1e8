//! `people.toml` in the data folder: who may sign in to the admin page, and the tokens of programs that use its API. Read
//! and written by the daemon and by the command line.
//!
//! Owns the file: how it is read, and that a change of it happens whole or not at all and never two at once. Never
//! checks a password, and never decides what a role opens. People are not MQTT's users: a device's password, which stands
//! in many places, must not open the page.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::password::{self, Hash};
use crate::whole_file;

/// The file's name in the data folder.
pub const FILE: &str = "people.toml";
/// The longest file taken: it is far from what the most people and tokens need.
const MAX_BYTES: u64 = 1 << 20;
/// People, and tokens. Policy: one more is refused.
const MOST: usize = 100;
/// The longest name, in bytes.
const NAME_BYTES: usize = 64;
/// Passwords: the shortest, in characters, and the longest, in bytes.
const PASSWORD_LEAST: usize = 10;
const PASSWORD_MOST: usize = 1024;
/// What tokens begin with, so that one that leaked is known for what it is.
const TOKEN_MARK: &str = "stile_";

const HEAD: &str = "\
# Who may sign in to the admin page, and tokens for its API. `stile person` and `stile token` write this file anew with
# each change, and so does the page; comments are not kept.

";

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
    #[serde(rename = "password-hash", serialize_with = "write_hash", deserialize_with = "read_hash")]
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

/// The file of one data folder.
#[derive(Debug, Clone)]
pub struct PeopleFile {
    path: PathBuf,
}

impl PeopleFile {
    /// The one in this data folder, whether or not it is there.
    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in it; nobody where there is no such file.
    ///
    /// # Errors
    /// What is wrong with it, with its line, and never a part of it.
    pub fn read(&self) -> Result<People, String> {
        let mut text = String::new();
        let read = File::open(&self.path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(People::default()),
            Err(error) => Err(format!("{} can't be read: {error}", self.path.display())),
            Ok(_) => self.parse(&text),
        }
    }

    fn parse(&self, text: &str) -> Result<People, String> {
        let path = self.path.display();
        if text.len() as u64 > MAX_BYTES {
            return Err(format!("{path} is larger than {MAX_BYTES} bytes"));
        }
        let people: People = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| text[..text.floor_char_boundary(span.start)].matches('\n').count() + 1);
            format!("{path}:{line}: {}", error.message())
        })?;
        people.check().map_err(|why| format!("{path}: {why}"))?;
        Ok(people)
    }

    /// Changes it, and gives what `change` gives and what stands in the file then. Whoever changes it at the same time waits.
    ///
    /// # Errors
    /// What `change` says, or why the file can't be read or written. Then it is what it was.
    pub fn change<T>(&self, change: impl FnOnce(&mut People) -> Result<T, String>) -> Result<(T, People), String> {
        let mut out = None;
        whole_file::change(&self.path, || {
            let mut people = self.read()?;
            let given = change(&mut people)?;
            people.check()?;
            let text = toml::to_string(&people).map_err(|error| format!("people can't be written: {error}"))?;
            // What could not be read again would lock everybody out.
            let text = format!("{HEAD}{text}");
            out = Some((given, self.parse(&text)?));
            Ok(text)
        })?;
        // Written, so it was made.
        out.ok_or_else(|| "nothing was changed".to_owned())
    }
}

fn write_hash<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(hash.expose())
}

fn read_hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
    let text = String::deserialize(deserializer)?;
    Hash::parse(&text).map_err(|why| serde::de::Error::custom(format!("`password-hash` {why}")))
}

/// Times as RFC 3339 in UTC, whole seconds.
mod time {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(&humantime::format_rfc3339_seconds(*time)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text)
            .map(Some)
            .map_err(|_| serde::de::Error::custom("is no time like 2026-11-27T12:00:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn hash() -> Hash {
        Hash::parse("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$6DPzKexkBPCxTUxUZd2uXg").unwrap()
    }

    #[test]
    fn people_and_tokens_are_read_back_and_only_the_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = PeopleFile::of(dir.path());
        assert_eq!(file.read().unwrap(), People::default());
        let (secret, written) = file
            .change(|people| {
                people.add("ä \"b\"", Role::Admin, hash())?;
                people.add("b", Role::Viewer, hash())?;
                people.add_token("prometheus", Role::Metrics, Some("b"))
            })
            .unwrap();
        assert!(secret.starts_with(TOKEN_MARK) && secret.len() == 46, "{secret}");
        assert_eq!(file.read().unwrap(), written);
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains(&secret) && text.contains(&digest(&secret)));
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_last_admin_stays() {
        let mut people = People::default();
        people.add("a", Role::Admin, hash()).unwrap();
        people.add("b", Role::Operator, hash()).unwrap();
        assert!(people.clone().remove("a").is_err() && people.clone().change("a", |a| a.role = Role::Viewer).is_err());
        assert!(people.clone().remove("nobody").is_err());
        people.change("b", |b| b.role = Role::Admin).unwrap();
        people.remove("a").unwrap();
        assert_eq!(people.person.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_never_repeated_or_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = PeopleFile::of(dir.path());
        let good = format!("[[person]]\nname = \"a\"\nrole = \"admin\"\npassword-hash = \"{}\"\n", hash().expose());
        let twice = format!("{good}{good}");
        for (text, place) in [
            ("[[person]]\nname = \"a\"\nrole = \"admin\"\npassword-hash = \"s3cret\"\n", "people.toml:4: "),
            ("[[person]]\nname = \"a\"\n", "people.toml:1: "),
            ("[[persn]]\n", "people.toml:1: "),
            (&good.replace("admin", "metrics"), "for tokens alone"),
            (&twice, "stands there twice"),
        ] {
            fs::write(file.path(), text).unwrap();
            let said = file.read().unwrap_err();
            assert!(said.contains(place) && !said.contains("s3cret"), "{said}");
            assert!(file.change(|people| people.add("b", Role::Viewer, hash())).is_err());
            assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
        }
    }

    #[test]
    fn names_and_passwords_have_their_lengths() {
        for wrong in ["", " a", "a\n", &"x".repeat(65)] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
        assert!(check_name("Anna Müller").is_ok());
        assert!(check_password("ninechars").is_err() && check_password(&"x".repeat(1025)).is_err());
        assert!(check_password("tenletters").is_ok());
    }
}
