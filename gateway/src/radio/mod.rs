//! Radios: bytes and frames to messages and back. One folder a driver.
//!
//! Owns ports and framings. Never talks to MQTT clients: it hands messages to the pipeline and takes those of its `down`
//! topic from it. `serial/` drives real ports, `lora/` LoRa gateways, `cellular/` 4G and 5G modems, `simulated/` makes up
//! devices that speak to the serial driver on a pseudo-terminal. `navigation.rs` reads what receivers of satellites say. For
//! whoever looks on: `stats.rs` counts, `seen.rs` keeps what came last, `shown.rs` says in words what a radio is, `order.rs` makes
//! messages of what is to be sent by hand.

pub mod cellular;
pub mod lora;
pub mod navigation;
mod order;
mod seen;
pub mod serial;
mod shown;
pub mod simulated;
mod stats;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use cellular::CellularStats;
pub use lora::{Behind, InRange, LoraStats, SignalCounts, Signals, Use};
pub use order::{LoraFields, Order, Outcome, Wish};
pub use seen::{Air, Seen, SeenFrame, Trouble};
pub use shown::{Shown, Tried};
pub use stats::{RadioStats, Refused};

pub use crate::config::bytes_of_hex;
use crate::config::{Cellular, LoraModem, Port, Radio, RadioKind, SerialRadio, Simulated, Via};
use crate::message::{Topic, TopicError};
use crate::pipeline::Pipeline;
use crate::supervisor::{Rank, Supervisor, UnitError};

/// The topics of a radio on a port: `serial/<name>/...`, or `cellular/<name>/...`.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    /// Frames that came in.
    pub(crate) up: Topic,
    /// What clients want sent.
    pub(crate) down: Topic,
    /// What became of it.
    pub(crate) ack: Topic,
    /// Whether the port is there; retained.
    pub(crate) state: Topic,
}

impl Topics {
    fn new(name: &str) -> Result<Self, TopicError> {
        Self::under("serial", name)
    }

    fn under(family: &str, name: &str) -> Result<Self, TopicError> {
        let topic = |last: &str| Topic::new(&format!("{family}/{name}/{last}"));
        Ok(Self { up: topic("up")?, down: topic("down")?, ack: topic("ack")?, state: topic("state")? })
    }
}

/// What radios know of their gateway.
#[derive(Clone)]
struct Home {
    id: Arc<str>,
    /// Where secrets are that outlive a restart.
    data_dir: Arc<Path>,
}

/// The radios, each a unit of the supervisor.
pub struct Radios {
    pipeline: Arc<Pipeline>,
    supervisor: Supervisor,
    home: Home,
    running: Mutex<BTreeMap<String, Shown>>,
}

/// How long a radio may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How long others wait for radios to take what is to be sent. They do at once, or can't be started.
const ATTACH_PATIENCE: Duration = Duration::from_secs(1);

