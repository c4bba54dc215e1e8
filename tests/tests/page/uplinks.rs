//! What the page and the API say of uplinks, against Debian's Mosquitto; tests of remotes; dead letters.

use std::net::SocketAddr;

use rumqttc::QoS;
use serde_json::Value;
use stile_tests::{Answer, Browser, Mosquitto, Stile, V5Client, Visitor, within, within_or};

use super::browser::{fits_everybody, url};

const RULE: &str = "topics = [{ filter = \"n/#\" }]";

fn uplink(name: &str, url: &str, more: &str) -> String {
    format!("[[uplink]]\nname = \"{name}\"\nurl = \"{url}\"\n{RULE}\n{more}\n")
}

fn plain(name: &str, remote: SocketAddr) -> String {
    uplink(name, &format!("mqtt://{remote}"), "")
}

fn start(settings: &str) -> Stile {
    Stile::start_in(tempfile::tempdir().unwrap(), "", settings)
}

fn ask(visitor: &mut Visitor, path: &str) -> Value {
    visitor.ask("GET", path, &[], "").json()
}

/// Waits until the only uplink is as it should be, by the API.
#[track_caller]
fn shown(visitor: &mut Visitor, fits: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    within("the uplink is shown so", || {
        last = ask(visitor, "/api/v1/uplinks")["uplinks"][0].clone();
        fits(&last).then(|| last.clone())
    })
}

/// Sends a form with the token that forms carry.
fn send(visitor: &mut Visitor, path: &str, fields: &[(&str, &str)]) -> Answer {
    let csrf = visitor.get("/account").csrf();
    visitor.post(path, &[&[("csrf", csrf.as_str())], fields].concat())
}

/// Waits for a dead letter, and gives it.
#[track_caller]
fn letter(visitor: &mut Visitor) -> Value {
    within("a dead letter", || ask(visitor, "/api/v1/uplinks/up/letters").as_array()?.first().cloned())
}

/// One that takes packets of 400 bytes.
fn narrow() -> Mosquitto {
    let mut remote = Mosquitto::prepare();
    remote.configure("allow_anonymous true\nmax_packet_size 400");
    remote.start_again();
    remote
}

