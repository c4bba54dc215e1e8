//! A generated table of clients, topics and operations: what the gateway does with each is what an oracle says that
//! knows nothing of how it does it.
//!
//! `world.rs` makes users and rights up, `oracle.rs` says what each may do. The seeds are fixed; to try others:
//! `RIGHTS_SEED=7 cargo nextest run -p stile-tests --test rights_table`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod oracle;
mod world;

use std::collections::BTreeSet;

use stile_tests::packet::{Connect, V5, V311, publish};
use stile_tests::{RawClient, Stile};

use self::oracle::{Grant, Oracle};
use self::world::{SENTINEL, User, World, filters, topics};

/// A gateway with a made-up world, and a client that may do everything.
struct Table {
    stile: Stile,
    world: World,
    ops: RawClient,
}

impl Table {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let stile = Stile::start_in(tempfile::tempdir().unwrap(), "session-queue = 100000\n", &world.settings());
        let ops = RawClient::with(stile.mqtt, &Connect::new(V5, "ops").by("ops", "p"));
        Self { stile, world, ops }
    }

    fn connect(&self, user: &User) -> Connect {
        Connect::new(user.version, user.client).by(user.name, "p")
    }

    fn say(&mut self, topic: &str) {
        self.ops.send(&publish(V5, 0, topic, 0, &[], "live"));
    }

    /// Publishes to every topic, and then to the sentinel. Messages of different subscriptions come in no order, so the
    /// sentinel waits until the last of the others is back.
    fn say_all(&mut self) {
        let all = topics();
        all.iter().for_each(|topic| self.say(topic));
        assert_eq!(Some(&self.ops.message().topic), all.last());
        self.say(SENTINEL);
    }
}

/// What came until the sentinel had come so many times: topics of retained messages, and of others.
fn until_sentinel(client: &mut RawClient, mut times: usize) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut kept, mut live) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let message = client.message();
        if message.topic == SENTINEL {
            times -= 1;
            if times == 0 {
                return (kept, live);
            }
            continue;
        }
        let into = if message.retain { &mut kept } else { &mut live };
        assert!(into.insert(message.topic.clone()), "twice: {}", message.topic);
    }
}

/// Every topic published by every user with every QoS.
fn publishes(seed: u64) {
    let mut table = Table::new(seed);
    let mut watcher = RawClient::with(table.stile.mqtt, &Connect::new(V311, "watcher").by("ops", "p"));
    assert_eq!(watcher.subscribe(&[("#", 0)], &[]), [0]);
    for user in table.world.users.clone() {
        let oracle = Oracle::of(&table.world, &user);
        for qos in 0..3 {
            let mut client = RawClient::with(table.stile.mqtt, &table.connect(&user));
            let mut expected = BTreeSet::new();
            for topic in topics() {
                let code = client.publish_coded(qos, &topic, "x");
                let wanted = match (oracle.may_publish(&topic), user.version, qos) {
                    (true, ..) => Some(0),
                    (false, V5, 1 | 2) => Some(0x87),
                    (false, ..) => None,
                };
                assert_eq!(code, wanted, "seed {seed}: {user:?} publishes {topic} with QoS {qos}");
                if code.is_none() {
                    client = RawClient::with(table.stile.mqtt, &table.connect(&user));
                }
                expected.extend((wanted == Some(0)).then_some(topic));
            }
            table.say(SENTINEL);
            assert_eq!(until_sentinel(&mut watcher, 1).1, expected, "seed {seed}: {user:?} with QoS {qos}");
        }
    }
}

/// Every topic as the will of every user.
fn wills(seed: u64) {
    let table = Table::new(seed);
    for user in &table.world.users {
        let oracle = Oracle::of(&table.world, user);
        for topic in topics() {
            let connect = table.connect(user).with_will(String::leak(topic.clone()), &[]);
            let (client, connack) = RawClient::meet(table.stile.mqtt, &connect);
            let refused = if user.version == V5 { 0x87 } else { 5 };
            let wanted = if oracle.may_publish(&topic) { 0 } else { refused };
            assert_eq!(connack.body[1], wanted, "seed {seed}: {user:?} with the will {topic}");
            if wanted == 0 {
                client.disconnect();
            }
        }
    }
}

/// Every filter, shared or not, subscribed to by every user: the answer, and what comes of what is retained and of what
/// is published then.
fn subscriptions(seed: u64) {
    let mut table = Table::new(seed);
    for topic in topics() {
        table.ops.publish_acked(true, &topic, &[], "kept");
    }
    // No retained message at once: retain handling 2.
    assert_eq!(table.ops.subscribe(&[(topics().last().unwrap(), 0x20)], &[]), [0]);
    for user in table.world.users.clone() {
        let oracle = Oracle::of(&table.world, &user);
        let mut client = RawClient::with(table.stile.mqtt, &table.connect(&user));
        assert_eq!(client.subscribe(&[(SENTINEL, 0)], &[]), [0]);
        for filter in filters() {
            let grant = oracle.may_subscribe(&filter);
            for shared in [false, true] {
                let name = if shared { format!("$share/g/{filter}") } else { filter.clone() };
                let code = client.subscribe(&[(&name, 0)], &[])[0];
                let refused = if user.version == V5 { 0x87 } else { 0x80 };
                let wanted = if grant == Grant::Refused { refused } else { 0 };
                assert_eq!(code, wanted, "seed {seed}: {user:?} subscribes to {name}");
                if grant == Grant::Refused {
                    continue;
                }
                table.say_all();
                let expected: BTreeSet<_> = topics().into_iter().filter(|t| oracle.gets(&grant, &filter, t)).collect();
                // A wide subscription brings the sentinel once more.
                let times = 1 + usize::from(oracle.gets(&grant, &filter, SENTINEL));
                let (kept, live) = until_sentinel(&mut client, times);
                assert_eq!(live, expected, "seed {seed}: {user:?} gets of {name}");
                let kept_expected = if shared { BTreeSet::new() } else { expected };
                assert_eq!(kept, kept_expected, "seed {seed}: {user:?} gets of what is retained under {name}");
                client.unsubscribe(&[&name]);
            }
        }
    }
}

/// Two made-up worlds, or the one that the environment names.
fn each_seed(test: fn(u64)) {
    match std::env::var("RIGHTS_SEED") {
        Ok(seed) => test(seed.parse().unwrap()),
        Err(_) => [1, 2].into_iter().for_each(test),
    }
}

#[test]
fn every_publish_is_judged_as_the_oracle_says() {
    each_seed(publishes);
}

#[test]
fn every_will_is_judged_as_the_oracle_says() {
    each_seed(wills);
}

#[test]
fn every_subscription_is_judged_and_cut_as_the_oracle_says() {
    each_seed(subscriptions);
}

#[test]
fn the_table_has_something_of_everything() {
    let worlds = [1, 2].map(World::new);
    let oracles = worlds.iter().flat_map(|world| world.users.iter().map(|user| Oracle::of(world, user)));
    let (mut whole, mut cut, mut refused, mut published, mut not) = (0, 0, 0, 0, 0);
    for oracle in oracles {
        for filter in filters() {
            match oracle.may_subscribe(&filter) {
                Grant::Whole => whole += 1,
                Grant::Cut(_) => cut += 1,
                Grant::Refused => refused += 1,
            }
        }
        for topic in topics() {
            *if oracle.may_publish(&topic) { &mut published } else { &mut not } += 1;
        }
    }
    let counts = [whole, cut, refused, published, not];
    assert!(counts.iter().all(|count| *count >= 20), "{counts:?}");
}
