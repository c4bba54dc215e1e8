//! A cell as the value of a key in a TOML text, and the way back from a line of that.

use toml_edit::{Array, Document, DocumentMut, Item, Table, Value};

/// Keys whose values are lists; in a cell, `|` stands between the items.
const LISTS: [&str; 4] = ["ntp", "ssh.keys", "ethernet.dns", "wifi.dns"];
const BETWEEN: char = '|';

/// What a cell says, and in which column.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) column: String,
    value: String,
}

impl Cell {
    pub(super) fn new(column: &str, value: String) -> Self {
        Self { column: column.to_owned(), value }
    }

    /// Texts, but for yes or no and lists.
    pub(super) fn in_provision(&self) -> Value {
        if LISTS.contains(&self.column.as_str()) {
            return Value::Array(self.value.split(BETWEEN).map(str::trim).collect::<Array>());
        }
        self.value.parse::<bool>().map_or_else(|_| Value::from(&*self.value), Value::from)
    }

    /// What is TOML and no text there, such as a number, is that; else a text.
    pub(super) fn in_settings(&self) -> Value {
        let parsed = self.value.parse::<Value>().ok().filter(|value| !value.is_str());
        parsed.unwrap_or_else(|| Value::from(&*self.value))
    }
}

/// Sets a key, with its tables before it: `wifi.ssid`.
///
/// # Errors
/// When one of these is something else.
pub(super) fn set(document: &mut DocumentMut, key: &str, value: Value) -> Result<(), ()> {
    let mut names: Vec<&str> = key.split('.').collect();
    let last = names.pop().ok_or(())?;
    let mut table = document.as_item_mut();
    for name in names {
        let entry = table.as_table_like_mut().ok_or(())?.entry(name);
        table = entry.or_insert_with(|| Item::Table(Table::new()));
    }
    table.as_table_like_mut().ok_or(())?.insert(last, Item::Value(value));
    Ok(())
}

/// The column of the key that stands on this line of a text.
pub(super) fn column_at<'a>(
    text: &str,
    line: usize,
    mut keys: impl Iterator<Item = (&'a str, &'a Cell)>,
) -> Option<&'a str> {
    let document = Document::parse(text).ok()?;
    let on_line = |key: &str| {
        let mut item = Some(document.as_item());
        for name in key.split('.') {
            item = item.and_then(|item| item.get(name));
        }
        let start = item.and_then(Item::span)?.start;
        Some(text.get(..start)?.matches('\n').count() + 1)
    };
    keys.find(|(key, _)| on_line(key) == Some(line)).map(|(_, cell)| cell.column.as_str())
}
