//! Stock clients of other languages, as their users get them: paho-mqtt (PyPI) and mqtt (npm), both versions of the
//! protocol, over TCP, TLS and WebSocket.
//!
//! Each speaks the same conversation with the daemon, by a script in `tests/clients`, and must see the same:
//! `conversation.txt`. `tests/setup.sh test` installs them; where it can't, their tests are shown as ignored, with that
//! reason in their names.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use stile_tests::{Authority, Stile, within};

/// What is said of a client that is not there.
const MISSING: &str = "not installed; tests/setup.sh test does that";

#[derive(Debug, Clone, Copy)]
enum Client {
    Paho,
    MqttJs,
}

#[derive(Debug, Clone, Copy)]
enum Transport {
    Tcp,
    Tls,
    WebSocket,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

impl Client {
    fn name(self) -> &'static str {
        match self {
            Self::Paho => "paho",
            Self::MqttJs => "mqtt_js",
        }
    }

    /// What is there when it is installed.
    fn mark(self) -> PathBuf {
        folder().join(".venv").join(match self {
            Self::Paho => "python/requirements.txt",
            Self::MqttJs => "node/done",
        })
    }

    /// Runs its script; the arguments come behind.
    fn command(self) -> Command {
        let installed = folder().join(".venv");
        let scripts = folder().join("clients");
        match self {
            Self::Paho => {
                let mut command = Command::new(installed.join("python/bin/python"));
                command.arg(scripts.join("with_paho.py"));
                command
            }
            Self::MqttJs => {
                let mut command = Command::new("node");
                command.env("NODE_PATH", installed.join("node/node_modules")).arg(scripts.join("with_mqtt.js"));
                command
            }
        }
    }
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::WebSocket => "ws",
        }
    }

    fn door(self, stile: &Stile) -> SocketAddr {
        match self {
            Self::Tcp => stile.mqtt,
            Self::Tls => stile.door("listening for MQTT over TLS"),
            Self::WebSocket => stile.admin,
        }
    }
}

/// What each client must print. Only MQTT 5 has properties.
fn expected(version: &str) -> String {
    let all = std::fs::read_to_string(folder().join("clients/conversation.txt")).unwrap();
    let lines = all.lines().filter(|line| version == "5" || !line.starts_with("properties: "));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

fn converse(client: Client, version: &str, transport: Transport) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let ca = Authority::new(dir.path(), "ca");
    ca.sign("server", Some("stile"));
    let tls = "[broker.tls]\nlisten = [\"127.0.0.1:0\"]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
    let stile = Stile::start_in(dir, "", tls);
    let door = transport.door(&stile);
    let mut child = client
        .command()
        .args([transport.name(), version, &door.ip().to_string(), &door.port().to_string()])
        .arg(&ca.file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{} does not start: {error}", client.name()))?;
    // Both print little, so that neither pipe fills up.
    within("the client's script ends", || child.try_wait().unwrap());
    let output = child.wait_with_output()?;
    let said = String::from_utf8(output.stdout)?;
    let expected = expected(version);
    if output.status.success() && said == expected {
        drop(stile);
        return Ok(());
    }
    let mut why = format!("{} ended with {}\n", client.name(), output.status);
    let at = said.lines().zip(expected.lines()).take_while(|(said, expected)| said == expected).count();
    let line = |text: &str| text.lines().nth(at).unwrap_or("nothing").to_owned();
    writeln!(why, "line {}: expected {:?}, and it saw {:?}", at + 1, line(&expected), line(&said))?;
    writeln!(why, "{}", String::from_utf8_lossy(&output.stderr))?;
    stile.log().iter().for_each(|record| println!("{record}"));
    Err(why.into())
}

fn main() {
    let mut trials = Vec::new();
    for client in [Client::Paho, Client::MqttJs] {
        let there = client.mark().exists();
        for (version, title) in [("3.1.1", "v311"), ("5", "v5")] {
            for transport in [Transport::Tcp, Transport::Tls, Transport::WebSocket] {
                let name = format!("{}::{title}_over_{}", client.name(), transport.name());
                let trial = Trial::test(name, move || converse(client, version, transport));
                trials.push(if there { trial } else { trial.with_kind(MISSING).with_ignored_flag(true) });
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
