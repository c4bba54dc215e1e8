//! Who signed a component: Ed25519 over all its bytes, in the component's first section.
//!
//! The form is that of the WebAssembly tool conventions, `Signatures.md`, as `wasmsign2` writes and reads it;
//! `section.rs` says where the two differ. `key.rs` makes and reads keys. Never decides whom an operator trusts.
//!
//! A signature covers every byte behind its own section. In front of that are eight bytes that are the same in every
//! component, and the section itself, in which nothing counts but the signature.

mod key;
mod section;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};

pub use key::{PrivateKey, PublicKey};
use section::{Record, Section};

use crate::component::check_component;

/// Whose signature a component has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// Nobody's.
    Nobody,
    /// A good one by a key that is not among those that are trusted. Which, where the signature says it.
    Unknown(Option<PublicKey>),
    /// A good one by a key that is trusted, by its name.
    Trusted(String, PublicKey),
}

/// Finds out who signed a component.
///
/// # Errors
/// It has a signature that is not good, in words that go behind the component's name.
pub fn signer(component: &[u8], trusted: &BTreeMap<String, PublicKey>) -> Result<Signer, String> {
    check_component(component)?;
    let Some(section) = Section::of(component)? else { return Ok(Signer::Nobody) };
    let hash = digest(&SHA256, section.signed);
    let records: Vec<&Record<'_>> = section.records.iter().filter(|record| record.covers(hash.as_ref())).collect();
    if records.is_empty() {
        return Err("its signature is that of other contents: it was changed after it was signed".into());
    }
    let mut unknown = None;
    for record in records {
        let named = record.key();
        if let Some((name, key)) = trusted.iter().find(|(_, key)| record.may_be_by(key) && record.is_by(key)) {
            return Ok(Signer::Trusted(name.clone(), *key));
        }
        match named {
            Some(key) if !record.is_by(&key) => return Err("its signature is damaged".into()),
            named => unknown = unknown.or(named),
        }
    }
    Ok(Signer::Unknown(unknown))
}

/// The component with a signature by `key`, in the place of those that it had.
///
/// # Errors
/// It is no component, or has a signature that can't be read, in words that go behind its name.
pub fn sign(component: &[u8], key: &PrivateKey) -> Result<Vec<u8>, String> {
    check_component(component)?;
    let (header, bare) = section::without(component)?;
    let hash = digest(&SHA256, bare);
    let section = section::write(hash.as_ref(), &key.public(), &key.sign(&section::message(hash.as_ref())));
    Ok([header, &section, bare].concat())
}
