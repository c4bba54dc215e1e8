//! SIGHUP: what changed is rebuilt, what did not goes on; what is wrong is refused.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};

use rumqttc::QoS;
use rustix::process::Signal;
use serde_json::Value;
use stile_tests::{Client, EndOnDrop, Rig, Stile, SwitchedPort, serial, within};

#[track_caller]
fn done(verdict: &Value) {
    assert_eq!(verdict["message"], "reload done", "{verdict}");
}

#[track_caller]
fn refused(verdict: &Value) -> String {
    assert_eq!(verdict["message"], "reload refused; the old settings go on", "{verdict}");
    verdict["error"].as_str().unwrap().to_owned()
}

/// That the port of radio `a` was never closed. Its counters begin anew with each start, so the log tells.
#[track_caller]
fn assert_undisturbed(rig: &Rig) {
    let opened: Vec<Value> = rig.stile.logged("port open").into_iter().filter(|r| r["radio"] == "a").collect();
    assert_eq!(opened.len(), 1, "{opened:#?}");
}

#[test]
fn radios_come_change_and_go_while_another_loses_nothing() {
    let rig = Rig::start("");
    let dir = rig.stile.dir.path().to_owned();
    let mut other = SwitchedPort::named(&dir, "other");
    other.plug();
    let a = serial("a", &rig.port, "");
    let enough = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let (pty, enough) = (rig.pty(), &enough);
        let end = EndOnDrop(enough);
        let talker = scope.spawn(move || {
            let mut count = 0;
            while !enough.load(Ordering::Relaxed) {
                pty.write(format!("{count}\n").as_bytes());
                count += 1;
                // As a device would; and the client must keep up.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            count
        });
        let b_says = |wire: &[u8], text: &str| {
            rig.stile.wait_online("b");
            other.pty().write(wire);
            within("b's frame is counted", || (rig.stile.radio("b", "frames_received_total") == 1.0).then_some(()));
            let tap = Client::connect(rig.stile.mqtt, text);
            tap.subscribe("serial/b/state", QoS::AtLeastOnce);
            assert_eq!(tap.next().json()["state"], "online");
        };
        done(&rig.stile.reload("", &(a.clone() + &serial("b", &other, ""))));
        b_says(b"added\n", "added");
        done(&rig.stile.reload("", &(a.clone() + &serial("b", &other, "framing = \"slip\""))));
        b_says(b"\xC0changed\xC0", "changed");
        done(&rig.stile.reload("", &a));
        let b = Client::connect(rig.stile.mqtt, "removed");
        b.subscribe("serial/b/state", QoS::AtLeastOnce);
        assert_eq!(b.next().json()["reason"], "the radio was stopped");
        let (_, metrics) = rig.stile.get("/metrics");
        assert!(!metrics.contains("radio=\"b\""), "b is gone");
        drop(end);
        talker.join().unwrap()
    });
    let mut b_frames = Vec::new();
    let mut next = 0;
    while next < written {
        let message = rig.client.next();
        match message.topic.as_str() {
            "serial/a/up" => {
                assert_eq!(message.text(), next.to_string());
                next += 1;
            }
            "serial/b/up" => b_frames.push(message.text().to_owned()),
            _ => {}
        }
    }
    assert_eq!(b_frames, ["added", "changed"]);
    assert_undisturbed(&rig);
}

#[test]
fn wrong_settings_are_refused_and_the_old_go_on() {
    let rig = Rig::start("");
    let wrong = serial("a", &rig.port, "parity = \"perhaps\"") + &serial("b", &rig.port, "");
    let said = refused(&rig.stile.reload("", &wrong));
    assert!(said.contains("parity") && said.contains("stile.toml"), "{said}");
    assert!(said.contains("device"), "all that is wrong is said at once: {said}");
    rig.pty().write(b"still here\n");
    assert_eq!(rig.next("up").text(), "still here");
    assert_undisturbed(&rig);
    done(&rig.stile.reload("", &serial("a", &rig.port, "framing = \"slip\"")));
    rig.stile.wait_metric("stile_radio_opened_total{radio=\"a\"}", |opened| opened == 1.0);
    rig.stile.wait_online("a");
    rig.pty().write(b"\xC0now\xC0");
    assert_eq!(rig.next("up").text(), "now");
}

