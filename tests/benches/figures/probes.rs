//! What measuring costs, how exact it is, and whether all of it arrives: four modems at 1 Hz and ten probes a second, whose
//! reflector is another daemon on loopback.

use std::time::{Duration, Instant};

use stile_tests::{Measuring, Stile};

use crate::process::cpu;
use crate::report::{information, target, targets};

/// Long enough for twelve packets beyond the 99th percentile.
const WATCH: Duration = Duration::from_secs(120);
/// Records of an hour at 1 Hz, and how often there is one when that is to go as fast as the settings allow.
const HOUR: u64 = 3600;
const FAST: Duration = Duration::from_millis(200);

/// CPU, and the round trips of all packets: with one packet a run, each result is one.
pub(crate) fn run() {
    let measuring = Measuring::start(Duration::from_secs(1));
    // All of them have begun, and are over what they do once.
    let _ = measuring.count(3);
    let daemons = [&measuring.stile, &measuring.far];
    eprintln!("   watching for {} s", WATCH.as_secs());
    let (start, before) = (Instant::now(), daemons.map(|daemon| cpu(daemon.pid())));
    let (mut round_trips, mut readings, mut unanswered) = (Vec::new(), 0, 0);
    while start.elapsed() < WATCH {
        let record = measuring.next();
        if record.topic.starts_with("cellular/") {
            readings += 1;
            continue;
        }
        let micros = record.body["rtt_ms_max"].as_f64().map(|millis| millis * 1e3);
        unanswered += u64::from(micros.is_none());
        round_trips.push(micros.unwrap_or(f64::INFINITY));
    }
    let share = |daemon: &Stile, before: Duration| {
        (cpu(daemon.pid()) - before).as_secs_f64() / start.elapsed().as_secs_f64() * 100.0
    };
    let (measures, reflects) = (share(daemons[0], before[0]), share(daemons[1], before[1]));
    round_trips.sort_by(f64::total_cmp);
    let count = round_trips.len();
    let rank = |percent: usize| round_trips[(count * percent).div_ceil(100).max(1) - 1];
    let p99 = rank(99);
    targets();
    let timing = format!("Timing error, 99th percentile of {count} packets");
    target(&timing, &format!("{p99:.0} µs"), "< 200 µs", p99 < 200.0);
    let cost = "CPU, four modems at 1 Hz and ten probes a second";
    target(cost, &format!("{measures:.2} % of a core"), "< 2 %", measures < 2.0);
    let (middle, worst) = (rank(50), rank(100));
    information("Timing error, median and worst", &format!("{middle:.0} µs, {worst:.0} µs"));
    information("CPU of the reflector", &format!("{reflects:.2} % of a core"));
    information("Readings of modems; packets without an answer", &format!("{readings}; {unanswered}"));
}

/// An hour of records of each, or so many: whether each comes to a subscriber, and is in the export.
pub(crate) fn hour(records: Option<u64>) {
    let each = records.unwrap_or(HOUR);
    let measuring = Measuring::start(FAST);
    eprintln!("   until each of {} has said {each} records", measuring.sources());
    let tally = measuring.count(each);
    let minutes = each as f64 / 60.0;
    targets();
    let lost = tally.missing + tally.not_exported;
    let figure = format!("Records lost in {minutes:.0} minutes of simulated time: on the way, in the export");
    target(&figure, &format!("{}, {}", tally.missing, tally.not_exported), "0", lost == 0);
    information("Records; came twice", &format!("{}; {}", tally.records, tally.repeated));
    information("It took", &format!("{:.1} min", tally.took.as_secs_f64() / 60.0));
}
