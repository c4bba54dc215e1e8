//! What a remote is told of messages, by the rules of `[[uplink.share]]`: on the wire, in the spool, over restarts, and in
//! the words of the command line.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rumqttc::QoS;
use serde_json::{Value, json};
use stile_tests::{Client, Mosquitto, V5Client, check, within};

use super::{dropped, keep, sink, start, uplink, wait_drained, wait_online};

const EVENT: &str = r#"{ "devEui": "0016c001ff10a235", "owner": "A. Miller", "count": 12345678901234567890,
    "location": { "latitude": 52.516274, "longitude": 13.377704, "floor": 3 }, "object": { "t": 21.50, "note": "x" } }"#;

const SHARE: &str = r#"
[[uplink.share]]
topics = ["lora/+/up"]
fields = ["/count", "/object/t"]
pseudonyms = ["/devEui"]
coarse = [{ position = "/location", metres = 1000 }, { property = "stile-received-at", to = "1h" }]
topic-levels = [1]
properties = ["site", "stile-id"]
"#;

/// An uplink that sends LoRa's events, readings and all else, and shares by these rules.
fn sharing(remote: SocketAddr, share: &str) -> String {
    uplink("up", remote, "{ filter = \"lora/+/up\", remote-prefix = \"site/\" }, { filter = \"n/#\" }", share)
}

fn withheld(stile: &stile_tests::Stile, reason: &str) -> f64 {
    stile.metric(&format!("stile_uplink_withheld_total{{uplink=\"up\",reason=\"{reason}\"}}"))
}

/// Every byte of every file in a folder, one after the other.
fn bytes_in(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            all.extend(bytes_in(&entry.path()));
        } else {
            all.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

fn is_in(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_remote_gets_what_the_rules_name_and_nothing_else_of_it_is_in_the_spool() {
    let mut remote = Mosquitto::start();
    let there = V5Client::connect(remote.address, "there");
    there.subscribe("site/#", QoS::AtLeastOnce);
    let stile = start(&sharing(remote.address, SHARE));
    wait_online(&stile, "up");
    let here = V5Client::connect(stile.mqtt, "A. Miller's phone");
    here.publish("lora/0016c001ff10a235/up", QoS::AtLeastOnce, false, EVENT);
    let out = there.next();
    let body: Value = out.json();
    let alias = body["devEui"].as_str().unwrap().to_owned();
    assert_eq!(out.topic, format!("site/lora/{alias}/up"));
    let expected = json!({
        "devEui": alias, "count": 12345678901234567890_u64, "object": { "t": 21.5 },
        "location": { "latitude": 52.520347, "longitude": 13.375723 },
    });
    assert_eq!(body, expected);
    assert!(out.text().contains("21.50") && out.text().contains("12345678901234567890"), "{}", out.text());
    let names: Vec<_> = out.user.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["stile-id", "stile-received-at"]);
    assert!(out.property("stile-received-at").unwrap().ends_with(":00:00Z"), "{:?}", out.user);
    // The remote goes, and what waits for it is looked at on the disk.
    remote.stop();
    here.publish("lora/0016c001ff10a235/up", QoS::AtLeastOnce, false, EVENT);
    let spool = bytes_in(&stile.dir.path().join("data/spool"));
    assert!(is_in(&spool, &alias) && is_in(&spool, "12345678901234567890"));
    for secret in ["0016c001ff10a235", "Miller", "52.516274", "13.377704", "note", "floor"] {
        assert!(!is_in(&spool, secret), "{secret}");
    }
}

#[test]
fn what_is_not_shared_is_acknowledged_counted_by_reason_and_balances() {
    let remote = Mosquitto::start();
    keep(remote.address, "#");
    let there = sink(remote.address, "#");
    let share = "[[uplink.share]]\ntopics = [\"n/a\", \"n/b/+\"]\nfields = [\"/x\"]";
    let stile = start(&sharing(remote.address, share));
    wait_online(&stile, "up");
    let here = Client::connect(stile.mqtt, "here");
    here.subscribe("#", QoS::AtLeastOnce);
    let sent = [
        ("n/c", "{\"x\":1}", "topic"),
        ("n/a", "no JSON", "not-json"),
        ("n/a", "{\"x\":1,\"y\":1,\"y\":2}", "duplicate-key"),
        ("n/b/1", "{\"y\":1}", "nothing-left"),
    ];
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for (topic, payload, _) in sent {
            here.publish(topic, qos, false, payload);
            assert_eq!(here.next_where(|message| message.topic == topic).text(), payload, "clients here get all of it");
        }
    }
    here.publish("n/a", QoS::ExactlyOnce, false, "{\"x\":1,\"y\":2}");
    let out = there.next_where(|message| message.topic.starts_with("n/"));
    assert_eq!((out.topic.as_str(), out.text()), ("n/a", "{\"x\":1}"));
    wait_drained(&stile, "up");
    for (_, _, reason) in sent {
        assert_eq!(withheld(&stile, reason), 3.0, "{reason}");
    }
    assert_eq!(stile.metric("stile_uplink_taken_total{uplink=\"up\"}"), 1.0);
    assert_eq!(dropped(&stile, "up", "refused"), 0.0);
    stile.ledger();
    let file = stile.dir.path().join("stile.toml");
    let (_, table, _) = check(&["uplink", "status", "--config", file.to_str().unwrap()]);
    assert!(table.contains("up, withheld as not-json: 3"), "{table}");
    there.expect_silence(Duration::from_millis(200));
}

