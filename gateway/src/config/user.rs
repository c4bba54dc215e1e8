//! Typed settings of those who may connect: `[[broker.user]]` and `[[broker.group]]`, and the users of `users.toml`,
//! which are written in the same way.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::secret::{MASK, Secret};
use super::text::filters;
use crate::message::TopicFilter;
use crate::password::{Hash, Proof};

/// A user: who may connect, and what he may do then.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The MQTT user name.
    pub name: String,
    /// What proves it.
    pub credential: Credential,
    /// What he may do; `None`, where nothing is said of it, is everything.
    pub allowed: Option<Allowed>,
}

/// What proves that somebody is a user.
#[derive(Debug, Clone, PartialEq)]
pub enum Credential {
    /// The password itself, in the settings.
    Password(Secret),
    /// The password, in a file of its own.
    File(PathBuf, Secret),
    /// Its hash.
    Hash(Hash),
}

impl Credential {
    /// For checking a password against it.
    pub(crate) fn proof(&self) -> Proof<'_> {
        match self {
            Self::Password(password) | Self::File(_, password) => Proof::Plain(password.expose()),
            Self::Hash(hash) => Proof::Hash(hash),
        }
    }
}

/// What a user may do: what his groups may, and what he himself may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowed {
    /// Names of groups.
    pub groups: Vec<String>,
    /// Filters of topics, with `%u` and `%c` for the user's name and the client id.
    pub publish: Vec<TopicFilter>,
    /// The same for subscriptions.
    pub subscribe: Vec<TopicFilter>,
}

/// `[[broker.group]]`: what its members may do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Unique among groups.
    pub name: String,
    /// As those of a user.
    #[serde(with = "filters")]
    pub publish: Vec<TopicFilter>,
    /// As those of a user.
    #[serde(with = "filters")]
    pub subscribe: Vec<TopicFilter>,
}

/// A user of `users.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct FileUser {
    /// The user; his credential is a hash.
    pub user: User,
    /// When he was added.
    pub made: Option<SystemTime>,
    /// When he got his last password or rights.
    pub changed: Option<SystemTime>,
}

impl User {
    /// One with a password of the settings, who may do everything.
    pub fn plain(name: &str, password: &str) -> Self {
        Self { name: name.into(), credential: Credential::Password(Secret::new(password)), allowed: None }
    }
}

/// As in the settings, with secrets masked.
impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut user = serializer.serialize_map(None)?;
        user.serialize_entry("name", &self.name)?;
        match &self.credential {
            Credential::Password(password) => user.serialize_entry("password", password)?,
            Credential::File(file, _) => user.serialize_entry("password-file", file)?,
            Credential::Hash(_) => user.serialize_entry("password-hash", MASK)?,
        }
        if let Some(allowed) = &self.allowed {
            let texts = |filters: &[TopicFilter]| filters.iter().map(ToString::to_string).collect::<Vec<_>>();
            user.serialize_entry("groups", &allowed.groups)?;
            user.serialize_entry("publish", &texts(&allowed.publish))?;
            user.serialize_entry("subscribe", &texts(&allowed.subscribe))?;
        }
        user.end()
    }
}
