//! Plugins as stages: part of the wiring. Finds or makes the compiled code of each plugin that the settings name, and
//! puts them on the messages' way.
//!
//! A plugin that can't be loaded does not keep the gateway from starting: its messages go by `on-failure`, and it is
//! shown as failed. On a reload its predecessor goes on instead, unless nobody that is trusted signed that either.
//! `fit.rs` asks of a component what can be asked before it is compiled, `maker.rs` makes a plugin of it, `memories.rs`
//! keeps what each remembers.

pub mod fit;
mod maker;
mod memories;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;

use self::fit::Fit;
pub use self::maker::load;
use self::maker::{Maker, Unfit};
use self::memories::Memories;
use crate::config::{self, OnFailure, Require, Trust};
use crate::message::{Message, TopicFilter};
use crate::pipeline::{
    DropReason, Fallback, Held, Judged, Pipeline, Processor, Shelf, ShelfCounts, Stage, StageError, Verdict,
};
use crate::plugin_host::{Plugin, Status};
use crate::signature::Signer;
use crate::store::{Store, Stored};

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
    /// As they are written.
    settings: config::Plugin,
    shown: Shown,
    running: Option<Running>,
}

/// What is to be known of a plugin that runs.
#[derive(Clone)]
struct Running {
    /// What it judges: that of its settings or of its manifest.
    topics: Vec<TopicFilter>,
    signer: Signer,
}

impl Running {
    /// Whether it may go on where its successor can't be loaded: keys that are not trusted any more end their plugins
    /// too.
    fn may_go_on(&self, trust: &Trust) -> bool {
        let trusts = |key| trust.trusted_keys.values().any(|trusted| trusted == key);
        match (&trust.require, &self.signer) {
            (Require::Nothing, _) => true,
            (Require::Signed, Signer::Trusted(_, key) | Signer::Unknown(Some(key))) => trusts(key),
            (Require::Signed, Signer::Nobody | Signer::Unknown(None)) => false,
        }
    }
}

impl Plugins {
    /// None yet; takes what they left in the store.
    pub fn new(pipeline: Arc<Pipeline>, data_dir: &Path, store: Store, stored: &mut Stored) -> Self {
        let maker = Maker::new(data_dir, Memories::new(store, &pipeline, stored));
        Self { pipeline, maker: Arc::new(maker), present: Mutex::default(), shown: RwLock::default() }
    }

    /// How they are, in the order of the messages' way.
    pub fn shown(&self) -> Vec<Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is held for a plugin.
    pub fn held(&self, name: &str) -> ShelfCounts {
        self.maker.memories.shelf(name).counts()
    }

    /// Puts these on the messages' way. What has neither other settings nor another file goes on as it is.
    ///
    /// # Errors
    /// [`StageError`]; then all stay what they were. That one can't be loaded is no error here: it is logged and shown.
    pub async fn set(&self, settings: &[config::Plugin], trust: &Trust) -> Result<(), StageError> {
        let mut present = self.present.lock().await;
        let (mut stages, mut next) = (Vec::new(), Vec::new());
        for settings in settings.iter().filter(|plugin| plugin.enabled) {
            let old = present.get(&settings.name);
            let made = self.make(settings, trust, old).await;
            let topics = made.running.as_ref().map_or(&settings.topics, |running| &running.topics);
            let shelf = self.maker.memories.shelf(&settings.name);
            shelf.set_room(settings.limits.held_bytes);
            stages.push(stage(settings, topics.clone(), made.processor, shelf));
            next.push(Present { settings: settings.clone(), shown: made.shown, running: made.running });
        }
        self.pipeline.set_stages(stages, CHANGE_PATIENCE).await?;
        // Now that those that went are at work no more. One that is not enabled is named nevertheless.
        let (maker, named) = (Arc::clone(&self.maker), settings.iter().map(|plugin| plugin.name.clone()));
        let named: BTreeSet<_> = named.collect();
        // What it lets go may be much.
        let tended = tokio::task::spawn_blocking(move || maker.memories.tend(|name| named.contains(name))).await;
        if let Err(panic) = tended {
            log::error!(error:% = panic; "what plugins left could not be let go");
        }
        let shown = next.iter().map(|present| present.shown.clone()).collect();
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
        *present = next.into_iter().map(|present| (present.settings.name.clone(), present)).collect();
        Ok(())
    }

