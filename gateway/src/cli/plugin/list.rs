//! `stile plugin list`: the plugins of the settings, and how they are where the gateway runs.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::figures::size;
use super::place::{Place, running};
use crate::cli::text::{columns, visible};
use crate::cli::{fail, say, wrong_settings};
use crate::component::{fingerprint, read};
use crate::config;
use crate::plugins::install::manifest;
use crate::plugins::site::Site;

/// List the plugins of the settings, and how they are
#[derive(Debug, clap::Args)]
#[command(after_help = "\
In the order in which messages go through them. Counts are those since the running gateway's start or the plugin's last
change.

Examples:
  stile plugin list
  stile plugin list --json | jq '.[] | select(.running.load_error)'")]
pub(super) struct Arguments {
    /// All that is known, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let site = match arguments.place.find() {
        Ok(site) => site,
        Err(problems) => return wrong_settings(&problems),
    };
    match running(&site) {
        Ok(running) => {
            let all = all(&site, running.as_deref());
            say(&if arguments.json { format!("{all:#}") } else { table(&all) });
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// One object for each plugin of the settings.
fn all(site: &Site, running: Option<&[Value]>) -> Value {
    let plugins = site.loaded.settings.plugin.iter();
    plugins.map(|plugin| describe(site, plugin, running)).collect()
}

fn describe(site: &Site, plugin: &config::Plugin, running: Option<&[Value]>) -> Value {
    let component = read(&plugin.file);
    let version =
        component.as_ref().ok().and_then(|bytes| manifest(bytes).ok().flatten()).map(|manifest| manifest.version);
    let now = running.map(|all| all.iter().find(|running| running["name"] == *plugin.name));
    let state = match (&now, plugin.enabled) {
        (_, false) => "disabled",
        (None, true) => "not running",
        (Some(None), true) => "not taken yet",
        (Some(Some(running)), true) => running["state"].as_str().unwrap_or_default(),
    };
    json!({
        "name": plugin.name,
        "version": version.filter(|version| !version.is_empty()),
        "hash": component.as_ref().ok().map(|bytes| fingerprint(bytes)),
        "file": plugin.file.display().to_string(),
        "unreadable": component.err(),
        "enabled": plugin.enabled,
        "state": state,
        "topics": plugin.topics.iter().map(crate::message::TopicFilter::as_str).collect::<Vec<_>>(),
        "grants": plugin.grants,
        "previous_is_kept": site.previous(&plugin.name).exists(),
        "running": now.flatten(),
    })
}

const TITLES: [&str; 11] =
    ["plugin", "version", "hash", "state", "messages", "passed", "changed", "filtered", "rejected", "failed", "memory"];

fn table(all: &Value) -> String {
    let plugins = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(plugins.iter().map(row));
    let mut lines = columns(&rows, 4);
    if plugins.is_empty() {
        lines = vec!["no plugins; `stile plugin install FILE` adds one".to_owned()];
    }
    for plugin in plugins {
        let name = text(&plugin["name"]);
        let newer = plugin.pointer("/running/hash").is_some_and(|hash| !hash.is_null() && *hash != plugin["hash"]);
        let notes = [
            plugin["unreadable"].as_str().map(|error| format!("its file can't be read: {error}")),
            plugin.pointer("/running/load_error").and_then(Value::as_str).map(|error| format!("not loaded: {error}")),
            newer.then(|| "its file is another than the one that runs; a reload takes it".to_owned()),
            plugin
                .pointer("/running/report/last_error")
                .and_then(Value::as_str)
                .map(|error| format!("failed last: {error}")),
        ];
        lines.extend(notes.into_iter().flatten().map(|note| format!("{name}: {}", visible(&note))));
    }
    lines.join("\n")
}

fn row(plugin: &Value) -> [String; 11] {
    let report = &plugin["running"]["report"];
    let count = |keys: &[&str]| match report {
        Value::Null => "-".to_owned(),
        report => keys.iter().map(|key| report[key].as_u64().unwrap_or(0)).sum::<u64>().to_string(),
    };
    let filtered = report["filtered"].as_object();
    let filtered = filtered.map(|reasons| reasons.values().filter_map(Value::as_u64).sum::<u64>().to_string());
    let memory = report["memory_bytes"].as_u64().and_then(|bytes| usize::try_from(bytes).ok());
    [
        text(&plugin["name"]),
        text(&plugin["version"]),
        text(&plugin["hash"]).chars().take(12).collect(),
        text(&plugin["state"]),
        count(&["messages"]),
        count(&["passed"]),
        count(&["modified", "replaced"]),
        filtered.unwrap_or_else(|| "-".to_owned()),
        count(&["rejected"]),
        count(&["failed", "skipped"]),
        memory.map_or_else(|| "-".to_owned(), size),
    ]
}

fn text(value: &Value) -> String {
    visible(value.as_str().unwrap_or("-"))
}
