//! Reads `[plugins]`.

use std::collections::BTreeMap;

use super::{NAME_MAX_CHARACTERS, name_character};
use crate::config::problem::plain;
use crate::config::section::Section;
use crate::config::tree::{Kind, Node, Value};
use crate::config::trust::{Require, Trust};
use crate::signature::PublicKey;

/// More keys than this are refused.
const KEYS_MAX: usize = 64;

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> Trust {
    // Also when no key is left in it: taking the last one away must not let everything run.
    let usual = if section.has("trusted-keys") { Require::Signed } else { Require::Nothing };
    let trusted_keys = keys(&mut section);
    let require = section.choice("require").unwrap_or(usual);
    section.finish();
    Trust { require, trusted_keys }
}

fn keys(section: &mut Section<'_>) -> BTreeMap<String, PublicKey> {
    let table = section.table("trusted-keys").unwrap_or_default();
    if table.len() > KEYS_MAX {
        section.refuse("trusted-keys", format!("has {} keys", table.len()), format!("write at most {KEYS_MAX}"));
        return BTreeMap::new();
    }
    let mut keys = BTreeMap::new();
    for (name, entry) in table {
        let fits = (1..=NAME_MAX_CHARACTERS).contains(&name.len());
        if !(fits && name.chars().all(name_character)) {
            let what = format!("`{}` in [plugins.trusted-keys] is no name", plain(&name));
            section.notes.error(&entry.key, what, "write 1 to 64 of the characters A-Z a-z 0-9 _ -");
            continue;
        }
        let node = entry.node.resolve(&[Kind::Text]);
        let key = match &node {
            Node { value: Value::Text(text), .. } => PublicKey::parse(text),
            _ => None,
        };
        match key {
            Some(key) => _ = keys.insert(name, key),
            None => {
                let what = format!("`{name}` in [plugins.trusted-keys] is no public key");
                section.notes.error(&node.spot, what, "write what `stile plugin keys` prints: \"ed25519:...\"");
            }
        }
    }
    keys
}
