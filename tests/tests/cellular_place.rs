//! Where and when: records of a modem with the position of a made-up receiver of satellites, and the clock's error by a real chronyd.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rumqttc::QoS;
use serde_json::{Value, json};
use stile_tests::cellular::{CellularModem, Maker, Serving};
use stile_tests::{Pty, Stile, V5Client, or_skip};

fn modem_radio(modem: &CellularModem, rest: &str) -> String {
    let device = modem.path();
    format!("[[radio]]\nname = \"wwan\"\nkind = \"cellular\"\ndevice = {device:?}\nperiod = \"200ms\"\n{rest}\n")
}

fn gps_radio(device: &Path) -> String {
    format!(
        "[position]\nsource = \"gps\"\n[[radio]]\nname = \"gps\"\nkind = \"serial\"\nframing = \"nmea\"\ndevice = {device:?}\n"
    )
}

fn listen(stile: &Stile) -> V5Client {
    let client = V5Client::connect(stile.mqtt, "bench");
    client.subscribe("cellular/#", QoS::AtLeastOnce);
    client
}

#[track_caller]
fn next(client: &V5Client, last: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let topic = format!("cellular/wwan/{last}");
    client.next_where(|message| message.topic == topic && fits(&message.json())).json()
}

/// With its checksum, as a line.
fn sentence(body: &str) -> String {
    format!("${body}*{:02X}", body.bytes().fold(0, |sum, byte| sum ^ byte))
}

#[test]
fn each_record_says_where_it_was_made_how_old_that_is_and_how_good() {
    let (modem, gps) = (CellularModem::start(Maker::Quectel, Serving::Lte(1)), Pty::open());
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", &(gps_radio(gps.path()) + &modem_radio(&modem, "")));
    let client = listen(&stile);
    let never = next(&client, "signal", |_| true);
    assert_eq!(never["position"], json!({ "quality": "none", "source": "gps" }), "{never}");
    stile.wait_online("gps");
    gps.say(&sentence("GPGGA,123519.00,5130.15000,N,00008.08200,W,1,08,0.9,5.4,M,46.9,M,,"));
    let signal = next(&client, "signal", |signal| signal["position"]["quality"] == "fix");
    let position = &signal["position"];
    assert_eq!(
        (&position["lat"], &position["lon"], &position["alt_m"]),
        (&json!(51.5025), &json!(-0.1347), &json!(5.4))
    );
    assert_eq!((&position["hdop"], &position["sats"], &position["source"]), (&json!(0.9), &json!(8), &json!("gps")));
    let age = |signal: &Value| signal["position"]["age_s"].as_f64().unwrap();
    let older = next(&client, "signal", |later| age(later) > age(&signal));
    assert!(older["position"]["lat"].is_number(), "{older}");
    // A wrong checksum moves nobody; neither does a place that can't be.
    gps.say(&sentence("GPGGA,123520.00,5230.15000,N,00008.08200,W,1,08,0.9,5.4,M,46.9,M,,").replace("5230", "5330"));
    gps.say(&sentence("GPGGA,123521.00,9930.15000,N,00008.08200,W,1,08,0.9,5.4,M,46.9,M,,"));
    gps.say(&sentence("GPGGA,123522.00,5130.20000,N,00008.08200,W,2,09,0.8,5.4,M,46.9,M,,"));
    modem.serve(Serving::Lte(2));
    let moved = next(&client, "signal", |signal| signal["position"]["quality"] == "dgps");
    assert_eq!(moved["position"]["lat"], 51.503_333_3, "{moved}");
    let event = next(&client, "event", |event| event["event"] == "cell-change");
    assert_eq!(event["position"]["source"], "gps", "{event}");
    gps.say(&sentence("GPGGA,123523.00,,,,,0,00,99.99,,,,,,"));
    let lost = next(&client, "signal", |signal| signal["position"]["quality"] == "none");
    assert!(lost["position"]["lat"].is_null() && lost["position"]["lon"].is_null(), "{lost}");
    assert_eq!(stile.dropped("frame-checksum"), 1);
}

