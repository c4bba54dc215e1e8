//! A daemon that is killed and started again on the same folder.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::process::{Process, command};
use crate::{Client, Stile};

impl Stile {
    /// Ends the daemon without a word, with SIGKILL: to a broker's promises that is a power cut, but for the disk's cache.
    pub fn kill(&mut self) {
        self.process.child.kill().unwrap();
        self.process.child.wait().unwrap();
        self.expect_no_panic();
        self.ended = true;
    }

    /// Starts it again on the same folder and settings, after [`kill`](Self::kill) or [`stop`](Self::stop). Its ports are
    /// others; its log begins anew.
    pub fn start_again(&mut self) {
        self.start_again_by(command());
    }

    /// The same, by a command of the caller's, such as a shell that becomes the daemon.
    pub fn start_again_by(&mut self, command: Command) {
        assert!(self.ended, "it still runs");
        self.process = Process::start(self.dir.path(), command);
        self.ended = false;
        self.wait_ready();
    }

    /// Kills it and starts it again.
    pub fn kill_and_start(&mut self) {
        self.kill();
        self.start_again();
    }

    /// A file of its data folder.
    pub fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join("data").join(name)
    }
}

/// Publishes numbers from `next` on, each under `n/<who>` when the one before was acknowledged, until the broker ends. Gives the
/// last that was acknowledged and the last that was sent, of none the one before `next`. Each has a width of so many characters
/// at least.
pub fn publish_until_it_ends(
    broker: SocketAddr,
    who: usize,
    next: u64,
    width: usize,
    progress: &AtomicU64,
) -> (u64, u64) {
    let Some(client) = Client::connect_or_end(broker, &format!("publisher{who}")) else { return (next - 1, next - 1) };
    let mut number = next;
    while client.publish_or_end(&format!("n/{who}"), format!("{number:<width$}")) {
        progress.fetch_add(1, Ordering::Relaxed);
        number += 1;
    }
    (number - 1, number)
}
