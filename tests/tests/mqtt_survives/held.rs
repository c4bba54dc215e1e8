//! SIGKILL, now and then SIGTERM, at random moments while plugins hold messages, are changed and change places, and judge
//! what they held.
//! `KILL_ROUNDS` and `KILL_SEED` as in `rounds.rs`.

use std::path::Path;

use rustix::process::Signal;
use stile_tests::packet::{V5, V311};
use stile_tests::{Random, Stile, counter, within};

use super::publisher::Publisher;
use super::rounds::{ROOMY, round, rounds};
use super::subscriber::Subscriber;

const NAMES: [&str; 2] = ["one", "other"];

/// What may stand in a plugin's place.
struct Components {
    /// Judges all.
    good: Vec<u8>,
    /// Fails at messages that begin with `x`.
    fails: Vec<u8>,
}

impl Components {
    /// Changes the plugins and their order, for the next start or reload.
    fn change(&self, dir: &Path, random: &mut Random) {
        let mut names = NAMES;
        names.rotate_left(random.below(2) as usize);
        for name in names {
            let component: &[u8] = match random.below(3) {
                0 => &self.good,
                1 => &self.fails,
                _ => b"can't be loaded",
            };
            std::fs::write(dir.join(name), component).unwrap();
        }
        let settings = Stile::settings(dir, ROOMY, &names.map(|name| plugin(dir, name)).concat());
        std::fs::write(dir.join("stile.toml"), settings).unwrap();
    }
}

/// It is left alone after the third failure, for long enough that whole rounds pass meanwhile.
fn plugin(dir: &Path, name: &str) -> String {
    let file = dir.join(name);
    format!(
        "[[plugin]]\nname = {name:?}\nfile = {file:?}\ntopics = [\"n/#\"]\ngrants = [\"kv\"]\non-failure = \"hold\"\n\
         [plugin.limits]\nheld-bytes = 67108864\nfailures = 3\n"
    )
}

#[test]
fn what_was_held_comes_and_of_qos_2_nothing_comes_twice_however_often_the_gateway_ends() {
    let mut random = Random::new(Random::seed_from("KILL_SEED"));
    let components = Components { good: counter("(nop)"), fails: counter("(unreachable)") };
    let dir = tempfile::tempdir().unwrap();
    NAMES.iter().for_each(|name| std::fs::write(dir.path().join(name), &components.good).unwrap());
    let settings = NAMES.map(|name| plugin(dir.path(), name)).concat();
    let mut stile = Stile::start_in(dir, ROOMY, &settings);
    let mut publishers = [Publisher::new(V311, "p0"), Publisher::new(V5, "p1"), Publisher::new(V5, "x0")];
    // Those at which a plugin fails hold up no others, of their own topic either.
    publishers[2].in_order = false;
    let mut subscribers = [Subscriber::new(V311, "old", "n/#"), Subscriber::new(V5, "new", "n/#")];
    subscribers.iter_mut().for_each(|subscriber| subscriber.subscribe(stile.mqtt));
    let mut held = 0;
    for _ in 0..rounds() {
        let changes = random.below(2) == 0;
        let mut other = random.clone();
        round(&mut stile, &mut publishers, &mut subscribers, &mut random, |stile| {
            if changes {
                components.change(stile.dir.path(), &mut other);
                // Nobody waits for what comes of it.
                stile.signal(Signal::HUP);
            }
        });
        components.change(stile.dir.path(), &mut random);
        stile.start_again();
        held += stile.ledger()["ledger"]["received"]["held"].as_u64().unwrap();
    }
    NAMES.iter().for_each(|name| std::fs::write(stile.dir.path().join(name), &components.good).unwrap());
    assert_eq!(stile.reload(ROOMY, &settings)["message"], "reload done");
    publishers.iter_mut().for_each(|publisher| publisher.finish(stile.mqtt));
    for subscriber in &mut subscribers {
        subscriber.finish(stile.mqtt, &publishers);
    }
    within("nothing is held", || (stile.ledger()["ledger"]["held"] == 0).then_some(()));
    let acknowledged: usize = publishers.iter().map(|publisher| publisher.acknowledged.len()).sum();
    println!("{} rounds, {acknowledged} messages acknowledged, {held} times one was held over an end", rounds());
    stile.stop();
    stile.start_again();
    assert_eq!(stile.ledger()["ledger"]["received"]["held"], 0, "they are let go on disk too");
}
