//! Plugins in the running daemon: the memory that the first one takes, and what a filter that never ends costs others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stile_tests::{Stile, within};

use crate::brokers::quiet_folder;
use crate::paced::Stream;
use crate::process::{megabytes, resident};
use crate::report::{information, median, micros, percentile, target};
use crate::wire::{Wire, publish};

/// After the start, and after the first messages.
const SETTLE: Duration = Duration::from_secs(2);
/// The most that the first filter may add.
const MORE: f64 = 5.0;
/// Two seconds.
const MESSAGES: usize = 4_000;
/// The p99 beside the one that spins, compared to the p99 without.
const WORSE: f64 = 1.5;
/// More than it spins away in two seconds, each one a whole budget of 50 ms.
const SPINS: u16 = 80;
const SPIN: &str = "bench/spin";
const CUT: &str = "stile_plugin_failures_total{plugin=\"spin\",kind=\"cpu-time\"}";

/// What `plugins/build.sh NAME` made.
pub(crate) fn built(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(format!("target/plugins/{name}.wasm"));
    assert!(path.exists(), "{} is not there; plugins/build.sh {name} makes it", path.display());
    path
}

/// A plugin in the settings.
pub(crate) fn plugin(name: &str, component: &str, topics: &str, more: &str) -> String {
    let file = built(component);
    format!("[[plugin]]\nname = \"{name}\"\nfile = {file:?}\ntopics = [\"{topics}\"]\n{more}\n")
}

/// Resident memory in MB, when the daemon has handled some messages and rested.
fn with(plugins: &str) -> f64 {
    let stile = Stile::start_in(quiet_folder(), "", plugins);
    Stream::start(stile.mqtt, "bench/memory", 1, 0).run(MESSAGES / 10);
    std::thread::sleep(SETTLE);
    megabytes(resident(stile.pid()))
}

/// Rows for a table that others began, as all of this file.
pub(crate) fn memory(rounds: usize) {
    let pairs: Vec<_> = (0..rounds).map(|_| (with(""), with(&plugin("pass", "pass", "#", "")))).collect();
    let without = median(pairs.iter().map(|(without, _)| *without).collect());
    let with = median(pairs.iter().map(|(_, with)| *with).collect());
    information("Resident memory of the daemon, without a plugin", &format!("{without:.1} MB"));
    let more = with - without;
    target("More with the first filter", &format!("{more:.1} MB"), &format!("≤ {MORE} MB"), more <= MORE);
}

fn p99(stile: &Stile, topic: &str) -> f64 {
    micros(percentile(&Stream::start(stile.mqtt, topic, 1, 0).run(MESSAGES), 99))
}

/// Keeps the one that never ends busy while `measure` runs: its queue is never empty, and it is never set aside.
fn beside_spin(stile: &Stile, measure: impl FnOnce() -> f64) -> f64 {
    let mut publisher = Wire::connect(stile.mqtt, "spin");
    let mut packets = Vec::new();
    (0..SPINS).for_each(|id| publish(SPIN, 0, id, b"x", &mut packets));
    publisher.write(&packets);
    stile.wait_metric(CUT, |cuts| cuts > 0.0);
    let measured = measure();
    let waiting = || stile.ledger()["ledger"]["in_flight"].as_u64().unwrap();
    assert!(waiting() > 0, "it spun all the while, and has more to do");
    // What waits for it would keep the daemon from stopping in time.
    within("all is judged", || (waiting() == 0).then_some(()));
    measured
}

pub(crate) fn spin(rounds: usize) {
    // As many failures as the settings take: else it would be left alone.
    let limits = "[plugin.limits]\nfailures = 1000\nwithin = \"1s\"";
    let plugins = plugin("spin", "spin", SPIN, limits) + &plugin("pass", "pass", "bench/judged", "");
    for (topic, what) in [("bench/free", "no plugin judges"), ("bench/judged", "another plugin judges")] {
        let (mut clean, mut beside) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            // One daemon for both, and a fresh one each time: what still waits for the one that spins is not this figure.
            let stile = Stile::start_in(quiet_folder(), "", &plugins);
            clean.push(p99(&stile, topic));
            beside.push(beside_spin(&stile, || p99(&stile, topic)));
            eprintln!(
                "   a topic that {what}, round {round} of {rounds}: p99 {:.0} µs clean, {:.0} µs beside the one that spins",
                clean[round - 1],
                beside[round - 1]
            );
        }
        let (clean, beside) = (median(clean), median(beside));
        information(&format!("p99 of a topic that {what}, clean"), &format!("{clean:.0} µs"));
        let wanted = format!("≤ {:.0} µs, {WORSE} times the clean run", clean * WORSE);
        target("The same beside a filter that spins", &format!("{beside:.0} µs"), &wanted, beside <= clean * WORSE);
    }
}
