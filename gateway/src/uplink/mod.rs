//! Uplinks: remote brokers that get what their rules name, over outages and restarts, and send what others name.
//!
//! Owns the MQTT client's side. Never keeps a message itself: what is to go out lies in the `spool`, and nothing but the
//! remote's acknowledgement takes it out there.
//! `tap.rs` takes messages at the pipeline's end; `routes.rs` says which and under what name, by the rules in `topics.rs`, and
//! `fit.rs` whether the remote could ever take them, `sharing.rs` what of them may leave. `run.rs` is an uplink's unit. `dial/`
//! opens a connection over one of its paths, `paths.rs` says over which and `way.rs` tries them; `link.rs` has the gateway let in, as whom `who.rs` says, and
//! `session.rs` serves it; `flight.rs` knows what is under way, `pace.rs` how fast, `gap.rs` how long a change of paths takes,
//! `taken.rs` what came from there and may come again. What goes wrong is in `trouble.rs`, what is said here in `reports.rs` and
//! `dead.rs`, what is kept of it in `letters.rs`. `hub/` is Azure IoT Hub, whose topics are its own. `probe.rs` is one try of a remote, and
//! `trial.rs` that of a running uplink, from the page.

mod dead;
mod dial;
mod fit;
mod flight;
mod gap;
mod hub;
mod inbound;
mod letters;
mod link;
mod outbound;
mod pace;
mod paths;
mod probe;
mod reports;
mod routes;
mod run;
mod session;
mod sharing;
mod stats;
mod taken;
mod tap;
mod topics;
mod trial;
mod trouble;
mod way;
mod who;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

pub use self::dial::leaving;
pub use self::letters::{Letter, NotSent};
pub use self::link::Limits;
pub use self::probe::{Stage, Step, probe, test_client_id};
pub use self::stats::{Condition, Dead, PathCondition, UplinkStats};
pub use self::trial::{NotTried, Tried};

use self::run::{Kept, Unit, spool_settings};
use self::taken::Taken;
use crate::config;
use crate::message::{Message, QoS, Topic};
use crate::pipeline::Pipeline;
use crate::sharing::{At, Pseudonyms};
use crate::spool::Figures;
use crate::store::{Store, StoredRemote};
use crate::supervisor::{Rank, Supervisor};

/// The folder in the data folder for what waits for remotes; each uplink has one in it.
pub const FOLDER: &str = "spool";

/// How long an uplink may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The uplinks, each a unit of the supervisor.
pub struct Uplinks {
    gateway: String,
    data_dir: PathBuf,
    pipeline: Arc<Pipeline>,
    supervisor: Supervisor,
    memory: Mutex<Memory>,
    units: Mutex<BTreeMap<String, Arc<Unit>>>,
    /// Held by whoever tries a remote.
    trying: tokio::sync::Mutex<()>,
}

/// What is remembered of remotes.
struct Memory {
    store: Store,
    /// What was found in the store of uplinks that have not been started yet.
    found: Vec<StoredRemote>,
    /// By name, also of uplinks that have been stopped.
    taken: BTreeMap<String, Arc<Mutex<Taken>>>,
}

impl Memory {
    fn of(&mut self, uplink: &config::Uplink) -> Arc<Mutex<Taken>> {
        let at = self.found.iter().position(|remote| *remote.row.uplink == *uplink.name);
        let found = at.map(|at| self.found.swap_remove(at));
        let new = || Arc::new(Mutex::new(Taken::new(self.store.clone(), uplink, found)));
        let taken = Arc::clone(self.taken.entry(uplink.name.clone()).or_insert_with(new));
        taken.lock().unwrap_or_else(PoisonError::into_inner).set(uplink);
        taken
    }
}

/// An uplink at one moment.
pub struct Shown {
    /// Its settings.
    pub settings: Arc<config::Uplink>,
    /// Its counters.
    pub stats: Arc<UplinkStats>,
    /// Those of its spool; `None` when that can't be opened.
    pub spool: Option<Figures>,
}

