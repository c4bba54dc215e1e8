//! Texts of settings and users with masks in the place of secrets. Order stays, and so do comments but for those that look like a
//! setting: `# password = "old"`.

use serde_json::Value as Json;
use toml_edit::{DocumentMut, Item, TableLike, Value};

use crate::config::{MASK, Settings};

/// Keys whose values are secrets, wherever they stand but in the settings of plugins.
const SECRETS: [&str; 5] = ["password", "password-hash", "setup-code-hash", "token", "shared-access-key"];

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
    Ok(without_old_settings(&document.to_string()))
}

/// A text of TOML without the comments that have a `=`.
fn without_old_settings(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['"', '\'', '#']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = if from.starts_with('#') { from.find('\n').unwrap_or(from.len()) } else { end_of_text(from) };
        let (part, behind) = from.split_at(end);
        if part.starts_with('#') && part.contains('=') {
            out.truncate(out.trim_end_matches([' ', '\t']).len());
        } else {
            out.push_str(part);
        }
        rest = behind;
    }
    out + rest
}

/// Where the text ends that begins with a quotation mark.
fn end_of_text(from: &str) -> usize {
    let mark = &from[..1];
    let marks = mark.repeat(3);
    let close = if from.starts_with(&marks) { marks.as_str() } else { mark };
    let mut at = close.len();
    while let Some(rest) = from.get(at..).filter(|rest| !rest.starts_with(close)) {
        let escaped = usize::from(mark == "\"" && rest.starts_with('\\'));
        match rest.chars().nth(escaped) {
            Some(character) => at += escaped + character.len_utf8(),
            None => return from.len(),
        }
    }
    at += close.len();
    // Of marks in a row, the last three close.
    while close.len() == 3 && from[at.min(from.len())..].starts_with(mark) {
        at += 1;
    }
    at.min(from.len())
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
        if SECRETS.contains(&key.get()) && item.is_value() {
            mask(item);
        } else if depth > 0 {
            each_table(item, &mut |inner| mask_keys(inner, depth - 1));
        }
    }
}

fn mask(item: &mut Item) {
    match item {
        Item::Value(value) => {
            let around = value.decor().clone();
            *value = Value::from(MASK);
            *value.decor_mut() = around;
        }
        Item::None => {}
        Item::Table(_) | Item::ArrayOfTables(_) => *item = toml_edit::value(MASK),
    }
}

/// Masks what is masked in `shown`, whatever it is; without it, every text, number and time.
fn mask_like(item: &mut Item, shown: Option<&Json>, depth: usize) {
    let is_open = item.is_array() || item.is_table_like() || item.is_array_of_tables();
    let is_secret = match shown {
        Some(shown) => shown.as_str() == Some(MASK),
        None => !is_open && !item.is_bool(),
    };
    if is_secret || depth == 0 {
        mask(item);
    } else if let Some(tables) = item.as_array_of_tables_mut() {
        for (at, table) in tables.iter_mut().enumerate() {
            mask_table(table, shown.and_then(|shown| shown.get(at)), depth);
        }
    } else if let Some(array) = item.as_array_mut() {
        for (at, value) in array.iter_mut().enumerate() {
            let mut inner = Item::Value(value.clone());
            mask_like(&mut inner, shown.and_then(|shown| shown.get(at)), depth - 1);
            if let Item::Value(masked) = inner {
                *value = masked;
            }
        }
    } else if let Some(table) = item.as_table_like_mut() {
        mask_table(table, shown, depth);
    }
}

/// Of a table that is a secret as a whole, each part is.
fn mask_table(table: &mut dyn TableLike, shown: Option<&Json>, depth: usize) {
    let whole = shown.filter(|shown| shown.as_str() == Some(MASK));
    for (key, inner) in table.iter_mut() {
        mask_like(inner, whole.or_else(|| shown.and_then(|shown| shown.get(key.get()))), depth - 1);
    }
}

/// `users.toml` without what opens doors.
pub(super) fn users(text: &str) -> Result<String, String> {
    let mut document = document(text)?;
    if let Some(users) = document.get_mut("user") {
        each_table(users, &mut |user| drop(user.remove(HASH)));
    }
    Ok(without_old_settings(&document.to_string()))
}

/// The names of users.
pub(super) fn names(text: &str) -> Result<Vec<String>, String> {
    let (mut document, mut names) = (document(text)?, Vec::new());
    if let Some(users) = document.get_mut("user") {
        each_table(users, &mut |user| names.extend(user.get("name").and_then(Item::as_str).map(str::to_owned)));
    }
    Ok(names)
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
