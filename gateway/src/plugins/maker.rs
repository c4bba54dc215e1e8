//! Makes a plugin of a component: reads it, holds it against signature and settings, compiles it or finds it compiled,
//! starts it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::fit::{Fit, fit, said};
use super::lock;
use super::memories::Memories;
use crate::component::{fingerprint, read};
use crate::config::{self, Trust};
use crate::pipeline::Stamp;
use crate::plugin_host::cache::{Bounds, Cache, Key};
use crate::plugin_host::compile::Compiler;
use crate::plugin_host::engine::Code;
use crate::plugin_host::{LoadError, Loaded, Plugin, Sandbox, Terms};

/// Why a plugin can't be loaded.
pub(super) struct Unfit {
    pub(super) hash: Option<String>,
    pub(super) why: String,
}

/// What it takes to make one. Blocks.
pub(super) struct Maker {
    cache: Cache,
    compiler: Compiler,
    /// Each made with the first plugin that needs it: a gateway without any does not pay for it.
    sandboxes: std::sync::Mutex<BTreeMap<Code, Arc<Sandbox>>>,
    /// What each remembers, by name. Outlives its versions.
    pub(super) memories: Memories,
}

impl Maker {
    /// One that has made nothing yet.
    pub(super) fn new(data_dir: &Path, memories: Memories) -> Self {
        Self {
            cache: Cache::of(data_dir, Bounds::default()),
            compiler: Compiler::default(),
            sandboxes: std::sync::Mutex::default(),
            memories,
        }
    }

    /// Loads a plugin and starts it, with the SHA-256 of its component. Without a plugin, it is the one with the hash
    /// `known`. The bytes are read once: those that are held against signature and settings are those that run.
    pub(super) fn make(
        &self,
        settings: &config::Plugin,
        trust: &Trust,
        known: Option<&str>,
        stamp: Stamp,
    ) -> Result<(Fit, String, Option<Plugin>), Unfit> {
        let component = read(&settings.file).map_err(|why| Unfit { hash: None, why })?;
        let hash = fingerprint(&component);
        let fit = fit(&component, settings, trust)
            .map_err(|misfits| Unfit { hash: Some(hash.clone()), why: said(&misfits) })?;
        if known == Some(&hash) {
            return Ok((fit, hash, None));
        }
        let made = || -> Result<Plugin, String> {
            let loaded = self.load(&component, Code::of(&settings.limits))?;
            let terms = Terms::of(&fit.settings)?;
            let kv = self.memories.of(&settings.name);
            let plugin = Plugin::new(loaded, terms, stamp, kv);
            plugin.start()?;
            Ok(plugin)
        };
        match made() {
            Ok(plugin) => Ok((fit, hash, Some(plugin))),
            Err(why) => Err(Unfit { hash: Some(hash), why }),
        }
    }

    /// A component's compiled code, in the sandbox in which such plugins run. Blocks for as long as compiling takes.
    pub(super) fn load(&self, component: &[u8], code: Code) -> Result<Loaded, String> {
        let sandbox = self.sandbox(code)?;
        load(&self.cache, &self.compiler, &sandbox, code, component)
    }

    fn sandbox(&self, code: Code) -> Result<Arc<Sandbox>, String> {
        let mut sandboxes = lock(&self.sandboxes);
        if let Some(sandbox) = sandboxes.get(&code) {
            return Ok(Arc::clone(sandbox));
        }
        let new = Sandbox::of(code).map_err(|error| error.to_string())?;
        Ok(Arc::clone(sandboxes.entry(code).or_insert(new)))
    }
}

/// A component's compiled code, from the cache or made now. Blocks for as long as compiling takes. `code`: the sandbox's.
///
/// # Errors
/// Why it can't be compiled or can't be a plugin, in words that go behind the file's name.
pub fn load(
    cache: &Cache,
    compiler: &Compiler,
    sandbox: &Arc<Sandbox>,
    code: Code,
    component: &[u8],
) -> Result<Loaded, String> {
    let key = Key::of(component, code);
    if let Some(compiled) = cache.load(&key) {
        match sandbox.load(&compiled) {
            Ok(loaded) => return Ok(loaded),
            Err(LoadError::NotCompiled(_)) => cache.forget(&key),
            Err(error) => return Err(error.to_string()),
        }
    }
    let compiled = compiler.making(code).compile(component).map_err(|error| error.to_string())?;
    let loaded = sandbox.load(&compiled).map_err(|error| error.to_string())?;
    cache.store(&key, &compiled);
    Ok(loaded)
}
