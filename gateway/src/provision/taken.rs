//! Which input has become settings and is only to be wiped: written down in between, so that a power cut while it is wiped
//! neither has it read again, half gone, nor leaves secrets lying there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fat;
use super::input::{Input, Kind};
use crate::whole_file;

/// Ours alone: the gateway's data folder belongs to its user, and a factory reset empties it.
const FOLDER: &str = "var/lib/stile-provision";
const NOTE: &str = "taken";

fn path(root: &Path) -> PathBuf {
    root.join(FOLDER).join(NOTE)
}

/// Notes that the machine is what this input says.
///
/// # Errors
/// In words.
pub(super) fn note(input: &[Input], root: &Path) -> Result<(), String> {
    let line = |input: &Input| format!("{} {} {}\n", digest(input.text.as_bytes()), input.text.len(), input.name);
    let (path, text) = (path(root), input.iter().map(line).collect::<String>());
    let folder = root.join(FOLDER);
    super::place::make_folders(&folder, root)?;
    whole_file::write(&path, text.as_bytes(), 0o600, &folder).map_err(|error| explain(&path, &error))
}

/// Wipes what was taken, if something was. What has come into its place since is left alone.
///
/// # Errors
/// In words. The next start tries again.
pub(super) fn finish(boot: &Path, root: &Path) -> Result<(), String> {
    let path = path(root);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(explain(&path, &error)),
    };
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let (digest, length, name) = (words.next(), words.next(), words.next());
        let (Some(digest), Some(length), Some((name, kind))) =
            (digest, length.and_then(|length| length.parse().ok()), name.and_then(Kind::of))
        else {
            continue;
        };
        let file = boot.join(name);
        if is_the_one(&file, digest, length) {
            let end = if kind.is_secret() { fat::wipe(&file) } else { fat::set_aside(&file) };
            end.map_err(|error| {
                format!("{} is taken, but can't be wiped: {error}; remove it with a laptop", file.display())
            })?;
        }
    }
    // All of it is gone for good before the note goes.
    whole_file::sync_folder(&boot.join(NOTE)).map_err(|error| explain(boot, &error))?;
    whole_file::remove(&path).and_then(|()| whole_file::sync_folder(&path)).map_err(|error| explain(&path, &error))
}

/// Whether a file is what was taken, or that with zeros written over a part of it: no text has any.
fn is_the_one(file: &Path, taken: &str, length: u64) -> bool {
    let there = fs::symlink_metadata(file).is_ok_and(|there| there.is_file() && there.len() == length);
    there && fs::read(file).is_ok_and(|bytes| bytes.contains(&0) || digest(&bytes) == taken)
}

fn digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn explain(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
