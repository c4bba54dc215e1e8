//! What the broker tells of itself under `$SYS/broker/`.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stile_tests::packet::{Connect, V5, session_expiry, subscribe};
use stile_tests::{PATIENCE, RawClient, Stile, within};

/// All that it says to a newcomer, whole numbers alone; by the names below `$SYS/broker/`.
fn figures(stile: &Stile) -> BTreeMap<String, u64> {
    said(stile).into_iter().filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect()
}

fn said(stile: &Stile) -> BTreeMap<String, String> {
    let mut client = RawClient::connect(stile.mqtt, V5, "reader");
    client.send(&subscribe(V5, &[("$SYS/#", 0)], &[]));
    client.packet();
    let mut said = BTreeMap::new();
    // All come at once, and the answer to the ping behind them.
    client.send(&[0xc0, 0]);
    loop {
        let packet = client.packet();
        if packet.kind() == 13 {
            break;
        }
        let message = packet.publish(V5);
        said.insert(message.topic.strip_prefix("$SYS/broker/").unwrap().to_owned(), message.text);
    }
    client.disconnect();
    said
}

#[test]
fn every_name_is_documented_and_no_other() {
    let stile = Stile::start("");
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mqtt-clients.md")).unwrap();
    let table = page.split("| Below `$SYS/broker/` |").nth(1).unwrap().split("\n\n").next().unwrap();
    let first_cells = table.lines().skip(2).filter_map(|row| row.split('|').nth(1));
    let mut documented: Vec<_> = first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    documented.sort_unstable();
    let said = said(&stile);
    let names: Vec<_> = said.keys().filter(|name| !name.ends_with("/5min") && !name.ends_with("/15min")).collect();
    assert_eq!(names, documented);
    assert_eq!(said.len(), documented.len() + 2 * 9, "each load has three intervals");
    assert_eq!(said["version"], concat!("stile version ", env!("CARGO_PKG_VERSION")));
    assert!(said["uptime"].ends_with(" seconds"));
}

#[test]
fn what_happens_is_counted_under_its_name() {
    let stile = Stile::start("");
    let before = figures(&stile);
    let keep = |id: &str, seconds| Connect { properties: session_expiry(seconds), ..Connect::new(V5, id) };
    let mut away = RawClient::with(stile.mqtt, &keep("away", 3600));
    away.subscribe(&[("a/+", 1), ("a/b", 1), ("$share/g/a/#", 1)], &[]);
    away.disconnect();
    RawClient::with(stile.mqtt, &keep("short", 1)).disconnect();
    let mut client = RawClient::connect(stile.mqtt, V5, "client");
    client.publish_acked(true, "kept", &[], "123456");
    client.publish_acked(false, "a/c", &[], "1234");
    // The reader has a session, too; its subscription counts when it has been granted.
    let expected = [
        ("clients/expired", 1),
        ("clients/connected", 2),
        ("clients/disconnected", 1),
        ("clients/total", 3),
        ("retained messages/count", 1),
        ("store/messages/count", 3),
        ("messages/stored", 3),
        ("subscriptions/count", 3),
        ("shared_subscriptions/count", 1),
        ("publish/messages/received", 2),
        ("publish/bytes/received", 10),
        ("publish/messages/dropped", 0),
    ];
    let mut now = BTreeMap::new();
    let deadline = Instant::now() + PATIENCE;
    // The short session has to end, and the reader before must have gone.
    while !expected.iter().all(|(name, count)| now.get(*name) == Some(count)) {
        assert!(Instant::now() < deadline, "{now:#?}");
        now = figures(&stile);
    }
    assert!((2..=3).contains(&now["clients/maximum"]), "{now:?}");
    for name in ["messages/received", "messages/sent", "bytes/received", "bytes/sent", "publish/messages/sent"] {
        assert!(now[name] > before[name], "{name}: {} and then {}", before[name], now[name]);
    }
    assert!(now["store/messages/bytes"] > 14, "{now:?}");
}

#[test]
fn loads_follow_what_happens() {
    let stile = Stile::start("");
    let mut watcher = RawClient::connect(stile.mqtt, V5, "watcher");
    watcher.subscribe(&[("$SYS/broker/load/publish/received/1min", 0)], &[]);
    let mut client = RawClient::connect(stile.mqtt, V5, "client");
    for _ in 0..60 {
        client.publish_acked(false, "a", &[], "x");
    }
    let load = within("a load that is not 0", || {
        let message = watcher.packet_within(Duration::from_secs(1))?.publish(V5);
        Some(message.text.parse::<f64>().unwrap()).filter(|load| *load > 0.0)
    });
    // 60 within ten seconds are 360 a minute; ten seconds count for 15 % of an average over a minute.
    assert!(load <= 56.0, "{load}");
}
