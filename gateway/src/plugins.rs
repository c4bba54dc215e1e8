//! Plugins as stages: part of the wiring. Finds or makes the compiled code of each plugin that the settings name, and puts
//! them on the messages' way.
//!
//! A plugin that can't be loaded does not keep the gateway from starting: its messages go by `on-failure`, and it is shown
//! as failed. On a reload its predecessor goes on instead. `memories.rs` keeps what each remembers.

mod memories;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;

use self::memories::Memories;
use crate::component::{fingerprint, read};
use crate::config::{self, OnFailure};
use crate::message::Message;
use crate::pipeline::{DropReason, Fallback, Judged, Pipeline, Processor, Stage, StageError, Stamp, Verdict};
use crate::plugin_host::cache::{Bounds, Cache, Key};
use crate::plugin_host::compile::Compiler;
use crate::plugin_host::engine::Code;
use crate::plugin_host::{LoadError, Loaded, Plugin, Sandbox, Status, Terms};
use crate::store::{Store, StoredMemory};

/// How long messages may take to come through the stages of before, when others take their place.
/// Publishers wait meanwhile, so it is less than a session may take to change hands.
const CHANGE_PATIENCE: Duration = Duration::from_secs(3);

/// A plugin as operators see it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// SHA-256 of its component in hex; `None` when the file could not be read.
    pub hash: Option<String>,
    /// Why what the settings name does not run, if it does not.
    pub load_error: Option<String>,
    /// What runs; `None` when nothing does.
    pub status: Option<Arc<Status>>,
}

/// All plugins, running. One for the life of the gateway.
pub struct Plugins {
    pipeline: Arc<Pipeline>,
    maker: Arc<Maker>,
    /// Held while they change.
    present: Mutex<BTreeMap<String, Present>>,
    shown: RwLock<Vec<Shown>>,
}

/// What stands on the messages' way under one name.
struct Present {
    settings: config::Plugin,
    shown: Shown,
}

impl Plugins {
    /// None yet; `memories` is what they left in the store.
    pub fn new(
        pipeline: Arc<Pipeline>,
        data_dir: &Path,
        store: Store,
        memories: BTreeMap<Arc<str>, StoredMemory>,
    ) -> Self {
        let maker = Maker {
            cache: Cache::of(data_dir, Bounds::default()),
            compiler: Compiler::default(),
            sandboxes: std::sync::Mutex::default(),
            memories: Memories::new(store, pipeline.stamp().clone(), memories),
        };
        Self { pipeline, maker: Arc::new(maker), present: Mutex::default(), shown: RwLock::default() }
    }

    /// How they are, in the order of the messages' way.
    pub fn shown(&self) -> Vec<Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts these on the messages' way. What has neither other settings nor another file goes on as it is.
    ///
    /// # Errors
    /// [`StageError`]; then all stay what they were. That one can't be loaded is no error here: it is logged and shown.
    pub async fn set(&self, settings: &[config::Plugin]) -> Result<(), StageError> {
        let mut present = self.present.lock().await;
        let (mut stages, mut next) = (Vec::new(), Vec::new());
        for settings in settings.iter().filter(|plugin| plugin.enabled) {
            let old = present.get(&settings.name);
            let made = self.make(settings, old).await;
            stages.push(stage(settings, made.processor));
            next.push(Present { settings: settings.clone(), shown: made.shown });
        }
        self.pipeline.set_stages(stages, CHANGE_PATIENCE).await?;
        // Now that those that went are at work no more. One that is not enabled is named nevertheless.
        self.maker.memories.tend(|name| settings.iter().any(|plugin| plugin.name == name));
        let shown = next.iter().map(|present| present.shown.clone()).collect();
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
        *present = next.into_iter().map(|present| (present.settings.name.clone(), present)).collect();
        Ok(())
    }

    async fn make(&self, settings: &config::Plugin, old: Option<&Present>) -> Made {
        let (maker, wanted, stamp) = (Arc::clone(&self.maker), settings.clone(), self.pipeline.stamp().clone());
        let same = old.filter(|old| old.settings == *settings && old.shown.load_error.is_none());
        let known = same.and_then(|old| old.shown.hash.clone());
        // Reading, compiling and starting block.
        let made = tokio::task::spawn_blocking(move || maker.make(&wanted, known.as_deref(), stamp)).await;
        let made = made.unwrap_or_else(|panic| Err(Unfit { hash: None, why: panic.to_string() }));
        match (made, old) {
            (Ok(Some((plugin, hash))), _) => {
                let shown = Shown {
                    name: settings.name.clone(),
                    hash: Some(hash),
                    load_error: None,
                    status: Some(plugin.status()),
                };
                Made { processor: Some(Box::new(plugin)), shown }
            }
            (Ok(None), Some(old)) => Made { processor: None, shown: old.shown.clone() },
            (Ok(None), None) => Made::absent(settings, Unfit { hash: None, why: "it is not there".into() }, None),
            (Err(unfit), old) => Made::absent(settings, unfit, old),
        }
    }
}

