//! Texts of settings and users with masks in the place of secrets. Comments and order stay.

use serde_json::Value as Json;
use toml_edit::{DocumentMut, Item, TableLike, Value};

use crate::config::{MASK, Settings};

/// Keys whose texts are secrets, wherever they stand but in the settings of plugins.
const SECRETS: [&str; 4] = ["password", "password-hash", "token", "shared-access-key"];

/// Deeper than any settings are.
const DEPTH_MAX: usize = 16;

const HASH: &str = "password-hash";

fn document(text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|error: toml_edit::TomlError| error.to_string())
}

/// A file of settings.
pub(super) fn settings(text: &str, shown: &Settings) -> Result<String, String> {
    let mut document = document(text)?;
    mask_keys(document.as_table_mut(), DEPTH_MAX);
    if let Some(plugins) = document.get_mut("plugin") {
        each_table(plugins, &mut |plugin| {
            let name = plugin.get("name").and_then(Item::as_str).unwrap_or_default();
            let known = shown.plugin.iter().find(|known| known.name == name).map(|known| known.settings.clone());
            if let Some(settings) = plugin.get_mut("settings") {
                // Of one that is not in force nothing says what is a secret.
                mask_like(settings, known.as_ref(), DEPTH_MAX);
            }
        });
    }
    Ok(document.to_string())
}

fn each_table(item: &mut Item, each: &mut dyn FnMut(&mut dyn TableLike)) {
    match item {
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| each(table)),
        Item::Value(Value::Array(array)) => {
            array.iter_mut().filter_map(Value::as_inline_table_mut).for_each(|t| each(t));
        }
        Item::Table(table) => each(table),
        Item::Value(Value::InlineTable(table)) => each(table),
        _ => {}
    }
}

fn mask_keys(table: &mut dyn TableLike, depth: usize) {
    for (key, item) in table.iter_mut() {
        if SECRETS.contains(&key.get()) && item.is_str() {
            mask(item);
        } else if depth > 0 {
            each_table(item, &mut |inner| mask_keys(inner, depth - 1));
        }
    }
}

fn mask(item: &mut Item) {
    if let Some(value) = item.as_value_mut() {
        let around = value.decor().clone();
        *value = Value::from(MASK);
        *value.decor_mut() = around;
    }
}

/// Masks what is masked in `shown`; without it, every text.
fn mask_like(item: &mut Item, shown: Option<&Json>, depth: usize) {
    let is_mask = shown.is_none_or(|shown| shown.as_str() == Some(MASK));
    if item.is_str() || depth == 0 {
        if is_mask || depth == 0 {
            mask(item);
        }
        return;
    }
    if let Some(array) = item.as_array_mut() {
        for (at, value) in array.iter_mut().enumerate() {
            let mut inner = Item::Value(value.clone());
            mask_like(&mut inner, shown.map(|shown| &shown[at]).filter(|shown| !shown.is_null()), depth - 1);
            if let Item::Value(masked) = inner {
                *value = masked;
            }
        }
    } else if let Some(table) = item.as_table_like_mut() {
        for (key, inner) in table.iter_mut() {
            mask_like(inner, shown.and_then(|shown| shown.get(key.get())), depth - 1);
        }
    }
}

/// `users.toml` without what opens doors.
pub(super) fn users(text: &str) -> Result<String, String> {
    let mut document = document(text)?;
    if let Some(users) = document.get_mut("user") {
        each_table(users, &mut |user| drop(user.remove(HASH)));
    }
    Ok(document.to_string())
}

/// What stands behind the name of a user: a hash, and the password that it is of.
type Made = (String, String);

/// Gives each user without a hash one. The users' names and passwords are the second part.
pub(super) fn fill_in(
    text: &str,
    mut make: impl FnMut() -> Result<Made, String>,
) -> Result<(String, Vec<(String, String)>), String> {
    let mut document = document(text)?;
    let (mut all, mut failed) = (Vec::new(), None);
    if let Some(users) = document.get_mut("user") {
        each_table(users, &mut |user| {
            if user.contains_key(HASH) || failed.is_some() {
                return;
            }
            match make() {
                Ok((hash, password)) => {
                    user.insert(HASH, toml_edit::value(hash));
                    let name = user.get("name").and_then(Item::as_str).unwrap_or_default().to_owned();
                    all.push((name, password));
                }
                Err(error) => failed = Some(error),
            }
        });
    }
    failed.map_or_else(|| Ok((document.to_string(), all)), Err)
}
