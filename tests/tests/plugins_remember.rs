//! What plugins remember outlives the process: a stop, SIGKILL, another version. `KILL_ROUNDS` sets the number of rounds of
//! killing, `KILL_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stile_tests::packet::{Connect, V5, publish};
use stile_tests::{PATIENCE, Random, RawClient, Stile, counter, within};

const PUBACK: u8 = 0x40;

/// Puts the counter into the folder, as the version whose text differs by `on_x`.
fn put(dir: &Path, on_x: &str) {
    std::fs::write(dir.join("counter.wasm"), counter(on_x)).unwrap();
}

fn settings(dir: &Path, more: &str) -> String {
    let file = dir.join("counter.wasm");
    format!("[[plugin]]\nname = \"counter\"\nfile = {file:?}\ntopics = [\"t\"]\ngrants = [\"kv\"]\n{more}\n")
}

fn start() -> Stile {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "(nop)");
    let settings = settings(dir.path(), "");
    Stile::start_in(dir, "", &settings)
}

/// Both numbers that the counter remembers. What was published before nobody waited for, the filter may pass on only now.
#[track_caller]
fn asked(stile: &Stile) -> (u64, u64) {
    let mut client = RawClient::connect(stile.mqtt, V5, "asks");
    assert_eq!(client.subscribe(&[("t", 0)], &[]), [0]);
    client.publish("t", &[], "?");
    let text = loop {
        let text = client.message().text;
        if text != "c" {
            break text;
        }
    };
    client.disconnect();
    let (a, b) = text.split_once('/').unwrap_or_else(|| panic!("{text}"));
    let number = |text: &str| if text.is_empty() { 0 } else { text.parse().unwrap() };
    (number(a), number(b))
}

fn count(stile: &Stile, times: usize) {
    let mut client = RawClient::connect(stile.mqtt, V5, "counts");
    for _ in 0..times {
        client.publish_acked(false, "t", &[], "c");
    }
    client.disconnect();
}

#[test]
fn a_plugin_remembers_over_a_stop_a_kill_and_another_version_of_it() {
    let mut stile = start();
    count(&stile, 3);
    assert_eq!(asked(&stile), (3, 3));
    stile.kill_and_start();
    assert_eq!(asked(&stile), (3, 3), "what was acknowledged");
    let mut client = RawClient::connect(stile.mqtt, V5, "counts");
    client.publish("t", &[], "c");
    client.expect_nothing();
    client.disconnect();
    assert_eq!(asked(&stile), (4, 4));
    stile.stop();
    stile.start_again();
    assert_eq!(asked(&stile), (4, 4), "what nobody waited for is written at a stop");
    put(stile.dir.path(), "(nop) (nop)");
    let verdict = stile.reload("", &settings(stile.dir.path(), ""));
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    count(&stile, 1);
    stile.kill_and_start();
    assert_eq!(asked(&stile), (5, 5));
}

#[test]
fn what_nobody_waits_for_is_on_disk_within_seconds() {
    let mut stile = start();
    let before = stile.metric("stile_store_commits_total");
    let mut client = RawClient::connect(stile.mqtt, V5, "counts");
    client.publish("t", &[], "c");
    client.expect_nothing();
    stile.wait_metric("stile_store_commits_total", |commits| commits > before);
    stile.kill_and_start();
    assert_eq!(asked(&stile), (1, 1));
}

#[test]
fn a_plugin_that_the_settings_do_not_name_for_a_while_finds_its_memory_again() {
    let mut stile = start();
    count(&stile, 2);
    let verdict = stile.reload("", "");
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    stile.kill_and_start();
    let verdict = stile.reload("", &settings(stile.dir.path(), ""));
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    assert_eq!(asked(&stile), (2, 2));
}

/// Publishes one after another until the daemon ends; what was acknowledged and what may have been counted besides.
fn load(stile: &Stile, name: &str, acknowledged: &AtomicU64, tried: &AtomicU64) {
    let Ok((mut client, _)) = RawClient::try_meet(stile.mqtt, &Connect::new(V5, name)) else { return };
    loop {
        tried.fetch_add(1, Ordering::Relaxed);
        if client.try_send(&publish(V5, 2, "t", 9, &[], "c")).is_err() {
            return;
        }
        match client.try_packet(PATIENCE) {
            Ok(Some(packet)) if packet.first == PUBACK => acknowledged.fetch_add(1, Ordering::Relaxed),
            _ => return,
        };
    }
}

#[test]
fn a_kill_under_load_takes_neither_half_of_a_call_nor_anything_that_was_acknowledged() {
    let rounds = std::env::var("KILL_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    let mut random = Random::new(Random::seed_from("KILL_SEED"));
    let mut stile = start();
    let (acknowledged, tried) = (AtomicU64::new(0), AtomicU64::new(0));
    for _ in 0..rounds {
        let enough = acknowledged.load(Ordering::Relaxed) + 1 + random.below(100);
        let moment = Duration::from_micros(random.below(20_000));
        std::thread::scope(|scope| {
            for name in ["one", "two", "three"] {
                let (stile, acknowledged, tried) = (&stile, &acknowledged, &tried);
                scope.spawn(move || load(stile, name, acknowledged, tried));
            }
            within("progress", || (acknowledged.load(Ordering::Relaxed) >= enough).then_some(()));
            // No wait for anything: it is to be any moment.
            std::thread::sleep(moment);
            stile.signal(rustix::process::Signal::KILL);
        });
        stile.kill_and_start();
        let (a, b) = asked(&stile);
        let (acknowledged, tried) = (acknowledged.load(Ordering::Relaxed), tried.load(Ordering::Relaxed));
        assert_eq!(a, b, "half of a call");
        assert!((acknowledged..=tried).contains(&a), "{acknowledged} acknowledged, {a} remembered, {tried} tried");
    }
    println!("{rounds} rounds, {} messages acknowledged", acknowledged.load(Ordering::Relaxed));
}
