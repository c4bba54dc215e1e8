//! Pseudonyms: a keyed hash, HMAC-SHA-256 (RFC 2104) cut to 128 bits. Without the secret nobody can find whom one stands
//! for by trying all names.

use std::fmt;

use ring::hmac;

/// Bytes of a secret.
pub(super) const SECRET_BYTES: usize = 32;

/// Bytes of a pseudonym; it is written as twice as many hexadecimal digits.
const BYTES: usize = 16;

/// A secret, ready to use.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl Key {
    pub(super) fn new(secret: &[u8; SECRET_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// One that everybody knows, for showing what pseudonyms look like.
    pub fn example() -> Self {
        Self::new(&[0; SECRET_BYTES])
    }

    /// The pseudonym of a text: 32 hexadecimal digits, the same each time.
    pub fn pseudonym(&self, text: &str) -> String {
        hex(hmac::sign(&self.0, text.as_bytes()).as_ref().get(..BYTES).unwrap_or_default())
    }
}

/// The secret is no text for anybody.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(********)")
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_hash_that_others_would_compute() {
        // RFC 4231, test case 1: a key of 20 bytes, which HMAC fills up with zeros.
        let mut secret = [0; SECRET_BYTES];
        secret[..20].fill(0x0b);
        assert_eq!(Key::new(&secret).pseudonym("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b");
        assert_ne!(Key::example().pseudonym("Hi There"), Key::new(&secret).pseudonym("Hi There"));
    }
}
