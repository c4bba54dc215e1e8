//! `stile plugin install`: a component into the data folder, and its settings into `conf.d`.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::candidate;
use super::place::{Gateway, Place, explain};
use crate::cli::{fail, say, wrong_settings};
use crate::component::{Manifest, check_component, fingerprint, read};
use crate::config;
use crate::message::TopicFilter;
use crate::pipeline::Stamp;
use crate::plugin_host::engine::Code;
use crate::plugin_host::{Kv, Plugin, Terms};
use crate::plugins::fit::{Fit, fit};
use crate::whole_file::{self, make_folder};

/// Install a plugin, or a newer version of one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A new plugin gets a file of its own in conf.d, with the topics and grants that its manifest asks for: look at them. One
that does not start without settings is installed and not enabled. Of an installed plugin only the component changes, and
only for one that starts with the settings that are there; the version before is kept, and `stile plugin rollback` goes
back to it. A running gateway takes it at once.

Examples:
  stile plugin install parking.wasm
  stile plugin install parking.wasm --name deck-2 --topic 'lora/deck-2/up'
  stile plugin install parking.wasm --settings settings.json --tick 30s")]
pub(super) struct Arguments {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is called here; without it, what its manifest says
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Topics that it judges; may be given again. Without it, those that its manifest names
    #[arg(long = "topic", value_name = "FILTER")]
    topics: Vec<String>,
    /// Its settings, a JSON file; they are written as TOML
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Time between its ticks, 100 ms to 7 days. Without it, what its manifest says
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    tick: Option<Duration>,
    #[command(flatten)]
    place: Place,
}

impl Arguments {
    /// Whether they say what only a new plugin gets.
    fn describe(&self) -> bool {
        !self.topics.is_empty() || self.settings.is_some() || self.tick.is_some()
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = match arguments.place.find_locked() {
        Ok(found) => found.and_then(|(gateway, _lock)| install(arguments, &gateway)),
        Err(problems) => return wrong_settings(&problems),
    };
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn install(arguments: &Arguments, gateway: &Gateway) -> Result<(), String> {
    let at_file = |error| format!("{}: {error}", arguments.file.display());
    let component = read(&arguments.file).map_err(at_file)?;
    check_component(&component).map_err(at_file)?;
    let manifest = candidate::manifest(&component).map_err(at_file)?;
    let name = name(arguments, manifest.as_ref())?;
    let there = gateway.plugin(&name).cloned();
    if let Some(other) = there.as_ref().filter(|plugin| !gateway.has_installed(plugin)) {
        let (file, what) = (other.file.display(), "which was not installed by this command");
        return Err(format!("there is a plugin `{name}` with the component {file}, {what}; give another --name"));
    }
    if there.is_some() && arguments.describe() {
        let what = "--topic, --settings and --tick are for a new one; change its settings where they stand";
        return Err(format!("the plugin `{name}` is installed already, and {what}"));
    }
    let wanted = there.clone().map_or_else(|| new(arguments, manifest.as_ref(), &name, gateway), Ok)?;
    let starts = starts(&component, &wanted, gateway).map_err(at_file)?;
    let why_not = match (&starts, &there) {
        (Err(why), Some(old)) if old.enabled => {
            return Err(format!("it does not start with the settings of `{name}`: {why}; nothing has changed"));
        }
        (Err(why), _) => Some(why.as_str()),
        (Ok(()), _) => None,
    };
    // Whatever can fail comes before the component changes.
    let new = there.is_none().then(|| new_settings(&wanted, why_not.is_none(), gateway)).transpose()?;
    let before = put(&component, &name, gateway)?;
    say(&format!("{name}: installed, {}", fingerprint(&component)));
    if before {
        say(&format!("the version before is kept; `stile plugin rollback {name}` goes back to it"));
    }
    if let Some((file, text)) = new {
        write_settings(&file, &text, &wanted, gateway)?;
        // With settings that can't be used the gateway would not start again.
        if let Err(problems) = arguments.place.find() {
            fs::remove_file(&file).map_err(|error| explain(&file, &error))?;
            return Err(format!("its settings can't be used, and were removed again: {problems}"));
        }
        say(&format!("{}: its topics, grants and settings", file.display()));
        if let Some(why) = why_not {
            say(&format!(
                "it is not enabled, since it does not start: {why}\n\
                 write its [plugin.settings] there, and then: stile plugin enable {name}"
            ));
        }
    } else if let Some(why) = why_not {
        say(&format!("it is not enabled, and would not start: {why}"));
    }
    gateway.tell(&name)
}

/// Whether a component starts with these settings; within, why it does not.
///
/// # Errors
/// Why it can be no plugin of this gateway, whatever its settings are.
pub(super) fn starts(
    component: &[u8],
    wanted: &config::Plugin,
    gateway: &Gateway,
) -> Result<Result<(), String>, String> {
    let fit = match fit(component, wanted, &gateway.loaded.settings.plugins) {
        Ok(fit) => Ok(fit),
        Err(misfits) => {
            let why = misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            if misfits.iter().any(|misfit| misfit.at.first().is_none_or(|key| key != "settings")) {
                return Err(why);
            }
            Err(why)
        }
    };
    let loaded = candidate::load(component, Code::of(&wanted.limits))?;
    let start = |fit: Fit| {
        Terms::of(&fit.settings).and_then(|terms| Plugin::new(loaded, terms, Stamp::new(0), Kv::default()).start())
    };
    Ok(fit.and_then(start))
}

fn name(arguments: &Arguments, manifest: Option<&Manifest>) -> Result<String, String> {
    let named = manifest.map(|manifest| manifest.name.clone());
    let name = arguments.name.clone().or(named).unwrap_or_default();
    let good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(good) {
        return Ok(name);
    }
    Err("it has no name that the settings could have; give one with --name, of letters, digits, `-` and `_`".to_owned())
}

/// What a plugin that is not there yet gets.
fn new(
    arguments: &Arguments,
    manifest: Option<&Manifest>,
    name: &str,
    gateway: &Gateway,
) -> Result<config::Plugin, String> {
    let mut plugin = config::Plugin::new(name, gateway.component(name), "#");
    plugin.topics = match (arguments.topics.as_slice(), manifest) {
        ([], Some(manifest)) => manifest.topics.clone(),
        (named, _) => named.iter().map(|text| candidate::filter(text)).collect::<Result<_, _>>()?,
    };
    if plugin.topics.is_empty() {
        return Err("no manifest names its topics; give them with --topic".to_owned());
    }
    if let Some(manifest) = manifest {
        plugin.grants = manifest.grants.iter().map(|text| candidate::grant(text)).collect::<Result<_, _>>()?;
    }
    plugin.tick = arguments.tick.or(manifest.and_then(|manifest| manifest.tick));
    let settings = candidate::settings(arguments.settings.as_deref())?;
    plugin.settings = serde_json::from_str(&settings).map_err(|error| error.to_string())?;
    Ok(plugin)
}

/// Puts a component in its place, and the one that was there beside it. Says whether one was. At no moment of it a power
/// cut leaves the gateway without a whole component.
fn put(component: &[u8], name: &str, gateway: &Gateway) -> Result<bool, String> {
    let (path, previous) = (gateway.component(name), gateway.previous(name));
    let at_path = |error| explain(&path, &error);
    make_folder(path.parent().unwrap_or(&gateway.data_dir), Some(&gateway.data_dir)).map_err(at_path)?;
    let old = regular(&path)?;
    let changes = old.as_deref() != Some(component);
    if old.is_some() && changes {
        keep(&path, &previous).map_err(at_path)?;
    }
    if changes {
        whole_file::write(&path, component, 0o600, &gateway.data_dir).map_err(at_path)?;
    }
    Ok(old.is_some() && changes)
}

/// The component at `path`; `None` where nothing is. The gateway's user may have put anything there, and root must not be
/// led elsewhere by a link, or wait for a pipe.
pub(super) fn regular(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(explain(path, &error)),
        Ok(there) if !there.is_file() => Err(format!("{}: it is no regular file; remove it", path.display())),
        Ok(_) => read(path).map(Some).map_err(|error| format!("{}: {error}", path.display())),
    }
}

/// The file at `path` is also the one at `previous` from now on.
fn keep(path: &Path, previous: &Path) -> std::io::Result<()> {
    let link = whole_file::beside(previous);
    whole_file::remove(&link)?;
    fs::hard_link(path, &link)?;
    fs::rename(&link, previous)?;
    whole_file::sync_folder(previous)
}

/// A `[[plugin]]` as it is written; what is as usual is left out.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Entry<'a> {
    name: &'a str,
    file: &'a Path,
    enabled: bool,
    topics: Vec<&'a str>,
    grants: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tick: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<&'a serde_json::Map<String, serde_json::Value>>,
}

