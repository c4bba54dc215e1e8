//! Serial to subscriber at the pace of a line: what is lost, and how long the last byte takes to the socket.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use stile_tests::Stile;

use crate::process::{megabytes, resident};
use crate::report::{information, millis, percentile, target, targets};
use crate::source::{BAUD, FRAME_BYTES, Source, number};
use crate::wire::{self, Seen};

const FRAMES: usize = 10_000;
pub(crate) const TOPIC: &str = "serial/bench/up";

/// A daemon with one radio on the source, online.
pub(crate) fn start(source: &Source) -> Stile {
    let stile = Stile::start(&format!(
        "[[radio]]\nname = \"bench\"\nkind = \"serial\"\ndevice = {:?}\nbaud = {BAUD}\n",
        source.path()
    ));
    stile.wait_metric("stile_radio_online{radio=\"bench\"}", |online| online == 1.0);
    stile
}

/// Subscribes to [`TOPIC`] until `count` frames have come, or silence.
pub(crate) fn subscriber(address: SocketAddr, count: usize) -> JoinHandle<Seen> {
    wire::subscriber(address, TOPIC, count, number)
}

/// Sends one frame and waits for it, so that everybody on the way is connected and has run once.
pub(crate) fn warm_up(source: &Source, address: SocketAddr) {
    let reader = subscriber(address, 1);
    source.pace(1);
    assert_eq!(reader.join().unwrap().len(), 1, "the first frame came");
}

/// How many of the `count` frames did not come. None may come twice or out of order.
pub(crate) fn lost(seen: &Seen, count: usize) -> usize {
    assert!(seen.is_sorted_by(|(a, _), (b, _)| a < b), "each once and in order");
    count - seen.len()
}

/// Last byte to socket of each frame that came, sorted.
pub(crate) fn latencies(sent: &[Instant], seen: &Seen) -> Vec<Duration> {
    let mut times: Vec<_> = seen.iter().map(|(number, at)| at.duration_since(sent[*number])).collect();
    times.sort();
    times
}

pub(crate) fn run() {
    let source = Source::open();
    let stile = start(&source);
    warm_up(&source, stile.mqtt);
    let reader = subscriber(stile.mqtt, FRAMES);
    eprintln!("   {FRAMES} frames of {FRAME_BYTES} bytes at {BAUD} baud");
    let sent = source.pace(FRAMES);
    let seen = reader.join().unwrap();
    let lost = lost(&seen, FRAMES);
    let times = latencies(&sent, &seen);
    let [p50, p99, most] = [50, 99, 100].map(|percent| millis(percentile(&times, percent)));
    targets();
    target(&format!("Frames lost of {FRAMES}"), &lost.to_string(), "0", lost == 0);
    target("Last byte to socket, p99", &format!("{p99:.2} ms"), "≤ 5 ms", p99 <= 5.0);
    information("p50", &format!("{p50:.2} ms"));
    information("longest", &format!("{most:.2} ms"));
    information("Resident memory afterwards", &format!("{:.1} MB", megabytes(resident(stile.pid()))));
}
