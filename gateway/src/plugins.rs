//! Plugins as stages: part of the wiring. Finds or makes the compiled code of each plugin that the settings name, and
//! puts them on the messages' way.
//!
//! A plugin that can't be loaded does not keep the gateway from starting: its messages go by `on-failure`, and it is
//! shown as failed. On a reload its predecessor goes on instead, unless nobody that is trusted signed that either.
//! `fit.rs` asks of a component what can be asked before it is compiled, `maker.rs` makes a plugin of it, `memories.rs`
//! keeps what each remembers, `about.rs` is what is shown of a component.
//!
//! What the command line and the admin page both do with plugins: `site.rs` is where they are, `install.rs` what it takes to
//! install one, `edit.rs` changes the settings' texts, `capture.rs` and `played.rs` play messages and cases. `desk.rs` changes
//! the plugins of the gateway that runs, `trial.rs` tries one out beside it, `case.rs` makes a case of messages.

mod about;
pub mod capture;
mod case;
pub mod desk;
pub mod edit;
pub mod fit;
pub mod install;
mod maker;
mod memories;
pub mod played;
pub mod site;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::Mutex;

pub use self::about::About;
use self::about::in_words;
use self::fit::Fit;
pub use self::maker::load;
use self::maker::{Maker, Unfit};
use self::memories::Memories;
pub use self::trial::{Seen, Trial, TrialError};
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

/// A plugin of the settings that are in force, on the messages' way or not.
#[derive(Debug, Clone)]
pub struct Listed {
    /// As it is written, with what its manifest says where the settings say nothing.
    pub settings: Arc<config::Plugin>,
    /// What its component says, as it was when the settings came in force.
    pub about: Arc<About>,
    /// How it is on the messages' way; `None` when it is not enabled.
    pub shown: Option<Shown>,
}

/// All plugins, running. One for the life of the gateway.
pub struct Plugins {
    pipeline: Arc<Pipeline>,
    maker: Arc<Maker>,
    /// Held while they change.
    present: Mutex<BTreeMap<String, Present>>,
    in_force: RwLock<InForce>,
    /// Held while one is tried out.
    trial: std::sync::Mutex<()>,
}

/// What was taken last.
#[derive(Default)]
struct InForce {
    listed: Vec<Listed>,
    trust: Trust,
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
        let (present, in_force) = (Mutex::default(), RwLock::default());
        Self { pipeline, maker: Arc::new(maker), present, in_force, trial: std::sync::Mutex::default() }
    }

    /// How those on the messages' way are, in its order.
    pub fn shown(&self) -> Vec<Shown> {
        self.in_force().listed.iter().filter_map(|listed| listed.shown.clone()).collect()
    }

    /// All of the settings, in the order of the messages' way.
    pub fn listed(&self) -> Vec<Listed> {
        self.in_force().listed.clone()
    }

    fn in_force(&self) -> RwLockReadGuard<'_, InForce> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner)
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
        let (mut stages, mut next, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for settings in settings {
            if !settings.enabled {
                let about = Arc::new(about(settings, trust).await);
                all.push(Listed { settings: Arc::new(settings.clone()), about, shown: None });
                continue;
            }
            let old = present.get(&settings.name);
            let made = self.make(settings, trust, old).await;
            let topics = made.running.as_ref().map_or(&settings.topics, |running| &running.topics);
            let shelf = self.maker.memories.shelf(&settings.name);
            shelf.set_room(settings.limits.held_bytes);
            stages.push(stage(settings, topics.clone(), made.processor, shelf));
            let shown = Some(made.shown.clone());
            let about = match made.about {
                Some(about) => Arc::new(about),
                None => Arc::new(about(settings, trust).await),
            };
            all.push(Listed { settings: Arc::new(made.settings), about, shown });
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
        let in_force = InForce { listed: all, trust: trust.clone() };
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = in_force;
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
            (Ok((fit, hash, None)), Some(old)) => Made::unchanged(old, &hash, fit),
            (Ok((.., None)), None) => Made::absent(settings, Unfit { hash: None, why: "it is not there".into() }, None),
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

/// Of one that is not asked on the messages' way. Reading it blocks; a panic leaves nothing known.
async fn about(settings: &config::Plugin, trust: &Trust) -> About {
    let (file, trust) = (settings.file.clone(), trust.clone());
    tokio::task::spawn_blocking(move || About::read(&file, &trust)).await.unwrap_or_default()
}

/// What is to stand under one name, and how it is shown.
struct Made {
    /// With what its manifest says.
    settings: config::Plugin,
    /// `None`: nothing was found out.
    about: Option<About>,
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
            plugin = name, version = version, sha256 = hash, signer = in_words(&fit.signer), topics = topics,
            tick = tick;
            "a plugin is loaded"
        );
        let about = Some(About::of(&hash, &fit));
        let shown = Shown { name, hash: Some(hash), load_error: None, status: Some(plugin.status()) };
        let settings = fit.settings.clone();
        Self { settings, about, processor: Some(Box::new(plugin)), shown, running: Some(fit.into()) }
    }

    /// For one that goes on as it is.
    fn unchanged(old: &Present, hash: &str, fit: Fit) -> Self {
        let (settings, about) = (fit.settings.clone(), Some(About::of(hash, &fit)));
        Self { settings, about, processor: None, shown: old.shown.clone(), running: Some(fit.into()) }
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
        Self { settings: settings.clone(), about: None, processor, shown, running }
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