#[derive(Serialize)]
struct Whole<'a> {
    plugin: [Entry<'a>; 1],
}

fn write_out(plugin: &config::Plugin, enabled: bool) -> Result<String, String> {
    let entry = Entry {
        name: &plugin.name,
        file: &plugin.file,
        enabled,
        topics: plugin.topics.iter().map(TopicFilter::as_str).collect(),
        grants: plugin.grants.iter().map(|grant| grant.as_str()).collect(),
        tick: plugin.tick.map(|period| humantime::format_duration(period).to_string()),
        settings: plugin.settings.as_object().filter(|settings| !settings.is_empty()),
    };
    let text = toml::to_string(&Whole { plugin: [entry] });
    let text = text.map_err(|error| format!("the settings can't be written as TOML: {error}"))?;
    Ok(format!(
        "# Made by `stile plugin install`; yours to change. Plugins are asked in the order of the files' names.\n\n{text}"
    ))
}

/// The file for the settings of a new plugin, and what is to be in it.
fn new_settings(plugin: &config::Plugin, enabled: bool, gateway: &Gateway) -> Result<(PathBuf, String), String> {
    let text = write_out(plugin, enabled)?;
    let folder = gateway.main().parent().unwrap_or(Path::new("")).join("conf.d");
    let file = folder.join(format!("plugin-{}.toml", plugin.name));
    if file.exists() {
        return Err(format!("{} is there already, without a plugin `{}`; move it away", file.display(), plugin.name));
    }
    Ok((file, text))
}

/// Writes the settings of a new plugin, readable to whoever may read the main file.
fn write_settings(file: &Path, text: &str, plugin: &config::Plugin, gateway: &Gateway) -> Result<(), String> {
    let main = gateway.main();
    let folder = file.parent().unwrap_or(Path::new(""));
    let above = main.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = make_folder(folder, Some(above)).and_then(|()| {
        // Among its settings may be secrets.
        let most = if plugin.settings.as_object().is_some_and(|all| !all.is_empty()) { 0o640 } else { 0o644 };
        let mode = fs::metadata(main)?.mode() & most;
        whole_file::write(file, text.as_bytes(), mode, main)
    });
    written.map_err(|error| explain(file, &error))
}
