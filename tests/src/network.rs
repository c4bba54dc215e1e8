//! Networks of a test's own, in name spaces of the kernel. Only root has them.

use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::within;

/// A network with a loopback and nothing else. Dropped, it goes when nothing in it is open any more.
pub struct Network(Child);

impl Network {
    /// Makes one.
    pub fn new() -> Self {
        let keeper = Command::new("unshare").args(["-n", "sleep", "600"]).stdin(Stdio::null()).spawn().unwrap();
        let network = Self(keeper);
        let mine = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        within("the network is there", || (std::fs::read_link(network.path()).ok()? != mine).then_some(()));
        network.ip("link set lo up");
        network
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    /// The process that it is known by to `ip link ... netns`.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Moves the thread that calls it there, and all that it starts from then on.
    pub fn enter(&self) {
        let network = std::fs::File::open(self.path()).unwrap();
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// What a command begins with that is to run there.
    pub fn prefix(&self) -> Vec<String> {
        ["nsenter", "-t", &self.0.id().to_string(), "-n"].map(str::to_owned).to_vec()
    }

    /// Runs `ip` there.
    #[track_caller]
    pub fn ip(&self, arguments: &str) {
        let mut command = Command::new("nsenter");
        command.args(&self.prefix()[1..]).arg("ip").args(arguments.split(' '));
        assert!(command.status().unwrap().success(), "ip {arguments}");
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
