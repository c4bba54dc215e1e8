//! LoRa gateways over UDP: frames to a subscriber, the same beside rubbish, and commands to a gateway meanwhile.

use std::net::{SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use stile_tests::forwarder::{base64, data_frame, rxpk};
use stile_tests::{Forwarder, Stile};

use crate::forwarder;
use crate::process::{megabytes, resident};
use crate::report::{information, millis, percentile, target, targets};
use crate::wire::{self, Seen, Wire, publish};

/// One gateway at 2,000 frames a second, for a minute.
pub(crate) const FRAMES: usize = 120_000;
pub(crate) const STEP: Duration = Duration::from_micros(500);

/// Three gateways at 250 frames a second each, for twenty seconds, and malformed datagrams at 10,000 a second.
const GATEWAYS: usize = 3;
const EACH: usize = 5_000;
const EACH_STEP: Duration = Duration::from_millis(4);
const RUBBISH_AT_ONCE: usize = 10;
const RUBBISH_STEP: Duration = Duration::from_millis(1);

/// Commands meanwhile: each frame is on the air for a twentieth of a second.
const COMMANDS: usize = 180;
const COMMAND_STEP: Duration = Duration::from_millis(100);
const COMMANDED: u64 = 99;

const RADIO: &str = "[[radio]]\nname = \"roof\"\nkind = \"semtech-udp\"\nlisten = \"127.0.0.1:0\"\nregion = \"eu868\"\n\
                     format = \"protobuf\"\nduty-cycle = false\n";

fn start() -> (Stile, SocketAddr) {
    let stile = Stile::start(RADIO);
    let server = stile.door("listening for LoRa gateways");
    (stile, server)
}

pub(crate) fn subscriber(address: SocketAddr, count: usize) -> JoinHandle<Seen> {
    wire::subscriber(address, "eu868/gateway/+/event/up", count, number)
}

/// The number that a frame has as its device address. The frame is the first field of the event.
fn number(event: &[u8]) -> usize {
    let [0x0A, 16, 0x40, a, b, c, d, ..] = *event else { panic!("no event with one of our frames: {event:?}") };
    u32::from_le_bytes([a, b, c, d]) as usize
}

/// Has a gateway send `count` frames at this pace, numbered from `first`; says when each was sent.
pub(crate) fn send(gateway: &Forwarder, first: usize, count: usize, step: Duration) -> Vec<Instant> {
    let start = Instant::now();
    let mut sent = Vec::with_capacity(count);
    for n in 0..count {
        let frame = data_frame(u32::try_from(first + n).unwrap(), n as u16);
        let datagram = json!({ "rxpk": [rxpk(n as u32 * 1000, &frame)] });
        wait_until(start + step * n as u32);
        sent.push(Instant::now());
        gateway.push_blindly(&datagram);
    }
    sent
}

fn wait_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}

/// How many did not come, and how long the others took, sorted.
pub(crate) fn outcome(sent: &[Instant], seen: &Seen) -> (usize, Vec<Duration>) {
    let mut times: Vec<_> = seen.iter().map(|(number, at)| at.duration_since(sent[*number])).collect();
    times.sort();
    (sent.len() - times.len(), times)
}

/// A gateway at a pace.
fn one_gateway() {
    let (stile, server) = start();
    let gateway = Forwarder::new(server, 1);
    gateway.pull();
    let reader = subscriber(stile.mqtt, FRAMES);
    eprintln!("   {FRAMES} frames at 2,000 a second");
    let sent = send(&gateway, 0, FRAMES, STEP);
    let (lost, times) = outcome(&sent, &reader.join().unwrap());
    let p99 = millis(percentile(&times, 99));
    target(&format!("2,000 frames a second, lost of {FRAMES}"), &lost.to_string(), "0", lost == 0);
    target("datagram to socket, p99", &format!("{p99:.2} ms"), "≤ 10 ms", p99 <= 10.0);
    information("p50", &format!("{:.2} ms", millis(percentile(&times, 50))));
    information("Resident memory afterwards", &format!("{:.1} MB", megabytes(resident(stile.pid()))));
}

