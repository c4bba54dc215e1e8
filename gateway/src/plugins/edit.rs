//! Changes of the settings' texts: one thing changes where it stands, and everything else stays, comments too.

use serde_json::{Map, Value as Json};
use toml_edit::{Array, DocumentMut, InlineTable, Item, TableLike, Value};

/// The text with the plugin's `enabled` changed; `None` where the plugin is not in it.
///
/// # Errors
/// When it is no TOML.
pub fn enabled(text: &str, name: &str, enabled: bool) -> Result<Option<String>, String> {
    plugin(text, name, |plugin| {
        set(plugin, "enabled", Value::from(enabled));
        Ok(())
    })
}

/// The text with the plugin's settings `new` in the place of `old`; what is the same in both is left alone. `None` where the
/// plugin is not in it.
///
/// # Errors
/// When it is no TOML, or what is new can't be written in it.
pub fn settings(
    text: &str,
    name: &str,
    old: &Map<String, Json>,
    new: &Map<String, Json>,
) -> Result<Option<String>, String> {
    plugin(text, name, |plugin| {
        if plugin.get("settings").is_none() {
            plugin.insert("settings", toml_edit::table());
        }
        let settings = plugin.get_mut("settings").and_then(Item::as_table_like_mut);
        merge(settings.ok_or("`settings` is no table")?, old, new)
    })
}

/// The text with these names as `order` in `[plugins]`.
///
/// # Errors
/// When it is no TOML.
pub fn order(text: &str, names: &[String]) -> Result<String, String> {
    let mut document = read(text)?;
    if document.get("plugins").is_none() {
        let mut table = toml_edit::Table::new();
        table.decor_mut().set_prefix("\n");
        document.insert("plugins", Item::Table(table));
    }
    let plugins = document.get_mut("plugins").and_then(Item::as_table_like_mut).ok_or("`plugins` is no table")?;
    set(plugins, "order", Value::Array(names.iter().map(String::as_str).collect()));
    Ok(with_endings(text, &document.to_string()))
}

/// Whether a text says the order.
pub fn has_order(text: &str) -> bool {
    let plugins = read(text).ok().and_then(|mut document| document.remove("plugins"));
    plugins.is_some_and(|plugins| plugins.get("order").is_some())
}

fn read(text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|error: toml_edit::TomlError| error.to_string())
}

fn plugin(
    text: &str,
    name: &str,
    change: impl FnOnce(&mut dyn TableLike) -> Result<(), String>,
) -> Result<Option<String>, String> {
    let mut document = read(text)?;
    let Some(plugin) = document.get_mut("plugin").and_then(|plugins| find(plugins, name)) else { return Ok(None) };
    change(plugin)?;
    Ok(Some(with_endings(text, &document.to_string())))
}

/// What stands around a value stays.
fn set(table: &mut dyn TableLike, key: &str, new: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(value) => {
            let around = value.decor().clone();
            *value = new;
            *value.decor_mut() = around;
        }
        None => drop(table.insert(key, Item::Value(new))),
    }
}

/// Settings are at most 128 levels deep: they were read as JSON or TOML.
fn merge(table: &mut dyn TableLike, old: &Map<String, Json>, new: &Map<String, Json>) -> Result<(), String> {
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        table.remove(key);
    }
    for (key, value) in new.iter().filter(|(key, value)| old.get(*key) != Some(value)) {
        match (old.get(key), value, table.get_mut(key).and_then(Item::as_table_like_mut)) {
            (Some(Json::Object(old)), Json::Object(new), Some(inner)) => merge(inner, old, new)?,
            _ => set(table, key, written(value).map_err(|why| format!("`{key}` {why}"))?),
        }
    }
    Ok(())
}

fn written(value: &Json) -> Result<Value, String> {
    Ok(match value {
        Json::Null => return Err("is null, which TOML has no word for; leave it out".to_owned()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(value)) if !number.is_u64() => Value::from(value),
            _ => return Err(format!("is {number}, which is too large for TOML")),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().map(written).collect::<Result<Array, _>>()?),
        Json::Object(object) => {
            // A member that is nothing is one that is not there.
            let there = object.iter().filter(|(_, value)| !value.is_null());
            let members = there.map(|(key, value)| Ok((key.as_str(), written(value)?)));
            Value::InlineTable(members.collect::<Result<InlineTable, String>>()?)
        }
    })
}

