//! Debian's iperf3, as a server.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use crate::{skip, within};

/// A running server. Dropped, it is killed.
pub struct Iperf {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Iperf {
    /// Starts one on a free port; `None` where there is no iperf3, and then the test is skipped.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("iperf3");
        command.args(["-s", "-B", "127.0.0.1", "-p", &address.port().to_string()]);
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(child) = started else {
            skip("iperf3 is needed; `tests/setup.sh test` installs it");
            return None;
        };
        // A connection without a word would be a test to it, so the kernel is asked.
        let port = format!(":{:04X} ", address.port());
        within("iperf3 listens", || {
            let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
            table.lines().find(|line| line.contains(&port) && line.contains(" 0A ")).map(drop)
        });
        Some(Self { child, address })
    }
}

impl Drop for Iperf {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