/// The address that the daemon opened last for MQTT.
fn last_opened(stile: &Stile, before: usize) -> SocketAddr {
    stile.wait_another("listening for MQTT", before)["address"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_new_address_is_opened_and_one_that_is_gone_is_closed_while_the_clients_of_others_stay() {
    let rig = Rig::start("");
    let a = serial("a", &rig.port, "");
    // Written after the `listen` of the harness, in a file that wins.
    let folder = rig.stile.dir.path().join("conf.d");
    std::fs::create_dir(&folder).unwrap();
    let listen = |addresses: &str| {
        std::fs::write(folder.join("listen.toml"), format!("[broker]\nlisten = [{addresses}]\n")).unwrap();
        rig.stile.reload("", &a)
    };
    done(&listen("\"127.0.0.1:0\", \"127.0.0.2:0\""));
    let second = last_opened(&rig.stile, 1);
    assert_eq!(second.ip().to_string(), "127.0.0.2");
    let client = Client::connect(second, "second");
    client.subscribe("serial/a/up", QoS::AtLeastOnce);
    rig.pty().write(b"to both\n");
    assert_eq!((client.next().text(), rig.next("up").text()), ("to both", "to both"));

    done(&listen("\"127.0.0.1:0\""));
    assert!(!client.publish_or_end("x", "x"), "the client of the closed address is let go");
    assert!(std::net::TcpStream::connect(second).is_err(), "it is closed");
    rig.pty().write(b"to one\n");
    assert_eq!(rig.next("up").text(), "to one");
    assert_undisturbed(&rig);
}

#[test]
fn a_busy_address_is_refused_and_nothing_of_the_new_settings_is_taken() {
    let rig = Rig::start("");
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let folder = rig.stile.dir.path().join("conf.d");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("listen.toml");
    std::fs::write(&file, format!("[broker]\nlisten = [\"127.0.0.1:0\", \"127.0.0.3:0\", \"{address}\"]\n")).unwrap();
    let said = refused(&rig.stile.reload("", &serial("a", &rig.port, "framing = \"slip\"")));
    assert!(said.contains(&address.to_string()), "{said}");
    rig.pty().write(b"lines\n");
    assert_eq!(rig.next("up").text(), "lines", "the radio is as it was");
    Client::connect(rig.stile.mqtt, "the old address is open");
    assert_eq!(rig.stile.logged("listening for MQTT").len(), 1);
    // The same settings are taken once the address is free.
    drop(busy);
    done(&rig.stile.reload("", &serial("a", &rig.port, "framing = \"slip\"")));
    Client::connect(address, "the new address");
}

#[test]
fn an_address_widens_on_its_own_port_and_comes_back_when_that_fails() {
    let stile = Stile::start("");
    let port = stile.mqtt.port();
    // From a port of the system's choice to that very port, then from one address to all, then to one that is not ours.
    let listening = |address: &str| {
        let settings = Stile::settings(stile.dir.path(), "allow-anonymous = true", "");
        settings.replace("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"{address}\"]"))
    };
    let reload = |address: &str| {
        std::fs::write(stile.dir.path().join("stile.toml"), listening(address)).unwrap();
        let before = stile.logged("reload done").len() + stile.logged("reload refused; the old settings go on").len();
        stile.signal(Signal::HUP);
        within("a verdict", || {
            let (done, refused) = (stile.logged("reload done"), stile.logged("reload refused; the old settings go on"));
            (done.len() + refused.len() > before).then_some(refused.len())
        })
    };
    let another = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(reload(&format!("127.0.0.1:{another}")), 0);
    assert_eq!(reload(&format!("0.0.0.0:{another}")), 0, "the same port, on all addresses");
    Client::connect(([127, 0, 0, 1], another).into(), "there");
    // 192.0.2.1 is nobody's (RFC 5737).
    assert_eq!(reload(&format!("192.0.2.1:{another}")), 1);
    Client::connect(([127, 0, 0, 1], another).into(), "still there");
    assert_ne!(port, another);
}