/// The lines of `new` with the endings that they have in `old`, since TOML is written with one kind alone. The two differ in
/// one place; what is new there ends as the line before it does.
fn with_endings(old: &str, new: &str) -> String {
    if !old.contains("\r\n") {
        return new.to_owned();
    }
    let (old, new): (Vec<_>, Vec<_>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let bare = |line: &'_ str| line.trim_end_matches(['\r', '\n']).len();
    let same = |(old, new): &(&&str, &&str)| old[..bare(old)] == new[..bare(new)];
    let before = old.iter().zip(&new).take_while(same).count();
    let most = old.len().min(new.len()) - before;
    let behind = old.iter().rev().zip(new.iter().rev()).take(most).take_while(same).count();
    let mut text = String::new();
    for (place, line) in new.iter().enumerate() {
        let in_old = match place {
            _ if place < before => place,
            _ if place >= new.len() - behind => place + old.len() - new.len(),
            _ => before.saturating_sub(1),
        };
        text.push_str(&line[..bare(line)]);
        if line.ends_with('\n') {
            let plain = old.get(in_old).is_some_and(|old| old.ends_with('\n') && !old.ends_with("\r\n"));
            text.push_str(if plain { "\n" } else { "\r\n" });
        }
    }
    text
}

/// The plugin among `[[plugin]]`, or among inline tables.
fn find<'a>(plugins: &'a mut Item, name: &str) -> Option<&'a mut dyn TableLike> {
    let is_it = |plugin: &dyn TableLike| plugin.get("name").and_then(Item::as_str) == Some(name);
    match plugins {
        Item::ArrayOfTables(tables) => {
            tables.iter_mut().find(|table| is_it(*table)).map(|table| table as &mut dyn TableLike)
        }
        Item::Value(Value::Array(array)) => {
            let tables = array.iter_mut().filter_map(Value::as_inline_table_mut);
            tables.map(|table| table as &mut dyn TableLike).find(|table| is_it(*table))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_setting_changes_and_everything_else_stays() {
        let text = "# Ours.\n[[plugin]]\nname = \"a\"   # first\nenabled = true # for now\n\n[plugin.settings]\nx = 1\n\n\
            [[plugin]]\nname = \"b\"\n[plugin.settings] # of b\ny = [ 1,2 ]\n";
        let off = enabled(text, "a", false).unwrap().unwrap();
        assert_eq!(off, text.replace("enabled = true # for now", "enabled = false # for now"));
        let off = enabled(text, "b", false).unwrap().unwrap();
        assert_eq!(off, text.replace("name = \"b\"\n", "name = \"b\"\nenabled = false\n"));
        assert_eq!(enabled(text, "c", false).unwrap(), None);
        assert_eq!(enabled("[gateway]\n", "a", true).unwrap(), None);
        let inline = "plugin = [{ name = \"a\", file = \"x\" }]\n";
        assert!(enabled(inline, "a", false).unwrap().unwrap().contains("enabled = false"));
        assert!(enabled("[[plugin", "a", false).is_err());
    }

    #[test]
    fn lines_end_as_they_did() {
        let text = "# Ours.\r\n[[plugin]]\r\nname = \"a\"\r\nenabled = true # now\r\n\r\n[[plugin]]\r\nname = \"b\"";
        let off = enabled(text, "a", false).unwrap().unwrap();
        assert_eq!(off.trim_end(), text.replace("true", "false"));
        let off = enabled(text, "b", false).unwrap().unwrap();
        assert_eq!(off, format!("{text}\r\nenabled = false\r\n"));
        let mixed = "# Windows\r\n# Unix\n[[plugin]]\nname = \"a\"\n[plugin.settings]\r\nx = 1\r\n";
        let off = enabled(mixed, "a", false).unwrap().unwrap();
        assert_eq!(off, mixed.replace("\"a\"\n", "\"a\"\nenabled = false\n"));
    }

    fn json(text: &str) -> Map<String, Json> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn of_settings_only_what_differs_is_written() {
        let text = "[[plugin]]\nname = \"a\"\n# How much.\n[plugin.settings]\nwidth = 1 # degree\nold = true\n\
            fields = { \"/t\" = 0.5, \"/u\" = 2 } # two\n[plugin.settings.source]\nformat = \"hex\" # as it is\n";
        let old =
            json(r#"{ "width": 1, "old": true, "fields": { "/t": 0.5, "/u": 2 }, "source": { "format": "hex" } }"#);
        let new = json(
            r#"{ "width": 2.5, "fields": { "/t": 0.5, "/u": 3 }, "source": { "format": "hex", "level": 2 },
                 "names": ["x", { "deep": "y\"" }] }"#,
        );
        let changed = settings(text, "a", &old, &new).unwrap().unwrap();
        assert!(changed.contains("# How much.\n[plugin.settings]\nwidth = 2.5 # degree\n"), "{changed}");
        assert!(changed.contains("\"/u\" = 3") && changed.contains("# two\n"), "{changed}");
        assert!(changed.contains("format = \"hex\" # as it is\nlevel = 2\n") && !changed.contains("old"), "{changed}");
        let read: toml::Table = changed.parse().unwrap();
        let read = serde_json::to_value(&read["plugin"][0]["settings"]).unwrap();
        assert_eq!(read, Json::Object(new.clone()));
        let bare = "[[plugin]]\nname = \"a\"\n[[plugin]]\nname = \"b\"\n";
        let changed = settings(bare, "a", &Map::new(), &json(r#"{ "x": 1 }"#)).unwrap().unwrap();
        assert_eq!(changed, "[[plugin]]\nname = \"a\"\n\n[plugin.settings]\nx = 1\n[[plugin]]\nname = \"b\"\n");
        assert!(settings(bare, "a", &Map::new(), &json(r#"{ "x": [null] }"#)).unwrap_err().contains("null"));
        assert!(settings(bare, "a", &Map::new(), &json(r#"{ "x": 18446744073709551615 }"#)).is_err());
        assert_eq!(settings(bare, "c", &Map::new(), &new).unwrap(), None);
    }

    #[test]
    fn an_order_is_added_or_changed_and_the_rest_stays() {
        let names = ["b".to_owned(), "a".to_owned()];
        let text = "[gateway]\nid = \"x\" # mine\n[[plugin]]\nname = \"a\"\n";
        let changed = order(text, &names).unwrap();
        assert_eq!(changed, format!("{text}\n[plugins]\norder = [\"b\", \"a\"]\n"));
        assert!(has_order(&changed) && !has_order(text) && !has_order("[plugins"));
        let again = order(&changed.replace("\"b\", \"a\"]", "] # mine too"), &names).unwrap();
        assert!(again.ends_with("order = [\"b\", \"a\"] # mine too\n"), "{again}");
        let keys = "[plugins.trusted-keys]\nanna = \"ed25519:x\"\n";
        let changed = order(keys, &names).unwrap();
        assert!(changed.contains("[plugins]\norder = ") && changed.ends_with(keys), "{changed}");
    }
}
