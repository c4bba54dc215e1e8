//! Accepting connections, when descriptors run out and when networks go away.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use rustix::process::{Resource, getrlimit, prlimit};
use stile_tests::packet::{Connect, V5};
use stile_tests::{Neighbour, Network, PATIENCE, RawClient, Stile, WebSocketClient, or_skip, within};

/// One connection to the admin page that is kept, so that it needs no new descriptor.
struct Page(BufReader<TcpStream>);

impl Page {
    fn open(stile: &Stile) -> Self {
        let stream = TcpStream::connect(stile.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn metric(&mut self, name: &str) -> f64 {
        self.0.get_mut().write_all(b"GET /metrics HTTP/1.1\r\nHost: stile\r\n\r\n").unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap().parse().unwrap()
    }
}

#[test]
fn without_descriptors_clients_wait_the_log_has_one_line_and_all_goes_on_when_there_are_some_again() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let mut page = Page::open(&stile);
    assert_eq!(page.metric("stile_mqtt_accepts_failed_total"), 0.0);
    let usual = getrlimit(Resource::Nofile);
    let mut none_left = getrlimit(Resource::Nofile);
    none_left.current = Some(1);
    prlimit(Some(stile.pid()), Resource::Nofile, none_left).unwrap();
    let mut waiting = RawClient::open(stile.mqtt, V5);
    waiting.send(&Connect::new(V5, "waiting").bytes());
    within("many tries", || (page.metric("stile_mqtt_accepts_failed_total") >= 12.0).then_some(()));
    neighbour.is_well();
    let lines = stile.logged("a connection could not be accepted");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0]["door"], "MQTT", "{lines:#?}");
    prlimit(Some(stile.pid()), Resource::Nofile, usual).unwrap();
    assert_eq!(waiting.packet().body[1], 0);
    waiting.disconnect();
}

fn loopback(state: &str) {
    assert!(Command::new("ip").args(["link", "set", "lo", state]).status().unwrap().success());
}

/// What the kernel knows of the connections to a port, on the gateway's side.
fn connections(port: u16) -> String {
    let filter = format!("sport = :{port}");
    let output = Command::new("ss").args(["-tnoHi", "state", "established", &filter]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_client_without_a_keep_alive_whose_network_is_gone_is_noticed() {
    // That the kernel is told, the next test sees.
    let Some(network) = or_skip("root with CAP_SYS_ADMIN", Network::new()) else { return };
    network.enter();
    let radio = "[[radio]]\nname = \"talks\"\nkind = \"simulated\"\ndevice = \"line\"\nperiod = \"100ms\"\n";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "tcp-keep-alive = \"1s\"", radio);
    let _idle = RawClient::with(stile.mqtt, &Connect { keep_alive: 0, ..Connect::new(V5, "idle") });
    let mut told = RawClient::with(stile.mqtt, &Connect { keep_alive: 0, ..Connect::new(V5, "told") });
    // With data on its way, the kernel asks nobody, and waits for a quarter of an hour unless it is told otherwise.
    told.subscribe(&[("serial/#", 0)], &[]);
    told.message();
    stile.wait_metric("stile_mqtt_connections", |count| count == 2.0);
    loopback("down");
    // The admin page is out of reach as well, so the log tells.
    for client in ["idle", "told"] {
        let lost = stile.wait_record("the client is lost", |r| r["message"] == "client lost" && r["client"] == client);
        assert!(lost["error"].as_str().unwrap().contains("timed out"), "{lost}");
    }
    loopback("up");
}

#[test]
fn every_connection_has_the_kernel_look_for_its_peer() {
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "tcp-keep-alive = \"10m\"", "");
    let client = RawClient::connect(stile.mqtt, V5, "plain");
    let websocket = WebSocketClient::connect(stile.admin, V5, "websocket");
    for port in [stile.mqtt.port(), stile.admin.port()] {
        // Nine minutes and some seconds until the first question.
        within("the kernel watches it", || connections(port).contains("timer:(keepalive,9min").then_some(()));
    }
    drop((client, websocket));
}
