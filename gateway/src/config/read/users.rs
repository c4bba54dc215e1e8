//! Reads `[[broker.user]]` and `[[broker.group]]`, and the `[[user]]` of `users.toml`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use super::filters::{filters, texts};
use crate::config::files;
use crate::config::problem::plain;
use crate::config::secret::{MASK, Secret};
use crate::config::section::{Section, Unique};
use crate::config::user::{Allowed, Credential, FileUser, Group, User};
use crate::message::TopicFilter;
use crate::password::Hash;

/// More users than this are refused.
const USERS_MAX: usize = 1000;

/// More groups than this are refused.
const GROUPS_MAX: usize = 100;

/// The longest name of a user or group, in bytes.
pub(in crate::config) const NAME_MAX_BYTES: usize = 256;

/// The groups and the users without problems, and whether there is any user at all.
pub(super) fn read(section: &mut Section<'_>) -> (Vec<Group>, Vec<User>, bool) {
    let mut names = Unique::new("group");
    let groups = section.sections("group", "[[broker.group]]", GROUPS_MAX);
    // A group with a problem of its own is there nevertheless.
    let mut known = BTreeSet::new();
    let groups = groups.into_iter().filter_map(|section| group(section, &mut names, &mut known)).collect();
    let mut names = Unique::new("user");
    let users = section.sections("user", "[[broker.user]]", USERS_MAX);
    let any = !users.is_empty();
    (groups, users.into_iter().filter_map(|section| user(section, &mut names, &known)).collect(), any)
}

/// The users of `users.toml` without problems.
pub(in crate::config) fn read_file(mut root: Section<'_>) -> Vec<FileUser> {
    let mut names = Unique::new("user");
    let users = root.sections("user", "[[user]]", USERS_MAX);
    let users = users.into_iter().filter_map(|section| file_user(section, &mut names)).collect();
    root.finish();
    users
}

fn name(section: &mut Section<'_>, names: &mut Unique) -> Option<String> {
    let name = section.parsed("name", "a text of 1 to 256 bytes without control characters", |text| {
        is_name(text).then(|| text.to_owned())
    });
    section.require("name", "write `name = \"...\"`");
    if let Some(name) = &name {
        names.claim(name, section.spot("name"), section.notes);
    }
    name
}

/// Whether a text may be the name of a user.
pub(in crate::config) fn is_name(text: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}

fn group(mut section: Section<'_>, names: &mut Unique, known: &mut BTreeSet<String>) -> Option<Group> {
    let name = name(&mut section, names);
    known.extend(name.clone());
    let (publish, subscribe) = (rights(&mut section, "publish"), rights(&mut section, "subscribe"));
    section.finish();
    Some(Group { name: name?, publish: publish.unwrap_or_default(), subscribe: subscribe.unwrap_or_default() })
}

fn user(mut section: Section<'_>, names: &mut Unique, known: &BTreeSet<String>) -> Option<User> {
    let name = name(&mut section, names);
    let credential = credential(&mut section);
    let allowed = allowed(&mut section, Some(known));
    section.finish();
    Some(User { name: name?, credential: credential?, allowed })
}

fn file_user(mut section: Section<'_>, names: &mut Unique) -> Option<FileUser> {
    let name = name(&mut section, names);
    let hash = hash(&mut section, "password-hash", "take one that `stile user add` wrote into users.toml");
    section.require("password-hash", "call `stile user passwd`, or remove the user");
    // Groups are of another file, which may change later: one that is not there gives no right.
    let allowed = allowed(&mut section, None);
    let (made, changed) = (time(&mut section, "made"), time(&mut section, "changed"));
    section.finish();
    let user = User { name: name?, credential: Credential::Hash(hash?), allowed };
    Some(FileUser { user, made, changed })
}

fn time(section: &mut Section<'_>, key: &'static str) -> Option<SystemTime> {
    let wanted = "a time such as \"2026-11-21T12:00:00Z\"";
    section.parsed(key, wanted, |text| humantime::parse_rfc3339(text).ok())
}

