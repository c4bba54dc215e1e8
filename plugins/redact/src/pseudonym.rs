//! Pseudonyms: a keyed hash, BLAKE2s with 128 bits of output. Without the key nobody can find whom one stands for by
//! trying all names.

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac};
use serde_json::Value;

/// The most of a secret that is used, in bytes: what the hash takes.
const LONGEST_KEY: usize = 32;

/// The secret, ready to use.
pub(crate) struct Key(Option<Blake2sMac<U16>>);

impl Key {
    /// A longer secret is hashed first; an empty one is good for nothing and is never used.
    pub(crate) fn new(secret: &str) -> Self {
        let bytes = secret.as_bytes();
        if bytes.len() <= LONGEST_KEY {
            return Self(Blake2sMac::new_from_slice(bytes).ok());
        }
        let digest = Blake2s256::default().chain(bytes).finalize_fixed();
        Self(Blake2sMac::new_from_slice(&digest).ok())
    }

    /// 32 hexadecimal digits.
    pub(crate) fn of_text(&self, text: &str) -> String {
        let hash = self.0.clone().map(|hash| hash.chain(text.as_bytes()).finalize_fixed());
        hash.iter().flatten().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A text by itself, anything else by how it is written: 7 and "7" are one.
    pub(crate) fn of_value(&self, value: &Value) -> String {
        match value {
            Value::String(text) => self.of_text(text),
            other => self.of_text(&other.to_string()),
        }
    }
}
