//! Provisioning: files that somebody has put onto the boot partition become this machine's settings, once.
//!
//! Owns what is read there, what becomes of it, and that a power cut leaves either the files where they are, to be read again,
//! or everything done. Never judges single values, which is the work of `config`, and starts no program.
//!
//! All is checked before anything is changed. Then each file of the machine is written whole; what has come so far does not
//! matter, since the next start reads the same input and writes the same again. When all of it is on the disk, `taken.rs`
//! writes down which input that was. From then on the input is done with, and is wiped by this run or the next one.
//!
//! `input.rs` reads the boot partition, `imager.rs` and `yaml.rs` what Raspberry Pi Imager has left there, `wanted.rs` puts
//! all of it together and checks it, `pieces.rs` says which files of the machine that makes, `place.rs` writes them, `fat.rs`
//! writes on the boot partition, `fleet.rs` makes the files for many cards.

mod fat;
pub mod fleet;
mod imager;
mod input;
mod pieces;
mod place;
mod taken;
#[cfg(test)]
mod tests;
mod wanted;
mod yaml;

use std::path::Path;

use crate::config::Problems;

/// What is wrong with the input, for who looks at the card with a laptop.
const ERRORS: &str = "stile-errors.txt";
/// What was done, and what was not.
const NOTES: &str = "stile-notes.txt";

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do.
    Nothing,
    /// The machine is provisioned.
    Done {
        /// What was done, and what was not, a line each.
        notes: Vec<String>,
        /// The firmware was told something that it takes at its next start.
        restart: bool,
    },
}

/// Why it was not done. What is in force is what it was, unless the disk failed in between; the input is still there.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The input is wrong.
    #[error("{0}")]
    Wrong(Problems),
    /// In words, with a remedy.
    #[error("{0}")]
    System(String),
}

/// Provisions the machine whose files are at `root` by what is on the boot partition at `boot`. What is wrong with that is
/// written there as well.
///
/// # Errors
/// All that is wrong with the input at once, or what the system says.
pub fn provision(boot: &Path, root: &Path) -> Result<Outcome, Failure> {
    let done = attempt(boot, root);
    let told = match &done {
        Err(Failure::Wrong(problems)) => fat::write(&boot.join(ERRORS), &complaint(&problems.to_string())),
        Err(Failure::System(why)) => fat::write(&boot.join(ERRORS), &complaint(why)),
        Ok(_) => fat::remove(&boot.join(ERRORS)),
    };
    warn_of(told, boot);
    done
}

/// What can't be told on the card is in the log all the same.
fn warn_of(told: std::io::Result<()>, boot: &Path) {
    if let Err(error) = told {
        log::warn!(error:% = error, folder:% = boot.display(); "what came of provisioning can't be written onto the boot partition");
    }
}

fn attempt(boot: &Path, root: &Path) -> Result<Outcome, Failure> {
    taken::finish(boot, root).map_err(Failure::System)?;
    let input = input::read(boot).map_err(Failure::Wrong)?;
    if input.is_empty() {
        return Ok(Outcome::Nothing);
    }
    let wanted = wanted::gather(&input, boot, root).map_err(Failure::Wrong)?;
    let pieces = pieces::of(&wanted, root).map_err(Failure::System)?;
    // What can't be wiped is not taken.
    input.iter().try_for_each(|input| input.may_be_written(boot)).map_err(Failure::System)?;
    for piece in &pieces {
        place::put(piece, root).map_err(Failure::System)?;
    }
    let restart = place::tell_firmware(&wanted.provision, boot).map_err(Failure::System)?;
    // Before the input is done with: after that nobody knows any more what it said.
    warn_of(fat::write(&boot.join(NOTES), &format!("{}\n", wanted.notes.join("\n"))), boot);
    taken::note(&input, root).and_then(|()| taken::finish(boot, root)).map_err(Failure::System)?;
    Ok(Outcome::Done { notes: wanted.notes, restart })
}

fn complaint(what: &str) -> String {
    format!(
        "Stile was not provisioned, and what was in force goes on. Correct this, put the card back and switch it on:\n\n\
         {what}\n"
    )
}