/// What a user may do; `None` where nothing is said of it.
fn allowed(section: &mut Section<'_>, known: Option<&BTreeSet<String>>) -> Option<Allowed> {
    let said = ["groups", "publish", "subscribe"].into_iter().any(|key| section.has(key));
    let groups = groups(section, known);
    let (publish, subscribe) = (rights(section, "publish"), rights(section, "subscribe"));
    said.then(|| Allowed {
        groups: groups.unwrap_or_default(),
        publish: publish.unwrap_or_default(),
        subscribe: subscribe.unwrap_or_default(),
    })
}

fn groups(section: &mut Section<'_>, known: Option<&BTreeSet<String>>) -> Option<Vec<String>> {
    let texts = texts(section, "groups", "the name of a group")?;
    for text in &texts {
        if known.is_some_and(|known| !known.contains(text)) {
            let is = format!("has `{}`, and there is no such group", plain(text));
            section.refuse("groups", is, "add a [[broker.group]] of that name, or remove it here");
        }
    }
    Some(texts)
}

fn rights(section: &mut Section<'_>, key: &'static str) -> Option<Vec<TopicFilter>> {
    filters(section, key, "devices/%u/#")
}

fn credential(section: &mut Section<'_>) -> Option<Credential> {
    let given = section.text("password");
    let file = section.path("password-file");
    let hashed = section.has("password-hash");
    let hash = hash(section, "password-hash", "take one that `stile user add` wrote into users.toml");
    match (&given, &file, hashed) {
        (Some(_), Some(_), _) => {
            section.refuse("password-file", "stands beside `password`", "keep one of the two");
            None
        }
        (Some(_), _, true) | (_, Some(_), true) => {
            section.refuse("password-hash", "stands beside the password", "keep one of the two");
            None
        }
        (Some(password), None, false) => check_password(section, password).map(Credential::Password),
        (None, Some(file), false) => {
            password_of_file(section, file).map(|password| Credential::File(file.clone(), password))
        }
        (None, None, true) => hash.map(Credential::Hash),
        (None, None, false) => {
            if !section.has("password-file") {
                let remedy = "write `password = \"...\"`, `password-file = \"/path\"` or `password-hash = \"...\"`";
                section.require("password", remedy);
            }
            None
        }
    }
}

/// The hash at `key`.
pub(super) fn hash(section: &mut Section<'_>, key: &'static str, remedy: &str) -> Option<Hash> {
    let text = section.text(key)?;
    match Hash::parse(&text) {
        Ok(hash) => Some(hash),
        // The text itself may be a password that somebody wrote into the wrong key.
        Err(is) => {
            section.refuse(key, is, remedy);
            None
        }
    }
}

pub(super) fn check_password(section: &Section<'_>, password: &str) -> Option<Secret> {
    if password.is_empty() {
        section.refuse("password", "is empty", "write a password");
        return None;
    }
    // `config show` prints the mask. Taken back as a password it would be one that everybody knows.
    if password == MASK {
        section.refuse("password", "is the mask that stands for a password", "write the password itself");
        return None;
    }
    Some(Secret::new(password))
}

pub(super) fn password_of_file(section: &Section<'_>, file: &Path) -> Option<Secret> {
    secret_of_file(section, "password-file", "a password", file)
}

/// What a file holds that `key` names; `what` says what that should be.
pub(super) fn secret_of_file(section: &Section<'_>, key: &str, what: &str, file: &Path) -> Option<Secret> {
    let shown = plain(&file.to_string_lossy());
    let given = section.notes.secrets.get(file).map(|secret| Ok(secret.expose().to_owned()));
    match given.unwrap_or_else(|| files::read_password(file)) {
        Ok(secret) if secret.is_empty() => {
            section.refuse(key, format!("is `{shown}`, which is empty"), format!("write {what} into it"));
            None
        }
        Ok(secret) => Some(Secret::new(secret)),
        Err(reason) => {
            let is = format!("is `{shown}`, which cannot be read: {reason}");
            section.refuse(key, is, "make a small text file there that the gateway may read");
            None
        }
    }
}
