//! A poller of Modbus RTU: the test is the slave at the other end of the line.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stile_tests::{EndOnDrop, Rig};

/// The question for the voltage of an SDM meter, and its answer: 230.2 V.
const ASK_VOLTAGE: [u8; 8] = [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB];
const VOLTAGE: [u8; 9] = [0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38];

/// 220.0 V.
const OTHER_VOLTAGE: [u8; 9] = [0x01, 0x04, 0x04, 0x43, 0x5C, 0x00, 0x00, 0x2E, 0x12];

/// A radio that polls the voltage so often.
fn poller(period: &str, response_timeout: &str) -> Rig {
    Rig::start(&format!(
        "framing = \"modbus-rtu\"\nresponse-timeout = \"{response_timeout}\"\n[[radio.poll]]\nname = \"voltage\"\n\
         period = \"{period}\"\nslave = 1\nfunction = 4\naddress = 0\ncount = 2\ntype = \"f32\""
    ))
}

/// Answers the next question for the voltage with this.
#[track_caller]
fn answer(rig: &Rig, bytes: &[u8]) {
    assert_eq!(rig.pty().read(ASK_VOLTAGE.len()), ASK_VOLTAGE);
    rig.pty().write(bytes);
}

#[track_caller]
fn expect_voltage(rig: &Rig) {
    let reading = rig.next("up").json();
    assert!((reading["value"].as_f64().unwrap() - 230.2).abs() < 0.001, "{reading}");
    assert_eq!(reading["name"], "voltage");
    let asked = (&reading["slave"], &reading["function"], &reading["address"]);
    assert_eq!(asked, (&1.into(), &4.into(), &0.into()));
}

#[test]
fn a_meter_that_answers_at_once_reads_230_2_volts_each_time() {
    let rig = poller("50ms", "5s");
    for _ in 0..20 {
        answer(&rig, &VOLTAGE);
        expect_voltage(&rig);
    }
    assert_eq!(rig.stile.radio("a", "polls_failed_total"), 0.0);
    assert_eq!(rig.stile.radio("a", "frames_rejected_total"), 0.0);
}

#[test]
fn an_exception_a_wrong_slave_a_lying_crc_and_silence_are_failed_polls_and_the_next_is_good() {
    let rig = poller("50ms", "1500ms");
    let mut lie = VOLTAGE;
    lie[5] ^= 1;
    let short = [0x01, 0x04, 0x02, 0x43, 0x66, 0x08, 0x2A];
    let failures: [(&[u8], Option<&str>, &str); 5] = [
        (&[0x01, 0x84, 0x02, 0xC2, 0xC1], Some("frame-malformed"), "it does not have these addresses (exception 2)"),
        (&[0x02, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x28, 0x38], Some("frame-malformed"), "but slave 2 answered"),
        (&short, Some("frame-malformed"), "2 data bytes, but 4 were asked for"),
        (&lie, Some("frame-checksum"), "no-response"),
        (b"", None, "no-response"),
    ];
    for (count, (bytes, drop, words)) in (1..).zip(failures) {
        let before = drop.map(|reason| rig.stile.dropped(reason));
        answer(&rig, bytes);
        let said = rig.stile.wait_another("poll failed", count - 1);
        assert!(said["error"].as_str().unwrap().contains(words) && said["poll"] == "voltage", "{said}");
        answer(&rig, &VOLTAGE);
        expect_voltage(&rig);
        assert_eq!(rig.stile.radio("a", "polls_failed_total"), count as f64);
        let after = drop.map(|reason| rig.stile.dropped(reason));
        assert_eq!(after, before.map(|n| n + 1), "{words}");
    }
}

#[test]
fn an_answer_that_comes_too_late_is_noise_and_not_the_answer_to_the_next_question() {
    let rig = poller("10ms", "1500ms");
    assert_eq!(rig.pty().read(ASK_VOLTAGE.len()), ASK_VOLTAGE);
    rig.stile.wait_log("poll failed");
    rig.pty().write(&OTHER_VOLTAGE);
    answer(&rig, &VOLTAGE);
    expect_voltage(&rig);
    assert_eq!(rig.stile.dropped("frame-noise"), 1);
    assert_eq!(rig.stile.radio("a", "polls_failed_total"), 1.0);
}

#[test]
fn a_line_that_is_never_silent_is_asked_again_all_the_same() {
    let rig = poller("10ms", "200ms");
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (pty, enough) = (rig.pty(), &enough);
        let _end = EndOnDrop(enough);
        scope.spawn(move || {
            while !enough.load(Ordering::Relaxed) {
                pty.write_some(b"\0");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        for _ in 0..3 {
            assert_eq!(rig.pty().read(ASK_VOLTAGE.len()), ASK_VOLTAGE);
        }
    });
}

#[test]
fn an_answer_decodes_wherever_it_is_cut_in_two() {
    let rig = poller("20ms", "5s");
    let mut read = 0;
    for cut in 1..VOLTAGE.len() {
        answer(&rig, &VOLTAGE[..cut]);
        let total = (read + cut) as f64;
        rig.stile.wait_metric("stile_radio_bytes_received_total{radio=\"a\"}", |bytes| bytes == total);
        rig.pty().write(&VOLTAGE[cut..]);
        expect_voltage(&rig);
        read += VOLTAGE.len();
    }
}

#[test]
fn a_client_writes_a_register_and_the_slaves_answer_comes_on_up() {
    let rig = Rig::start("framing = \"modbus-rtu\"\nresponse-timeout = \"20s\"");
    // Coil 1 on, as a payload without its CRC; the slave echoes it.
    let write = [0x01, 0x06, 0x00, 0x01, 0x00, 0xFF];
    let on_the_line = [0x01, 0x06, 0x00, 0x01, 0x00, 0xFF, 0x98, 0x4A];
    rig.send("w1", write);
    assert_eq!(rig.pty().read(8), on_the_line);
    rig.pty().write(&on_the_line);
    let result = rig.result_of("w1");
    assert_eq!((&result["result"], &result["bytes"]), (&"answered".into(), &8.into()), "{result}");
    let up = rig.next("up");
    assert_eq!((up.payload.as_slice(), up.correlation.as_deref()), (&write[..], Some(&b"w1"[..])));
    rig.send("short", [0x01]);
    assert!(rig.refused("short", "not-encodable").contains("slave address"));
}

#[test]
fn what_a_slave_says_unasked_is_noise() {
    let rig = Rig::start("framing = \"modbus-rtu\"");
    rig.pty().write(&VOLTAGE);
    rig.stile.wait_metric("stile_messages_dropped_total{reason=\"frame-noise\"}", |count| count == 1.0);
    assert_eq!(rig.stile.radio("a", "frames_received_total"), 0.0);
}
