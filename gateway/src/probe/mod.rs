//! Active measurements: what the gateway sends to find out how the network is, and its answers to others who do.
//!
//! Owns schedules, sockets and results. A result is a message like any other and goes through the pipeline. Never sends more
//! than its settings let it, and asks nobody who is not named there.
//!
//! Map: `unit.rs` is one probe, `demand.rs` a run that somebody asks for, `measure.rs` one run of each kind, `result.rs` the
//! message, `budget.rs` what may be spent. `train.rs` sends packets one after the other and reads answers, `book.rs` keeps
//! account of them, `figures.rs` is arithmetic, `socket.rs` knows when the kernel had a datagram. `stamp/` is RFC 8762, sender
//! and reflector, `dns/` the question to a name server, `iperf/` the client of iperf3 servers. Round trips by MQTT are the room
//! `uplink`'s.

mod book;
mod budget;
mod demand;
mod dns;
mod figures;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod iperf;
mod measure;
mod result;
mod socket;
mod stamp;
#[cfg(test)]
mod tests;
mod train;
mod unit;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use self::demand::Demanded;
use self::socket::TimedSocket;
use self::stamp::reflector::Answering;
pub use self::stamp::reflector::ReflectorStats;
use self::unit::{Asked, Memory, Unit};
use crate::config::{Probe, Reflector};
use crate::pipeline::Pipeline;
use crate::supervisor::{Rank, Supervisor, UnitError};
use crate::uplink::Uplinks;

/// How long a probe may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// The reflector's unit.
const REFLECTOR: &str = "reflector";

/// All probes, and the reflector.
pub struct Probes {
    data_dir: PathBuf,
    pipeline: Arc<Pipeline>,
    supervisor: Supervisor,
    uplinks: Arc<Uplinks>,
    heavy: Arc<tokio::sync::Mutex<()>>,
    units: Mutex<BTreeMap<String, Arc<Unit>>>,
    /// By name, also of probes that are gone.
    memories: Mutex<BTreeMap<String, Arc<Memory>>>,
    reflector: Mutex<Option<Arc<ReflectorStats>>>,
}

/// A probe at one moment.
pub struct Shown {
    /// Its settings.
    pub settings: Probe,
    /// Runs since the start.
    pub runs: u64,
    /// Of these, those that failed.
    pub failures: u64,
    /// Bytes sent and received since the start, headers included.
    pub bytes: u64,
    /// Of its budgets, what is spent of the day's and of the month's.
    pub spent: (u64, u64),
    /// The results of its last run.
    pub last: Vec<Value>,
    /// The run that somebody asks for, and the last one that somebody has asked for.
    pub demanded: Demanded,
}

/// Why a probe was not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRun {
    /// There is none of that name.
    Unknown,
    /// A run is under way: one that was asked for, or one by the schedule that does not end.
    Busy,
    /// Somebody has cancelled it before it began.
    Cancelled,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unit_name(probe: &str) -> String {
    format!("probe {probe}")
}