fn stage(settings: &config::Plugin, processor: Option<Box<dyn Processor>>) -> Stage {
    let fallback = match settings.on_failure {
        OnFailure::Pass => Fallback::Pass,
        OnFailure::Drop => Fallback::Drop,
    };
    Stage { name: settings.name.as_str().into(), topics: settings.topics.clone(), fallback, processor }
}

/// What is to stand under one name, and how it is shown.
struct Made {
    /// `None`: what stands there goes on.
    processor: Option<Box<dyn Processor>>,
    shown: Shown,
}

impl Made {
    /// For one that can't be loaded.
    fn absent(settings: &config::Plugin, unfit: Unfit, old: Option<&Present>) -> Self {
        let Unfit { hash, why } = unfit;
        let status = old.and_then(|old| old.shown.status.clone());
        let goes_on = status.is_some();
        let (name, file) = (&*settings.name, settings.file.display());
        log::error!(
            plugin = name, file:% = file, error = why, predecessor_goes_on = goes_on;
            "a plugin could not be loaded; without a predecessor its messages go by on-failure"
        );
        let shown = Shown { name: settings.name.clone(), hash, load_error: Some(why), status };
        let processor = (!goes_on).then(|| Box::new(Absent(settings.on_failure)) as Box<dyn Processor>);
        Self { processor, shown }
    }
}

/// Stands where a plugin should.
struct Absent(OnFailure);

impl Processor for Absent {
    fn process(&mut self, batch: &[Message]) -> Judged {
        let verdict = |_: &Message| match self.0 {
            OnFailure::Pass => Verdict::Pass,
            OnFailure::Drop => Verdict::Drop(DropReason::PluginFailed),
        };
        Judged { verdicts: batch.iter().map(verdict).collect(), ..Judged::default() }
    }
}

/// Why a plugin can't be loaded.
struct Unfit {
    hash: Option<String>,
    why: String,
}

/// What it takes to make one. Blocks.
struct Maker {
    cache: Cache,
    compiler: Compiler,
    /// Each made with the first plugin that needs it: a gateway without any does not pay for it.
    sandboxes: std::sync::Mutex<BTreeMap<Code, Arc<Sandbox>>>,
    /// What each remembers, by name. Outlives its versions.
    memories: Memories,
}

impl Maker {
    /// Loads a plugin and starts it, with the SHA-256 of its component. `None`: it is the one with the hash `known`.
    fn make(
        &self,
        settings: &config::Plugin,
        known: Option<&str>,
        stamp: Stamp,
    ) -> Result<Option<(Plugin, String)>, Unfit> {
        let component = read(&settings.file).map_err(|why| Unfit { hash: None, why })?;
        let hash = fingerprint(&component);
        if known == Some(&hash) {
            return Ok(None);
        }
        let made = || -> Result<Plugin, String> {
            let loaded = self.load(&component, Code::of(&settings.limits))?;
            let terms = Terms::of(settings)?;
            let kv = self.memories.of(&settings.name);
            let plugin = Plugin::new(loaded, terms, stamp, kv);
            plugin.start()?;
            Ok(plugin)
        };
        match made() {
            Ok(plugin) => Ok(Some((plugin, hash))),
            Err(why) => Err(Unfit { hash: Some(hash), why }),
        }
    }

    fn sandbox(&self, code: Code) -> Result<Arc<Sandbox>, String> {
        let mut sandboxes = lock(&self.sandboxes);
        if let Some(sandbox) = sandboxes.get(&code) {
            return Ok(Arc::clone(sandbox));
        }
        let new = Sandbox::of(code).map_err(|error| error.to_string())?;
        Ok(Arc::clone(sandboxes.entry(code).or_insert(new)))
    }

    /// From the cache, or compiled now.
    fn load(&self, component: &[u8], code: Code) -> Result<Loaded, String> {
        let sandbox = self.sandbox(code)?;
        let key = Key::of(component, code);
        if let Some(compiled) = self.cache.load(&key) {
            match sandbox.load(&compiled) {
                Ok(loaded) => return Ok(loaded),
                Err(LoadError::NotCompiled(_)) => self.cache.forget(&key),
                Err(error) => return Err(error.to_string()),
            }
        }
        let compiled = self.compiler.making(code).compile(component).map_err(|error| error.to_string())?;
        let loaded = sandbox.load(&compiled).map_err(|error| error.to_string())?;
        self.cache.store(&key, &compiled);
        Ok(loaded)
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
