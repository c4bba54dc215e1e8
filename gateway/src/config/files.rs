//! Finds and reads the files of the settings, all of them bounded. Never looks at what they say.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Texts;
use super::notes::{Notes, Source};

/// The longest file taken, in bytes.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// The most files taken.
const FILES_MAX: usize = 256;

/// The longest password file taken, in bytes.
const PASSWORD_FILE_MAX_BYTES: u64 = 4096;

/// The name of the file of users in the data folder.
const USERS: &str = "users.toml";

/// Where the users are that `stile user` makes.
pub fn users_path(data_dir: &Path) -> PathBuf {
    data_dir.join(USERS)
}

/// Whether `stile user` has made a file of users. What it says does not count here: a gateway must not refuse to start
/// because the last user was removed or the file is damaged, and nobody gets in by that.
pub(super) fn has_users(data_dir: &Path) -> bool {
    // Whoever may not look into the folder, as in `stile check` by an ordinary user, can't tell.
    users_path(data_dir).try_exists().unwrap_or(true)
}

/// `main`, then `conf.d/*.toml` beside it in name order. Hidden files are left out, as editors leave them behind.
/// `instead` adds and takes away some.
pub(super) fn find(main: &Path, instead: &Texts, notes: &Notes) -> Vec<PathBuf> {
    let folder = main.parent().unwrap_or(Path::new("")).join("conf.d");
    let mut files = Vec::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                match entry {
                    Ok(entry) if wanted(&entry.path()) => files.push(entry.path()),
                    Ok(_) => {}
                    Err(error) => notes.file(&folder, format!("cannot be listed: {error}"), "check the disk"),
                }
                if files.len() >= FILES_MAX {
                    notes.file(&folder, format!("holds more than {} files", FILES_MAX - 1), "join some of the files");
                    break;
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let remedy = "make it a folder that the gateway may list, or remove it";
            notes.file(&folder, format!("cannot be listed: {error}"), remedy);
        }
    }
    files.retain(|file| instead.get(file).is_none_or(Option::is_some));
    let added = instead.iter().filter(|(file, text)| text.is_some() && *file != main);
    files.extend(added.map(|(file, _)| file.clone()));
    files.sort();
    files.dedup();
    files.insert(0, main.into());
    files
}

fn wanted(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "toml")
}

/// What a file of the settings says; `None` where it is not there.
///
/// # Errors
/// What the system says; and when it is too large, no regular file, or no UTF-8.
pub fn read_text(path: &Path) -> io::Result<Option<String>> {
    match read_bounded(path, FILE_MAX_BYTES) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| io::Error::other("it is not UTF-8")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads one file of the settings, or what stands instead. Bytes that are no UTF-8 are noted and replaced, so that the rest can be checked.
pub(super) fn read(path: &Path, main: &Path, instead: &Texts, notes: &Notes) -> Option<Arc<Source>> {
    let bytes = match instead.get(path) {
        Some(text) => given(text.as_deref()),
        None => read_bounded(path, FILE_MAX_BYTES),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => {
            let remedy = match error.kind() {
                io::ErrorKind::NotFound if path == main => format!("stile config example > {}", path.display()),
                io::ErrorKind::FileTooLarge => "split it into several files in conf.d".into(),
                io::ErrorKind::PermissionDenied => "give the user that runs stile the right to read it".into(),
                _ => "name a regular file that can be read, or remove it".into(),
            };
            notes.file(path, format!("cannot be read: {}", reason(&error)), remedy);
            return None;
        }
    };
    let (text, invalid) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(error.utf8_error().valid_up_to())),
    };
    let source = Arc::new(Source { path: path.into(), text });
    if let Some(offset) = invalid {
        notes.syntax(&source, offset, "this byte is not UTF-8", "save the file as UTF-8");
    }
    Some(source)
}

/// The text of a password file without the newline at its end, or what is wrong with it.
pub(super) fn read_password(path: &Path) -> Result<String, String> {
    let bytes = read_bounded(path, PASSWORD_FILE_MAX_BYTES).map_err(|error| reason(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// What a file of certificates or keys holds, or what is wrong with it.
pub(super) fn read_pem(path: &Path) -> Result<Vec<u8>, String> {
    read_bounded(path, FILE_MAX_BYTES).map_err(|error| reason(&error))
}

/// A text that stands in the place of a file, with the same bounds.
fn given(text: Option<&str>) -> io::Result<Vec<u8>> {
    let text = text.ok_or(io::ErrorKind::NotFound)?;
    if text.len() as u64 > FILE_MAX_BYTES { Err(too_large(FILE_MAX_BYTES)) } else { Ok(text.into()) }
}

fn too_large(limit: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes"))
}

/// Reads a regular file. A pipe would block for ever, so it is refused unopened.
fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(bytes)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}
