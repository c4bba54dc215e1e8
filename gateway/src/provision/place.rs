//! Puts files in their places on the machine, each whole or not at all.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::fat;
use super::pieces::Piece;
use crate::config::{self, Provision, UART_LINES};
use crate::whole_file;

/// What the firmware's `config.txt` takes in.
pub(super) const HAT: &str = "hat.txt";

const HEAD: &str = "# Written by `stile provision`.";
/// What stands above the lines that `uart` has brought, and above those of the board.
const UART_MARK: &str = "# The header's UART:";
const BOARD_MARK: &str = "# The board:";

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

/// Writes what the firmware is to be told, and says whether that is something else than before. What the input says nothing of
/// stays as it is.
///
/// # Errors
/// In words.
pub(super) fn tell_firmware(provision: &Provision, boot: &Path) -> Result<bool, String> {
    let path = boot.join(HAT);
    let told = match (&provision.hat, provision.uart) {
        (None, None) => return Ok(false),
        (Some(hat), Some(uart)) => Told { uart, board: hat.lines.clone() },
        (hat, uart) => {
            let text = config::read_text(&path).map_err(|error| format!("{}: {error}; remove it", path.display()))?;
            let there = Told::parse(&text.unwrap_or_default());
            let board = hat.as_ref().map_or(there.board, |hat| hat.lines.clone());
            Told { uart: uart.unwrap_or(there.uart), board }
        }
    };
    fat::write_raw(&path, &told.text()).map_err(|error| format!("{}: {error}", path.display()))
}

/// What stands in `hat.txt`, by what has brought it: a board may need the lines of the UART too.
struct Told {
    uart: bool,
    /// Lines that somebody has written there by hand are among them.
    board: Vec<String>,
}

impl Told {
    fn parse(text: &str) -> Self {
        let has = |wanted: &str| text.lines().any(|line| line == wanted);
        let marked = has(BOARD_MARK);
        let uart = if marked { has(UART_MARK) } else { UART_LINES.iter().all(|line| has(line)) };
        let (mut board, mut in_board) = (Vec::new(), false);
        for line in text.lines() {
            let of_uart = UART_LINES.contains(&line) && if marked { !in_board } else { uart };
            in_board |= line == BOARD_MARK;
            if !of_uart && ![HEAD, UART_MARK, BOARD_MARK].contains(&line) {
                board.push(line.to_owned());
            }
        }
        Self { uart, board }
    }

    /// The UART comes first: lines by hand may end in a section for one model.
    fn text(&self) -> String {
        let missing = UART_LINES.into_iter().filter(|line| !self.board.iter().any(|there| there == line));
        let of_uart = self.uart.then(|| std::iter::once(UART_MARK).chain(missing));
        let lines = [HEAD].into_iter().chain(of_uart.into_iter().flatten());
        let lines = lines.chain([BOARD_MARK]).chain(self.board.iter().map(String::as_str));
        lines.map(|line| format!("{line}\n")).collect()
    }
}
