//! Every framing on a real port: cut anywhere, behind noise, with lying checksums, without end.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::{Duration, Instant};

use rumqttc::QoS;
use stile_tests::{Received, Rig, Stile, SwitchedPort, V5Client, serial};

/// A framing, something that is no frame and why, and a good frame with what it carries. The checksums were computed by
/// hand with other programs.
struct Case {
    name: &'static str,
    framing: &'static str,
    bad: &'static [u8],
    reason: Option<&'static str>,
    wire: &'static [u8],
    payload: &'static [u8],
}

/// One byte more than a frame may have, and the end of the line.
const OVERLONG: [u8; 1027] = {
    let mut line = [b'x'; 1027];
    (line[1025], line[1026]) = (b'\r', b'\n');
    line
};

const CASES: [Case; 9] = [
    Case { name: "lf", framing: "\"line\"", bad: b"", reason: None, wire: b"good\r\n", payload: b"good\r" },
    Case {
        name: "crlf",
        framing: "{ kind = \"line\", ending = \"crlf\" }",
        bad: &OVERLONG,
        reason: Some("frame-too-long"),
        wire: b"go\rod\r\n",
        payload: b"go\rod",
    },
    Case {
        name: "fixed",
        framing: "{ kind = \"fixed\", length = 4 }",
        bad: b"",
        reason: None,
        wire: b"\x00\n\r\xFF",
        payload: b"\x00\n\r\xFF",
    },
    Case {
        name: "counted",
        framing: "{ kind = \"length-prefix\", width = 2, crc = \"crc16\" }",
        bad: b"\x00\x04food\xA9\xF2",
        reason: Some("frame-checksum"),
        wire: b"\x00\x04good\xA9\xF2",
        payload: b"good",
    },
    Case {
        name: "slip",
        framing: "\"slip\"",
        bad: b"a\xDBb\xC0",
        reason: Some("frame-malformed"),
        wire: b"\xC0\xDB\xDC\x03\xDB\xDD\xC0",
        payload: b"\xC0\x03\xDB",
    },
    Case {
        name: "cobs",
        framing: "\"cobs\"",
        bad: b"\x09ab\x00",
        reason: Some("frame-malformed"),
        wire: b"\x03\x11\x22\x02\x33\x00",
        payload: b"\x11\x22\x00\x33",
    },
    Case {
        name: "markers",
        framing: "{ kind = \"start-stop\", start = \"5359\", stop = \"5443\" }",
        bad: b"\x00\x11\x13\xFF",
        reason: Some("frame-noise"),
        wire: b"SY\x01T\x02TC",
        payload: b"\x01T\x02",
    },
    Case {
        name: "nmea",
        framing: "\"nmea\"",
        bad: b"$GPGLL,5057.970,N,00146.110,E,142451,A*28\r\n",
        reason: Some("frame-checksum"),
        wire: b"$GPGLL,5057.970,N,00146.110,E,142451,A*27\r\n",
        payload: b"$GPGLL,5057.970,N,00146.110,E,142451,A*27",
    },
    Case {
        name: "p1",
        framing: "\"dsmr-p1\"",
        bad: b"/X\r\n\r\n1-0:1.7.0(01.194*kW)\r\n!F966\r\n",
        reason: Some("frame-checksum"),
        wire: b"/X\r\n\r\n1-0:1.7.0(01.193*kW)\r\n!F966\r\n",
        payload: b"/X\r\n\r\n1-0:1.7.0(01.193*kW)\r\n!F966",
    },
];

/// A daemon with one radio for each case.
struct Framings {
    stile: Stile,
    client: V5Client,
    ports: Vec<SwitchedPort>,
}

impl Framings {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut ports, mut settings) = (Vec::new(), String::new());
        for case in &CASES {
            let mut port = SwitchedPort::named(dir.path(), case.name);
            port.plug();
            settings += &serial(case.name, &port, &format!("max-frame = 1024\nframing = {}", case.framing));
            ports.push(port);
        }
        let stile = Stile::start_in(dir, "", &settings);
        let client = V5Client::connect(stile.mqtt, "test");
        client.subscribe("serial/+/up", QoS::AtLeastOnce);
        CASES.iter().for_each(|case| stile.wait_online(case.name));
        Self { stile, client, ports }
    }

    fn cases(&self) -> impl Iterator<Item = (&'static Case, &SwitchedPort)> {
        CASES.iter().zip(&self.ports)
    }

    /// The next frame of any radio must be the good one of this case.
    #[track_caller]
    fn expect_good(&self, case: &Case, when: &str) {
        let Received { topic, payload, .. } = self.client.next();
        assert_eq!((topic, payload.as_slice()), (format!("serial/{}/up", case.name), case.payload), "{when}");
    }
}

#[test]
fn a_frame_decodes_wherever_it_is_cut_in_two() {
    let bench = Framings::start();
    for (case, port) in bench.cases() {
        let mut sent = 0;
        for cut in 1..case.wire.len() {
            let (first, second) = case.wire.split_at(cut);
            port.pty().write(first);
            sent += cut;
            // Only when the daemon has read the first piece are they two.
            let counter = format!("stile_radio_bytes_received_total{{radio=\"{}\"}}", case.name);
            bench.stile.wait_metric(&counter, |bytes| bytes == sent as f64);
            port.pty().write(second);
            sent += second.len();
            bench.expect_good(case, &format!("{} cut at {cut}", case.name));
        }
        assert_eq!(bench.stile.radio(case.name, "frames_rejected_total"), 0.0, "{}", case.name);
    }
}

