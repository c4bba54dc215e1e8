//! Ports that go and come back: unplugged, replugged, in the middle of a frame, in the middle of a write.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rumqttc::QoS;
use serde_json::Value;
use stile_tests::{Pty, Rig, SwitchedPort, V5Client, serial};

/// Five times what is promised, for loaded machines.
const REOPENED: Duration = Duration::from_secs(10);

/// Pulls the port out and waits until the daemon has noticed; gives what it says of it.
#[track_caller]
fn unplug(rig: &mut Rig) -> Value {
    rig.port.unplug();
    next_state(rig, "offline")
}

/// Plugs a new port in and waits until it is open; gives what the daemon says of it.
#[track_caller]
fn plug(rig: &mut Rig) -> Value {
    rig.port.plug();
    let state = next_state(rig, "online");
    rig.stile.wait_online("a");
    state
}

#[track_caller]
fn next_state(rig: &Rig, state: &str) -> Value {
    rig.client.next_where(|m| m.topic == "serial/a/state" && m.json()["state"] == state).json()
}

/// What a client that comes now is told of the port.
#[track_caller]
fn kept_state(rig: &Rig, radio: &str) -> Value {
    let newcomer = V5Client::connect(rig.stile.mqtt, "newcomer");
    newcomer.subscribe(&format!("serial/{radio}/state"), QoS::AtLeastOnce);
    let message = newcomer.next();
    assert!(message.retain);
    message.json()
}

#[test]
fn a_port_that_is_unplugged_and_plugged_in_again_works_each_time_and_its_state_says_so() {
    let mut rig = Rig::start("");
    for round in 1..=3 {
        assert_eq!(kept_state(&rig, "a")["state"], "online");
        let offline = unplug(&mut rig);
        assert!(offline["reason"].as_str().unwrap().starts_with("unplugged"), "{offline}");
        assert_eq!(kept_state(&rig, "a"), offline);
        assert_eq!(rig.stile.metric("stile_radio_online{radio=\"a\"}"), 0.0);
        let plugged = Instant::now();
        let online = plug(&mut rig);
        assert!(plugged.elapsed() < REOPENED, "{:?}", plugged.elapsed());
        assert_eq!(online["device"].as_str(), rig.port.link().to_str());
        rig.pty().write(format!("frame {round}\n").as_bytes());
        assert_eq!(rig.next("up").text(), format!("frame {round}"));
        rig.send("down", "x");
        assert_eq!(rig.result_of("down")["result"], "sent");
        assert_eq!(rig.stile.radio("a", "opened_total"), f64::from(round + 1));
    }
    let lost = "port lost; it is opened again when it is back";
    rig.stile.wait_another(lost, 2);
    assert_eq!(rig.stile.logged(lost).len(), 3, "once each time");
}

#[test]
fn a_port_that_was_not_there_at_the_start_is_opened_when_it_comes() {
    let mut late = None;
    let rig = Rig::start_beside("", |dir| {
        let port = SwitchedPort::named(dir, "late");
        let settings = serial("late", &port, "");
        late = Some(port);
        settings
    });
    let state =
        |wanted: &str| rig.client.next_where(|m| m.topic == "serial/late/state" && m.json()["state"] == wanted).json();
    let offline = state("offline");
    assert!(offline["reason"].as_str().unwrap().contains("is not there"), "{offline}");
    let mut port = late.unwrap();
    port.plug();
    state("online");
    rig.stile.wait_online("late");
    port.pty().write(b"here\n");
    assert_eq!(rig.client.next_where(|m| m.topic == "serial/late/up").text(), "here");
}

#[test]
fn a_missing_port_costs_no_processor_time() {
    let mut rig = Rig::start("");
    unplug(&mut rig);
    let (start, before) = (Instant::now(), rig.stile.processor_time());
    // The stretch that is measured, not a wait: a busy loop would use all of it.
    std::thread::sleep(Duration::from_secs(2));
    let used = rig.stile.processor_time() - before;
    assert!(used < Duration::from_millis(300), "{used:?} in {:?}", start.elapsed());
}