    async fn make(&self, settings: &config::Plugin, trust: &Trust, old: Option<&Present>) -> Made {
        let (maker, stamp) = (Arc::clone(&self.maker), self.pipeline.stamp().clone());
        let (wanted, rules) = (settings.clone(), trust.clone());
        let same = old.filter(|old| old.settings == *settings && old.shown.load_error.is_none());
        let known = same.and_then(|old| old.shown.hash.clone());
        // Reading, compiling and starting block.
        let made = tokio::task::spawn_blocking(move || maker.make(&wanted, &rules, known.as_deref(), stamp)).await;
        let made = made.unwrap_or_else(|panic| Err(Unfit { hash: None, why: panic.to_string() }));
        match (made, old) {
            (Ok((fit, hash, Some(plugin))), _) => Made::present(plugin, hash, fit),
            (Ok((fit, ..)), Some(old)) => Made { processor: None, shown: old.shown.clone(), running: Some(fit.into()) },
            (Ok(_), None) => Made::absent(settings, Unfit { hash: None, why: "it is not there".into() }, None),
            (Err(unfit), old) => {
                let may_go_on = |running: &Running| running.may_go_on(trust);
                Made::absent(settings, unfit, old.filter(|old| old.running.as_ref().is_some_and(may_go_on)))
            }
        }
    }
}

fn stage(
    settings: &config::Plugin,
    topics: Vec<TopicFilter>,
    processor: Option<Box<dyn Processor>>,
    shelf: Arc<Shelf>,
) -> Stage {
    let fallback = match settings.on_failure {
        OnFailure::Pass => Fallback::Pass,
        OnFailure::Drop => Fallback::Drop,
        OnFailure::Hold => Fallback::Hold,
    };
    Stage { name: settings.name.as_str().into(), topics, fallback, shelf: Some(shelf), processor }
}

/// What is to stand under one name, and how it is shown.
struct Made {
    /// `None`: what stands there goes on.
    processor: Option<Box<dyn Processor>>,
    shown: Shown,
    running: Option<Running>,
}

impl From<Fit> for Running {
    fn from(fit: Fit) -> Self {
        Self { topics: fit.settings.topics, signer: fit.signer }
    }
}

impl Made {
    /// For one that is loaded. Says what was taken of its manifest.
    fn present(plugin: Plugin, hash: String, fit: Fit) -> Self {
        let name = fit.settings.name.clone();
        let version = fit.manifest.as_ref().map_or("", |manifest| manifest.version.as_str());
        let topics = fit.settings.topics.iter().map(TopicFilter::as_str).collect::<Vec<_>>().join(" ");
        let tick = fit.settings.tick.map_or("none".into(), |tick| humantime::format_duration(tick).to_string());
        log::info!(
            plugin = name, version = version, sha256 = hash, signer = signer_text(&fit.signer), topics = topics,
            tick = tick;
            "a plugin is loaded"
        );
        let shown = Shown { name, hash: Some(hash), load_error: None, status: Some(plugin.status()) };
        Self { processor: Some(Box::new(plugin)), shown, running: Some(fit.into()) }
    }

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
        let running = old.and_then(|old| old.running.clone());
        Self { processor, shown, running }
    }
}

fn signer_text(signer: &Signer) -> String {
    match signer {
        Signer::Nobody => "nobody".into(),
        Signer::Unknown(Some(key)) => format!("{key}, which is not trusted"),
        Signer::Unknown(None) => "a key that is not trusted".into(),
        Signer::Trusted(name, _) => name.clone(),
    }
}

/// Stands where a plugin should.
struct Absent(OnFailure);

impl Processor for Absent {
    fn process(&mut self, batch: &[Message]) -> Judged {
        let verdict = |_: &Message| match self.0 {
            OnFailure::Pass => Verdict::Pass,
            OnFailure::Drop => Verdict::Drop(DropReason::PluginFailed),
            OnFailure::Hold => Verdict::Hold(Held::Waits),
        };
        Judged { verdicts: batch.iter().map(verdict).collect(), ..Judged::default() }
    }

    fn is_ready(&self) -> bool {
        self.0 != OnFailure::Hold
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
