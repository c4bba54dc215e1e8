//! `users.toml` in the data folder: the users that `stile user` and the admin page make.
//!
//! Owns the file: how it is read, and that a change of it happens whole or not at all and never two at once. Which changes
//! there are is in `changes.rs`. Never decides who may do what, and never hashes.

mod changes;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

pub use self::changes::{Grant, check_new, check_password_is_here};
use crate::config::{self, Credential, FileUser, Place, Problem, Problems, Severity};
use crate::message::TopicFilter;
use crate::whole_file;

/// The longest file taken: a thousand users with many rights each are far below.
const MAX_BYTES: u64 = 4 << 20;

const HEAD: &str = "\
# The users that `stile user` makes; it writes this file anew with each change, and comments are not kept.
# After changing it by hand: `systemctl reload stile`.

";

/// The file of users of one data folder.
#[derive(Debug, Clone)]
pub struct UsersFile {
    path: PathBuf,
}

impl UsersFile {
    /// The one in this data folder, whether or not it is there.
    pub fn of(data_dir: &Path) -> Self {
        Self { path: config::users_path(data_dir) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The users; `None` where there is no such file.
    ///
    /// # Errors
    /// All that is wrong with it, with line and remedy.
    pub fn read(&self) -> Result<Option<Vec<FileUser>>, Problems> {
        let mut text = String::new();
        let read = File::open(&self.path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let remedy = "make it a text file that the gateway's user may read, or put a copy of it in its place";
                Err(self.unusable(format!("cannot be read: {error}"), remedy))
            }
            Ok(_) => self.parse(&text).map(Some),
        }
    }

    /// Adds those whose names nobody has yet, and gives their names.
    ///
    /// # Errors
    /// As those of [`Self::change`].
    pub fn add_new(&self, users: Vec<FileUser>) -> Result<Vec<String>, String> {
        let mut added = Vec::new();
        self.change(|there| {
            let is_new = |user: &FileUser| !there.iter().any(|other| other.user.name == user.user.name);
            let new: Vec<FileUser> = users.into_iter().filter(is_new).collect();
            added = new.iter().map(|user| user.user.name.clone()).collect();
            there.extend(new);
            Ok(())
        })?;
        Ok(added)
    }

    /// What is about to be written goes through it too: with a file that it refuses all users would be lost.
    fn parse(&self, text: &str) -> Result<Vec<FileUser>, Problems> {
        if text.len() as u64 > MAX_BYTES {
            return Err(self.unusable(format!("is larger than {MAX_BYTES} bytes"), "have fewer users, or fewer rights"));
        }
        config::parse_users(&self.path, text)
    }

    fn unusable(&self, what: String, remedy: &str) -> Problems {
        let place = Place::Whole(self.path.clone());
        Problems(vec![Problem { place, what, remedy: remedy.to_owned(), severity: Severity::Error }])
    }

    /// Changes the users. Whoever changes them at the same time waits. What `change` refuses is not written.
    ///
    /// # Errors
    /// What `change` says, or why the file can't be read or written. Then it is what it was.
    pub fn change(&self, change: impl FnOnce(&mut Vec<FileUser>) -> Result<(), String>) -> Result<(), String> {
        whole_file::change(&self.path, || {
            let mut users = self.read().map_err(|problems| problems.to_string())?.unwrap_or_default();
            change(&mut users)?;
            let text = write_out(&users).map_err(|error| format!("the users can't be written: {error}"))?;
            self.parse(&text).map_err(|problems| format!("not written: {problems}"))?;
            Ok(text)
        })
    }
}

/// What is written of a user.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Entry<'a> {
    name: &'a str,
    password_hash: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publish: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribe: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<String>,
}

#[derive(Serialize)]
struct Whole<'a> {
    user: Vec<Entry<'a>>,
}

fn write_out(users: &[FileUser]) -> Result<String, toml::ser::Error> {
    let text = toml::to_string(&Whole { user: users.iter().filter_map(Entry::of).collect() })?;
    Ok(format!("{HEAD}{text}"))
}

impl<'a> Entry<'a> {
    fn of(FileUser { user, made, changed }: &'a FileUser) -> Option<Self> {
        // Nobody makes users of the file in any other way.
        let Credential::Hash(hash) = &user.credential else { return None };
        let allowed = user.allowed.as_ref();
        let time = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
        Some(Self {
            name: &user.name,
            password_hash: hash.expose(),
            groups: allowed.map(|allowed| allowed.groups.as_slice()),
            publish: allowed.map(|allowed| texts(&allowed.publish)),
            subscribe: allowed.map(|allowed| texts(&allowed.subscribe)),
            made: made.map(time),
            changed: changed.map(time),
        })
    }
}

