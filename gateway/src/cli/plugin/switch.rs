//! `stile plugin enable` and `disable`: one setting, changed where it stands.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::place::{Gateway, Place, explain};
use crate::cli::{fail, say, wrong_settings};
use crate::whole_file;

/// Put a plugin on the messages' way
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`enabled` is changed in the file in which the plugin stands; comments stay. A running gateway takes it at once.

Example:
  stile plugin enable parking")]
pub(super) struct Enable {
    #[command(flatten)]
    named: Named,
}

/// Have messages go past a plugin
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`enabled` is changed in the file in which the plugin stands; comments stay. A running gateway takes it at once.

Example:
  stile plugin disable parking")]
pub(super) struct Disable {
    #[command(flatten)]
    named: Named,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The plugin's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

pub(super) fn enable(arguments: &Enable) -> ExitCode {
    run(&arguments.named, true)
}

pub(super) fn disable(arguments: &Disable) -> ExitCode {
    run(&arguments.named, false)
}

fn run(named: &Named, enabled: bool) -> ExitCode {
    let done = match named.place.find_locked() {
        Ok(found) => found.and_then(|(gateway, _lock)| {
            switch(&named.name, enabled, &gateway)?;
            gateway.tell(&named.name)
        }),
        Err(problems) => return wrong_settings(&problems),
    };
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn switch(name: &str, enabled: bool, gateway: &Gateway) -> Result<(), String> {
    let word = if enabled { "enabled" } else { "disabled" };
    if gateway.need(name)?.enabled == enabled {
        say(&format!("{name}: {word} already"));
        return Ok(());
    }
    for file in &gateway.loaded.files {
        if change(file, name, enabled)? {
            say(&format!("{name}: {word} in {}", file.display()));
            return Ok(());
        }
    }
    Err(format!("no file of the settings has the plugin `{name}` any more"))
}

/// Changes the plugin's `enabled` in a file. Whether the plugin stands there.
fn change(file: &Path, name: &str, enabled: bool) -> Result<bool, String> {
    let explain = |error| explain(file, &error);
    // What a link leads to is changed, and not the link.
    let file = file.canonicalize().map_err(explain)?;
    let text = fs::read_to_string(&file).map_err(explain)?;
    let Some(changed) = changed(&text, name, enabled).map_err(|error| format!("{}: {error}", file.display()))? else {
        return Ok(false);
    };
    let mode = fs::metadata(&file).map_err(explain)?.mode() & 0o7777;
    whole_file::write(&file, changed.as_bytes(), mode, &file).map_err(explain)?;
    Ok(true)
}

/// The text with the plugin's `enabled` changed; `None` where the plugin is not in it.
fn changed(text: &str, name: &str, enabled: bool) -> Result<Option<String>, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let Some(plugin) = document.get_mut("plugin").and_then(|plugins| find(plugins, name)) else { return Ok(None) };
    match plugin.get_mut("enabled").and_then(Item::as_value_mut) {
        Some(value) => {
            let around = value.decor().clone();
            *value = Value::from(enabled);
            *value.decor_mut() = around;
        }
        None => drop(plugin.insert("enabled", toml_edit::value(enabled))),
    }
    Ok(Some(with_endings(text, &document.to_string())))
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
        let off = changed(text, "a", false).unwrap().unwrap();
        assert_eq!(off, text.replace("enabled = true # for now", "enabled = false # for now"));
        let off = changed(text, "b", false).unwrap().unwrap();
        assert_eq!(off, text.replace("name = \"b\"\n", "name = \"b\"\nenabled = false\n"));
        assert_eq!(changed(text, "c", false).unwrap(), None);
        assert_eq!(changed("[gateway]\n", "a", true).unwrap(), None);
        let inline = "plugin = [{ name = \"a\", file = \"x\" }]\n";
        assert!(changed(inline, "a", false).unwrap().unwrap().contains("enabled = false"));
        assert!(changed("[[plugin", "a", false).is_err());
    }
    #[test]
    fn lines_end_as_they_did() {
        let text = "# Ours.\r\n[[plugin]]\r\nname = \"a\"\r\nenabled = true # now\r\n\r\n[[plugin]]\r\nname = \"b\"";
        let off = changed(text, "a", false).unwrap().unwrap();
        assert_eq!(off.trim_end(), text.replace("true", "false"));
        let off = changed(text, "b", false).unwrap().unwrap();
        assert_eq!(off, format!("{text}\r\nenabled = false\r\n"));
        let mixed = "# Windows\r\n# Unix\n[[plugin]]\nname = \"a\"\n[plugin.settings]\r\nx = 1\r\n";
        let off = changed(mixed, "a", false).unwrap().unwrap();
        assert_eq!(off, mixed.replace("\"a\"\n", "\"a\"\nenabled = false\n"));
    }
}
