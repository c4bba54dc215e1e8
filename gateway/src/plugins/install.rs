//! What it takes to install a component, and to go back to the one before: asked first, written by whoever asks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;
use serde_json::{Map, Value};

use super::fit::{Fit, Misfit, fit, said};
use super::site::{Site, explain, regular};
use crate::component::{Manifest, Shape, check_component, fingerprint, plain};
use crate::config::{self, Grant};
use crate::message::TopicFilter;
use crate::pipeline::Stamp;
use crate::plugin_host::engine::Code;
use crate::plugin_host::{Kv, Loaded, Plugin, Terms};
use crate::whole_file;

/// Loads a component into a sandbox; the error is in words.
pub type Loader<'a> = &'a dyn Fn(&[u8], Code) -> Result<Loaded, String>;

/// What is wanted of a component that is installed.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// What it is called here; without it, what its manifest says.
    pub name: Option<String>,
    /// Topics that it judges; without any, those of its manifest.
    pub topics: Vec<String>,
    /// Its settings.
    pub settings: Map<String, Value>,
    /// Time between its ticks; without it, what its manifest says.
    pub tick: Option<Duration>,
}

/// Why a component can't be installed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It has no name, or none that the settings could have.
    #[error("it has no name that the settings could have; give it one, of letters, digits, `-` and `_`")]
    Name,
    /// Somebody has put another component into the settings by hand under this name.
    #[error(
        "there is a plugin `{name}` with the component {file}, which was not installed by Stile; give another name"
    )]
    Taken {
        /// The name.
        name: String,
        /// The component of that one.
        file: String,
    },
    /// Neither its manifest nor anybody else says what it judges.
    #[error("no manifest names its topics; say which")]
    Topics,
    /// In words.
    #[error("{0}")]
    Other(String),
}

impl From<String> for Refused {
    fn from(words: String) -> Self {
        Self::Other(words)
    }
}

/// A component that may be installed.
#[derive(Debug)]
pub struct Candidate {
    /// What it is to be: as it is written already, or new.
    pub wanted: config::Plugin,
    /// Whether the settings do not have it yet.
    pub is_new: bool,
    /// Why it does not start with its settings, if it does not; then it is new, or not enabled.
    pub why_not: Option<String>,
}

impl Candidate {
    /// Looks at a component, and tries whether it starts.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn of(component: &[u8], wish: &Wish, site: &Site, load: Loader<'_>) -> Result<Self, Refused> {
        check_component(component)?;
        let manifest = manifest(component)?;
        let name = name(wish, manifest.as_ref())?;
        let there = site.plugin(&name).cloned();
        if let Some(other) = there.as_ref().filter(|plugin| !site.has_installed(plugin)) {
            return Err(Refused::Taken { name, file: other.file.display().to_string() });
        }
        let is_new = there.is_none();
        let wanted = there.map_or_else(|| new(wish, manifest.as_ref(), &name, site), Ok)?;
        let starts = starts(component, &wanted, site, load)?;
        match starts {
            Err(why) if !is_new && wanted.enabled => Err(Refused::Other(format!(
                "it does not start with the settings of `{name}`: {why}; nothing has changed"
            ))),
            starts => Ok(Self { wanted, is_new, why_not: starts.err() }),
        }
    }

    /// The file for the settings of a new plugin, and what is to be in it.
    ///
    /// # Errors
    /// When something else has that name, in words.
    pub fn new_settings(&self, enabled: bool, site: &Site) -> Result<(PathBuf, String), String> {
        let name = &self.wanted.name;
        let folder = site.main().parent().unwrap_or(Path::new("")).join("conf.d");
        let file = folder.join(format!("plugin-{name}.toml"));
        if file.exists() {
            return Err(format!("{} is there already, without a plugin `{name}`; move it away", file.display()));
        }
        Ok((file, write_out(&self.wanted, enabled)?))
    }
}

