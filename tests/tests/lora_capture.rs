//! `stile capture`: what LoRa radios hear, as pcap.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::json;
use stile_tests::forwarder::{data_frame, rxpk};
use stile_tests::{Forwarder, Modem, ModemModel, Stile, check, command, within};

/// Bytes of the file's header, and of what stands before each frame: pcap's record and LoRaTap version 1.
const FILE: usize = 24;
const BEFORE: usize = 16 + 35;

/// Runs it until it ends by itself, as `more` says; `meanwhile` runs when the capture has begun.
fn capture(stile: &Stile, radio: &str, more: &[&str], meanwhile: impl FnOnce()) -> Vec<u8> {
    let mut command = command();
    command.args(["capture", "--radio", radio, "--pcap", "-", "--data-dir"]).arg(stile.dir.path().join("data"));
    let mut child = command.args(more).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut stream = vec![0; FILE];
    out.read_exact(&mut stream).unwrap();
    meanwhile();
    out.read_to_end(&mut stream).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!((&stream[..4], &stream[20..24]), (&[0xA1, 0xB2, 0xC3, 0xD4][..], &270_u32.to_be_bytes()[..]));
    stream
}

fn gateways(rest: &str) -> (Stile, Forwarder) {
    let radio = "[[radio]]\nname = \"roof\"\nkind = \"semtech-udp\"\nlisten = \"127.0.0.1:0\"\nregion = \"eu868\"";
    let stile = Stile::start(&format!("{radio}\n{rest}\n"));
    let gateway = Forwarder::new(stile.door("listening for LoRa gateways"), 0x0016_c001_ff10_a235);
    (stile, gateway)
}

fn modem() -> (Stile, Modem) {
    let modem = Modem::start(ModemModel::Rak3172);
    let channel = "region = \"eu868\"\nfrequency = 868100000\nspreading-factor = 7";
    let radio =
        format!("[[radio]]\nname = \"a\"\nkind = \"lora-modem\"\nmodel = \"rak3172\"\ndevice = {:?}", modem.path());
    let stile = Stile::start(&format!("{radio}\n{channel}\n"));
    within("the modem is made to listen", || modem.receives().then_some(()));
    (stile, modem)
}

#[test]
fn frames_of_gateways_are_captured_in_whichever_form_their_events_are() {
    let phy = data_frame(0x2601_1f00, 298);
    for format in ["json", "protobuf"] {
        let (stile, gateway) = gateways(&format!("format = \"{format}\""));
        let stream = capture(&stile, "roof", &["-n", "1"], || gateway.push(&json!({ "rxpk": [rxpk(1234, &phy)] })));
        let header = &stream[FILE + 16..];
        assert_eq!((header[0], &header[4..8]), (1, &868_100_000_u32.to_be_bytes()[..]), "{format}");
        assert_eq!(header[15..23], gateway.eui, "{format}");
        assert_eq!(header[23..27], 1234_u32.to_be_bytes(), "{format}");
        assert_eq!(header[35..], phy, "{format}");
    }
}

#[test]
fn frames_of_a_modem_are_captured_and_nobody_elses() {
    let (stile, modem) = modem();
    let stream = capture(&stile, "a", &["-n", "2"], || {
        let client = stile_tests::Client::connect(stile.mqtt, "other");
        client.publish("serial/a/up", rumqttc::QoS::AtLeastOnce, false, r#"{"meta":{}}"#);
        modem.hear("0102");
        modem.hear("03");
    });
    assert_eq!(stream.len(), FILE + (BEFORE + 2) + (BEFORE + 1));
    assert_eq!((&stream[FILE + BEFORE..][..2], stream[stream.len() - 1]), (&[1, 2][..], 3));
}

#[test]
fn tshark_reads_the_stream() {
    if Command::new("tshark").arg("--version").output().is_err() {
        let missing = "tshark is not installed: `tests/setup.sh test` does that";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        return stile_tests::skip(missing);
    }
    let (stile, gateway) = gateways("");
    let phy = data_frame(0x2601_1f00, 298);
    // Every Wireshark knows version 0.
    let stream = capture(&stile, "roof", &["-n", "1", "--loratap", "0"], || {
        gateway.push(&json!({ "rxpk": [rxpk(1234, &phy)] }));
    });
    let file = stile.dir.path().join("frames.pcap");
    std::fs::write(&file, stream).unwrap();
    let fields = ["loratap.channel.frequency", "loratap.channel.sf", "lorawan.fhdr.devaddr", "lorawan.fhdr.fcnt"];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&file).args(["-T", "fields"]).args(fields.iter().flat_map(|field| ["-e", field]));
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["868100000", "7", "0x26011f00", "298"]);
}

#[test]
fn a_file_is_written_as_frames_come() {
    let (stile, modem) = modem();
    let file = stile.dir.path().join("frames.pcap");
    let mut capture = command()
        .args(["capture", "--radio", "a", "--pcap"])
        .arg(&file)
        .arg("--data-dir")
        .arg(stile.dir.path().join("data"))
        .spawn()
        .unwrap();
    let wait = |length: usize| {
        within("the file grows", || std::fs::read(&file).ok().filter(|bytes| bytes.len() == length));
    };
    wait(FILE);
    modem.hear("0102");
    wait(FILE + BEFORE + 2);
    // However it ends, what was written is whole.
    capture.kill().unwrap();
    capture.wait().unwrap();
    wait(FILE + BEFORE + 2);
}

#[test]
fn a_capture_that_can_not_be_says_why() {
    let (stile, _modem) = modem();
    let data = stile.dir.path().join("data");
    let data = data.to_str().unwrap();
    let (code, _, said) = check(&["capture", "--radio", "b", "--pcap", "-", "--data-dir", data]);
    assert_eq!((code, said.trim()), (1, "stile: the gateway has no radio `b`; it has a"));
    let (code, _, said) = check(&["capture", "--radio", "a", "--pcap", "/nowhere/x.pcap", "--data-dir", data]);
    assert!(code == 1 && said.contains("can't write /nowhere/x.pcap"), "{said}");
}
