//! What a plugin's file is, found without running or compiling it.
//!
//! `file.rs` reads it and knows a component by its first bytes, `shape.rs` finds what it imports and exports,
//! `manifest.rs` what its author says of it, and `schema.rs` holds settings against what the manifest allows and makes a form of
//! it; `custom.rs` writes what is added to it. All that is read is bounded by the file's size: whoever wrote the file is not
//! trusted. Never judges whether an operator wants it.

mod custom;
mod file;
mod manifest;
mod schema;
mod shape;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

pub use custom::{custom_section, with_length};
pub use file::{MAX_BYTES, check_component, read};
pub use manifest::Manifest;
pub use schema::{Field, Key, Kind, Mismatch, Schema, Unread, has_text};
pub use shape::{MANIFEST, PACKAGE, Shape, foreign, interface};

/// The longest text of others that a message repeats, in characters.
const SHOWN_MAX_CHARACTERS: usize = 200;

/// The SHA-256 of a component, in hex.
pub fn fingerprint(component: &[u8]) -> String {
    hex(digest(&SHA256, component).as_ref())
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What an author wrote, fit for a log line: one line, no control characters, not too long.
pub fn plain(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(SHOWN_MAX_CHARACTERS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
