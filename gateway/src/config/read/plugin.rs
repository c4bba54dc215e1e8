//! Reads `[[plugin]]`. Whether the file is there and can be run is not asked here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;

use super::filters::{filters, texts};
use super::{NAME_MAX_CHARACTERS, json, name, name_character};
use crate::config::plugin::{Grant, Limits, OnFailure, Plugin};
use crate::config::problem::plain;
use crate::config::section::{Section, Unique};
use crate::config::tree::{Kind, Node, Value};
use crate::config::written::Written;
use crate::message::TopicFilter;

/// More data files of one plugin than this are refused.
const DATA_FILES_MAX: usize = 64;

/// How far apart ticks may be.
const TICK: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(7 * 24 * 3600);

/// Interfaces that every plugin may use, so that nobody need grant them.
const ALWAYS: [&str; 4] = ["context", "log", "metrics", "clock"];

/// Reads one plugin, and where it is written. `names` are those of all.
pub(super) fn read(mut section: Section<'_>, names: &mut Unique) -> Option<(Plugin, Written)> {
    let written = section.written();
    let s = &mut section;
    let name = name(s, "name");
    s.require("name", "write `name = \"...\"`; what the plugin remembers belongs to it");
    if let Some(name) = &name {
        names.claim(name, s.spot("name"), s.notes);
    }
    let file = s.path("file");
    s.require("file", "write `file = \"...\"` with the component, such as \"parking.wasm\"");
    let enabled = s.boolean("enabled").unwrap_or(true);
    let on_failure = s.choice("on-failure").unwrap_or_default();
    let topics = topics(s, on_failure);
    let grants = grants(s);
    let publish = filters(s, "publish", "parking/#").or_else(|| TopicFilter::new("#").ok().map(|all| vec![all]));
    let tick = s.duration("tick", TICK);
    let limits = limits(s.section("limits", "[plugin.limits]"));
    let settings = json::object(s.table("settings").unwrap_or_default(), s.notes);
    let data = data(s, grants.contains(&Grant::Data));
    section.finish();
    let (topics, publish) = (topics?, publish?);
    let plugin =
        Plugin { name: name?, file: file?, enabled, topics, on_failure, grants, publish, tick, limits, settings, data };
    Some((plugin, written))
}

/// The topics; none where those of its manifest are to be taken. Where the component can't be read nobody knows these,
/// so what must not go past a plugin that fails is named here.
fn topics(section: &mut Section<'_>, on_failure: OnFailure) -> Option<Vec<TopicFilter>> {
    let topics = filters(section, "topics", "lora/+/up");
    let remedy = "write `topics = [\"lora/+/up\"]` with the filters of the messages it is to judge";
    if !section.has("topics") && on_failure != OnFailure::Pass {
        let what = "`topics` is missing in [[plugin]]: `on-failure` needs them where the plugin can't be read";
        section.notes.missing(section.spot("on-failure"), what, remedy);
    }
    if !section.has("topics") {
        return Some(Vec::new());
    }
    if topics.as_ref().is_some_and(Vec::is_empty) {
        section.refuse("topics", "is empty, so that the plugin would judge nothing", remedy);
    }
    topics
}

/// The grants, in the order of the closed set.
fn grants(section: &mut Section<'_>) -> Vec<Grant> {
    let mut granted = Vec::new();
    for text in texts(section, "grants", "the name of an interface").unwrap_or_default() {
        let parsed: Result<Grant, Error> = Grant::deserialize(text.as_str().into_deserializer());
        match parsed {
            Ok(grant) => granted.push(grant),
            Err(_) if ALWAYS.contains(&text.as_str()) => {
                let is = format!("has `{text}`, which every plugin may use");
                section.refuse("grants", is, "remove it here");
            }
            Err(_) => {
                let is = format!("has `{}`, which is not known", plain(&text));
                section.refuse("grants", is, "write some of: `kv`, `emit`, `random`, `data`");
            }
        }
    }
    granted.sort_unstable();
    granted.dedup();
    granted
}

fn limits(mut section: Section<'_>) -> Limits {
    let usual = Limits::default();
    let s = &mut section;
    let second = Duration::from_secs(1);
    let read = Limits {
        memory: s.integer("memory", 65_536..=1 << 30).unwrap_or(usual.memory),
        cpu: s.duration("cpu", Duration::from_millis(1)..=60 * second).unwrap_or(usual.cpu),
        fuel: s.integer("fuel", 1000..=1_000_000_000_000_000),
        drafts: s.integer("drafts", 1..=10_000).unwrap_or(usual.drafts),
        kv_bytes: s.integer("kv-bytes", 0..=64 << 20).unwrap_or(usual.kv_bytes),
        held_bytes: s.integer("held-bytes", 0..=64 << 20).unwrap_or(usual.held_bytes),
        failures: s.integer("failures", 1..=1000).unwrap_or(usual.failures),
        within: s.duration("within", second..=24 * 3600 * second).unwrap_or(usual.within),
    };
    section.finish();
    read
}

fn data(section: &mut Section<'_>, granted: bool) -> BTreeMap<String, PathBuf> {
    let Some(table) = section.table("data") else { return BTreeMap::new() };
    if table.len() > DATA_FILES_MAX {
        section.refuse("data", format!("has {} files", table.len()), format!("write at most {DATA_FILES_MAX}"));
        return BTreeMap::new();
    }
    if !table.is_empty() && !granted {
        section.refuse("data", "names files that the plugin may not read", "write `grants = [\"data\"]`");
    }
    let mut files = BTreeMap::new();
    for (name, entry) in table {
        let fits = (1..=NAME_MAX_CHARACTERS).contains(&name.len());
        if !(fits && name.chars().all(|c| name_character(c) || c == '.')) {
            let what = format!("`{}` in [plugin.data] is no name that a plugin can ask for", plain(&name));
            section.notes.error(&entry.key, what, "write 1 to 64 of the characters A-Z a-z 0-9 _ - .");
            continue;
        }
        match entry.node.resolve(&[Kind::Text]) {
            Node { spot, value: Value::Text(text) } if !text.is_empty() && !text.contains('\0') => {
                let path = spot.folder().join(text);
                files.insert(name, std::path::absolute(&path).unwrap_or(path));
            }
            node => {
                let what = format!("`{name}` in [plugin.data] is no path");
                section.notes.error(&node.spot, what, "write the path of a file in quotes");
            }
        }
    }
    files
}
