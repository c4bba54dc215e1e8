//! What clients have sent: done, answered or refused with a reason, known by the asker's correlation data.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stile_tests::{EndOnDrop, Rig, SwitchedPort, serial, within};

/// More than a pseudo-terminal holds, in frames of this length.
const BLOCK: usize = 1000;
const BLOCKS: usize = 200;

/// Sends frames that nobody reads until the port takes no more and the queue behind it is full.
fn fill(rig: &Rig) {
    for _ in 0..BLOCKS {
        rig.send("fill", vec![b'x'; BLOCK]);
        if rig.refusals("queue-full") > 0.0 {
            return;
        }
    }
    panic!("the port takes whatever comes");
}

#[test]
fn a_frame_that_was_written_is_reported_with_the_askers_correlation() {
    let rig = Rig::start("framing = \"slip\"");
    for (correlation, payload, wire) in [("1", &b"\xC0"[..], &b"\xC0\xDB\xDC\xC0"[..]), ("two", b"ab", b"\xC0ab\xC0")] {
        rig.send(correlation, payload);
        assert_eq!(rig.pty().read(wire.len()), wire);
        let result = rig.result_of(correlation);
        assert_eq!((&result["result"], &result["bytes"]), (&"sent".into(), &wire.len().into()), "{result}");
    }
    assert_eq!((rig.stile.radio("a", "frames_sent_total"), rig.stile.radio("a", "bytes_sent_total")), (2.0, 8.0));
}

#[test]
fn what_the_framing_cannot_carry_is_refused_with_what_is_wrong() {
    let rig = Rig::start("framing = \"line\"\nmax-frame = 8");
    rig.send("lines", "two\nlines");
    assert!(rig.refused("lines", "not-encodable").contains("max-frame is 8"));
    rig.send("ending", "a\nb");
    assert!(rig.refused("ending", "not-encodable").contains("line ending"));
    rig.send("good", "good");
    assert_eq!(rig.result_of("good")["result"], "sent");
    assert_eq!(rig.pty().read(5), b"good\n");
    assert_eq!(rig.refusals("not-encodable"), 2.0);
}

#[test]
fn a_closed_port_refuses_what_it_is_given() {
    let mut rig = Rig::start("");
    rig.port.unplug();
    rig.client.next_where(|m| m.topic == "serial/a/state" && m.json()["state"] == "offline");
    rig.send("late", "x");
    rig.refused("late", "port-closed");
    assert_eq!(rig.refusals("port-closed"), 1.0);
}

#[test]
fn a_stuck_port_refuses_by_timeout_while_another_radio_goes_on_and_works_again_once_it_is_read() {
    let mut other = None;
    let rig = Rig::start_beside("write-timeout = \"200ms\"", |dir| {
        let mut port = SwitchedPort::named(dir, "other");
        port.plug();
        let settings = serial("b", &port, "");
        other = Some(port);
        settings
    });
    let other = other.unwrap();
    rig.stile.wait_online("b");
    let mut sent = 0;
    let refused = loop {
        rig.send("x", vec![b'x'; BLOCK]);
        let result = rig.result_of("x");
        if result["result"] != "sent" {
            break result;
        }
        sent += 1;
        assert!(sent < BLOCKS, "the port takes whatever comes");
    };
    assert_eq!((&refused["result"], &refused["reason"]), (&"refused".into(), &"write-timeout".into()));
    assert!(sent > 0);
    // It is stuck: each frame takes its whole time-out. The neighbour does not notice.
    for round in 0..5 {
        rig.client.ask("serial/a/down", "stuck", vec![b'x'; BLOCK]);
        other.pty().write(format!("{round}\n").as_bytes());
        rig.client.next_where(|m| m.topic == "serial/b/up" && m.text() == round.to_string());
        rig.client.ask("serial/b/down", "b", format!("down {round}"));
        assert_eq!(other.pty().read(7), format!("down {round}\n").as_bytes());
    }
    rig.stile.wait_metric("stile_radio_frames_refused_total{radio=\"a\",reason=\"write-timeout\"}", |n| n == 6.0);
    let stuck = rig.pty().read_until_silent(Duration::from_millis(100));
    assert!(stuck.iter().all(|byte| matches!(byte, b'x' | b'\n')));
    rig.send("after", "after");
    assert_eq!(rig.client.next_where(|m| m.correlation.as_deref() == Some(b"after")).json()["result"], "sent");
    assert!(rig.pty().read_until_silent(Duration::from_millis(100)).ends_with(b"after\n"));
    assert_eq!(rig.stile.radio("b", "frames_sent_total"), 5.0);
}