/// Whether a component starts with these settings; within, why it does not.
///
/// # Errors
/// Why it can be no plugin of this gateway, whatever its settings are.
pub fn starts(
    component: &[u8],
    wanted: &config::Plugin,
    site: &Site,
    load: Loader<'_>,
) -> Result<Result<(), String>, String> {
    let fit = fit(component, wanted, &site.loaded.settings.plugins);
    let of_settings = |misfit: &Misfit| misfit.at.first().is_some_and(|key| key == "settings");
    let fit = match fit {
        Err(misfits) if !misfits.iter().all(of_settings) => return Err(said(&misfits)),
        fit => fit.map_err(|misfits| said(&misfits)),
    };
    let loaded = load(component, Code::of(&wanted.limits))?;
    let start = |fit: Fit| {
        Terms::of(&fit.settings).and_then(|terms| Plugin::new(loaded, terms, Stamp::new(0), Kv::default()).start())
    };
    Ok(fit.and_then(start))
}

/// The version that was gone back to.
#[derive(Debug)]
pub struct Back {
    /// SHA-256 of its component.
    pub hash: String,
    /// Why it does not start with the settings, if it does not; then it is not enabled.
    pub why_not: Option<String>,
}

/// Puts the version before in the place of the one that is installed, and the other way round.
///
/// # Errors
/// In words; nothing has changed then.
pub fn roll_back(name: &str, site: &Site, load: Loader<'_>) -> Result<Back, String> {
    let plugin = site.need(name)?;
    let (path, previous) = (site.component(name), site.previous(name));
    let kept = regular(&previous)?;
    let Some(kept) = kept.filter(|_| site.has_installed(plugin)) else {
        return Err(format!("no version of `{name}` from before is kept; `stile plugin install` keeps one"));
    };
    let why_not = starts(&kept, plugin, site, load).map_or_else(Some, Result::err);
    if let Some(why) = why_not.as_ref().filter(|_| plugin.enabled) {
        return Err(format!("the version before does not start: {why}; nothing has changed"));
    }
    // In one step: cut off anywhere, both are there.
    let exchanged = renameat_with(CWD, &path, CWD, &previous, RenameFlags::EXCHANGE);
    exchanged
        .map_err(Into::into)
        .and_then(|()| whole_file::sync_folder(&path))
        .map_err(|error| explain(&path, &error))?;
    Ok(Back { hash: fingerprint(&kept), why_not })
}

fn name(wish: &Wish, manifest: Option<&Manifest>) -> Result<String, Refused> {
    let named = manifest.map(|manifest| manifest.name.clone());
    let name = wish.name.clone().or(named).unwrap_or_default();
    let good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(good) { Ok(name) } else { Err(Refused::Name) }
}

/// What a plugin that is not there yet gets.
fn new(wish: &Wish, manifest: Option<&Manifest>, name: &str, site: &Site) -> Result<config::Plugin, Refused> {
    let mut plugin = config::Plugin::new(name, site.component(name), "#");
    plugin.topics = match (wish.topics.as_slice(), manifest) {
        ([], Some(manifest)) => manifest.topics.clone(),
        (named, _) => named.iter().map(|text| filter(text)).collect::<Result<_, _>>()?,
    };
    if plugin.topics.is_empty() {
        return Err(Refused::Topics);
    }
    if let Some(manifest) = manifest {
        plugin.grants = manifest.grants.iter().map(|text| grant(text)).collect::<Result<_, _>>()?;
    }
    plugin.tick = wish.tick.or(manifest.and_then(|manifest| manifest.tick));
    plugin.settings = Value::Object(wish.settings.clone());
    Ok(plugin)
}

/// What a component says of itself.
///
/// # Errors
/// In words that go behind its name.
pub fn manifest(component: &[u8]) -> Result<Option<Manifest>, String> {
    Manifest::of(&Shape::of(component)?)
}

/// A grant by its name.
///
/// # Errors
/// In words, with those that there are.
pub fn grant(text: &str) -> Result<Grant, String> {
    let found = Grant::ALL.into_iter().find(|grant| grant.as_str() == text);
    found.ok_or_else(|| {
        format!("this version does not have `{}`; there are {}", plain(text), Grant::ALL.map(Grant::as_str).join(", "))
    })
}

/// A filter of topics.
///
/// # Errors
/// In words.
pub fn filter(text: &str) -> Result<TopicFilter, String> {
    TopicFilter::new(text).map_err(|error| format!("the filter `{}` {error}", plain(text)))
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
    settings: Option<&'a Map<String, Value>>,
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
        "# Made by `stile plugin install` or the admin page; yours to change. Plugins are asked in the order of the files'\n\
         # names, or of `order` in [plugins].\n\n{text}"
    ))
}
