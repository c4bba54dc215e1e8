//! Debian's Mosquitto: the broker that `tests/setup.sh bench` unpacks, and its `mosquitto_pub`.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;
use stile_tests::within;
use tempfile::TempDir;

use crate::source::Source;

/// A child that ends with its owner.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|e| panic!("{:?} can't be started: {e}", command.get_program())))
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Mosquitto {
    broker: Running,
    pub(crate) address: SocketAddr,
    _dir: TempDir,
}

impl Mosquitto {
    /// The broker, with its default settings but for these and `set_tcp_nodelay`: without it a message may wait 40 ms for
    /// an acknowledgement of TCP, and that is not what is to be compared.
    pub(crate) fn start(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file = dir.path().join("mosquitto.conf");
        // Started as root it would become a user who can't read a key.
        let listener = format!("user root\nlistener {} 127.0.0.1\n", free.port());
        let settings = format!("{listener}allow_anonymous true\nset_tcp_nodelay true\n{settings}");
        std::fs::write(&file, settings).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/mosquitto");
        let mut command = Command::new(program);
        command.arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let broker = Running(command.spawn().expect("tests/setup.sh bench unpacks the broker"));
        within("mosquitto listens", || TcpStream::connect(free).ok());
        Self { broker, address: free, _dir: dir }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.broker.pid()
    }

    /// `mosquitto_pub -l` on a source: each line a message, QoS 0.
    pub(crate) fn publisher(&self, source: &Source, topic: &str) -> Running {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string(), "-t", topic, "-l", "--nodelay"]);
        command.stdin(source.as_input()).stdout(Stdio::null());
        Running(command.spawn().expect("mosquitto_pub is on the PATH"))
    }
}
