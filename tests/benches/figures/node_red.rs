//! Beside Node-RED: the same work from broker to broker, once as a filter in Stile and once as a function node.
//!
//! Each message is a reading in JSON; the work is that of the filter `threshold`: parse it, drop it where the reading is
//! that of before, else note the reading and send the message on with a word on its trend. Every second message is
//! dropped. In Stile the filter stands between publisher and subscriber; beside it Mosquitto carries the messages to
//! Node-RED (`mqtt in`, `function`, `mqtt out`) and from there to the subscriber. All with QoS 0 and MQTT 3.1.1. The
//! publisher stays at most [`AHEAD`] messages ahead of what came back, so nothing need be dropped but by the filter, and
//! a message that does not come ends the run.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde_json::{Value, json};
use stile_tests::Stile;
use tempfile::TempDir;

use crate::brokers::quiet_folder;
use crate::mosquitto::{Mosquitto, Running};
use crate::plugins::plugin;
use crate::process::{cpu, megabytes, resident};
use crate::report::{information, median, micros, target, targets};
use crate::swarm::Swarm;
use crate::wire::{PUBLISH, Wire, publish};

/// What may judge in Stile: how it is called here, its component, and how many times Node-RED's throughput is wanted. A
/// component that was not built is left out, and said so.
const FILTERS: [(&str, &str, f64); 2] = [("Rust", "threshold", 15.0), ("JavaScript", "threshold-js", 1.0)];
/// Of Node-RED's memory, the most that the daemon with the filter in Rust may have.
const SHARE: f64 = 0.2;

const PUBLISHING: Duration = Duration::from_secs(3);
const IN: &str = "bench/in";
/// How far the publisher is ahead of the subscriber at most, and how many it then sends at once.
const AHEAD: u64 = 400;
const LOT: u64 = 100;

/// Messages judged a second, microseconds of CPU for each, and resident megabytes afterwards.
#[derive(Clone, Copy)]
struct Round {
    rate: f64,
    cpu: f64,
    memory: f64,
}

/// The reading with this number: the second of each two is as the first. None passes the limit of 30.
fn payload(number: u64) -> Vec<u8> {
    let reading = 20.0 + (number / 2 % 50) as f64 / 10.0;
    format!("{{\"t\":{reading:.1},\"h\":48,\"site\":\"roof\",\"number\":\"{number:08}\"}}").into_bytes()
}

/// A publisher and a subscriber on one thread.
struct Flow {
    swarm: Swarm,
    sent: u64,
    came: u64,
}

impl Flow {
    /// Connects both, and waits until one message has come through.
    fn start(address: SocketAddr, out: &str) -> Self {
        let mut swarm = Swarm::new();
        swarm.join(Wire::connect(address, "publisher"));
        let mut subscriber = Wire::connect(address, "subscriber");
        subscriber.subscribe(out, 0);
        swarm.join(subscriber);
        Self { swarm, sent: 0, came: 0 }
    }

    fn publish(&mut self, count: u64) {
        for number in self.sent..self.sent + count {
            publish(IN, 0, 0, &payload(number), self.swarm.unsent(0));
        }
        self.sent += count;
    }

    fn turn(&mut self, patience: Duration) {
        let came = &mut self.came;
        self.swarm.turn_until(Instant::now() + patience, |_, packet, _, _| {
            assert_eq!(packet.kind, PUBLISH);
            // Of each two the first comes, the first message of all included.
            assert_eq!(packet.payload(), payload(*came * 2), "in order and none lost");
            *came += 1;
        });
    }

    fn on_their_way(&self) -> u64 {
        self.sent - self.came * 2
    }

    /// What was sent so far must come.
    fn all(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.on_their_way() > 0 {
            assert!(Instant::now() < deadline, "{} of {} are lost", self.on_their_way(), self.sent);
            self.turn(Duration::from_millis(100));
        }
    }
}

/// `spent` are the processes whose work it is, the last of them the one whose memory counts.
fn measure(mut flow: Flow, pids: &[Pid]) -> Round {
    let spent = || pids.iter().map(|pid| cpu(*pid)).sum::<Duration>();
    flow.publish(2 * LOT);
    flow.all();
    let (first, before, start) = (flow.sent, spent(), Instant::now());
    while start.elapsed() < PUBLISHING {
        if flow.on_their_way() + LOT <= AHEAD {
            flow.publish(LOT);
        }
        flow.turn(Duration::from_millis(100));
    }
    flow.all();
    let count = (flow.sent - first) as f64;
    Round {
        rate: count / start.elapsed().as_secs_f64(),
        cpu: micros(spent() - before) / count,
        memory: megabytes(resident(*pids.last().unwrap())),
    }
}

fn stile(component: &str) -> Round {
    let more = "grants = [\"kv\"]\n[plugin.settings]\nfield = \"/t\"\nlimit = 30.0";
    let stile = Stile::start_in(quiet_folder(), "", &plugin("threshold", component, IN, more));
    measure(Flow::start(stile.mqtt, IN), &[stile.pid()])
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/node-red")
}