#[test]
fn what_is_no_frame_is_counted_by_its_reason_and_the_next_good_frame_decodes() {
    let bench = Framings::start();
    for (case, port) in bench.cases().filter(|(case, _)| case.reason.is_some()) {
        let before = bench.stile.dropped(case.reason.unwrap());
        port.pty().write(&[case.bad, case.wire].concat());
        bench.expect_good(case, case.name);
        assert_eq!(bench.stile.dropped(case.reason.unwrap()), before + 1, "{}", case.name);
        assert_eq!(bench.stile.radio(case.name, "frames_rejected_total"), 1.0, "{}", case.name);
    }
    let refused = CASES.iter().filter(|case| case.reason.is_some()).count() as u64;
    let dropped = bench.stile.ledger()["ledger"]["dropped"].clone();
    let total: u64 = dropped.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(total, refused, "nothing is counted twice: {dropped}");
}

#[test]
fn a_megabyte_without_a_delimiter_is_one_drop_a_radio_and_takes_no_memory() {
    // Begins a frame, fills it, and ends it where a delimiter would not yet do.
    let endless: [(&str, &[u8], u8, &[u8]); 6] = [
        ("crlf", b"", b'x', b"\r\n"),
        ("slip", b"\xC0", b'x', b"\xC0"),
        ("cobs", b"", 1, b"\x00"),
        ("markers", b"SY", b'x', b"TC"),
        ("nmea", b"$", b'x', b"\r\n"),
        ("p1", b"/", b'x', b""),
    ];
    let bench = Framings::start();
    let before = bench.stile.peak_memory_kib();
    for (count, (name, begin, fill, end)) in (1..).zip(endless) {
        let (case, port) = bench.cases().find(|(case, _)| case.name == name).unwrap();
        port.pty().write(begin);
        port.pty().write(&vec![fill; 1 << 20]);
        port.pty().write(&[end, case.wire].concat());
        bench.expect_good(case, name);
        assert_eq!(bench.stile.dropped("frame-too-long"), count, "{name}");
    }
    let grown = bench.stile.peak_memory_kib() - before;
    // The six frames alone would take more than 6 MiB, and half as much again in growing buffers.
    assert!(grown < 4096, "{grown} KiB more than before");
}

#[test]
fn endless_noise_is_one_drop_and_takes_no_memory() {
    let bench = Framings::start();
    let before = bench.stile.peak_memory_kib();
    for (count, name) in (1..).zip(["markers", "nmea", "p1"]) {
        let (case, port) = bench.cases().find(|(case, _)| case.name == name).unwrap();
        port.pty().write(&vec![0xA5; 1 << 20]);
        port.pty().write(case.wire);
        bench.expect_good(case, name);
        assert_eq!(bench.stile.dropped("frame-noise"), count, "{name}");
    }
    let grown = bench.stile.peak_memory_kib() - before;
    assert!(grown < 2048, "{grown} KiB more than before");
}

#[test]
fn bytes_belong_together_until_the_line_falls_silent_for_the_gap() {
    let gap = Duration::from_secs(2);
    let rig = Rig::start("framing = { kind = \"idle-gap\", gap = \"2s\" }");
    let start = Instant::now();
    rig.pty().write(b"one ");
    rig.stile.wait_metric("stile_radio_bytes_received_total{radio=\"a\"}", |bytes| bytes == 4.0);
    let last = Instant::now();
    rig.pty().write(b"frame");
    let frame = rig.next("up");
    assert_eq!(frame.text(), "one frame", "the pause was {:?}", last - start);
    assert!(last.elapsed() >= gap, "{:?}", last.elapsed());
    rig.pty().write(b"another");
    assert_eq!(rig.next("up").text(), "another");
}

#[test]
fn raw_frames_are_what_came_and_none_is_longer_than_allowed() {
    let rig = Rig::start("framing = \"raw\"\nmax-frame = 4");
    rig.pty().write(b"\x00\n\xFF");
    assert_eq!(rig.next("up").payload, b"\x00\n\xFF");
    rig.pty().write(b"abcdefghij");
    let mut got = Vec::new();
    while got.len() < 10 {
        let frame = rig.next("up");
        assert!((1..=4).contains(&frame.payload.len()), "{frame:?}");
        got.extend(frame.payload);
    }
    assert_eq!(got, b"abcdefghij");
}

#[test]
fn a_json_envelope_carries_text_or_base64_and_what_is_known_of_the_frame() {
    let rig = Rig::start("envelope = \"json\"");
    rig.pty().write("21.5 °C\n".as_bytes());
    let message = rig.next("up");
    let text = message.json();
    assert_eq!((&text["radio"], &text["encoding"], &text["payload"]), (&"a".into(), &"text".into(), &"21.5 °C".into()));
    assert_eq!(text["meta"], serde_json::json!({ "framing": "line", "baud": 115_200 }));
    assert_eq!(text["id"].as_str(), message.property("stile-id"));
    assert_eq!(text["time"].as_str(), message.property("stile-received-at"));
    assert_eq!(text["clock"].as_str(), message.property("stile-clock"));
    rig.pty().write(b"\xFF\x00\xFE\n");
    let binary = rig.next("up").json();
    assert_eq!((&binary["encoding"], &binary["payload"]), (&"base64".into(), &"/wD+".into()));
    assert_ne!(binary["id"], text["id"]);
}
