//! What an operator should look at first: gathered from all that can go wrong, the worst first, each with what to do.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::Serialize;
use utoipa::ToSchema;

use super::Sources;
use super::machine::Machine;
use crate::radio::CellularStats;
use crate::supervisor::{Health, Status};

/// Of a disk or a memory, how much may be taken before it is told, in hundredths.
const FULL: u64 = 90;
/// Degrees Celsius; a Pi slows down at 80.
const HOT: f64 = 75.0;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// Messages are lost or will be, or something does not work.
    Problem,
    /// It may become one.
    Notice,
}

/// One thing to look at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Item {
    pub(super) severity: Severity,
    /// What is the matter.
    pub(super) what: String,
    /// Why, or what to do; may be empty.
    pub(super) detail: String,
}

impl Item {
    /// The word beside it.
    pub(super) fn word(&self) -> &'static str {
        match self.severity {
            Severity::Problem => "problem",
            Severity::Notice => "notice",
        }
    }
}

#[derive(Default)]
struct List(Vec<Item>);

impl List {
    fn add(&mut self, severity: Severity, what: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Item { severity, what: what.into(), detail: detail.into() });
    }
}

/// All of now.
pub(super) fn gather(sources: &Sources, units: &BTreeMap<String, Status>, machine: &Machine) -> Vec<Item> {
    let mut list = List::default();
    if !sources.pipeline.ledger().snapshot().balances() {
        list.add(Severity::Problem, "The ledger does not balance", "this is a fault of the gateway: please report it");
    }
    if sources.store.figures().failing.load(Ordering::Relaxed) {
        list.add(Severity::Problem, "The store can't be written", "see that the disk has room and is not read-only");
    }
    of_units(&mut list, units);
    of_radios(&mut list, sources, units);
    of_plugins(&mut list, sources);
    of_uplinks(&mut list, sources);
    of_probes(&mut list, sources);
    of_measurements(&mut list, sources);
    of_machine(&mut list, machine);
    if sources.pipeline.clock().quality().as_str() == "unsynchronised" {
        list.add(
            Severity::Notice,
            "The clock is not synchronised",
            "times of messages may be wrong; timedatectl says more",
        );
    }
    if sources.page.figures.rate("dropped").is_some_and(|rate| rate > 0.0) {
        let what = "Messages were dropped in the last minute";
        list.add(Severity::Notice, what, "the ledger says how many and why");
    }
    let mut items = list.0;
    items.sort_by_key(|item| item.severity);
    items
}

fn of_units(list: &mut List, units: &BTreeMap<String, Status>) {
    for (name, unit) in units {
        let why = unit.last_error.clone().unwrap_or_default();
        match unit.health {
            Health::Degraded => list.add(Severity::Problem, format!("{name} keeps failing"), why),
            Health::Restarting => list.add(Severity::Notice, format!("{name} failed and is started again"), why),
            Health::Running | Health::Stopped => {}
        }
    }
}

fn of_radios(list: &mut List, sources: &Sources, units: &BTreeMap<String, Status>) {
    for (name, stats) in sources.radios.stats() {
        // Of one that fails, it was told above.
        let told = units.get(&format!("radio {name}")).is_some_and(|unit| unit.health != Health::Running);
        if !stats.online.load(Ordering::Relaxed) && !told {
            let detail = "see that it is plugged in and has power; the gateway goes on trying";
            list.add(Severity::Problem, format!("The radio {name} is offline"), detail);
        }
        if let Some(trouble) = stats.cellular.as_ref().and_then(CellularStats::sim_trouble) {
            list.add(Severity::Problem, format!("The SIM card of {name} is not open"), trouble);
        }
    }
}

fn of_plugins(list: &mut List, sources: &Sources) {
    for shown in sources.plugins.shown() {
        if let Some(error) = shown.load_error {
            list.add(Severity::Problem, format!("The plugin {} could not be loaded", shown.name), error);
        }
        let Some(report) = shown.status.map(|status| status.report()) else { continue };
        let state = report.health.as_str();
        if matches!(state, "failing" | "quarantined") {
            let why = report.last_error.map(|(text, _)| text).unwrap_or_default();
            list.add(Severity::Problem, format!("The plugin {} is {state}", shown.name), why);
        }
    }
}

fn of_uplinks(list: &mut List, sources: &Sources) {
    for shown in sources.uplinks.shown() {
        let (name, condition) = (&shown.settings.name, shown.stats.condition());
        if !condition.online {
            let waiting = shown.spool.as_ref().map_or(0, |spool| spool.messages);
            let why = condition.last_error.unwrap_or_else(|| "it was not reached yet".to_owned());
            let severity = if waiting > 0 { Severity::Problem } else { Severity::Notice };
            list.add(severity, format!("The uplink {name} is offline, and {waiting} messages wait"), why);
        }
        if let Some(spool) = shown.spool.as_ref().filter(|spool| spool.failing) {
            let why = spool.last_error.clone().unwrap_or_default();
            list.add(Severity::Problem, format!("The spool of the uplink {name} can't be written"), why);
        }
    }
}

/// Of one that only runs when somebody asks, whoever has asked knows.
fn of_probes(list: &mut List, sources: &Sources) {
    for shown in sources.probes.shown().into_iter().filter(|shown| shown.settings.interval.is_some()) {
        if let Some(error) = shown.last.iter().find_map(|result| result["error"].as_str()) {
            list.add(Severity::Notice, format!("The probe {} fails", shown.settings.name), error);
        }
    }
    let reflector = sources.probes.reflector();
    if reflector.is_some_and(|stats| stats.address().is_none()) {
        list.add(Severity::Notice, "The reflector does not listen", "see `listen` in [reflector]");
    }
}

fn of_measurements(list: &mut List, sources: &Sources) {
    let Some(shown) = sources.measurements.shown() else { return };
    let detail =
        "see that the disk has room and is not read-only; stile_measurements_dropped_total counts what is lost";
    match shown.files {
        Some(files) if files.failing => list.add(Severity::Problem, "Measurements can't be written", detail),
        // What made room, or was too old, went as it should.
        Some(files) if files.dropped.full + files.dropped.busy + files.dropped.disk + files.dropped.size > 0 => {
            list.add(Severity::Notice, "Measurements were not kept", detail);
        }
        Some(_) => {}
        None => list.add(Severity::Problem, "Measurements can't be kept", detail),
    }
}

fn of_machine(list: &mut List, machine: &Machine) {
    if let Some(used) = machine.disk_used().filter(|used| *used >= FULL) {
        list.add(
            Severity::Problem,
            format!("The disk is {used} % full"),
            "what has to be kept can't be when it is full",
        );
    }
    if let Some(used) = machine.memory_used().filter(|used| *used >= FULL) {
        list.add(Severity::Notice, format!("The memory is {used} % taken"), "");
    }
    if let Some(degrees) = machine.temperature.filter(|degrees| *degrees >= HOT) {
        list.add(Severity::Notice, format!("The processor has {degrees:.0} °C"), "it slows down when it gets hotter");
    }
}
