//! What one client can make the broker hold, and that nobody gets what is not theirs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use stile_tests::packet::{Connect, RawWill, V5, V311, publish, subscribe, unsubscribe};
use stile_tests::{Neighbour, RawClient, Stile};

#[test]
fn subscribing_and_unsubscribing_without_end_does_not_fill_the_memory() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let mut client = RawClient::connect(stile.mqtt, V311, "restless");
    let before = stile.resident_kb();
    for round in 0..5000 {
        let filter = format!("{}/{round}", "x".repeat(200));
        client.send(&subscribe(V311, &[(&filter, 0)], &[]));
        client.send(&unsubscribe(V311, &[&filter]));
        assert_eq!((client.packet().first, client.packet().first), (0x90, 0xb0));
    }
    let grown = stile.resident_kb().saturating_sub(before);
    assert!(grown < 40_000, "{grown} kB");
    neighbour.is_well();
}

#[test]
fn long_topics_do_not_fill_the_memory() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let mut client = RawClient::connect(stile.mqtt, V311, "talker");
    client.subscribe(&[("+", 0), ("#", 0)], &[]);
    let before = stile.resident_kb();
    for n in 0..3000 {
        let topic = format!("{n:05}{}", "x".repeat(60_000));
        client.publish_acked(false, &topic, &[], "");
        client.message();
        client.message();
    }
    let grown = stile.resident_kb().saturating_sub(before);
    assert!(grown < 150_000, "{grown} kB, of 180 MB in topics");
    neighbour.is_well();
}

#[test]
fn one_filter_more_than_the_broker_takes_is_refused_and_the_others_work() {
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "max-filters = 60", "");
    let mut neighbour = Neighbour::of(&stile);
    let mut client = RawClient::connect(stile.mqtt, V5, "collector");
    // The neighbour has one, too.
    for n in 0..59 {
        assert_eq!(client.subscribe(&[(&format!("f/{n}"), 0)], &[]), [0], "{n}");
    }
    assert_eq!(client.subscribe(&[("f/59", 0)], &[]), [0x97], "quota exceeded");
    assert_eq!(client.subscribe(&[("f/7", 1)], &[]), [1], "it is there already");
    let mut other = RawClient::connect(stile.mqtt, V5, "other");
    assert_eq!(other.subscribe(&[("f/8", 0), ("f/59", 0)], &[]), [0, 0x97]);
    // One that is given up leaves its place.
    client.unsubscribe(&["f/9"]);
    assert_eq!(other.subscribe(&[("f/59", 0)], &[]), [0]);
    neighbour.is_well();
    let mut publisher = RawClient::connect(stile.mqtt, V311, "publisher");
    publisher.publish_acked(false, "f/7", &[], "x");
    assert_eq!(client.next_acked().topic, "f/7");
}

#[test]
fn topics_and_filters_that_are_longer_than_the_settings_allow_are_refused() {
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "max-topic-bytes = 20", "");
    let mut client = RawClient::connect(stile.mqtt, V5, "client");
    let (good, long) = ("x".repeat(20), "x".repeat(21));
    assert_eq!(client.subscribe(&[(&good, 0), (&long, 0), (&format!("$share/g/{good}"), 0)], &[]), [0, 0x8f, 0]);
    client.send(&publish(V5, 2, &long, 9, &[], "x"));
    let refused = client.packet();
    assert_eq!((refused.first, refused.body[2]), (0x40, 0x87), "not authorized");
    client.publish_acked(false, "other", &[], "x");
    let will = RawWill { topic: "a/topic/of/more/than/20", payload: "", retain: false, properties: vec![] };
    let (_, connack) = RawClient::meet(stile.mqtt, &Connect { will: Some(will), ..Connect::new(V5, "willing") });
    assert_eq!(connack.body[1], 0x87, "not authorized");
}

#[test]
fn in_a_crowd_of_overlapping_filters_everyone_gets_theirs_all_of_it_and_nothing_else() {
    const MESSAGES: usize = 6000;
    let stile =
        Stile::start_in(tempfile::tempdir().unwrap(), "session-queue = 100000\nsession-queue-bytes = 100000000", "");
    let mut crowd: Vec<RawClient> = ["a/x", "a/+", "+/x", "a/#", "#", "+/+"]
        .iter()
        .enumerate()
        .map(|(n, filter)| {
            let mut client = RawClient::connect(stile.mqtt, V311, &format!("c{n}"));
            client.subscribe(&[(filter, 0)], &[]);
            client
        })
        .collect();
    let mut secret = RawClient::connect(stile.mqtt, V311, "secret");
    secret.subscribe(&[("secret/#", 0)], &[]);
    let address = stile.mqtt;
    let publishers: Vec<_> = ["a/x", "secret/y"]
        .into_iter()
        .map(|topic| {
            std::thread::spawn(move || {
                let mut publisher = RawClient::connect(address, V311, &format!("p {topic}"));
                for n in 0..MESSAGES {
                    publisher.publish(topic, &[], n.to_string());
                }
                publisher.publish_acked(false, topic, &[], "end");
            })
        })
        .collect();
    let expect = |client: &mut RawClient, topic: &str| {
        let of_topic = (0..MESSAGES).map(|n| n.to_string()).chain(["end".to_owned()]);
        for text in of_topic {
            let message = client.message();
            assert_eq!((message.topic.as_str(), message.text), (topic, text));
        }
    };
    for client in crowd.iter_mut().take(4) {
        expect(client, "a/x");
        client.expect_nothing();
    }
    expect(&mut secret, "secret/y");
    secret.expect_nothing();
    // The last two are for everything.
    for client in &mut crowd[4..] {
        let mut counts = [0, 0];
        for _ in 0..2 * (MESSAGES + 1) {
            counts[usize::from(client.message().topic == "secret/y")] += 1;
        }
        assert_eq!(counts, [MESSAGES + 1; 2]);
    }
    publishers.into_iter().for_each(|p| p.join().unwrap());
}
