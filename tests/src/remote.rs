//! Remote brokers for uplinks: Debian's Mosquitto, and one that a test plays itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::packet::RawPacket;
use crate::{Network, PATIENCE, within};

/// Debian's broker, in a folder of its own, on a port that stays the same. Dropped, it is killed.
pub struct Mosquitto {
    child: Option<Child>,
    /// Its settings, what it keeps, and whatever a test puts there.
    pub dir: TempDir,
    /// Where clients connect.
    pub address: SocketAddr,
    /// What its command begins with, if anything.
    prefix: Vec<String>,
}

impl Mosquitto {
    /// A free port, and a folder for files that the settings name. Not started yet.
    pub fn prepare() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::at(free.local_addr().unwrap(), Vec::new())
    }

    fn at(address: SocketAddr, prefix: Vec<String>) -> Self {
        Self { child: None, dir: tempfile::tempdir().unwrap(), address, prefix }
    }

    /// One that lets everybody in, on all addresses of another network. Not started yet.
    pub fn prepare_in(network: &Network, address: SocketAddr) -> Self {
        let broker = Self::at(address, network.prefix());
        broker.configure_at("0.0.0.0", "allow_anonymous true");
        broker
    }

    /// Starts one that lets everybody in.
    pub fn start() -> Self {
        let mut broker = Self::prepare();
        broker.configure("allow_anonymous true");
        broker.start_again();
        broker
    }

    /// Writes its settings: these lines behind the listener's. What it has to keep it keeps at once.
    pub fn configure(&self, lines: &str) {
        self.configure_at("127.0.0.1", lines);
    }

    fn configure_at(&self, listen: &str, lines: &str) {
        let (port, dir) = (self.address.port(), self.dir.path().display());
        let text = format!(
            "user root\npersistence true\npersistence_location {dir}/\nautosave_on_changes true\nautosave_interval 1\n\
             max_queued_messages 0\nlog_dest file {dir}/mosquitto.log\nlistener {port} {listen}\n{lines}\n"
        );
        std::fs::write(self.settings(), text).unwrap();
    }

    fn settings(&self) -> PathBuf {
        self.dir.path().join("mosquitto.conf")
    }

    /// Starts it, again perhaps, and waits until it listens.
    pub fn start_again(&mut self) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/mosquitto");
        assert!(program.exists(), "{} is not there; `tests/setup.sh test` puts it there", program.display());
        let mut words = self.prefix.iter().map(std::ffi::OsStr::new).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .arg("-c")
            .arg(self.settings())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let address = self.address;
        within("mosquitto listens", || TcpStream::connect(address).ok());
    }

    /// Stops it; it writes what it has to keep.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
            within("mosquitto ends", || child.try_wait().unwrap());
        }
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("mosquitto.log")).unwrap_or_default();
            let from = log.lines().count().saturating_sub(60);
            log.lines().skip(from).for_each(|line| println!("mosquitto: {line}"));
        }
        self.kill();
    }
}

/// A broker that a test plays itself, packet by packet.
pub struct PlayedBroker(TcpListener);

/// A client that has connected to it.
pub struct PlayedClient {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl PlayedBroker {
    /// On a free port.
    pub fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next client, its CONNECT read.
    #[track_caller]
    pub fn meet(&self) -> (PlayedClient, RawPacket) {
        self.0.set_nonblocking(true).unwrap();
        let (stream, _) = within("a client connects", || self.0.accept().ok());
        stream.set_nonblocking(false).unwrap();
        let mut client = PlayedClient { stream, bytes: Vec::new() };
        let connect = client.packet();
        assert_eq!(connect.kind(), 1, "{connect:02x?}");
        (client, connect)
    }
}

impl PlayedClient {
    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next packet.
    #[track_caller]
    pub fn packet(&mut self) -> RawPacket {
        self.packet_within(PATIENCE).unwrap_or_else(|| panic!("no packet; there is {:02x?}", self.bytes))
    }

    /// The next packet, unless none comes in time or the client goes.
    pub fn packet_within(&mut self, time: Duration) -> Option<RawPacket> {
        let deadline = Instant::now() + time;
        loop {
            if let Some((packet, size)) = RawPacket::parse(&self.bytes) {
                self.bytes.drain(..size);
                return Some(packet);
            }
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.bytes.extend_from_slice(&buffer[..n]),
            }
        }
    }

    /// The next PUBLISH, others passed over.
    #[track_caller]
    pub fn publish(&mut self, version: u8) -> crate::packet::RawPublish {
        loop {
            let packet = self.packet();
            if packet.kind() == 3 {
                return packet.publish(version);
            }
        }
    }
}