#[test]
fn a_queue_is_shown_as_it_is_while_the_remote_is_away_and_when_it_comes() {
    let mut remote = Mosquitto::prepare();
    remote.configure("allow_anonymous true");
    let stile = start(&plain("up", remote.address));
    let mut anna = Visitor::first(&stile);
    let here = V5Client::connect(stile.mqtt, "here");
    for number in 0..3 {
        here.publish("n/1", QoS::AtLeastOnce, false, format!("message {number}"));
    }
    let away = shown(&mut anna, |up| up["queue"]["messages"] == 3 && up["last_error"].is_string());
    assert_eq!(
        (&away["state"], &away["drain"], &away["seconds_to_drain"]),
        (&"offline".into(), &"away".into(), &Value::Null)
    );
    assert!(
        away["queue"]["bytes"].as_u64() > Some(27) && away["queue"]["oldest_seconds"].as_f64() > Some(0.0),
        "{away}"
    );
    let page = anna.get("/uplinks").text();
    for word in ["offline", "3 messages", "not while the remote is away", "can&#39;t be reached"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    let there = anna.get("/uplinks/up").text();
    assert!(there.contains("class=\"chart\"") && there.contains("<caption>Messages that wait</caption>"), "{there}");
    assert!(anna.get("/uplinks/up?span=two-days").text().contains("-48 h"), "two days");
    assert_eq!(anna.get("/uplinks/other").status, 404);
    remote.start_again();
    let back = shown(&mut anna, |up| up["delivered"] == 3 && up["queue"]["messages"] == 0);
    assert_eq!(
        (&back["state"], &back["drain"], &back["seconds_to_drain"]),
        (&"online".into(), &"empty".into(), &0.into())
    );
    assert!(anna.get("/uplinks").text().contains("online"));
}

#[test]
fn a_test_says_at_which_step_it_failed_and_leaves_the_uplink_alone() {
    let remote = Mosquitto::start();
    let locked = Mosquitto::prepare();
    locked.configure("allow_anonymous false");
    let mut locked = locked;
    locked.start_again();
    let pin = format!("pin = \"sha256:{}\"", "0".repeat(64));
    let settings = [
        plain("up", remote.address),
        plain("nobody", "127.0.0.1:1".parse().unwrap()),
        uplink("nameless", "mqtt://remote.invalid", ""),
        uplink("no-tls", &format!("mqtts://{}", remote.address), &pin),
        plain("locked", locked.address),
    ];
    let stile = start(&settings.concat());
    let mut anna = Visitor::first(&stile);
    stile.wait_metric("stile_uplink_online{uplink=\"up\"}", |online| online == 1.0);
    let page = send(&mut anna, "/uplinks/up/test", &[]);
    assert_eq!(page.status, 200, "{}", page.text());
    let page = page.text();
    assert!(page.contains("connected to") && page.contains("was acknowledged after"), "{page}");
    let connected = stile.metric("stile_uplink_connected_total{uplink=\"up\"}");
    assert_eq!((connected, stile.metric("stile_uplink_failed_total{uplink=\"up\"}")), (1.0, 0.0));
    for (name, at, said) in [
        ("nobody", "the connection", "can&#39;t be reached"),
        ("nameless", "the name", "remote"),
        ("no-tls", "TLS", "failed"),
        ("locked", "the sign-in", "refused the gateway"),
    ] {
        let page = send(&mut anna, &format!("/uplinks/{name}/test"), &[]);
        let text = page.text();
        assert!(page.status == 200 && text.contains(&format!("at {at}")) && text.contains(said), "{name}: {text}");
    }
    assert_eq!(send(&mut anna, "/uplinks/other/test", &[]).status, 404);
    let changes = ask(&mut anna, "/api/v1/audit").to_string();
    assert!(changes.contains("tested the uplink locked"), "{changes}");
}

#[test]
fn a_dead_letter_is_shown_sent_again_and_let_go() {
    let mut remote = narrow();
    let stile = start(&plain("up", remote.address));
    let mut anna = Visitor::first(&stile);
    shown(&mut anna, |up| up["state"] == "online");
    let here = V5Client::connect(stile.mqtt, "here");
    let long = format!("<b>{}", "x".repeat(600));
    here.publish("n/large", QoS::AtLeastOnce, false, long.clone());
    let dead = letter(&mut anna);
    assert_eq!(
        (&dead["reason"], &dead["topic"], &dead["bytes"]),
        (&"too-large".into(), &"n/large".into(), &603.into())
    );
    let id = dead["id"].as_str().unwrap();
    let page = anna.get(&format!("/uplinks/up/letters/{id}")).text();
    assert!(page.contains("&#60;b&#62;xxx") && page.contains("too-large"), "{page}");
    let one = ask(&mut anna, &format!("/api/v1/uplinks/up/letters/{id}"));
    assert_eq!((&one["message"]["payload"], &one["message"]["origin"]), (&long.clone().into(), &"client:here".into()));
    let refused = send(&mut anna, "/uplinks/up/letters/send", &[("id", id)]);
    assert!(refused.status == 409 && refused.text().contains("packets of 400 bytes"), "{}", refused.text());
    assert_eq!(letter(&mut anna)["id"], id, "it is still there");
    remote.stop();
    shown(&mut anna, |up| up["state"] == "offline");
    remote.configure("allow_anonymous true");
    remote.start_again();
    shown(&mut anna, |up| up["state"] == "online");
    let there = V5Client::connect(remote.address, "there");
    there.subscribe("n/#", QoS::AtLeastOnce);
    assert_eq!(send(&mut anna, "/uplinks/up/letters/send", &[("id", id)]).leads_to(), "/uplinks/up");
    assert_eq!(there.next().text(), long);
    assert_eq!(send(&mut anna, "/uplinks/up/letters/send", &[("id", id)]).status, 404, "it went once");
    assert_eq!(ask(&mut anna, "/api/v1/uplinks/up/letters"), Value::Array(Vec::new()));
    remote.stop();
    remote.configure("allow_anonymous true\nmax_packet_size 400");
    remote.start_again();
    within_or(
        || "the remote is narrow again".to_owned(),
        || {
            let up = ask(&mut anna, "/api/v1/uplinks")["uplinks"][0].clone();
            (up["state"] == "online" && up["limits"]["maximum_packet_size"] == 400).then_some(())
        },
    );
    here.publish("n/large", QoS::AtLeastOnce, false, long);
    let id = letter(&mut anna)["id"].as_str().unwrap().to_owned();
    assert_eq!(send(&mut anna, "/uplinks/up/letters/drop", &[("id", &id)]).leads_to(), "/uplinks/up");
    assert_eq!(send(&mut anna, "/uplinks/up/letters/drop", &[("id", &id)]).status, 404);
    let changes = ask(&mut anna, "/api/v1/audit").to_string();
    assert!(changes.contains("waits for the uplink up once more") && changes.contains("was let go"), "{changes}");
}

#[test]
fn an_uplink_with_paths_letters_and_a_test_is_a_page_for_everybody() {
    let remote = narrow();
    let paths =
        "paths = [{ name = \"cable\", address = \"127.0.0.1\" }, { name = \"modem\", interface = \"nowhere0\" }]";
    let settings = uplink("up", &format!("mqtt://{}", remote.address), paths);
    let stile = start(&format!("{settings}{}", plain("nobody", "127.0.0.1:1".parse().unwrap())));
    let mut anna = Visitor::first(&stile);
    let here = V5Client::connect(stile.mqtt, "here");
    stile.wait_metric("stile_uplink_online{uplink=\"up\"}", |online| online == 1.0);
    here.publish("n/large", QoS::AtLeastOnce, false, "x".repeat(600));
    here.publish("n/small", QoS::AtLeastOnce, false, "x");
    letter(&mut anna);
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/uplinks"));
    browser.wait_text("online");
    fits_everybody(&browser, "uplinks-some");
    browser.open(&url(&stile, "/uplinks/up"));
    browser.wait_text("too-large");
    browser.click("form[action^='/uplinks/up/test'] button");
    browser.wait_text("was acknowledged after");
    browser.wait_text("over modem at the connection");
    fits_everybody(&browser, "uplink");
    browser.click("#letters ~ .scroll a");
    browser.wait_text("A message that did not get there");
    fits_everybody(&browser, "letter");
    browser.click("button.danger");
    browser.wait_text("was let go");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}
