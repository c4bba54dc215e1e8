//! Reads `[plugins]`.

use std::collections::BTreeMap;

use super::filters::placed_texts;
use super::{NAME_MAX_CHARACTERS, name_character};
use crate::config::problem::plain;
use crate::config::section::Section;
use crate::config::tree::{Kind, Node, Value};
use crate::config::trust::{Require, Trust};
use crate::signature::PublicKey;

/// More keys than this are refused.
const KEYS_MAX: usize = 64;

/// Reads the section. `known` says whether there is a plugin of a name.
pub(super) fn read(mut section: Section<'_>, known: impl Fn(&str) -> bool) -> Trust {
    // Also when no key is left in it: taking the last one away must not let everything run.
    let usual = if section.has("trusted-keys") { Require::Signed } else { Require::Nothing };
    let trusted_keys = keys(&mut section);
    let require = section.choice("require").unwrap_or(usual);
    let order = order(&mut section, known);
    section.finish();
    Trust { require, trusted_keys, order }
}

/// A name that no plugin has is no fault: a plugin is removed by removing its file.
fn order(section: &mut Section<'_>, known: impl Fn(&str) -> bool) -> Vec<String> {
    let mut order = Vec::new();
    for (name, spot) in placed_texts(section, "order", "the name of a plugin").unwrap_or_default() {
        if order.contains(&name) {
            let what = format!("`order` in [plugins] has `{}` twice", plain(&name));
            section.notes.error(&spot, what, "write each name once");
        } else if known(&name) {
            order.push(name);
        } else {
            let what = format!("`order` in [plugins] has `{}`, and there is no such plugin", plain(&name));
            section.notes.warning(&spot, what, "remove it there, or write the name of a plugin");
        }
    }
    order
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
