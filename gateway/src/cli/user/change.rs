//! Changing users: in their file, then in the running gateway.

use std::io::{BufRead, BufReader, Read};
use std::time::SystemTime;

use super::super::{runtime, say, socket};
use super::{Add, Found, Passwd, Password};
use crate::config::{self, Allowed, Credential, FileUser, User};
use crate::message::TopicFilter;
use crate::password::{self, Hash};

/// The longest password that is read.
const PASSWORD_BYTES: u64 = 4096;

pub(super) fn add(found: &Found, add: &Add) -> Result<(), String> {
    let name = &add.named.name;
    if !config::is_user_name(name) {
        return Err("a user's name is a text of 1 to 256 bytes without control characters".to_owned());
    }
    not_of_the_settings(found, name, "is there already")?;
    let allowed = if add.all { None } else { Some(rights(found, add)?) };
    let (password, hash) = add.password.take()?;
    std::fs::create_dir_all(&found.data_dir).map_err(|error| format!("{}: {error}", found.data_dir.display()))?;
    found.file.change(|users| {
        if users.iter().any(|other| other.user.name == *name) {
            return Err(format!("the user `{name}` is there already; `stile user passwd` gives another password"));
        }
        let user = User { name: name.clone(), credential: Credential::Hash(hash), allowed };
        let now = Some(SystemTime::now());
        users.push(FileUser { user, made: now, changed: now });
        Ok(())
    })?;
    say(&format!("{name}: added"));
    show_once(password);
    Ok(())
}

fn rights(found: &Found, add: &Add) -> Result<Allowed, String> {
    let known = &found.settings.broker.group;
    for name in &add.groups {
        if !known.iter().any(|group| group.name == *name) {
            return Err(format!("there is no group `{name}`; add a [[broker.group]] of that name to the settings"));
        }
    }
    let filters = |texts: &[String]| -> Result<Vec<TopicFilter>, String> {
        texts.iter().map(|text| config::right(text).map_err(|is| format!("the filter `{text}` {is}"))).collect()
    };
    Ok(Allowed { groups: add.groups.clone(), publish: filters(&add.publish)?, subscribe: filters(&add.subscribe)? })
}

pub(super) fn remove(found: &Found, name: &str) -> Result<(), String> {
    not_of_the_settings(found, name, "can't be removed here")?;
    found.file.change(|users| {
        let before = users.len();
        users.retain(|other| other.user.name != name);
        if users.len() < before { Ok(()) } else { Err(unknown(name)) }
    })?;
    say(&format!("{name}: removed"));
    if found.settings.broker.tls.as_ref().is_some_and(|tls| tls.client_certificate_user) {
        say("a certificate with this name still connects, with the rights of the group `certified` or none");
    }
    Ok(())
}

pub(super) fn passwd(found: &Found, passwd: &Passwd) -> Result<(), String> {
    let name = &passwd.named.name;
    not_of_the_settings(found, name, "has its password there")?;
    let (password, hash) = passwd.password.take()?;
    found.file.change(|users| {
        let user = users.iter_mut().find(|other| other.user.name == *name).ok_or_else(|| unknown(name))?;
        user.user.credential = Credential::Hash(hash);
        user.changed = Some(SystemTime::now());
        Ok(())
    })?;
    say(&format!("{name}: has a new password"));
    show_once(password);
    Ok(())
}

fn unknown(name: &str) -> String {
    format!("there is no user `{name}`; `stile user list` names them")
}

fn not_of_the_settings(found: &Found, name: &str, what: &str) -> Result<(), String> {
    if found.settings.broker.user.iter().any(|user| user.name == name) {
        return Err(format!("the user `{name}` stands in the settings, in a [[broker.user]], and {what}"));
    }
    Ok(())
}

fn show_once(generated: Option<String>) {
    if let Some(password) = generated {
        say(&format!("password, shown this once: {password}"));
    }
}

impl Password {
    /// The password, and whether it was thought up here.
    pub(in crate::cli) fn text(&self) -> Result<(String, bool), String> {
        if self.password_stdin {
            return Ok((read_password(std::io::stdin())?, false));
        }
        Ok((password::generate()?, true))
    }

    /// The hash, and the password where it was thought up here.
    fn take(&self) -> Result<(Option<String>, Hash), String> {
        let (password, generated) = self.text()?;
        let hash = Hash::of(&password)?;
        Ok((generated.then_some(password), hash))
    }
}

fn read_password(from: impl Read) -> Result<String, String> {
    let mut line = Vec::new();
    let read = BufReader::new(from.take(PASSWORD_BYTES + 2)).read_until(b'\n', &mut line);
    read.map_err(|error| format!("the password can't be read: {error}"))?;
    let line = String::from_utf8(line).map_err(|_| "the password is not UTF-8".to_owned())?;
    let password = line.trim_end_matches(['\r', '\n']);
    match password.len() as u64 {
        0 => Err("the password is empty; give one line on standard input".to_owned()),
        1..=PASSWORD_BYTES => Ok(password.to_owned()),
        _ => Err(format!("the password is longer than {PASSWORD_BYTES} bytes")),
    }
}

/// Has the running gateway read the file again; says whether there is one.
pub(super) fn tell(found: &Found) -> Result<bool, anyhow::Error> {
    runtime()?.block_on(socket::post(&found.data_dir, "/users/reload"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_of_utf8_that_is_not_empty_and_not_endless() {
        assert_eq!(read_password(&b" s3cret \nmore"[..]).unwrap(), " s3cret ");
        assert_eq!(read_password(&b"s3cret\r\n"[..]).unwrap(), "s3cret");
        assert_eq!(read_password(&b"s3cret"[..]).unwrap(), "s3cret");
        assert!(read_password(&[b'x'; PASSWORD_BYTES as usize][..]).is_ok());
        for wrong in [&b""[..], b"\nx", b"\xff\xfe\n", &[b'x'; PASSWORD_BYTES as usize + 1], &[b'x'; 100_000]] {
            assert!(read_password(wrong).is_err());
        }
    }
}