impl Uplinks {
    /// None yet. `gateway` is the gateway's id; of the store it gets what was found of remotes.
    pub fn new(
        gateway: &str,
        data_dir: &Path,
        pipeline: Arc<Pipeline>,
        supervisor: Supervisor,
        (store, found): (Store, Vec<StoredRemote>),
    ) -> Self {
        let memory = Mutex::new(Memory { store, found, taken: BTreeMap::new() });
        let (gateway, data_dir) = (gateway.to_owned(), data_dir.to_owned());
        Self { gateway, data_dir, pipeline, supervisor, memory, units: Mutex::default(), trying: Default::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Unit>>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unit(name: &str) -> String {
        format!("uplink {name}")
    }

    /// Writes down, and logs, what of these settings lets other things leave than before; to be called before they take
    /// effect.
    pub async fn record(&self, uplinks: &[config::Uplink], at: At) {
        sharing::record(self.data_dir.clone(), uplinks.to_vec(), at, self.pipeline.clock().now()).await;
    }

    /// Starts an uplink, or gives one other settings. When it returns, messages that it is to have come to its spool, unless
    /// that can't be opened, which is tried again.
    pub async fn start(&self, uplink: config::Uplink) {
        let name = uplink.name.clone();
        self.supervisor.stop(&Self::unit(&name), STOP_PATIENCE).await;
        let before = self.lock().remove(&name);
        let kept = before.as_ref().and_then(|unit| unit.kept.get().cloned());
        let pseudonyms = before.as_ref().map(|unit| Arc::clone(&unit.pseudonyms));
        let pseudonyms = pseudonyms.unwrap_or_else(|| Arc::new(Pseudonyms::of(&self.data_dir, &name)));
        if let Some(Kept { spool, tap, .. }) = &kept {
            sharing::prepare(&pseudonyms, &uplink, self.pipeline.clock().now()).await;
            // The same spool goes on: what is delivered meanwhile is in it.
            spool.set(spool_settings(&uplink.spool));
            if before.as_ref().is_some_and(|before| before.settings.share != uplink.share) {
                tap.dead().letters().forget();
            }
            tap.set(&uplink);
        }
        let taken = self.memory.lock().unwrap_or_else(PoisonError::into_inner).of(&uplink);
        let unit = Arc::new(Unit {
            gateway: self.gateway.clone(),
            folder: self.data_dir.join(FOLDER).join(&name),
            settings: Arc::new(uplink),
            pipeline: Arc::clone(&self.pipeline),
            taken,
            stats: before.map(|unit| Arc::clone(&unit.stats)).unwrap_or_default(),
            pseudonyms,
            kept: kept.map_or_else(OnceLock::new, OnceLock::from),
        });
        if let Err(error) = unit.open().await {
            log::error!(uplink = name, error:% = error; "messages for the remote can't be kept; it is tried again");
        }
        self.lock().insert(name.clone(), Arc::clone(&unit));
        self.supervisor.start(&Self::unit(&name), Rank::Uplinks, move |stop| Arc::clone(&unit).run(stop));
    }

    /// Stops an uplink that is no longer in the settings. What waits for its remote stays on disk for one of its name.
    pub async fn stop(&self, name: &str) {
        self.pipeline.carry_no_more(name);
        self.supervisor.stop(&Self::unit(name), STOP_PATIENCE).await;
        let unit = self.lock().remove(name);
        if let Some(unit) = unit {
            close(&unit).await;
        }
    }

    /// Closes all spools, after their units have stopped: the gateway ends. Says whether all that was taken is on disk.
    pub async fn close(&self) -> bool {
        let units: Vec<_> = self.lock().values().cloned().collect();
        let mut clean = true;
        for unit in units {
            clean &= close(&unit).await;
        }
        clean
    }

    /// How all uplinks are, by name.
    pub fn shown(&self) -> Vec<Shown> {
        let units = self.lock();
        let shown = units.values().map(|unit| Shown {
            settings: Arc::clone(&unit.settings),
            stats: Arc::clone(&unit.stats),
            spool: unit.kept.get().map(|kept| kept.spool.figures()),
        });
        shown.collect()
    }
}

/// Where a message goes at an uplink's remote, and with which quality of service.
///
/// # Errors
/// In words, why the uplink of the gateway with this id does not send it.
pub fn outward(uplink: &config::Uplink, gateway: &str, message: &Message) -> Result<(Topic, QoS), String> {
    let (routes, topic) = (routes::Routes::new(uplink), message.topic.as_str());
    if topic.starts_with(&reports::own(gateway)) || !routes.sends(topic) {
        return Err("no rule of `topics` sends its topic".to_owned());
    }
    let outgoing = routes.outward(message).map_err(|misfit| misfit.detail)?;
    Ok((outgoing.topic, outgoing.qos))
}

/// Whether what has this topic here is said to the hub that the remote is, and so is no matter of sharing.
pub fn is_for_hub(uplink: &config::Uplink, topic: &str) -> bool {
    routes::Routes::new(uplink).is_for_hub(topic)
}

/// Says whether all that was taken is on disk.
async fn close(unit: &Unit) -> bool {
    let Some(kept) = unit.kept.get() else { return true };
    let closed = kept.spool.close().await;
    // Nobody tends the tap any more, and the last batch has just been written.
    kept.tap.end_settled(&unit.pipeline);
    match closed {
        Ok(()) => true,
        Err(error) => {
            log::error!(uplink = unit.settings.name.as_str(), error = error; "what waits for the remote could not be written");
            false
        }
    }
}
