//! Store and forward beside Mosquitto's bridge: what both carry to a remote broker, and what is lost when they are killed.
//!
//! Each has a Mosquitto of its own as its remote, which keeps nothing on disk and is never killed, and a subscriber there.
//! The bridge keeps what it can keep: `autosave_on_changes` with an interval of 1 writes its file after each change. Both may
//! have as many messages under way to the remote.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stile_tests::{Random, Stile, publish_until_it_ends, within};

use crate::brokers::quiet_folder;
use crate::mosquitto::Mosquitto;
use crate::report::{self, Beside, Tally};
use crate::wire::{PUBACK, PUBLISH, Wire, publish, subscriber};

/// How many messages a round has.
const MESSAGES: usize = 3000;
const PAYLOAD: usize = 200;
/// Under way to the forwarder, and from there to the remote.
const WINDOW: usize = 64;
const PUBLISHERS: usize = 4;
/// After so long without a message, what has not come counts as lost.
const SILENCE: Duration = Duration::from_secs(10);

/// The process that is measured, or killed.
enum Daemon {
    Stile(Box<Stile>),
    Bridge(stile_tests::Mosquitto),
}

struct Forwarder {
    daemon: Daemon,
    remote: Mosquitto,
}

impl Forwarder {
    fn stile() -> Self {
        let remote = far();
        let uplink = format!(
            "[[uplink]]\nname = \"up\"\nurl = \"mqtt://{}\"\nin-flight = {WINDOW}\ntopics = [{{ filter = \"n/#\" }}]\n",
            remote.address
        );
        let stile = Stile::start_in(quiet_folder(), "", &uplink);
        stile.wait_metric("stile_uplink_online{uplink=\"up\"}", |online| online == 1.0);
        Self { daemon: Daemon::Stile(Box::new(stile)), remote }
    }

    fn bridge() -> Self {
        let remote = far();
        let mut bridge = stile_tests::Mosquitto::prepare();
        bridge.configure(&format!(
            "allow_anonymous true\nset_tcp_nodelay true\nmax_inflight_messages {WINDOW}\nconnection up\naddress {}\n\
             topic n/# out 1\ncleansession false\nrestart_timeout 1\n",
            remote.address
        ));
        bridge.start_again();
        Self { daemon: Daemon::Bridge(bridge), remote }
    }

    fn address(&self) -> SocketAddr {
        match &self.daemon {
            Daemon::Stile(stile) => stile.mqtt,
            Daemon::Bridge(bridge) => bridge.address,
        }
    }

    fn kill(&mut self) {
        match &mut self.daemon {
            Daemon::Stile(stile) => stile.kill(),
            Daemon::Bridge(bridge) => bridge.kill(),
        }
    }

    fn start_again(&mut self) {
        match &mut self.daemon {
            Daemon::Stile(stile) => stile.start_again(),
            Daemon::Bridge(bridge) => bridge.start_again(),
        }
    }
}

/// The remote.
fn far() -> Mosquitto {
    Mosquitto::start(&format!("max_queued_messages 0\nmax_inflight_messages {WINDOW}\n"))
}

/// The number that a payload begins with.
fn number(payload: &[u8]) -> usize {
    let digits = payload.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

/// Publishes all messages with QoS 1.
fn publish_all(address: SocketAddr) {
    let mut wire = Wire::connect(address, "publisher");
    let (mut sent, mut acknowledged, mut packets) = (0, 0, Vec::new());
    while acknowledged < MESSAGES {
        packets.clear();
        while sent < MESSAGES && sent - acknowledged < WINDOW {
            let payload = format!("{sent:<PAYLOAD$}");
            publish("n/1", 1, (sent % 65_535) as u16 + 1, payload.as_bytes(), &mut packets);
            sent += 1;
        }
        wire.write(&packets);
        let came = wire.read(|packet, _| acknowledged += usize::from(packet.kind == PUBACK));
        assert!(came, "{} messages are not acknowledged", sent - acknowledged);
    }
    wire.leave();
}

/// One round: messages a second, from the first that is published to the last that comes.
fn rate(forwarder: &Forwarder) -> f64 {
    let seen = subscriber(forwarder.remote.address, "n/#", MESSAGES, number);
    let start = Instant::now();
    publish_all(forwarder.address());
    let seen = seen.join().unwrap();
    assert!(seen.iter().map(|(number, _)| *number).eq(0..MESSAGES), "each once and in order");
    let last = seen.last().map_or(start, |(_, at)| *at);
    MESSAGES as f64 / last.duration_since(start).as_secs_f64()
}

/// How fast both forward.
pub(crate) fn run(rounds: usize) {
    let (stile, bridge) = (Forwarder::stile(), Forwarder::bridge());
    let rounds: Vec<(f64, f64)> = (1..=rounds)
        .map(|round| {
            let pair = (rate(&stile), rate(&bridge));
            eprintln!("   forwarded a second, round {round} of {rounds}: {:.0} and {:.0}", pair.0, pair.1);
            pair
        })
        .collect();
    report::beside();
    Beside::of(&rounds, |rate| *rate).at_least(1.0).print("Messages forwarded a second", "", 0);
}

/// What came at the remote, by publisher, in order.
type Came = Vec<Vec<u64>>;

/// Reads at the remote until it is told to stop and nothing comes any more.
fn watch(remote: SocketAddr, stop: &AtomicBool, count: &AtomicU64) -> Came {
    let mut wire = Wire::connect(remote, "watcher");
    wire.subscribe("n/#", 0);
    let mut came = vec![Vec::new(); PUBLISHERS];
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) || last.elapsed() < SILENCE {
        wire.read(|packet, at| {
            if packet.kind == PUBLISH {
                // `n/` and the publisher's digit.
                let who = usize::from(packet.topic()[2] - b'0');
                came[who].push(number(packet.payload()) as u64);
                count.fetch_add(1, Ordering::Relaxed);
                last = at;
            }
        });
    }
    came
}

