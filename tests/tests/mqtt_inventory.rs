//! Who is connected, as operators see it, and sending clients away.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::os::unix::net::UnixStream;

use serde_json::{Value, json};
use stile_tests::packet::{Connect, RawWill, V5, V311, ack, session_expiry};
use stile_tests::{Neighbour, RawClient, Stile, WebSocketClient, check, get, within};

fn clients(stile: &Stile) -> Vec<Value> {
    let socket = UnixStream::connect(stile.dir.path().join("data/stile.sock")).unwrap();
    let (status, body) = get(socket, "/api/v1/clients");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["clients"].as_array().unwrap().clone()
}

fn find(stile: &Stile, id: &str) -> Option<Value> {
    clients(stile).into_iter().find(|client| client["id"] == id)
}

/// Waits until a client is listed as it should be.
#[track_caller]
fn listed(stile: &Stile, id: &str, fits: impl Fn(&Value) -> bool) -> Value {
    within(&format!("{id} in {:#?}", clients(stile)), || find(stile, id).filter(&fits))
}

fn stile(stile: &Stile, arguments: &[&str]) -> (i32, String, String) {
    let data = stile.dir.path().join("data");
    check(&[&["clients"], arguments, &["--data-dir", data.to_str().unwrap()]].concat())
}

#[test]
fn every_client_is_listed_with_where_it_comes_from_and_what_it_has() {
    let rest = "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret\"\n";
    let gateway = Stile::start_in(tempfile::tempdir().unwrap(), "allow-anonymous = true", rest);
    let named = Connect { user: Some("ops"), password: Some(b"s3cret".to_vec()), ..Connect::new(V5, "named") };
    let mut client = RawClient::with(gateway.mqtt, &Connect { properties: session_expiry(3600), ..named });
    client.subscribe(&[("b/+", 1), ("$share/g/a", 2), ("a", 0)], &[]);
    client.unsubscribe(&["a"]);
    let _old = RawClient::connect(gateway.mqtt, 3, "old");
    let mut middle = RawClient::connect(gateway.mqtt, V311, "middle");
    let _web = WebSocketClient::connect(gateway.admin, V311, "web");
    middle.publish_acked(false, "b/x", &[], "12345");
    let message = client.message();
    let card = listed(&gateway, "named", |card| card["in_flight"] == 1);
    assert_eq!(card["address"], client.stream.local_addr().unwrap().to_string());
    assert_eq!((&card["connected"], &card["user"]), (&json!(true), &json!("ops")));
    assert_eq!((&card["protocol"], &card["transport"]), (&json!("5"), &json!("tcp")));
    assert_eq!((&card["session_expiry_seconds"], &card["last_error"]), (&json!(3600), &Value::Null));
    let filters = json!([{ "filter": "$share/g/a", "qos": 2 }, { "filter": "b/+", "qos": 1 }]);
    assert_eq!((&card["subscriptions"], &card["sent"]["messages"]), (&filters, &json!(1)));
    assert!(card["sent"]["bytes"].as_u64() > Some(5) && card["received"]["bytes"].as_u64() > Some(20), "{card}");
    client.send(&ack(0x40, message.id));
    listed(&gateway, "named", |card| card["in_flight"] == 0);
    assert_eq!(listed(&gateway, "middle", |_| true)["received"]["messages"], 1);
    let kinds = ["old", "middle", "web"].map(|id| {
        let card = listed(&gateway, id, |_| true);
        [card["protocol"].clone(), card["transport"].clone(), card["user"].clone()]
    });
    let expected = [("3.1", "tcp"), ("3.1.1", "tcp"), ("3.1.1", "websocket")];
    assert_eq!(kinds, expected.map(|(protocol, transport)| [json!(protocol), json!(transport), Value::Null]));
    let (code, table, _) = stile(&gateway, &[]);
    assert_eq!((code, table.lines().count()), (0, 7), "{table}");
    assert!(table.contains("4 connected, 0 away"), "{table}");
}

#[test]
fn a_client_that_is_away_is_listed_until_its_session_ends_with_what_waits_and_why_it_was_lost() {
    let gateway = Stile::start("");
    let mut neighbour = Neighbour::of(&gateway);
    let keep = Connect { properties: session_expiry(3600), ..Connect::new(V5, "away") };
    let mut client = RawClient::with(gateway.mqtt, &keep);
    client.subscribe(&[("a", 1)], &[]);
    let since = listed(&gateway, "away", |_| true)["since"].clone();
    client.cut();
    let card = listed(&gateway, "away", |card| card["connected"] == false);
    assert_eq!(card["last_error"], "closed without DISCONNECT");
    assert!(card["since"].as_str() > since.as_str(), "{card} {since}");
    let mut publisher = RawClient::connect(gateway.mqtt, V311, "publisher");
    publisher.publish_acked(false, "a", &[], "12345");
    let card = listed(&gateway, "away", |card| card["queue"]["messages"] == 1);
    assert!(card["queue"]["bytes"].as_u64() > Some(5), "{card}");
    // It comes again: the same card.
    let mut client = RawClient::with(gateway.mqtt, &Connect { clean: false, ..keep.clone() });
    client.next_acked();
    let card = listed(&gateway, "away", |card| card["in_flight"] == 0 && card["sent"]["messages"] == 1);
    assert_eq!((&card["connected"], &card["subscriptions"][0]["filter"]), (&json!(true), &json!("a")));
    // A clean start has a card of its own, and one without a session none.
    client.cut();
    let client = RawClient::with(gateway.mqtt, &Connect::new(V5, "away"));
    let card = listed(&gateway, "away", |card| card["connected"] == true);
    assert_eq!((&card["subscriptions"], &card["last_error"]), (&json!([]), &Value::Null));
    client.disconnect();
    within("it is gone", || find(&gateway, "away").is_none().then_some(()));
    neighbour.is_well();
}