#[test]
fn a_full_queue_refuses_the_newcomer_and_a_stop_refuses_what_waits() {
    let mut rig = Rig::start("write-timeout = \"60s\"\ndown-queue = 2");
    fill(&rig);
    rig.send("one too many", "x");
    let ack = rig.client.next_where(|m| m.correlation.as_deref() == Some(b"one too many")).json();
    assert_eq!((&ack["result"], &ack["reason"]), (&"refused".into(), &"queue-full".into()));
    // Stopping does not wait for the port: one frame is half written and two wait.
    rig.stile.stop();
}

#[test]
fn an_answer_is_told_from_silence() {
    let rig = Rig::start("response-timeout = \"500ms\"");
    rig.send("q1", "ask");
    assert_eq!(rig.pty().read(4), b"ask\n");
    rig.pty().write(b"answer\n");
    let result = rig.result_of("q1");
    assert_eq!((&result["result"], &result["bytes"]), (&"answered".into(), &4.into()), "{result}");
    let up = rig.next("up");
    assert_eq!((up.text(), up.correlation.as_deref()), ("answer", Some(&b"q1"[..])));
    // The line belongs to the first question until it is answered or has timed out.
    rig.send("q2", "ask");
    rig.send("q3", "more");
    assert_eq!(rig.pty().read(4), b"ask\n");
    rig.refused("q2", "no-response");
    assert_eq!(rig.pty().read(5), b"more\n");
    rig.pty().write(b"late\n");
    assert_eq!(rig.result_of("q3")["result"], "answered");
    assert_eq!(rig.next("up").correlation.as_deref(), Some(&b"q3"[..]));
    rig.pty().write(b"unasked\n");
    let up = rig.next("up");
    assert_eq!((up.text(), up.correlation.as_deref()), ("unasked", None));
}

#[test]
fn a_port_that_is_lost_before_the_answer_is_told_from_one_that_cut_the_frame_and_so_is_a_stop() {
    let mut rig = Rig::start("response-timeout = \"60s\"");
    let ask = |rig: &Rig| {
        let before = rig.stile.radio("a", "frames_sent_total");
        rig.send("ask", "ask");
        within("it is sent", || (rig.stile.radio("a", "frames_sent_total") > before).then_some(()));
    };
    ask(&rig);
    rig.port.unplug();
    assert_eq!(rig.refused("ask", "port-closed"), "sent, but the port was lost before the answer");
    rig.port.plug();
    rig.stile.wait_online("a");
    ask(&rig);
    rig.stile.reload("", "");
    assert_eq!(rig.refused("ask", "shutting-down"), "sent, but the radio was stopped before the answer");
}

#[test]
fn a_poll_asks_again_and_again_and_its_answers_name_it() {
    let rig = Rig::start(
        "envelope = \"json\"\nresponse-timeout = \"5s\"\n[[radio.poll]]\nname = \"status\"\nperiod = \"50ms\"\n\
         request = \"STATUS?\"",
    );
    for round in 0..3 {
        assert_eq!(rig.pty().read(8), b"STATUS?\n");
        rig.pty().write(format!("OK {round}\n").as_bytes());
        let up = rig.next("up").json();
        assert_eq!((&up["payload"], &up["meta"]["poll"]), (&format!("OK {round}").into(), &"status".into()));
    }
    assert_eq!(rig.stile.radio("a", "polls_failed_total"), 0.0);
}

#[test]
fn a_device_that_never_stops_talking_is_sent_to_all_the_same() {
    let rig = Rig::start("max-frame = 64\nwrite-timeout = \"1s\"");
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Without line endings, so that the talk is one overlong frame and no message.
        let pty = rig.pty();
        let enough = &enough;
        let _end = EndOnDrop(enough);
        scope.spawn(move || {
            while !enough.load(Ordering::Relaxed) {
                pty.write_some(b"x");
            }
        });
        rig.send("through", "hello");
        let result = rig.result_of("through");
        assert_eq!(result["result"], "sent", "{result}");
    });
    assert_eq!(rig.pty().read(6), b"hello\n");
}
