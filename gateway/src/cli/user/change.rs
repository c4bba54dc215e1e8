//! Changing users: in their file, then in the running gateway.

use std::io::{BufRead, BufReader, Read};

use super::super::{runtime, say, socket};
use super::{Add, Found, Passwd, Password};
use crate::password::{self, Hash};
use crate::users::{self, Grant};

/// The longest password that is read.
const PASSWORD_BYTES: u64 = 4096;

pub(super) fn add(found: &Found, add: &Add) -> Result<(), String> {
    let (name, settings) = (&add.named.name, &found.settings.broker);
    users::check_new(settings, name)?;
    let Add { groups, publish, subscribe, all, .. } = add;
    let (groups, publish, subscribe) = (groups.clone(), publish.clone(), subscribe.clone());
    let allowed = Grant { everything: *all, groups, publish, subscribe }.allowed(settings)?;
    let (password, hash) = add.password.take()?;
    std::fs::create_dir_all(&found.data_dir).map_err(|error| format!("{}: {error}", found.data_dir.display()))?;
    found.file.add(settings, name, hash, allowed)?;
    say(&format!("{name}: added"));
    show_once(password);
    Ok(())
}

pub(super) fn remove(found: &Found, name: &str) -> Result<(), String> {
    found.file.remove(&found.settings.broker, name)?;
    say(&format!("{name}: removed"));
    if found.settings.broker.tls.as_ref().is_some_and(|tls| tls.client_certificate_user) {
        say("a certificate with this name still connects, with the rights of the group `certified` or none");
    }
    Ok(())
}

pub(super) fn passwd(found: &Found, passwd: &Passwd) -> Result<(), String> {
    let (name, settings) = (&passwd.named.name, &found.settings.broker);
    users::check_password_is_here(settings, name)?;
    let (password, hash) = passwd.password.take()?;
    found.file.give_password(settings, name, hash)?;
    say(&format!("{name}: has a new password"));
    show_once(password);
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
