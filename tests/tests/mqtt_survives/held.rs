//! SIGKILL, now and then SIGTERM, at random moments while a plugin holds messages, is changed, and judges what it held.
//! `KILL_ROUNDS` and `KILL_SEED` as in `rounds.rs`.

use std::path::Path;

use rustix::process::Signal;
use stile_tests::packet::{V5, V311};
use stile_tests::{Random, Stile, counter};

use super::publisher::Publisher;
use super::rounds::{ROOMY, round, rounds};
use super::subscriber::Subscriber;

const COMPONENT: &str = "counter.wasm";

/// What stands in the plugin's place.
struct Components {
    /// Judges all.
    good: Vec<u8>,
    /// Fails at messages that begin with `x`.
    fails: Vec<u8>,
}

impl Components {
    fn put(&self, dir: &Path, random: &mut Random) {
        let component: &[u8] = match random.below(3) {
            0 => &self.good,
            1 => &self.fails,
            _ => b"can't be loaded",
        };
        std::fs::write(dir.join(COMPONENT), component).unwrap();
    }
}

/// It is left alone after the third failure, for long enough that whole rounds pass meanwhile.
fn settings(dir: &Path) -> String {
    let file = dir.join(COMPONENT);
    format!(
        "[[plugin]]\nname = \"counter\"\nfile = {file:?}\ntopics = [\"n/#\"]\ngrants = [\"kv\"]\non-failure = \"hold\"\n\
         [plugin.limits]\nheld-bytes = 67108864\nfailures = 3\n"
    )
}

#[test]
fn what_was_held_comes_and_of_qos_2_nothing_comes_twice_however_often_the_gateway_ends() {
    let mut random = Random::new(Random::seed_from("KILL_SEED"));
    let components = Components { good: counter("(nop)"), fails: counter("(unreachable)") };
    let dir = tempfile::tempdir().unwrap();
    components.put(dir.path(), &mut random);
    let settings = settings(dir.path());
    let mut stile = Stile::start_in(dir, ROOMY, &settings);
    let mut publishers = [Publisher::new(V311, "p0"), Publisher::new(V5, "p1"), Publisher::new(V5, "x0")];
    // Those at which the plugin fails hold up no others, of their own topic either.
    publishers[2].in_order = false;
    let mut subscribers = [Subscriber::new(V311, "old", "n/#"), Subscriber::new(V5, "new", "n/#")];
    subscribers.iter_mut().for_each(|subscriber| subscriber.subscribe(stile.mqtt));
    let mut held = 0;
    for _ in 0..rounds() {
        let changes = random.below(2) == 0;
        let mut other = random.clone();
        round(&mut stile, &mut publishers, &mut subscribers, &mut random, |stile| {
            if changes {
                components.put(stile.dir.path(), &mut other);
                // Nobody waits for what comes of it.
                stile.signal(Signal::HUP);
            }
        });
        components.put(stile.dir.path(), &mut random);
        stile.start_again();
        held += stile.ledger()["ledger"]["received"]["held"].as_u64().unwrap();
    }
    std::fs::write(stile.dir.path().join(COMPONENT), &components.good).unwrap();
    stile.reload(ROOMY, &settings);
    publishers.iter_mut().for_each(|publisher| publisher.finish(stile.mqtt));
    for subscriber in &mut subscribers {
        subscriber.finish(stile.mqtt, &publishers);
    }
    let places = ["waiting", "apart"].map(|place| format!("stile_plugin_held{{plugin=\"counter\",place={place:?}}}"));
    assert_eq!(places.map(|place| stile.metric(&place)), [0.0, 0.0]);
    let acknowledged: usize = publishers.iter().map(|publisher| publisher.acknowledged.len()).sum();
    println!("{} rounds, {acknowledged} messages acknowledged, {held} times one was held over an end", rounds());
    stile.stop();
    stile.start_again();
    assert_eq!(stile.ledger()["ledger"]["received"]["held"], 0, "they are let go on disk too");
}