/// The three nodes and their broker. What has no place on the page would be taken for settings.
fn flows(address: SocketAddr) -> Value {
    let function = std::fs::read_to_string(folder().join("threshold.js")).unwrap();
    let node = |id: &str, kind: &str, wires: &[&str], own: Value| {
        let mut node = json!({ "id": id, "z": "tab", "x": 100, "y": 100, "type": kind, "wires": [wires] });
        node.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        node
    };
    json!([
        { "id": "tab", "type": "tab" },
        { "id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": address.port().to_string(),
          "clientid": "node-red", "autoConnect": true, "usetls": false, "protocolVersion": "4", "keepalive": "60",
          "cleansession": true },
        node("in", "mqtt in", &["function"], json!({ "topic": IN, "qos": "0", "datatype": "utf8", "broker": "broker" })),
        node("function", "function", &["out"], json!({ "func": function, "outputs": 1, "libs": [] })),
        node("out", "mqtt out", &[], json!({ "topic": "bench/out", "qos": "0", "retain": "false", "broker": "broker" }))
    ])
}

struct NodeRed {
    process: Running,
    _dir: TempDir,
}

impl NodeRed {
    /// Starts it; it is there when a message has come through.
    fn start(broker: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(folder().join("settings.js"), dir.path().join("settings.js")).unwrap();
        std::fs::write(dir.path().join("flows.json"), flows(broker).to_string()).unwrap();
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/node-red/node_modules/node-red/red.js");
        assert!(program.exists(), "{} is not there; tests/setup.sh bench installs it", program.display());
        let mut command = Command::new("node");
        command.arg(program).arg("--userDir").arg(dir.path());
        // What it complains of, it writes to its standard output; ours is the table.
        let complaints = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
        command.stdin(Stdio::null()).stdout(complaints);
        let process = Running::start(&mut command);
        Self { process, _dir: dir }
    }
}

/// Waits until somebody has subscribed: until a message that is no reading comes back.
fn wait_through(address: SocketAddr) {
    let mut wire = Wire::connect(address, "first");
    wire.subscribe("bench/out", 0);
    let mut packet = Vec::new();
    publish(IN, 0, 0, b"{}", &mut packet);
    let mut came = false;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !came {
        assert!(Instant::now() < deadline, "Node-RED hands nothing on");
        wire.write(&packet);
        wire.read(|packet, _| came |= packet.kind == PUBLISH);
    }
    // What was sent meanwhile comes too, before anybody counts.
    while wire.read(|_, _| ()) {}
    wire.leave();
}

fn node_red() -> Round {
    let mosquitto = Mosquitto::start("max_queued_messages 0\n");
    let node_red = NodeRed::start(mosquitto.address);
    wait_through(mosquitto.address);
    measure(Flow::start(mosquitto.address, "bench/out"), &[mosquitto.pid(), node_red.process.pid()])
}

pub(crate) fn run(rounds: usize) {
    let there = |(_, component, _): &&(&str, &str, f64)| {
        let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/plugins/{component}.wasm")).exists();
        if !there {
            eprintln!("   {component} is left out: plugins/build.sh did not make it");
        }
        there
    };
    let filters: Vec<_> = FILTERS.iter().filter(there).collect();
    let (mut theirs, mut ours) = (Vec::new(), vec![Vec::new(); filters.len()]);
    for round in 1..=rounds {
        theirs.push(node_red());
        for ((_, component, _), ours) in filters.iter().zip(&mut ours) {
            ours.push(stile(component));
        }
        let rates: Vec<_> = ours.iter().map(|ours| ours[round - 1].rate.round()).collect();
        eprintln!("   round {round} of {rounds}: Node-RED {:.0} messages/s, Stile {rates:?}", theirs[round - 1].rate);
    }
    let middle = |rounds: &[Round], figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let rate = middle(&theirs, |r| r.rate);
    let memory = middle(&theirs, |r| r.memory);
    targets();
    information("Node-RED: messages a second", &format!("{rate:.0}"));
    information("Node-RED: CPU a message, Mosquitto's included", &format!("{:.1} µs", middle(&theirs, |r| r.cpu)));
    information("Node-RED: resident memory, without Mosquitto's", &format!("{memory:.1} MB"));
    for ((language, _, times), ours) in filters.iter().zip(&ours) {
        let name = format!("Stile, the filter in {language}");
        let own = middle(ours, |r| r.rate);
        let wanted = format!("≥ {:.0}, {times} times Node-RED's", rate * times);
        target(
            &format!("{name}: messages a second"),
            &format!("{own:.0}, {:.1} times", own / rate),
            &wanted,
            own >= rate * times,
        );
        information(
            &format!("{name}: CPU a message, the broker's included"),
            &format!("{:.1} µs", middle(ours, |r| r.cpu)),
        );
        let own = middle(ours, |r| r.memory);
        let figure = format!("{name}: resident memory of the whole daemon");
        let measured = format!("{own:.1} MB");
        if *language == "Rust" {
            let most = memory * SHARE;
            target(&figure, &measured, &format!("≤ {most:.1} MB, a fifth of Node-RED's"), own <= most);
        } else {
            information(&figure, &measured);
        }
    }
}