/// What was acknowledged of a publisher's numbers: those up to the last that was sent to each process, but for that last.
type Acknowledged = Vec<BTreeSet<u64>>;

/// Kills the daemon once under load, at any moment, and starts it again.
fn kill_once(forwarder: &mut Forwarder, last: &mut [u64], acknowledged: &mut Acknowledged, random: &mut Random) {
    let (enough, moment) = (random.below(200), Duration::from_micros(random.below(20_000)));
    let (progress, address) = (AtomicU64::new(0), forwarder.address());
    std::thread::scope(|scope| {
        let publishers = last.iter().enumerate().map(|(who, last)| {
            let (next, progress) = (last + 1, &progress);
            scope.spawn(move || publish_until_it_ends(address, who, next, PAYLOAD, progress))
        });
        let publishers: Vec<_> = publishers.collect();
        within("progress", || (progress.load(Ordering::Relaxed) >= enough).then_some(()));
        std::thread::sleep(moment);
        forwarder.kill();
        for ((last, acknowledged), publisher) in last.iter_mut().zip(acknowledged).zip(publishers) {
            let (safe, sent) = publisher.join().unwrap();
            acknowledged.extend(*last + 1..=safe);
            *last = sent;
        }
    });
    forwarder.start_again();
}

/// Of one forwarder: messages acknowledged, and of these lost and delivered more than once.
fn killed(name: &str, mut forwarder: Forwarder, kills: usize, mut random: Random) -> [u64; 3] {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let watcher = {
        let (remote, stop, count) = (forwarder.remote.address, Arc::clone(&stop), Arc::clone(&count));
        std::thread::spawn(move || watch(remote, &stop, &count))
    };
    let (mut last, mut acknowledged) = (vec![0; PUBLISHERS], vec![BTreeSet::new(); PUBLISHERS]);
    for kill in 1..=kills {
        kill_once(&mut forwarder, &mut last, &mut acknowledged, &mut random);
        if kill % 10 == 0 || kill == kills {
            let safe: usize = acknowledged.iter().map(BTreeSet::len).sum();
            eprintln!(
                "   {name}, {kill} of {kills} kills: {safe} acknowledged, {} came",
                count.load(Ordering::Relaxed)
            );
        }
    }
    stop.store(true, Ordering::Relaxed);
    let came = watcher.join().unwrap();
    let (mut lost, mut twice) = (0, 0);
    for (acknowledged, came) in acknowledged.iter().zip(&came) {
        let once: BTreeSet<u64> = came.iter().copied().collect();
        lost += acknowledged.difference(&once).count() as u64;
        twice += (came.len() - once.len()) as u64;
    }
    [acknowledged.iter().map(|numbers| numbers.len() as u64).sum(), lost, twice]
}

/// What SIGKILL costs both.
pub(crate) fn kills(kills: usize) {
    let seed = Random::seed_from("KILL_SEED");
    // The table is no part of that line's paragraph.
    println!();
    let ours = killed("Stile", Forwarder::stile(), kills, Random::new(seed));
    let theirs = killed("Mosquitto", Forwarder::bridge(), kills, Random::new(seed));
    let window = (kills * WINDOW) as u64;
    let row = |n: usize| Tally { ours: ours[n], theirs: theirs[n] };
    report::tallies();
    row(0).print(&format!("Messages acknowledged, {kills} SIGKILLs"), None);
    row(1).print("Of these lost", Some(0));
    row(2).print("Delivered more than once", Some(window));
}