impl Probes {
    /// None yet.
    pub fn new(data_dir: &Path, pipeline: Arc<Pipeline>, supervisor: Supervisor, uplinks: Arc<Uplinks>) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            pipeline,
            supervisor,
            uplinks,
            heavy: Arc::default(),
            units: Mutex::default(),
            memories: Mutex::default(),
            reflector: Mutex::default(),
        }
    }

    /// Starts one, or goes on with one by other settings.
    ///
    /// # Errors
    /// Never for settings that were read: their names fit into a topic.
    pub async fn start(&self, settings: Probe) -> Result<(), UnitError> {
        let name = settings.name.clone();
        self.supervisor.stop(&unit_name(&name), STOP_PATIENCE).await;
        let topic = unit::topic(&name)?;
        let known = lock(&self.memories).get(&name).cloned();
        let memory = match known {
            Some(memory) => memory,
            None => {
                let (data_dir, probe) = (self.data_dir.clone(), name.clone());
                let opened = tokio::task::spawn_blocking(move || Memory::open(&data_dir, &probe)).await?;
                Arc::clone(lock(&self.memories).entry(name.clone()).or_insert(Arc::new(opened)))
            }
        };
        let (pipeline, uplinks) = (Arc::clone(&self.pipeline), Arc::clone(&self.uplinks));
        let (heavy, asked) = (Arc::clone(&self.heavy), Asked::default());
        let unit = Arc::new(Unit { settings, memory, pipeline, uplinks, heavy, topic, asked });
        lock(&self.units).insert(name.clone(), Arc::clone(&unit));
        self.supervisor.start(&unit_name(&name), Rank::Radio, move |stop| {
            let unit = Arc::clone(&unit);
            async move {
                unit.keep(stop).await;
                Ok(())
            }
        });
        Ok(())
    }

    /// Stops one that is no longer in the settings.
    pub async fn stop(&self, name: &str) {
        lock(&self.units).remove(name);
        self.supervisor.stop(&unit_name(name), STOP_PATIENCE).await;
    }

    /// Runs one now, and gives its results: those that its topic gets.
    ///
    /// # Errors
    /// [`NotRun`].
    pub async fn run(&self, name: &str) -> Result<Vec<Value>, NotRun> {
        let unit = self.unit(name).ok_or(NotRun::Unknown)?;
        unit.demand(unit.memory.demands.claim().ok_or(NotRun::Busy)?).await
    }

    /// Begins the same and waits for nothing: what comes of it is in [`Shown::demanded`].
    ///
    /// # Errors
    /// [`NotRun`].
    pub fn begin(&self, name: &str) -> Result<(), NotRun> {
        let unit = self.unit(name).ok_or(NotRun::Unknown)?;
        let claim = unit.memory.demands.claim().ok_or(NotRun::Busy)?;
        unit.asked.ask.try_send(claim).map_err(|_| NotRun::Busy)
    }

    /// Ends the run that somebody has asked for, as soon as that goes. Says whether there was one; `None` where there is no
    /// such probe.
    pub fn cancel(&self, name: &str) -> Option<bool> {
        Some(self.unit(name)?.memory.demands.cancel())
    }

    fn unit(&self, name: &str) -> Option<Arc<Unit>> {
        lock(&self.units).get(name).cloned()
    }

    /// How all probes are, by name.
    pub fn shown(&self) -> Vec<Shown> {
        let units: Vec<_> = lock(&self.units).values().cloned().collect();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let shown = units.iter().map(|unit| {
            let (memory, spent) = (&unit.memory, unit.memory.spent());
            Shown {
                settings: unit.settings.clone(),
                runs: read(&memory.runs),
                failures: read(&memory.failures),
                bytes: read(&memory.bytes),
                spent: (spent.in_day, spent.in_month),
                last: memory.last(),
                demanded: memory.demands.now(),
            }
        });
        shown.collect()
    }

    /// What the reflector counts; `None` where it is off.
    pub fn reflector(&self) -> Option<Arc<ReflectorStats>> {
        lock(&self.reflector).clone()
    }

    /// Starts the reflector as these settings say, in the place of one that is there.
    pub async fn reflect(&self, settings: Reflector) {
        self.supervisor.stop(REFLECTOR, STOP_PATIENCE).await;
        let Some(address) = settings.listen else {
            lock(&self.reflector).take();
            return;
        };
        let stats = Arc::clone(lock(&self.reflector).get_or_insert_default());
        let pipeline = Arc::clone(&self.pipeline);
        self.supervisor.start(REFLECTOR, Rank::Clients, move |stop| {
            reflect(settings.clone(), address, Arc::clone(&stats), Arc::clone(&pipeline), stop)
        });
    }
}

async fn reflect(
    settings: Reflector,
    address: SocketAddr,
    stats: Arc<ReflectorStats>,
    pipeline: Arc<Pipeline>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let socket = TimedSocket::bound(address).await;
    let socket =
        socket.map_err(|error| format!("can't listen on {address}: {error}; look at `listen` in [reflector]"))?;
    let actual = socket.local_addr()?;
    log::info!(address:% = actual; "reflecting STAMP packets");
    let _listens = stats.listens(actual);
    let stats = Arc::clone(&stats);
    Answering::new(settings, stats, actual.port(), Instant::now()).serve(&socket, pipeline.clock(), &stop).await?;
    Ok(())
}
