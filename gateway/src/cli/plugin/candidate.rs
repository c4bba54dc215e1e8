//! A component that is tried out outside of a gateway: loaded into the real sandbox, held within the real limits.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::component::{Manifest, check_component, read};
use crate::config::{Grant, Limits};
use crate::message::TopicFilter;
use crate::plugin_host::cache::{Bounds, Cache};
use crate::plugin_host::compile::Compiler;
use crate::plugin_host::engine::Code;
use crate::plugin_host::{Loaded, Sandbox, Terms};
use crate::plugins;
use crate::plugins::install::{filter, grant, manifest};

/// The longest file of cases, messages or settings that is read.
const TEXT_MAX_BYTES: u64 = 64 << 20;

/// Which component, and what it may use and cost.
#[derive(Debug, clap::Args)]
pub(super) struct Trial {
    /// The component
    #[arg(value_name = "COMPONENT")]
    file: PathBuf,
    /// What it may use; may be given again. Without it, all that its manifest asks for
    #[arg(long = "grant", value_name = "GRANT", value_parser = grant)]
    grants: Vec<Grant>,
    /// Bytes of memory that it may have
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().memory)]
    memory: usize,
    /// CPU time that one call may use
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = humantime::parse_duration)]
    cpu: Duration,
    /// Fuel that one call may use: a cut that falls at the same place on each machine
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
}

impl Trial {
    /// The component's path.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Reads the component and what it says of itself.
    pub(super) fn read(&self) -> Result<Candidate, String> {
        let explain = |error| format!("{}: {error}", self.file.display());
        let bytes = read(&self.file).map_err(explain)?;
        check_component(&bytes).map_err(explain)?;
        let manifest = manifest(&bytes).map_err(explain)?;
        let asked = manifest.iter().flat_map(|manifest| &manifest.grants);
        let grants = if self.grants.is_empty() {
            asked.map(|text| grant(text)).collect::<Result<_, _>>().map_err(explain)?
        } else {
            self.grants.clone()
        };
        let limits = Limits { memory: self.memory, cpu: self.cpu, fuel: self.fuel, ..Limits::default() };
        Ok(Candidate { bytes, manifest, grants, limits })
    }
}

/// A component, read.
pub(super) struct Candidate {
    pub(super) bytes: Vec<u8>,
    pub(super) manifest: Option<Manifest>,
    grants: Vec<Grant>,
    limits: Limits,
}

impl Candidate {
    /// Loads it.
    pub(super) fn load(&self) -> Result<Loaded, String> {
        load(&self.bytes, self.code())
    }

    /// What is compiled into its code.
    pub(super) fn code(&self) -> Code {
        Code::of(&self.limits)
    }

    /// What it is told and may do, with these settings and data files (by name, as text).
    pub(super) fn terms(
        &self,
        settings: &Map<String, Value>,
        data: &BTreeMap<String, String>,
    ) -> Result<Terms, String> {
        let settings = serde_json::to_string(settings).map_err(|error| error.to_string())?;
        let name = self.manifest.as_ref().map_or("plugin", |manifest| &manifest.name);
        let files = data.iter().map(|(name, text)| Ok((name.clone(), file_of(text)?)));
        let data = files.collect::<std::io::Result<BTreeMap<_, _>>>();
        let data = data.map_err(|error| format!("a data file can't be made: {error}"))?;
        let (grants, limits) = (self.grants.clone(), self.limits.clone());
        Ok(Terms { settings, grants, limits, data: Arc::new(data), ..Terms::new(name) })
    }

    /// The topics that it is meant for; all where it does not say.
    pub(super) fn topics(&self) -> Result<Vec<TopicFilter>, String> {
        match &self.manifest {
            Some(manifest) if !manifest.topics.is_empty() => Ok(manifest.topics.clone()),
            _ => Ok(vec![filter("#")?]),
        }
    }
}

/// Loads a component into a sandbox of its own. What was compiled before is taken from the user's own cache.
pub(super) fn load(component: &[u8], code: Code) -> Result<Loaded, String> {
    let sandbox = Sandbox::of(code).map_err(|error| error.to_string())?;
    match cache() {
        Some(cache) => plugins::load(&cache, &Compiler::default(), &sandbox, code, component),
        None => {
            let compiled = Compiler::default().making(code).compile(component).map_err(|error| error.to_string())?;
            sandbox.load(&compiled).map_err(|error| error.to_string())
        }
    }
}

/// Where compiled components are kept for this user.
fn cache() -> Option<Cache> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    // Made here, since the cache makes what is missing for this user alone, and others keep things there too.
    fs::create_dir_all(&caches).ok()?;
    Some(Cache::of(&caches.join("stile"), Bounds::default()))
}

/// A file without a name that holds this.
fn file_of(text: &str) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// A text file of the author's.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let explain = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(TEXT_MAX_BYTES + 1).read_to_string(&mut text));
    read.map_err(|error| explain(&error))?;
    if text.len() as u64 > TEXT_MAX_BYTES {
        return Err(explain(&format!("it has more than {TEXT_MAX_BYTES} bytes")));
    }
    Ok(text)
}

/// Settings in a file: a JSON object. Without a file, none.
pub(super) fn settings(path: Option<&Path>) -> Result<Map<String, Value>, String> {
    let Some(path) = path else { return Ok(Map::new()) };
    serde_json::from_str(&text(path)?)
        .map_err(|error| format!("{}: no settings as a JSON object: {error}", path.display()))
}