#[test]
fn a_client_that_is_sent_away_is_told_so_and_its_session_goes_on() {
    let gateway = Stile::start("");
    let mut neighbour = Neighbour::of(&gateway);
    let id = "a/b %2F?#é";
    let keep = Connect { clean: false, properties: session_expiry(3600), ..Connect::new(V5, id) };
    let mut client = RawClient::with(gateway.mqtt, &keep);
    client.subscribe(&[("a", 1)], &[]);
    let old = RawClient::connect(gateway.mqtt, V311, "old");
    for id in [id, "old"] {
        let (code, out, err) = stile(&gateway, &["disconnect", id]);
        assert_eq!((code, out), (0, format!("{id} is sent away\n")), "{err}");
    }
    let last = client.expect_closed().pop().unwrap();
    assert_eq!((last.first, last.body[0]), (0xe0, 0x98), "administrative action");
    assert_eq!(old.expect_closed(), []);
    let (code, _, err) = stile(&gateway, &["disconnect", "nobody"]);
    assert!(code == 1 && err.contains("there is no client \"nobody\""), "{err}");
    // It is away already.
    listed(&gateway, id, |card| card["connected"] == false);
    assert_eq!(stile(&gateway, &["disconnect", id]).0, 1);
    let (mut client, connack) = RawClient::meet(gateway.mqtt, &keep);
    assert_eq!(connack.body[..2], [1, 0], "the session is there");
    client.expect_nothing();
    neighbour.is_well();
}

#[test]
fn a_client_that_is_forgotten_finds_no_session_and_its_will_is_published() {
    let gateway = Stile::start("");
    let mut neighbour = Neighbour::of(&gateway);
    let mut watcher = RawClient::connect(gateway.mqtt, V5, "watcher");
    watcher.subscribe(&[("will", 1)], &[]);
    // With a delay that nobody waits for.
    let will = RawWill { topic: "will", payload: "gone", retain: false, properties: vec![0x18, 0, 0, 0x0e, 0x10] };
    let connect =
        Connect { clean: false, will: Some(will), properties: session_expiry(3600), ..Connect::new(V5, "sensor") };
    for away in [false, true] {
        let (mut client, connack) = RawClient::meet(gateway.mqtt, &connect);
        assert_eq!(connack.body[..2], [0, 0], "a new session");
        client.subscribe(&[("a", 1)], &[]);
        if away {
            client.cut();
            listed(&gateway, "sensor", |card| card["connected"] == false);
        }
        let (code, out, err) = stile(&gateway, &["disconnect", "sensor", "--forget"]);
        assert_eq!((code, out.as_str()), (0, "sensor is sent away and its session ends\n"), "{err}");
        assert_eq!(watcher.next_acked().text, "gone");
        within("it is forgotten", || find(&gateway, "sensor").is_none().then_some(()));
    }
    assert_eq!(stile(&gateway, &["disconnect", "sensor", "--forget"]).0, 1);
    neighbour.is_well();
}

#[test]
fn sessions_that_outlived_the_process_are_listed_with_what_they_have_and_can_be_forgotten_for_good() {
    let mut gateway = Stile::start("");
    let keep = Connect { properties: session_expiry(3600), ..Connect::new(V5, "away") };
    let mut client = RawClient::with(gateway.mqtt, &keep);
    client.subscribe(&[("a", 1), ("b/#", 2)], &[]);
    client.disconnect();
    RawClient::connect(gateway.mqtt, V311, "publisher").publish_acked(false, "a", &[], "12345");
    gateway.kill_and_start();
    let card = listed(&gateway, "away", |card| card["queue"]["messages"] == 1);
    assert_eq!((&card["connected"], &card["address"], &card["protocol"]), (&json!(false), &Value::Null, &Value::Null));
    let filters = json!([{ "filter": "a", "qos": 1 }, { "filter": "b/#", "qos": 2 }]);
    assert_eq!((&card["subscriptions"], &card["session_expiry_seconds"]), (&filters, &json!(3600)));
    assert_eq!(stile(&gateway, &["disconnect", "away", "--forget"]).0, 0);
    gateway.stop();
    gateway.start_again();
    assert_eq!(find(&gateway, "away"), None);
    let (_, connack) = RawClient::meet(gateway.mqtt, &Connect { clean: false, ..keep });
    assert_eq!(connack.body[..2], [0, 0], "a new session");
}