impl Radios {
    /// None yet, of the gateway with this id.
    pub fn new(id: &str, pipeline: Arc<Pipeline>, supervisor: Supervisor, data_dir: &Path) -> Self {
        let home = Home { id: id.into(), data_dir: data_dir.into() };
        Self { pipeline, supervisor, home, running: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Shown>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unit(name: &str) -> String {
        format!("radio {name}")
    }

    /// Starts radios under names that are free, and waits until they take what is to be sent, for all of them together no
    /// longer than a second.
    pub async fn start(&self, radios: impl IntoIterator<Item = Radio>) {
        let deadline = Instant::now() + ATTACH_PATIENCE;
        let started: Vec<_> = radios.into_iter().map(|radio| self.begin(radio)).collect();
        for stats in started {
            // One that can't be started is told of by the supervisor.
            let _ = tokio::time::timeout_at(deadline, stats.attached.notified()).await;
        }
    }

    fn begin(&self, radio: Radio) -> Arc<RadioStats> {
        let stats = Arc::new(match &radio {
            Radio::Serial(_) | Radio::Modem(_) => RadioStats::default(),
            Radio::Lora(_) => RadioStats::of_lora(),
            Radio::Cellular(_) => RadioStats::of_cellular(),
        });
        let (radio, pipeline, started) = (Arc::new(radio), Arc::clone(&self.pipeline), Arc::clone(&stats));
        let shown = Shown { settings: Arc::clone(&radio), stats: Arc::clone(&stats) };
        self.lock().insert(radio.name().to_owned(), shown);
        let (unit, home) = (Self::unit(radio.name()), self.home.clone());
        self.supervisor.start(&unit, Rank::Radio, move |stop| {
            run(Arc::clone(&radio), home.clone(), Arc::clone(&pipeline), Arc::clone(&stats), stop)
        });
        started
    }

    /// Stops a radio and forgets its counters.
    pub async fn stop(&self, name: &str) {
        self.supervisor.stop(&Self::unit(name), STOP_PATIENCE).await;
        self.lock().remove(name);
    }

    /// The counters of all radios by name.
    pub fn stats(&self) -> BTreeMap<String, Arc<RadioStats>> {
        self.lock().iter().map(|(name, shown)| (name.clone(), Arc::clone(&shown.stats))).collect()
    }

    /// All radios, by name.
    pub fn shown(&self) -> Vec<Shown> {
        self.lock().values().cloned().collect()
    }

    /// The radio with this name.
    pub fn get(&self, name: &str) -> Option<Shown> {
        self.lock().get(name).cloned()
    }
}

/// Runs one radio until it is told to stop. A port that fails is opened again for ever; only what can't ever work ends it.
///
/// # Errors
/// When a pseudo-terminal for a simulated device can't be had, or the secret behind pseudonyms.
async fn run(
    radio: Arc<Radio>,
    home: Home,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    match &*radio {
        Radio::Serial(radio) => run_serial(Arc::new(radio.clone()), pipeline, stats, stop).await,
        Radio::Lora(radio) => lora::run(&Arc::new(radio.clone()), pipeline, stats, stop).await,
        Radio::Modem(radio) => run_modem(radio, pipeline, stats, stop).await,
        Radio::Cellular(radio) => run_cellular(radio, &home, pipeline, stats, stop).await,
    }
}

async fn run_serial(
    radio: Arc<SerialRadio>,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let topics = Topics::new(&radio.name)?;
    match &radio.kind {
        RadioKind::Serial(serial) => {
            serial::Driver::new(Arc::clone(&radio), serial.port.clone(), topics, pipeline, stats).run(stop).await;
            Ok(())
        }
        RadioKind::Simulated(simulated) => run_simulated(&radio, simulated, topics, pipeline, stats, stop).await,
    }
}

async fn run_modem(
    radio: &LoraModem,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let modem = lora::modem::Modem::new(radio.clone())?;
    let (topics, port) = (Topics::new(&radio.name)?, radio.serial.port.clone());
    let driver = serial::Driver::new(Arc::new(radio.on_port()), port, topics, pipeline, stats);
    driver.with_lora_modem(modem).run(stop).await;
    Ok(())
}

async fn run_cellular(
    radio: &Cellular,
    home: &Home,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    // What follows may fail and be tried again; nobody need wait for that.
    stats.attached.notify_one();
    let modem = cellular::Modem::open(radio.clone(), &home.id, &home.data_dir).await?;
    let topics = Topics::under("cellular", &radio.name)?;
    match (&radio.via, radio.on_port()) {
        (Via::At(at), Some(on_port)) => {
            let driver = serial::Driver::new(Arc::new(on_port), at.serial.port.clone(), topics, pipeline, stats);
            driver.with_cellular_modem(modem, at.clone()).run(stop).await;
        }
        (Via::ModemManager(managed), _) => {
            cellular::Manager::new(modem, managed.clone(), topics, pipeline, stats).run(stop).await;
        }
        // One that is asked by AT has a port.
        (Via::At(_), None) => {}
    }
    Ok(())
}

async fn run_simulated(
    radio: &Arc<SerialRadio>,
    simulated: &Simulated,
    topics: Topics,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let pty = simulated::Pty::open()?;
    let port = Port::Device(pty.path().to_owned());
    let driver = serial::Driver::new(Arc::clone(radio), port, topics, pipeline, stats);
    let device = simulated::device(simulated.device, simulated.seed);
    // Each ends by itself, and the driver first: its last refusals and its last state are said, and its port stays there
    // until then.
    let (driver_stop, device_stop) = (stop.child_token(), CancellationToken::new());
    let running_device = async {
        let ended = simulated::run(device, simulated, pty, &device_stop).await;
        driver_stop.cancel();
        ended
    };
    let driving = async {
        driver.run(driver_stop.clone()).await;
        device_stop.cancel();
    };
    let (ended, ()) = tokio::join!(running_device, driving);
    ended.map_err(UnitError::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SimulatedDevice;

    #[tokio::test(start_paused = true)]
    async fn radios_that_can_t_be_started_are_waited_for_together() {
        let radios = Radios::new("test", Pipeline::new(1).0, Supervisor::default(), Path::new("/nowhere"));
        // Names that no topic can have.
        let broken =
            ["a+", "b+", "c+"].map(|name| Radio::Serial(SerialRadio::simulated(name, SimulatedDevice::Nmea, 1)));
        let begun = Instant::now();
        radios.start(broken).await;
        assert_eq!(begun.elapsed(), ATTACH_PATIENCE);
        assert_eq!(radios.stats().len(), 3);
    }
}
