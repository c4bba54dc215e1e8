//! Sharing: what of a message a remote may be told, as its uplink's `[[uplink.share]]` says.
//!
//! Owns what becomes of a message before it is queued for a remote, when the secrets behind pseudonyms change, and the record of what
//! rules there were. What can't be judged is not shared. Never knows how messages get to a remote.
//! `policy.rs` is the way of a message. Of its payload, `document.rs` says whether it is JSON that can be judged, `tree.rs`
//! what is said of which place, `shape.rs` what is left; `coarse.rs` makes numbers, positions and times less exact. Then
//! `properties.rs`, and `secret.rs` with what pseudonyms rest on; `words.rs` and `audit.rs` are for people.

mod audit;
mod coarse;
mod document;
mod policy;
mod properties;
mod secret;
mod shape;
#[cfg(test)]
mod tests;
mod trace;
mod tree;
mod words;

use std::path::{Path, PathBuf};

pub use audit::{At, Entry, note, read};
pub use policy::{Explained, Policy, Withheld};
pub use secret::{Known, Pseudonyms, known};
pub use trace::{Became, Fate};
pub use words::words;

/// Where the secrets and the record are, in the data folder.
fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("sharing")
}

/// Makes that folder.
fn make_folder(data_dir: &Path) -> std::io::Result<PathBuf> {
    let folder = folder(data_dir);
    crate::pseudonym::own_folder(&folder)?;
    Ok(folder)
}
