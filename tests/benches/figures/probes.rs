//! What probes cost, and how exact they are: ten round trips a second to a reflector of another daemon on loopback.

use std::time::{Duration, Instant};

use stile_tests::{Client, Stile};

use crate::process::cpu;
use crate::report::{information, target, targets};

const WATCH: Duration = Duration::from_secs(60);

/// Ten packets a second, a result each second.
fn settings(reflector: &str) -> String {
    format!(
        "[[probe]]\nname = \"loop\"\nkind = \"stamp\"\ntarget = \"{reflector}\"\ninterval = \"1s\"\npackets = 10\n\
         spacing = \"90ms\"\ntimeout = \"100ms\"\n"
    )
}

pub(crate) fn run() {
    let far = Stile::start("[reflector]\nlisten = \"127.0.0.1:0\"\nallow = [\"127.0.0.1\"]\n");
    let reflector = far.door("reflecting STAMP packets").to_string();
    let stile = Stile::start(&settings(&reflector));
    let client = Client::connect(stile.mqtt, "figures");
    client.subscribe("probe/#", rumqttc::QoS::AtLeastOnce);
    client.next();
    eprintln!("   watching for {} s", WATCH.as_secs());
    let (start, before) = (Instant::now(), [cpu(stile.pid()), cpu(far.pid())]);
    let (mut worst, mut middle, mut sent, mut lost) = (Vec::new(), Vec::new(), 0, 0);
    while start.elapsed() < WATCH {
        let result = client.next().json();
        let number = |key: &str| result[key].as_f64().unwrap_or(f64::INFINITY) * 1e3;
        // Of ten packets, the 99th percentile is the worst.
        worst.push(number("rtt_ms_p99"));
        middle.push(number("rtt_ms_p50"));
        sent += result["sent"].as_u64().unwrap_or(0);
        lost += result["lost"].as_u64().unwrap_or(0);
    }
    let share = |stile: &Stile, before: Duration| {
        (cpu(stile.pid()) - before).as_secs_f64() / start.elapsed().as_secs_f64() * 100.0
    };
    let (probing, reflecting) = (share(&stile, before[0]), share(&far, before[1]));
    worst.sort_by(f64::total_cmp);
    middle.sort_by(f64::total_cmp);
    let p50 = middle[middle.len() / 2];
    // The worst packet of each ten: its 90th percentile is the 99th of all.
    let p99 = worst[(worst.len() * 90).div_ceil(100) - 1];
    targets();
    target("Round trip on loopback, 99th percentile of all packets", &format!("{p99:.0} µs"), "< 200 µs", p99 < 200.0);
    target("CPU, 10 probes a second", &format!("{probing:.2} % of a core"), "< 2 %", probing < 2.0);
    information("Round trip on loopback, median", &format!("{p50:.0} µs"));
    information("CPU of the reflector", &format!("{reflecting:.2} % of a core"));
    information("Packets sent, lost", &format!("{sent}, {lost}"));
}