/// Publishes an event with this count, and gives the name under which its device comes at the remote.
fn alias(stile: &stile_tests::Stile, there: &Client, count: u64) -> String {
    let event = json!({ "devEui": "0016c001ff10a235", "count": count }).to_string();
    Client::connect(stile.mqtt, "here").publish("lora/0016c001ff10a235/up", QoS::AtLeastOnce, false, event);
    // What was under way when the daemon was killed may come once more.
    let out = there.next_where(|message| message.topic.starts_with("site/lora/") && message.json()["count"] == count);
    out.json()["devEui"].as_str().unwrap().to_owned()
}

#[test]
fn pseudonyms_outlast_a_kill_and_are_others_for_another_remote_and_rules_change_with_a_reload() {
    let remote = Mosquitto::start();
    keep(remote.address, "site/#");
    let there = sink(remote.address, "site/#");
    let mut stile = start(&sharing(remote.address, SHARE));
    let first = alias(&stile, &there, 1);
    stile.kill();
    stile.start_again();
    assert_eq!(alias(&stile, &there, 2), first);
    let secret = stile.dir.path().join("data/sharing/up.secret");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&secret).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let other = sharing(remote.address, SHARE).replace("name = \"up\"", "name = \"other\"");
    assert_eq!(stile.reload("", &other)["message"], "reload done");
    assert_ne!(alias(&stile, &there, 3), first);
    // From no pseudonyms to some, and to other fields.
    let plain = "[[uplink.share]]\ntopics = [\"lora/+/up\"]\nfields = [\"/devEui\", \"/count\"]";
    assert_eq!(stile.reload("", &sharing(remote.address, plain))["message"], "reload done");
    assert_eq!(alias(&stile, &there, 4), "0016c001ff10a235");
    assert_eq!(stile.reload("", &sharing(remote.address, SHARE))["message"], "reload done");
    assert_eq!(alias(&stile, &there, 5), first, "the secret belongs to the uplink's name");
}

