//! The fuzzer's corpus against the built daemon, as it is and changed at random: bytes to the router and back.
//!
//! `make fuzz` looks for inputs that do harm; here those that are known stay harmless. `FUZZ_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

#[path = "../fuzz/src/script.rs"]
mod script;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use script::{CLIENTS, Step};
use stile_tests::packet::V311;
use stile_tests::{Neighbour, Random, RawClient, Stile};

/// How many changed scripts are played.
const CHANGED: usize = 300;
/// After so many, the neighbour is asked.
const OFTEN: usize = 20;

/// The scripts for one target, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 3, "{target} has no corpus");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Plays one script: each of its clients is a connection to `address`.
fn play(address: SocketAddr, script: &[u8], neighbour: &mut Neighbour) {
    let mut clients: [Option<RawClient>; CLIENTS] = Default::default();
    let mut now = 0;
    for step in script::read(script) {
        match step {
            Step::Client(client) => now = client,
            Step::Send(bytes) => {
                let client = clients[now].get_or_insert_with(|| RawClient::open(address, V311));
                // The daemon may have sent the client away.
                let _ = client.stream.write_all(&bytes);
            }
            Step::Cut => drop(clients[now].take()),
            Step::Settle => neighbour.is_well(),
        }
    }
}

/// One script, changed at a few places.
fn changed(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut script = corpus[random.below(corpus.len() as u64) as usize].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(script.len() as u64 + 1) as usize;
        let end = (at + random.below(30) as usize).min(script.len());
        match random.below(5) {
            0 if at < script.len() => script[at] = random.number() as u8,
            1 => drop(script.drain(at..end)),
            2 => drop(script.splice(at..at, random.bytes(20))),
            3 => script.extend_from_within(at..end),
            // What another one says from there on.
            _ => {
                let other = &corpus[random.below(corpus.len() as u64) as usize];
                script.truncate(at);
                script.extend(other.get(at..).unwrap_or(other));
            }
        }
    }
    script
}

/// Nothing has failed, and whatever the clients have left behind does not trouble the next start.
fn expect_whole(stile: &mut Stile, mut neighbour: Neighbour) {
    neighbour.is_well();
    assert_eq!(stile.metric("stile_mqtt_router_failures_total"), 0.0);
    let units =
        stile.get("/metrics").1.lines().filter(|l| l.starts_with("stile_unit_running{") && !l.ends_with(" 1")).count();
    assert_eq!(units, 0, "a unit has failed");
    stile.kill_and_start();
    assert!(stile.logged("rows of the store could not be read and were let go").is_empty());
    Neighbour::of(stile).is_well();
}

#[test]
fn what_the_fuzzer_knows_hurts_only_its_senders() {
    let own = "[broker.websocket]\nlisten = [\"127.0.0.1:0\"]\n";
    let mut stile = Stile::start_in(tempfile::tempdir().unwrap(), "", own);
    let mut neighbour = Neighbour::of(&stile);
    for script in corpus("clients") {
        play(stile.mqtt, &script, &mut neighbour);
    }
    for script in corpus("websocket") {
        play(stile.door("listening for MQTT over WebSocket"), &script, &mut neighbour);
        play(stile.admin, &script, &mut neighbour);
    }
    assert!(stile.metric("stile_mqtt_publishes_received_total") > 10.0, "the corpus gets as far as the router");
    expect_whole(&mut stile, neighbour);
}

#[test]
fn what_the_fuzzer_knows_hurts_only_its_senders_when_it_is_changed_at_random() {
    let mut random = Random::new(Random::seed_from("FUZZ_SEED"));
    let own = "[broker.websocket]\nlisten = [\"127.0.0.1:0\"]\n";
    let mut stile = Stile::start_in(tempfile::tempdir().unwrap(), "", own);
    let mut neighbour = Neighbour::of(&stile);
    let doors = [("clients", stile.mqtt), ("websocket", stile.door("listening for MQTT over WebSocket"))];
    let corpora = doors.map(|(target, door)| (corpus(target), door));
    for i in 0..CHANGED {
        // Few of the WebSocket's get past the request.
        let (corpus, door) = &corpora[usize::from(i % 4 == 3)];
        play(*door, &changed(corpus, &mut random), &mut neighbour);
        if i % OFTEN == 0 {
            neighbour.is_well();
        }
    }
    assert!(stile.metric("stile_mqtt_publishes_received_total") > 50.0, "some of it gets as far as the router");
    expect_whole(&mut stile, neighbour);
}
