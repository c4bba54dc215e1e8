//! What a plugin's file is, found without running or compiling it.
//!
//! `file.rs` reads it and knows a component by its first bytes. Never judges whether this gateway would run it.

mod file;

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

pub use file::{MAX_BYTES, check_component, read};

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
