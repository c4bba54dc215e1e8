//! The file as a whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::People;
use crate::whole_file;

/// The file's name in the data folder.
pub const FILE: &str = "people.toml";
/// The longest file taken: it is far from what the most people and tokens need.
const MAX_BYTES: u64 = 1 << 20;

const HEAD: &str = "\
# Who may sign in to the admin page, and tokens for its API. `stile person` and `stile token` write this file anew with
# each change, and so does the page; comments are not kept.

";

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