#[test]
fn each_change_of_what_may_leave_is_logged_and_kept_in_the_record() {
    let nowhere = Mosquitto::prepare().address;
    let mut stile = start(&sharing(nowhere, SHARE));
    let changed = "what may leave to a remote has changed";
    let first = stile.wait_log(changed);
    assert_eq!((&first["uplink"], &first["at"]), (&json!("up"), &json!("start")), "{first:#}");
    let more = SHARE.replace("\"/object/t\"", "\"/object/t\", \"/owner\"");
    assert_eq!(stile.reload("", &sharing(nowhere, &more))["message"], "reload done");
    let second = within("the change is logged", || stile.logged(changed).get(1).cloned());
    assert!(second["added"].as_str().unwrap().contains("\"/owner\""), "{second:#}");
    assert!(!second["removed"].as_str().unwrap().contains("\"/owner\""), "{second:#}");
    assert_eq!(stile.reload("", &sharing(nowhere, &format!("max-rate = 5\n{more}")))["message"], "reload done");
    stile.kill();
    let file = stile.dir.path().join("stile.toml");
    let file = file.to_str().unwrap().to_owned();
    let (code, text, _) = check(&["policy", "changes", "--config", &file]);
    assert_eq!((code, text.matches(" up by ").count()), (0, 2), "{text}");
    // Changed while the gateway does not run.
    let settings = stile_tests::Stile::settings(stile.dir.path(), "", &sharing(nowhere, SHARE));
    std::fs::write(&file, settings).unwrap();
    stile.start_again();
    let (_, lines, _) = check(&["policy", "changes", "up", "--json", "--config", &file]);
    let entries: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let at: Vec<_> = entries.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert_eq!(at, ["start", "reload", "start"], "{lines}");
    assert!(entries[2]["removed"][0].as_str().unwrap().contains("\"/owner\""), "{lines}");
}

#[test]
fn explain_says_beforehand_what_a_message_becomes_and_why() {
    let remote = Mosquitto::start();
    let there = V5Client::connect(remote.address, "there");
    there.subscribe("site/#", QoS::AtLeastOnce);
    let everything = uplink("all", remote.address, "{ filter = \"other/#\" }", "");
    let mut stile = start(&(sharing(remote.address, SHARE) + &everything));
    let (file, event) = (stile.dir.path().join("stile.toml"), stile.dir.path().join("event.json"));
    std::fs::write(&event, EVENT).unwrap();
    let (file, event) = (file.to_str().unwrap().to_owned(), event.to_str().unwrap().to_owned());
    let explain =
        |topic: &str, more: &[&str]| check(&[&["policy", "explain", topic, &event, "--config", &file], more].concat());
    let (code, text, error) =
        explain("lora/0016c001ff10a235/up", &["--json", "--property", "site=roof", "--property", "owner=x"]);
    assert_eq!(code, 0, "{error}");
    let said: Value = serde_json::from_str(&text).unwrap();
    let (up, all) = (&said["uplinks"][0], &said["uplinks"][1]);
    assert_eq!((&up["sent"], &up["rule"], &up["pseudonyms"]), (&json!(true), &json!(1), &json!("the real ones")));
    assert_eq!((&all["sent"], &all["why"]), (&json!(false), &json!("no rule of `topics` sends its topic")));
    assert_eq!(up["properties"][0], json!(["site", "roof"]), "{text}");
    assert_eq!(up["properties_left_out"], json!(["owner", "stile-clock", "stile-origin"]), "{text}");
    let fate = |field: &str| up["fields"].as_array().unwrap().iter().find(|fate| fate["field"] == field).unwrap();
    assert_eq!(fate("/owner")["became"], "left out");
    assert_eq!(fate("/devEui")["became"], "pseudonym");
    assert_eq!(fate("/location/latitude")["became"], "coarse");
    V5Client::connect(stile.mqtt, "here").publish("lora/0016c001ff10a235/up", QoS::AtLeastOnce, false, EVENT);
    let out = there.next();
    assert_eq!((out.topic.as_str(), out.text()), (up["topic"].as_str().unwrap(), up["payload"].as_str().unwrap()));
    let (code, text, _) = explain("n/1", &["--uplink", "up"]);
    assert!(code == 3 && text.contains("no [[uplink.share]] names its topic"), "{code} {text}");
    let (code, _, error) = explain("n/1", &["--uplink", "none"]);
    assert!(code == 1 && error.contains("there are: up, all"), "{code} {error}");
    stile.stop();
    std::fs::remove_file(stile.dir.path().join("data/sharing/up.secret")).unwrap();
    let (code, text, _) = explain("lora/0016c001ff10a235/up", &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("pseudonyms are examples, since the gateway has made no secret yet"), "{text}");
    assert!(!stile.dir.path().join("data/sharing/up.secret").exists(), "it makes none");
}
