//! Topic names and filters (4.7), and what is delivered for them (3.3.2).

use stile_tests::RawClient;
use stile_tests::packet::{V5, V311, counted, packet, publish, section, subscribe, unsubscribe};

use crate::common::*;

statements! {
    v311 {
        mqtt_3_3_2_3_what_is_delivered_matches_the_filter => matching(V311);
        mqtt_4_7_1_1_wildcards_are_not_for_topics => wildcards_are_not_for_topics(V311);
        mqtt_4_7_1_2_a_misplaced_multi_level_wildcard_ends_the_connection => misplaced(V311, &["a#", "a/#/b", "#/a", "##"]);
        mqtt_4_7_1_3_a_misplaced_single_level_wildcard_ends_the_connection => misplaced(V311, &["a+", "+a", "a/b+/c", "++"]);
        mqtt_4_7_2_1_dollar_topics_are_left_out => dollar_topics(V311);
        mqtt_4_7_3_1_empty_names_and_filters_end_the_connection => nothing_is_empty(V311);
        mqtt_4_7_3_2_a_nul_in_names_and_filters_ends_the_connection => no_nul(V311);
        mqtt_4_7_3_4_nothing_is_normalised => nothing_is_normalised(V311);
    }
    v5 {
        mqtt_3_3_2_3_what_is_delivered_matches_the_filter => matching(V5);
        mqtt_4_7_0_1_wildcards_are_not_for_topics => wildcards_are_not_for_topics(V5);
        mqtt_4_7_1_1_a_misplaced_multi_level_wildcard_ends_the_connection => misplaced(V5, &["a#", "a/#/b", "#/a", "##"]);
        mqtt_4_7_1_2_a_misplaced_single_level_wildcard_ends_the_connection => misplaced(V5, &["a+", "+a", "a/b+/c", "++"]);
        mqtt_4_7_2_1_dollar_topics_are_left_out => dollar_topics(V5);
        mqtt_4_7_3_1_empty_names_and_filters_end_the_connection => nothing_is_empty(V5);
        mqtt_4_7_3_2_a_nul_in_names_and_filters_ends_the_connection => no_nul(V5);
        mqtt_4_7_3_4_nothing_is_normalised => nothing_is_normalised(V5);
    }
}

/// Publishes to each topic and says which of them came, in the order of the alphabet: between topics there is none.
#[track_caller]
fn came(client: &mut RawClient, version: u8, topics: &[&str]) -> Vec<String> {
    for topic in topics {
        client.send(&publish(version, 0, topic, 0, &[], "x"));
    }
    let mut got: Vec<_> = arrived(client, version).into_iter().map(|message| message.topic).collect();
    got.sort();
    got
}

#[track_caller]
fn expect_came(client: &mut RawClient, version: u8, topics: &[&str], expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(came(client, version, topics), expected);
}

fn matching(version: u8) {
    let stile = gateway();
    let topics = ["a", "a/", "/a", "a/b", "a//b", "a/b/c", "a/B", "ab", "/", "b/a", "a b"];
    let cases: [(&str, &[&str]); 10] = [
        ("a", &["a"]),
        ("a/b", &["a/b"]),
        ("a/#", &["a", "a/", "a/b", "a//b", "a/b/c", "a/B"]),
        ("a/+", &["a/", "a/b", "a/B"]),
        ("+", &["a", "ab", "a b"]),
        ("+/+", &["a/", "/a", "a/b", "a/B", "/", "b/a"]),
        ("/+", &["/a", "/"]),
        ("+/b/#", &["a/b", "a/b/c"]),
        ("a/+/b", &["a//b"]),
        ("#", &topics),
    ];
    for (filter, expected) in cases {
        let mut client = RawClient::connect(stile.mqtt, version, "me");
        client.subscribe(&[(filter, 0)], &[]);
        expect_came(&mut client, version, &topics, expected);
        client.disconnect();
    }
}

fn wildcards_are_not_for_topics(version: u8) {
    let stile = gateway();
    let all = ["a/+/b", "#", "a/#", "+"].map(|topic| publish(version, 0, topic, 0, &[], "x"));
    expect_each_ends(&stile, version, 0x90, &all);
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    assert_eq!(client.subscribe(&[("a/+/b", 0), ("#", 1), ("+/#", 2), ("+", 0)], &[]), [0, 1, 2, 0]);
}

/// The text of 5 gives no code for it; 0x8F names what is wrong.
fn misplaced(version: u8, filters: &[&str]) {
    let stile = gateway();
    for filter in filters {
        let packets = [subscribe(version, &[("b", 0), (filter, 0)], &[]), unsubscribe(version, &[filter])];
        expect_each_ends(&stile, version, 0x8f, &packets);
    }
}

fn dollar_topics(version: u8) {
    let stile = gateway();
    let mut client = RawClient::connect(stile.mqtt, version, "me");
    client.subscribe(&[("+/b", 0), ("+/+/c", 0)], &[]);
    let mut wide = subscriber(&stile, version, "wide", "#", 0);
    let topics = ["$a/b", "$/b", "a/b", "$a/b/c", "a/$b/c"];
    expect_came(&mut client, version, &topics, &["a/b", "a/$b/c"]);
    expect_came(&mut wide, version, &[], &["a/b", "a/$b/c"]);
    client.subscribe(&[("$a/#", 0)], &[]);
    expect_came(&mut client, version, &topics, &["$a/b", "a/b", "$a/b/c", "a/$b/c"]);
    RawClient::connect(stile.mqtt, version, "other").publish_acked(true, "$a/kept", &[], "x");
    let mut late = subscriber(&stile, version, "late", "#", 0);
    late.expect_quiet();
    late.subscribe(&[("+/kept", 0)], &[]);
    late.expect_quiet();
    late.subscribe(&[("$a/+", 0)], &[]);
    assert_eq!(late.message().topic, "$a/kept");
}

fn nothing_is_empty(version: u8) {
    let stile = gateway();
    let reason = if version == V5 { 0x82 } else { 0 };
    expect_each_ends(&stile, version, reason, &[publish(version, 0, "", 0, &[], "x")]);
    let filters = [subscribe(version, &[("", 0)], &[]), unsubscribe(version, &[""])];
    expect_each_ends(&stile, version, 0x8f, &filters);
}

fn no_nul(version: u8) {
    let stile = gateway();
    let none = section(version, &[]);
    let text = counted("a\0b");
    let all = [
        packet(0x30, &[text.clone(), none.clone()].concat()),
        packet(0x82, &[vec![0, 1], none.clone(), text.clone(), vec![0]].concat()),
        packet(0xa2, &[vec![0, 1], none, text].concat()),
    ];
    expect_each_ends(&stile, version, 0x81, &all);
}

/// Case, slashes, spaces, dots, and two ways to write one letter.
fn nothing_is_normalised(version: u8) {
    let stile = gateway();
    let topics = ["a", "A", "/a", "a/", " a", "./a", "\u{e4}", "a\u{308}", "\u{ff41}", "a\u{200b}"];
    for filter in topics {
        let mut client = RawClient::connect(stile.mqtt, version, "me");
        client.subscribe(&[(filter, 0)], &[]);
        expect_came(&mut client, version, &topics, &[filter]);
        client.disconnect();
    }
}
