//! Passwords: their hashes, made and checked, and new ones thought up. The only room that names argon2.
//!
//! `checks.rs` checks one at a time, `guesses.rs` says who must wait before another try, `code.rs` has codes for one use. Never knows what a password opens:
//! the broker has its users, the admin page its people.

mod checks;
mod code;
mod guesses;

use std::fmt;

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordVerifier, Version};

pub(crate) use self::checks::{Asked, Passwords, Proof, Verdict, same};
pub use self::checks::{Counts, Permit};
pub use self::code::{code, grouped, typed_code};

/// What one hash costs, as OWASP advises: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The dearest hash that is taken from elsewhere: checking it must not take the gateway's memory or its time.
const MEMORY_KIB_MAX: u32 = 64 * 1024;
const PASSES_MAX: u32 = 10;
const LANES_MAX: u32 = 4;

/// Characters of a generated password: none that is easily taken for another, so that it can be typed.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// With five bits each, more than anybody can try.
const GENERATED_CHARACTERS: usize = 20;
const SALT_BYTES: usize = 16;

/// The argon2id hash of a password, in the text form that others know (PHC). `Debug` gives a mask.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(String);

impl Hash {
    /// Takes a hash that was made elsewhere.
    ///
    /// # Errors
    /// In words, when it is none, or so dear that checking it would cost the gateway too much.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let hash = PasswordHash::new(text).map_err(|_| "is not a hash in the form `$argon2id$v=19$...`")?;
        if Algorithm::try_from(hash.algorithm) != Ok(Algorithm::Argon2id) || hash.hash.is_none() || hash.salt.is_none()
        {
            return Err("is not an argon2id hash");
        }
        let params = Params::try_from(&hash).map_err(|_| "has parameters that argon2id does not know")?;
        let dear = params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX || params.p_cost() > LANES_MAX;
        if dear { Err("costs more than 64 MiB, 10 passes or 4 lanes") } else { Ok(Self(text.to_owned())) }
    }

    /// Hashes a password with a fresh salt. Takes its time: never on a thread that others wait for.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn of(password: &str) -> Result<Self, String> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|error| format!("the system has no random numbers: {error}"))?;
        let hashed = SaltString::encode_b64(&salt)
            .and_then(|salt| Ok(argon2()?.hash_password(password.as_bytes(), &salt)?.to_string()));
        hashed.map(Self).map_err(|error| format!("the password can't be hashed: {error}"))
    }

    /// Whether it is the hash of `password`. As dear as making it.
    pub fn verify(&self, password: &[u8]) -> bool {
        PasswordHash::new(&self.0).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
    }

    /// The text, for the file that it is kept in; never for logs.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Takes as long as checking a hash that this gateway has made, and is worth nothing: for those who are not known.
    pub fn spend_time(password: &[u8]) {
        let mut out = [0; 32];
        // Whatever comes of it, the time is spent.
        let _ = argon2().map(|argon2| argon2.hash_password_into(password, &[0; SALT_BYTES], &mut out));
        std::hint::black_box(out);
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

fn argon2() -> Result<Argon2<'static>, argon2::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// What a key from a passphrase costs. Dearer than a hash: it is made once in a while, and whoever has the file may try for ever.
const KEY_MEMORY_KIB: u32 = 64 * 1024;
const KEY_PASSES: u32 = 3;

/// The key that a passphrase opens, by argon2id with 64 MiB and 3 passes. Takes its time: never on a thread that others wait
/// for.
///
/// # Errors
/// In words; for a salt of 16 bytes only when there is no memory.
pub fn key_of(passphrase: &str, salt: &[u8]) -> Result<[u8; 32], String> {
    let mut key = [0; 32];
    Params::new(KEY_MEMORY_KIB, KEY_PASSES, LANES, Some(key.len()))
        .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
        .and_then(|argon2| argon2.hash_password_into(passphrase.as_bytes(), salt, &mut key))
        .map_err(|error| format!("no key can be made of the passphrase: {error}"))?;
    Ok(key)
}

/// Thinks up a password.
///
/// # Errors
/// When the system has no random numbers.
pub fn generate() -> Result<String, String> {
    let mut random = [0_u8; GENERATED_CHARACTERS];
    getrandom::fill(&mut random).map_err(|error| format!("the system has no random numbers: {error}"))?;
    // 32 divides 256, so every character is as likely as any other.
    Ok(random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32))).map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_opens_with_its_password_alone_and_two_of_one_password_differ() {
        let hash = Hash::of("päss").unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.expose());
        assert_eq!(Hash::parse(hash.expose()), Ok(hash.clone()));
        assert!(hash.verify("päss".as_bytes()));
        assert!(!hash.verify(b"pass") && !hash.verify(b"") && !hash.verify(b"\xff\xfe"));
        assert_ne!(Hash::of("päss").unwrap(), hash);
        assert_eq!(format!("{hash:?}"), "********");
    }

    #[test]
    fn a_hash_of_another_kind_or_too_dear_is_refused() {
        let tail = "$c29tZXNhbHRzb21lc2FsdA$dGhlIGhhc2ggdGhlIGhhc2ggdGhlIGhhc2ggdGhlIGg";
        let with = |head: &str| Hash::parse(&format!("{head}{tail}"));
        assert!(with("$argon2id$v=19$m=19456,t=2,p=1").is_ok());
        for wrong in ["$argon2i$v=19$m=19456,t=2,p=1", "$argon2id$v=19$m=65537,t=2,p=1", "$argon2id$v=19$m=64,t=11,p=1"]
        {
            assert!(with(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "secret", "********", "$argon2id$v=19$m=19456,t=2,p=1", "$2b$12$abcdefghijklmnopqrstuv"] {
            assert!(Hash::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn generated_passwords_are_long_plain_and_never_the_same() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert!(one.len() == GENERATED_CHARACTERS && one.bytes().all(|byte| ALPHABET.contains(&byte)), "{one}");
        assert_ne!(one, other);
    }
}