/// Sends what is no packet until `until`; says how much.
fn rubbish(server: SocketAddr, until: Instant) -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (start, mut sent) = (Instant::now(), 0);
    while Instant::now() < until {
        for kind in 0..RUBBISH_AT_ONCE {
            // Truncated, of another version, without JSON: as it comes.
            let bytes =
                [&[2 + (kind % 2) as u8, 1, 2, 0][..], &[7; 8][..kind.min(8)], b"{\"rxpk\":[{\"tmst\":"].concat();
            socket.send_to(&bytes, server).unwrap();
        }
        sent += RUBBISH_AT_ONCE;
        wait_until(start + RUBBISH_STEP * (sent / RUBBISH_AT_ONCE) as u32);
    }
    sent
}

/// Publishes commands for a gateway, and says how long each took to its socket.
fn commands(mqtt: SocketAddr, server: SocketAddr) -> Vec<Duration> {
    let gateway = Forwarder::new(server, COMMANDED);
    gateway.pull();
    let mut wire = Wire::connect(mqtt, "network server");
    let topic = format!("eu868/gateway/{}/command/down", gateway.id());
    let lora =
        json!({ "bandwidth": 125_000, "spreadingFactor": 7, "codeRate": "CR_4_5", "polarizationInversion": true });
    let start = Instant::now();
    let command = |n: usize| {
        let tx_info = json!({ "frequency": 868_100_000, "power": 14, "modulation": { "lora": lora },
            "timing": { "immediately": {} } });
        let item = json!({ "phyPayload": base64(&[0x60; 12]), "txInfo": tx_info });
        let mut packet = Vec::new();
        let payload = json!({ "downlinkId": n + 1, "items": [item] }).to_string();
        publish(&topic, 0, 0, payload.as_bytes(), &mut packet);
        wait_until(start + COMMAND_STEP * n as u32);
        let sent = Instant::now();
        wire.write(&packet);
        let downlink = gateway.downlink();
        let took = sent.elapsed();
        gateway.tx_ack(downlink.token, "");
        took
    };
    let mut times: Vec<_> = (0..COMMANDS).map(command).collect();
    times.sort();
    times
}

/// Gateways beside rubbish, and commands.
fn beside_rubbish() {
    let (stile, server) = start();
    let gateways: Vec<_> = (0..GATEWAYS).map(|n| Forwarder::new(server, n as u64 + 1)).collect();
    gateways.iter().for_each(Forwarder::pull);
    let count = GATEWAYS * EACH;
    let reader = subscriber(stile.mqtt, count);
    let until = Instant::now() + EACH_STEP * EACH as u32;
    eprintln!("   {count} frames of {GATEWAYS} gateways beside rubbish");
    let (sent, rubbish, commands) = std::thread::scope(|scope| {
        let sending: Vec<_> = gateways
            .into_iter()
            .enumerate()
            .map(|(n, gateway)| scope.spawn(move || send(&gateway, n * EACH, EACH, EACH_STEP)))
            .collect();
        let rubbish = scope.spawn(move || rubbish(server, until));
        let commands = commands(stile.mqtt, server);
        let sent: Vec<_> = sending.into_iter().flat_map(|sending| sending.join().unwrap()).collect();
        (sent, rubbish.join().unwrap(), commands)
    });
    let (lost, times) = outcome(&sent, &reader.join().unwrap());
    let (p99, share) = (millis(percentile(&commands, 99)), 100.0 * (count - lost) as f64 / count as f64);
    target(
        &format!("3 times 250 frames a second beside {rubbish} malformed datagrams in 20 s, delivered of {count}"),
        &format!("{share:.2} %"),
        "≥ 99.9 %",
        share >= 99.9,
    );
    information("datagram to socket meanwhile, p99", &format!("{:.2} ms", millis(percentile(&times, 99))));
    target("command to PULL_RESP meanwhile, p99", &format!("{p99:.2} ms"), "≤ 5 ms", p99 <= 5.0);
    information("p50", &format!("{:.2} ms", millis(percentile(&commands, 50))));
    information("Resident memory afterwards", &format!("{:.1} MB", megabytes(resident(stile.pid()))));
}

pub(crate) fn run() {
    targets();
    one_gateway();
    beside_rubbish();
    forwarder::run();
}