#[test]
fn without_a_source_there_is_no_position_and_a_reload_names_one() {
    let (modem, gps) = (CellularModem::start(Maker::Other, Serving::Lte(1)), Pty::open());
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", &modem_radio(&modem, ""));
    let client = listen(&stile);
    let signal = next(&client, "signal", |_| true);
    assert!(signal["position"].is_null() && signal["timing"]["source"].is_string(), "{signal}");
    let verdict = stile.reload("", &(gps_radio(gps.path()) + &modem_radio(&modem, "")));
    assert_eq!(verdict["message"], "reload done");
    next(&client, "signal", |signal| signal["position"]["quality"] == "none");
}

/// chronyd that leaves the clock alone, on these ports of loopback for time and for questions; 0 is none.
struct Chrony(Child);

impl Chrony {
    fn program() -> Result<PathBuf, String> {
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/chronyd");
        let found = [unpacked, PathBuf::from("/usr/sbin/chronyd")].into_iter().find(|path| path.exists());
        found.ok_or_else(|| "there is none; `tests/setup.sh test` unpacks it".to_owned())
    }

    fn start(program: &Path, dir: &Path, time: u16, questions: u16, source: &str) -> Self {
        let (file, pid) = (dir.join(format!("{questions}.conf")), dir.join(format!("{questions}.pid")));
        let settings = format!(
            "{source}\nport {time}\nbindaddress 127.0.0.1\ncmdport {questions}\nbindcmdaddress 127.0.0.1\n\
             bindcmdaddress /\npidfile {}\n",
            pid.display()
        );
        std::fs::write(&file, settings).unwrap();
        let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
        let started =
            Command::new(program).args(["-d", "-x", "-U", "-u", &user, "-f"]).arg(&file).stderr(Stdio::null()).spawn();
        Self(started.unwrap())
    }
}

impl Drop for Chrony {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn chronyd_says_by_how_much_the_clock_is_off_unless_nobody_sets_it() {
    let Some(program) = or_skip("chronyd", Chrony::program()) else { return };
    let dir = tempfile::tempdir().unwrap();
    // All at once, so that no port is given twice.
    let free = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let [time, alone, questions] = free.each_ref().map(|socket| socket.local_addr().unwrap().port());
    drop(free);
    // One that takes its own clock for right, and one that asks it.
    let _server = Chrony::start(&program, dir.path(), time, alone, "local stratum 5\nallow 127.0.0.1");
    let source = format!("server 127.0.0.1 port {time} iburst minpoll 0 maxpoll 0");
    let _chrony = Chrony::start(&program, dir.path(), 0, questions, &source);
    let modem = CellularModem::start(Maker::Other, Serving::Lte(1));
    let clock = |chrony: &str| format!("[clock]\nchrony = {chrony:?}\n");
    let at = |port: u16| clock(&format!("127.0.0.1:{port}")) + &modem_radio(&modem, "");
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", &at(questions));
    let client = listen(&stile);
    let signal = next(&client, "signal", |signal| signal["timing"]["source"] == "chrony");
    assert_eq!(signal["clock"], "synchronised");
    let (offset, error) =
        (signal["timing"]["offset_s"].as_f64().unwrap(), signal["timing"]["error_s"].as_f64().unwrap());
    assert!(offset.abs() < 1.0 && (1e-9..1.0).contains(&error), "{signal}");
    // Whoever is set by nobody knows no error.
    stile.reload("", &at(alone));
    let nobody = next(&client, "signal", |signal| signal["clock"] == "unsynchronised");
    assert_eq!(nobody["timing"], json!({ "source": "none" }), "{nobody}");
    stile.reload("", &(clock("off") + &modem_radio(&modem, "")));
    next(&client, "signal", |signal| signal["timing"]["source"] != "chrony");
}
