//! UTF-8 strings of the wire (section 1.5.4), checked once.
//!
//! Owns what makes a text valid on the wire: UTF-8, no NUL, at most 65 535 bytes. Never copies what it reads.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;

use super::CodecError;

/// The longest string or binary field, in bytes (sections 1.5.4 and 1.5.6).
const FIELD_MAX_BYTES: usize = 65_535;

/// A valid text of the wire. A clone costs a reference count; the default is empty and allocates nothing.
///
/// A text from [`read`](super::read) keeps the read buffer's memory alive: whoever keeps one long copies it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utf8(ByteString);

impl Utf8 {
    /// Checks `text` and copies it.
    ///
    /// # Errors
    /// More than 65 535 bytes, or a NUL character.
    pub fn new(text: &str) -> Result<Self, CodecError> {
        Self::check(ByteString::from(text), "text")
    }

    /// Checks `bytes` and takes them; `field` names them in the error.
    pub(super) fn from_bytes(bytes: Bytes, field: &'static str) -> Result<Self, CodecError> {
        // Surrogates and over-long forms are no UTF-8 for Rust either (MQTT-1.5.4-1).
        let text = ByteString::try_from(bytes).map_err(|_| CodecError::malformed(field, "is not UTF-8"))?;
        Self::check(text, field)
    }

    fn check(text: ByteString, field: &'static str) -> Result<Self, CodecError> {
        if text.len() > FIELD_MAX_BYTES {
            return Err(CodecError::malformed(field, "is longer than 65535 bytes"));
        }
        if text.as_bytes().contains(&0) {
            return Err(CodecError::malformed(field, "contains a NUL character"));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Utf8 {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Utf8 {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Utf8 {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Utf8 {
    type Error = CodecError;

    fn try_from(text: &str) -> Result<Self, CodecError> {
        Self::new(text)
    }
}

impl PartialEq<str> for Utf8 {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Utf8 {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Utf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Utf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
