//! The section with the signature, byte by byte.
//!
//! `Signatures.md` of the WebAssembly tool conventions says what is in it. Where that document leaves out the length in
//! front of each set of hashes and of each signature, this follows `wasmsign2`, which writes it. One hash stands for
//! the whole component: it is a running one, so the last of several, at the last delimiter, does too. Signatures of a
//! part are not taken.

use wasmparser::BinaryReader;

use super::PublicKey;
use crate::component::{custom_section, with_length};

/// The name of the section.
const NAME: &str = "signature";
/// Length of what every component begins with.
const HEADER: usize = 8;
/// Version of the format, what is signed (WebAssembly), and the hash function (SHA-256).
const FORM: [u8; 3] = [1, 1, 1];
/// Ed25519, for signatures and for public keys.
const ED25519: u8 = 1;
/// What a signed message begins with.
const DOMAIN: &[u8] = b"wasmsig";
/// Length of a hash.
const HASH: usize = 32;
/// The most hashes, sets of them, and signatures.
const LIST_MAX: u32 = 64;

/// A component with a signature.
pub(super) struct Section<'a> {
    /// Its signatures.
    pub(super) records: Vec<Record<'a>>,
    /// What they are about: all bytes behind them.
    pub(super) signed: &'a [u8],
}

/// One signature.
pub(super) struct Record<'a> {
    hashes: &'a [u8],
    key_id: &'a [u8],
    signature: &'a [u8],
}

impl Record<'_> {
    /// Whether it is about all that has this hash.
    pub(super) fn covers(&self, hash: &[u8]) -> bool {
        self.hashes.ends_with(hash)
    }

    /// The key that it says to be by. What else can stand in its place is up to whoever signed.
    pub(super) fn key(&self) -> Option<PublicKey> {
        let bytes = self.key_id.strip_prefix(&[ED25519])?;
        bytes.try_into().ok().map(PublicKey::from_bytes)
    }

    /// Whether it may be by this key: where it names none, as those that others made, each is tried.
    pub(super) fn may_be_by(&self, key: &PublicKey) -> bool {
        self.key_id.len() != 1 + key.as_bytes().len() || self.key().as_ref() == Some(key)
    }

    /// Whether it is by this key.
    pub(super) fn is_by(&self, key: &PublicKey) -> bool {
        key.signed(&message(self.hashes), self.signature)
    }
}

impl<'a> Section<'a> {
    /// The signatures of a component; `None` if it has none.
    pub(super) fn of(component: &'a [u8]) -> Result<Option<Self>, String> {
        let wrong = |_| "its signature can't be read".to_owned();
        let Some((payload, signed)) = split(component).map_err(wrong)? else { return Ok(None) };
        let records = records(payload).map_err(wrong)?.ok_or("its signature has a form that is not known")?;
        Ok(Some(Self { records, signed }))
    }
}

/// The component's header, and what is behind its signatures.
pub(super) fn without(component: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let (header, mut rest) = component.split_at_checked(HEADER).ok_or("it is cut off")?;
    while let Some((_, behind)) = first(rest).map_err(|_| "its first section can't be read".to_owned())? {
        rest = behind;
    }
    Ok((header, rest))
}

/// What is signed.
pub(super) fn message(hashes: &[u8]) -> Vec<u8> {
    [DOMAIN, &FORM, hashes].concat()
}

/// The section for one signature.
pub(super) fn write(hash: &[u8], key: &PublicKey, signature: &[u8]) -> Vec<u8> {
    let id = [&[ED25519][..], key.as_bytes()].concat();
    let record = [with_length(&id), vec![ED25519], with_length(signature)].concat();
    let set = [&[1][..], hash, &[1], &with_length(&record)].concat();
    let payload = [&FORM[..], &[1], &with_length(&set)].concat();
    custom_section(NAME, &payload)
}

type Read<T> = Result<T, wasmparser::BinaryReaderError>;

/// The payload of the signature and all that is behind it. wasmparser reads lengths here as it does for the engine, so
/// both see the section end at the same byte.
fn split(component: &[u8]) -> Read<Option<(&[u8], &[u8])>> {
    first(component.get(HEADER..).unwrap_or_default())
}

fn first(sections: &[u8]) -> Read<Option<(&[u8], &[u8])>> {
    let mut reader = BinaryReader::new(sections, HEADER);
    if reader.eof() || reader.read_u8()? != 0 {
        return Ok(None);
    }
    let section = slice(&mut reader)?;
    let mut inner = BinaryReader::new(section, 0);
    let name = inner.read_string()?;
    let payload = inner.read_bytes(inner.bytes_remaining())?;
    Ok((name == NAME).then_some((payload, reader.read_bytes(reader.bytes_remaining())?)))
}

fn slice<'a>(reader: &mut BinaryReader<'a>) -> Read<&'a [u8]> {
    let length = reader.read_var_u32()?;
    reader.read_bytes(usize::try_from(length).unwrap_or(usize::MAX))
}

/// The signatures in a payload; `None` where it is of another form.
fn records(payload: &[u8]) -> Read<Option<Vec<Record<'_>>>> {
    let mut records = Vec::new();
    let mut reader = BinaryReader::new(payload, 0);
    if reader.read_bytes(FORM.len())? != FORM {
        return Ok(None);
    }
    let sets = reader.read_var_u32()?;
    for _ in 0..sets.min(LIST_MAX) {
        let mut set = BinaryReader::new(slice(&mut reader)?, 0);
        let hashes = set.read_var_u32()?;
        if !(1..=LIST_MAX).contains(&hashes) {
            return Ok(None);
        }
        let hashes = set.read_bytes(HASH * hashes as usize)?;
        let count = set.read_var_u32()?;
        for _ in 0..count.min(LIST_MAX) {
            let mut record = BinaryReader::new(slice(&mut set)?, 0);
            let key_id = slice(&mut record)?;
            let algorithm = record.read_u8()?;
            let signature = slice(&mut record)?;
            if record.eof() && algorithm == ED25519 {
                records.push(Record { hashes, key_id, signature });
            }
        }
        if !set.eof() || records.len() > LIST_MAX as usize {
            return Ok(None);
        }
    }
    Ok((reader.eof() && !records.is_empty()).then_some(records))
}
