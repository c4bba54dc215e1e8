//! What somebody, or Raspberry Pi Imager, has put onto the boot partition.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use crate::config::{self, Place, Problem, Problems, Severity};

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The gateway's settings.
    Settings,
    /// Everything else, in our own words.
    Provision,
    /// Public keys, one a line.
    Keys,
    /// Imager for Raspberry Pi OS bookworm: `custom.toml`.
    Custom,
    /// Imager 2 and others, for cloud-init.
    UserData,
    /// The same, its networks.
    Network,
    /// Imager before that: a script, which is not run.
    Script,
    /// A user's name and password, which is not taken.
    User,
    /// The wish for SSH, without a key.
    Ssh,
}

/// All of them, by the names of their files.
const NAMES: [(&str, Kind); 9] = [
    ("stile.toml", Kind::Settings),
    ("provision.toml", Kind::Provision),
    ("authorized_keys", Kind::Keys),
    ("custom.toml", Kind::Custom),
    ("user-data", Kind::UserData),
    ("network-config", Kind::Network),
    ("firstrun.sh", Kind::Script),
    ("userconf.txt", Kind::User),
    ("ssh", Kind::Ssh),
];

/// One file.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) text: String,
}

impl Kind {
    /// Whether a secret may stand in it.
    pub(super) fn is_secret(self) -> bool {
        !matches!(self, Self::Keys | Self::Ssh)
    }

    /// The kind of the file with this name, and the name for good.
    pub(super) fn of(name: &str) -> Option<(&'static str, Self)> {
        NAMES.into_iter().find(|(known, _)| *known == name)
    }
}

impl Input {
    /// # Errors
    /// Why it could not be wiped.
    pub(super) fn may_be_written(&self, boot: &Path) -> Result<(), String> {
        let path = boot.join(self.name);
        OpenOptions::new().write(true).open(&path).map(drop).map_err(|error| {
            let path = path.display();
            format!(
                "{path} can't be written, so it could not be wiped: {error}; nothing was changed. Take another card"
            )
        })
    }
}

/// All that is there.
///
/// # Errors
/// What can't be read.
pub(super) fn read(boot: &Path) -> Result<Vec<Input>, Problems> {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for (name, kind) in NAMES {
        match text_of(&boot.join(name)) {
            Ok(Some(text)) => found.push(Input { name, kind, text }),
            Ok(None) => problems.extend(hidden_name(boot, name)),
            Err((what, remedy)) => problems.push(problem(&boot.join(name), what, remedy)),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(Problems(problems)) }
}

fn text_of(path: &Path) -> Result<Option<String>, (String, &'static str)> {
    let cannot = |error: &io::Error| format!("cannot be read: {error}");
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err((cannot(&error), "check the card's file system with a laptop")),
        // FAT has no links, but what is mounted here may be something else.
        Ok(there) if !there.is_file() => {
            return Err(("is not a regular file".to_owned(), "put the file itself there, or remove it"));
        }
        Ok(_) => {}
    }
    config::read_text(path).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => {
            (cannot(&error), "put a text file of the form that docs/provision.md shows there")
        }
        io::ErrorKind::Other => (cannot(&error), "save it as text in UTF-8"),
        _ => (cannot(&error), "check the card's file system with a laptop"),
    })
}

/// Windows hides the ends of names, and editors there add one.
fn hidden_name(boot: &Path, name: &str) -> Option<Problem> {
    let path = boot.join(format!("{name}.txt"));
    (has_hidden_name(name) && path.is_file())
        .then(|| problem(&path, "is not read".to_owned(), &format!("rename it to {name}")))
}

/// Whether it is a file of ours, that somebody makes with an editor.
fn has_hidden_name(name: &str) -> bool {
    name.ends_with(".toml") || name == "authorized_keys"
}

pub(super) fn problem(path: &Path, what: String, remedy: &str) -> Problem {
    Problem { place: Place::Whole(path.to_owned()), what, remedy: remedy.to_owned(), severity: Severity::Error }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// systemd starts the program where one of these files is there, and only then.
    #[test]
    fn the_unit_looks_for_all_of_them() {
        let unit = include_str!("../../../systemd/stile-provision.service");
        let looked_for: Vec<_> =
            unit.lines().filter_map(|line| line.strip_prefix("ConditionPathExists=|/boot/firmware/")).collect();
        let mut wanted: Vec<_> = NAMES.iter().map(|(name, _)| (*name).to_owned()).collect();
        wanted.extend(NAMES.iter().filter(|(name, _)| has_hidden_name(name)).map(|(name, _)| format!("{name}.txt")));
        wanted.push(super::super::ERRORS.to_owned());
        assert_eq!(looked_for, wanted);
    }
}