#[test]
fn a_frame_that_the_unplugging_cut_is_counted_and_does_not_spoil_the_next() {
    let mut rig = Rig::start("");
    rig.pty().write(b"whole\nhalf a fra");
    assert_eq!(rig.next("up").text(), "whole");
    rig.stile.wait_metric("stile_radio_bytes_received_total{radio=\"a\"}", |bytes| bytes == 16.0);
    unplug(&mut rig);
    assert_eq!(rig.stile.dropped("frame-cut"), 1);
    plug(&mut rig);
    rig.pty().write(b"next\n");
    assert_eq!(rig.next("up").text(), "next");
}

#[test]
fn a_port_that_vanishes_while_it_is_written_to_refuses_the_frame_and_works_when_it_is_back() {
    let mut rig = Rig::start("write-timeout = \"60s\"\nmax-frame = 65536");
    // More than the port holds, and nobody reads it: the writing is under way until the port is gone.
    rig.send("cut", vec![b'x'; 65_000]);
    rig.stile.wait_metric("stile_radio_bytes_sent_total{radio=\"a\"}", |bytes| bytes > 0.0);
    rig.send("behind", "y");
    rig.port.unplug();
    assert_eq!(rig.refused("cut", "port-closed"), "the frame was cut");
    rig.refused("behind", "port-closed");
    plug(&mut rig);
    rig.send("next", "next");
    assert_eq!(rig.pty().read(5), b"next\n", "nothing of the frame that was cut");
    assert_eq!(rig.result_of("next")["result"], "sent");
    assert_eq!(rig.stile.radio("a", "frames_sent_total"), 1.0);
}

/// Has the link lead to a new port, in one step.
fn lead_to_new_port(link: &Path) -> Pty {
    let (pty, new_link) = (Pty::open(), link.with_extension("new"));
    std::os::unix::fs::symlink(pty.path(), &new_link).unwrap();
    std::fs::rename(&new_link, link).unwrap();
    pty
}

#[test]
fn a_port_that_opens_and_fails_at_once_is_said_to_once_and_to_be_back_when_it_holds() {
    const ROUNDS: u32 = 6;
    let mut link = PathBuf::new();
    let rig = Rig::start_beside("", |dir| {
        let port = SwitchedPort::named(dir, "flighty");
        link = port.link().to_owned();
        serial("flighty", &port, "")
    });
    let opened = |times: u32| {
        rig.stile.wait_metric("stile_radio_opened_total{radio=\"flighty\"}", |opened| opened == f64::from(times));
    };
    let mut slow = 0;
    let mut pty = lead_to_new_port(&link);
    for round in 1..=ROUNDS {
        let there = Instant::now();
        opened(round);
        pty = lead_to_new_port(&link);
        // On a machine as loaded as that it may have held for the second after which it is believed.
        slow += usize::from(there.elapsed() >= Duration::from_secs(1));
    }
    opened(ROUNDS + 1);
    let lines = |message: &str| rig.stile.logged(message).iter().filter(|r| r["radio"] == "flighty").count();
    let lost = "port lost; it is opened again when it is back";
    assert!((1..=1 + slow).contains(&lines(lost)), "{} times, {slow} slow rounds", lines(lost));
    // Believed for a byte's sake, before the frame is out.
    pty.write(b"here\n");
    assert_eq!(rig.client.next_where(|m| m.topic == "serial/flighty/up").text(), "here");
    assert_eq!(kept_state(&rig, "flighty")["state"], "online");
    // And without one, because it holds.
    for round in 2..=3 {
        pty = lead_to_new_port(&link);
        opened(ROUNDS + round);
    }
    rig.stile.wait_online("flighty");
    assert_eq!(kept_state(&rig, "flighty")["state"], "online");
    drop(pty);
}
