//! Ed25519 keys (RFC 8032) and how they are written: private ones as PKCS#8 in PEM (RFC 5958, RFC 7468, RFC 8410),
//! public ones as `ed25519:` and base64, for the settings.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Serialize, Serializer};

/// What a public key begins with as text.
const PREFIX: &str = "ed25519:";
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Characters of a line of PEM (RFC 7468, section 2).
const LINE: usize = 64;

/// A key that signatures are checked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The 32 bytes of RFC 8032.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads `ed25519:` and base64.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Whether `signature` is one of `message` by this key.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A key that signatures are made with. `Debug` does not show it.
pub struct PrivateKey(Ed25519KeyPair);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey of {}", self.public())
    }
}

impl PrivateKey {
    /// A new one, as the text of its file.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn make() -> Result<String, String> {
        let wrong = |_| "the system gives no random numbers".to_owned();
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(wrong)?;
        let mut text = format!("{BEGIN}\n");
        for line in STANDARD.encode(key.as_ref()).as_bytes().chunks(LINE) {
            text.extend(line.iter().copied().map(char::from));
            text.push('\n');
        }
        text.push_str(END);
        text.push('\n');
        Ok(text)
    }

    /// Reads the text of a file; one that OpenSSL made will do too.
    ///
    /// # Errors
    /// In words that go behind "is no private key: ".
    pub fn read(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().map(str::trim).skip_while(|line| *line != BEGIN).skip(1).peekable();
        if lines.peek().is_none() {
            return Err(format!("it has no block `{}`", BEGIN.trim_matches('-')));
        }
        let body: String = lines.take_while(|line| *line != END).collect();
        let der = STANDARD.decode(body).map_err(|error| error.to_string())?;
        // Without its public half, as OpenSSL writes it, the key can't be held against it.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        pair.map(Self).map_err(|error| format!("it is no Ed25519 key: {error}"))
    }

    /// The key that its signatures are checked with.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        bytes
    }
}