fn texts(filters: &[TopicFilter]) -> Vec<&str> {
    filters.iter().map(TopicFilter::as_str).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::config::{Allowed, User};
    use crate::password::Hash;

    fn user(name: &str, allowed: Option<Allowed>) -> FileUser {
        let hash = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$6DPzKexkBPCxTUxUZd2uXg";
        let credential = Credential::Hash(Hash::parse(hash).unwrap());
        let made = Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        FileUser { user: User { name: name.into(), credential, allowed }, made, changed: None }
    }

    fn rights() -> Allowed {
        let filter = |text| TopicFilter::new(text).unwrap();
        Allowed { groups: vec!["g".into()], publish: vec![filter("a/%u/#")], subscribe: vec![] }
    }

    #[test]
    fn users_are_read_back_as_they_were_written_and_only_the_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = UsersFile::of(dir.path());
        assert_eq!(file.read().unwrap(), None);
        let all = vec![user("ä \"b\"", None), user("b", Some(Allowed::default())), user("c", Some(rights()))];
        file.change(|users| {
            users.extend(all.clone());
            Ok(())
        })
        .unwrap();
        assert_eq!(file.read().unwrap(), Some(all.clone()));
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        // What is refused is not written, and what a cut-off run left behind does no harm.
        fs::write(dir.path().join("users.toml.new"), "half").unwrap();
        assert_eq!(file.change(|users| users.pop().map_or(Ok(()), |_| Err("no".into()))), Err("no".into()));
        assert_eq!(file.read().unwrap(), Some(all));
        file.change(|users| {
            users.truncate(1);
            Ok(())
        })
        .unwrap();
        assert_eq!(file.read().unwrap().unwrap().len(), 1);
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = UsersFile::of(dir.path());
        let publish = |filters: Vec<String>| {
            let publish = filters.iter().map(|filter| TopicFilter::new(filter).unwrap()).collect();
            vec![user("x", Some(Allowed { publish, ..Allowed::default() }))]
        };
        let add = |more: Vec<FileUser>| {
            file.change(|users| {
                users.extend(more);
                Ok(())
            })
        };
        add(vec![user("a", None)]).unwrap();
        let before = fs::read(file.path()).unwrap();
        for (more, reason) in [
            (publish((0..101).map(|number| format!("a/{number}")).collect()), "101"),
            (publish((0..70).map(|number| format!("{number}{}", "x".repeat(65_000))).collect()), "is larger than"),
            ((0..1000).map(|number| user(&number.to_string(), None)).collect(), "1001"),
        ] {
            let said = add(more).unwrap_err();
            assert!(said.starts_with("not written: ") && said.contains(reason), "{said}");
            assert_eq!(fs::read(file.path()).unwrap(), before, "{reason}");
        }
    }

    #[test]
    fn a_damaged_file_is_told_with_its_line_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = UsersFile::of(dir.path());
        for (text, place) in [
            ("[[user]]\nname = \"a\"\npassword-hash = \"s3cret\"\n", "users.toml:3:17"),
            ("[[user]]\nname = \"a\"\n", "users.toml:1:1"),
            ("[[user\n", "users.toml:1:7"),
            ("[[user]]\nnam = \"a\"\n", "users.toml:2:1"),
        ] {
            fs::write(file.path(), text).unwrap();
            let said = file.read().unwrap_err().to_string();
            assert!(said.contains(place) && said.contains("remedy: ") && !said.contains("s3cret"), "{said}");
            assert!(
                file.change(|users| {
                    users.clear();
                    Ok(())
                })
                .is_err()
            );
            assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
        }
        fs::write(file.path(), b"\xff\xfe").unwrap();
        assert!(file.read().is_err());
    }

    #[test]
    fn a_link_in_the_folder_leads_a_change_to_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = UsersFile::of(dir.path());
        let elsewhere = dir.path().join("elsewhere");
        for link in ["users.toml.lock", "users.toml.new"] {
            std::os::unix::fs::symlink(&elsewhere, dir.path().join(link)).unwrap();
        }
        file.change(|users| {
            users.push(user("a", None));
            Ok(())
        })
        .unwrap();
        assert!(!elsewhere.exists());
        assert!(fs::symlink_metadata(file.path()).unwrap().is_file());
    }

    #[test]
    fn two_changes_at_once_are_both_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = UsersFile::of(dir.path());
        let file = &file;
        let add = |number: usize| {
            file.change(|users| {
                users.push(user(&number.to_string(), None));
                Ok(())
            })
        };
        let added: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|number| scope.spawn(move || add(number))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(added.iter().all(Result::is_ok), "{added:?}");
        assert_eq!(file.read().unwrap().unwrap().len(), 16);
    }
}
