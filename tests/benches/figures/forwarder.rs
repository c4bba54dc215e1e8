//! The frames of `lora.rs` once more, through `chirpstack-mqtt-forwarder` and Mosquitto, where that program is on the PATH.
//! Nobody has run this yet: the program is not among what `tests/setup.sh bench` installs.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};

use stile_tests::Forwarder;

use crate::lora::{FRAMES, STEP, outcome, send, subscriber};
use crate::mosquitto::{Mosquitto, Running};
use crate::process::{megabytes, resident};
use crate::report::{information, millis, percentile};
use crate::wire;

const PROGRAM: &str = "chirpstack-mqtt-forwarder";

fn is_there() -> bool {
    let silent = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    silent.is_ok_and(|status| status.success())
}

/// Settings as its package has them but for the addresses.
fn settings(broker: SocketAddr, server: SocketAddr) -> String {
    format!(
        "[logging]\nlevel = \"error\"\n[backend]\nenabled = \"semtech_udp\"\n[backend.semtech_udp]\nbind = \"{server}\"\n\
         [mqtt]\ntopic_prefix = \"eu868\"\nserver = \"tcp://{broker}\"\n"
    )
}

pub(crate) fn run() {
    if !is_there() {
        return information(&format!("the same through `{PROGRAM}` and Mosquitto"), "skipped: it is not on the PATH");
    }
    let (broker, dir) = (Mosquitto::start("max_queued_messages 0\n"), tempfile::tempdir().unwrap());
    let server = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = dir.path().join("forwarder.toml");
    std::fs::write(&file, settings(broker.address, server)).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let forwarder = Running::start(&mut command);
    let gateway = Forwarder::new(server, 1);
    gateway.pull();
    // Retained, and published once it is connected.
    wire::subscriber(broker.address, "eu868/gateway/+/state/conn", 1, |_| 0).join().unwrap();
    let reader = subscriber(broker.address, FRAMES);
    eprintln!("   the same through {PROGRAM}");
    let sent = send(&gateway, 0, FRAMES, STEP);
    let (lost, times) = outcome(&sent, &reader.join().unwrap());
    information(
        &format!("2,000 frames a second through `{PROGRAM}` and Mosquitto, lost of {FRAMES}"),
        &lost.to_string(),
    );
    information("datagram to socket, p99", &format!("{:.2} ms", millis(percentile(&times, 99))));
    information("p50", &format!("{:.2} ms", millis(percentile(&times, 50))));
    let memory = resident(forwarder.pid()) + resident(broker.pid());
    information("Resident memory of both afterwards", &format!("{:.1} MB", megabytes(memory)));
}
