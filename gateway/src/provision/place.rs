//! Puts files in their places on the machine, each whole or not at all.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::fat;
use super::pieces::Piece;
use crate::config::{Provision, UART_LINES};
use crate::whole_file;

/// What the firmware's `config.txt` takes in.
pub(super) const HAT: &str = "hat.txt";

/// Puts one piece in its place below `root`.
///
/// # Errors
/// In words.
pub(super) fn put(piece: &Piece, root: &Path) -> Result<(), String> {
    let path = root.join(piece.path());
    let folder = path.parent().unwrap_or(root);
    let put = match piece {
        Piece::File { text, mode, .. } => {
            make_folders(folder, root)?;
            whole_file::write(&path, text.as_bytes(), *mode, folder)
        }
        Piece::Link { to, .. } => {
            make_folders(folder, root)?;
            link(&path, to)
        }
        Piece::Gone { .. } => whole_file::remove(&path),
    };
    put.map_err(|error| format!("{}: {error}; make room there, or take another card", path.display()))
}

fn link(path: &Path, to: &str) -> io::Result<()> {
    let new = whole_file::beside(path);
    whole_file::remove(&new)?;
    symlink(to, &new)?;
    fs::rename(&new, path)?;
    whole_file::sync_folder(path)
}

/// Makes a folder below `root`, and those that it stands in.
///
/// # Errors
/// In words.
pub(super) fn make_folders(folder: &Path, root: &Path) -> Result<(), String> {
    if folder == root || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(root);
    make_folders(parent, root)?;
    whole_file::make_folder(folder, Some(parent)).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Writes what the firmware is to be told, and says whether that is something else than before.
///
/// # Errors
/// In words.
pub(super) fn tell_firmware(provision: &Provision, boot: &Path) -> Result<bool, String> {
    if provision.hat.is_none() && provision.uart.is_none() {
        return Ok(false);
    }
    let hat = provision.hat.iter().flat_map(|hat| &hat.lines);
    let mut lines: Vec<&str> = hat.map(String::as_str).collect();
    if provision.uart == Some(true) {
        lines.retain(|line| !UART_LINES.contains(line));
        lines.extend(UART_LINES);
    }
    let text = format!(
        "# Written by `stile provision`.\n{}",
        lines.iter().map(|line| format!("{line}\n")).collect::<String>()
    );
    fat::write_raw(&boot.join(HAT), &text).map_err(|error| format!("{}: {error}", boot.join(HAT).display()))
}
