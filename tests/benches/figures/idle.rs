//! What the daemon costs while nothing happens, and how soon it is ready.

use std::time::{Duration, Instant};

use stile_tests::{Stile, binary};

use crate::process::{cpu, megabytes, resident};
use crate::report::{information, millis, target, targets};
use crate::source::Source;

const STARTS: usize = 5;
const WATCH: Duration = Duration::from_secs(30);

/// Two ports on which nobody speaks.
fn quiet_radios(sources: &[Source; 2]) -> String {
    let radio = |name: &str, source: &Source| {
        format!("[[radio]]\nname = \"{name}\"\nkind = \"serial\"\ndevice = {:?}\nbaud = 115200\n", source.path())
    };
    radio("a", &sources[0]) + &radio("b", &sources[1])
}

const SIMULATED: &str = "[[radio]]\nname = \"p1\"\nkind = \"simulated\"\ndevice = \"dsmr-p1\"\n\
                         [[radio]]\nname = \"gps\"\nkind = \"simulated\"\ndevice = \"nmea\"\n";

pub(crate) fn run() {
    let sources = [Source::open(), Source::open()];
    let quiet = quiet_radios(&sources);
    let slowest = slowest_start(&quiet);
    let quiet = Stile::start(&quiet);
    for radio in ["a", "b"] {
        quiet.wait_metric(&format!("stile_radio_online{{radio=\"{radio}\"}}"), |online| online == 1.0);
    }
    eprintln!("   watching for {} s, then again with simulated radios", WATCH.as_secs());
    targets();
    watch("two serial radios, silent", &quiet);
    drop(quiet);
    watch("two simulated radios that speak every second", &Stile::start(SIMULATED));
    let figure = format!("Start of the process to ready, slowest of {STARTS}");
    target(&figure, &format!("{:.0} ms", millis(slowest)), "< 1000 ms", slowest < Duration::from_secs(1));
    let size = std::fs::metadata(binary()).unwrap().len();
    information("Size of the binary", &format!("{:.1} MB", megabytes(size)));
}

/// From the start of the process until its `ready` line is read; polled, so up to 5 ms too long.
fn slowest_start(radios: &str) -> Duration {
    let starts = (0..STARTS).map(|_| {
        let before = Instant::now();
        let stile = Stile::start(radios);
        let time = before.elapsed();
        drop(stile);
        time
    });
    starts.max().unwrap()
}

fn watch(what: &str, stile: &Stile) {
    let before = (Instant::now(), cpu(stile.pid()));
    std::thread::sleep(WATCH);
    let share = (cpu(stile.pid()) - before.1).as_secs_f64() / before.0.elapsed().as_secs_f64() * 100.0;
    let memory = megabytes(resident(stile.pid()));
    target(&format!("Resident memory, {what}"), &format!("{memory:.1} MB"), "≤ 30 MB", memory <= 30.0);
    target(&format!("CPU over {} s, {what}", WATCH.as_secs()), &format!("{share:.3} %"), "< 0.5 %", share < 0.5);
}
