//! A text that only a passphrase opens: argon2id makes the key, ChaCha20-Poly1305 seals (RFC 8439).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

use super::SetUpError;
use crate::password;

/// How it is sealed. What is sealed is bound to these words.
const HOW: &str = "stile set-up 1: argon2id (64 MiB, 3 passes), ChaCha20-Poly1305";

const SALT_BYTES: usize = 16;

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sealed {
    sealed: String,
    salt: String,
    nonce: String,
    text: String,
}

fn key(passphrase: &str, salt: &[u8]) -> Result<LessSafeKey, String> {
    let key = password::key_of(passphrase, salt)?;
    // It has the length that the cipher wants.
    let key = UnboundKey::new(&CHACHA20_POLY1305, &key).map_err(|error| error.to_string())?;
    Ok(LessSafeKey::new(key))
}

pub(super) fn seal(text: &[u8], passphrase: &str) -> Result<String, String> {
    let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_LEN]);
    for random in [&mut salt[..], &mut nonce[..]] {
        getrandom::fill(random).map_err(|error| format!("the system has no random numbers: {error}"))?;
    }
    let mut sealed = text.to_vec();
    // With each salt the key is another, so no nonce can come twice under one.
    key(passphrase, &salt)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(HOW), &mut sealed)
        .map_err(|error| error.to_string())?;
    let [salt, nonce, text] = [&salt[..], &nonce, &sealed].map(|bytes| STANDARD.encode(bytes));
    let file = Sealed { sealed: HOW.to_owned(), salt, nonce, text };
    serde_json::to_string_pretty(&file).map(|file| file + "\n").map_err(|error| error.to_string())
}

impl Sealed {
    /// `None` where it is no sealed file.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn open(&self, passphrase: &str) -> Result<Vec<u8>, SetUpError> {
        if self.sealed != HOW {
            return Err(SetUpError::Other("it is sealed in a way that this version does not know".to_owned()));
        }
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| SetUpError::NotOpened);
        let (salt, nonce, mut text) = (bytes(&self.salt)?, bytes(&self.nonce)?, bytes(&self.text)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| SetUpError::NotOpened)?;
        if salt.len() != SALT_BYTES {
            return Err(SetUpError::NotOpened);
        }
        let key = key(passphrase, &salt).map_err(SetUpError::Other)?;
        let opened = key.open_in_place(nonce, Aad::from(HOW), &mut text).map_err(|_| SetUpError::NotOpened)?;
        Ok(opened.to_vec())
    }
}
