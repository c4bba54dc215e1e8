//! Networks of a test's own, in name spaces of the kernel. Only root has them, and not in each container.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::within;

/// A network with a loopback and nothing else. Dropped, it goes when nothing in it is open any more.
pub struct Network(Child);

impl Network {
    /// Makes one.
    ///
    /// # Errors
    /// Why it can't be made.
    pub fn new() -> Result<Self, String> {
        let mut command = Command::new("unshare");
        command.args(["-n", "sleep", "600"]).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut network = Self(command.spawn().map_err(|error| format!("unshare: {error}"))?);
        let mine = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let ended = within("the network is there", || {
            let ended = network.0.try_wait().unwrap().is_some();
            (ended || std::fs::read_link(network.path()).ok()? != mine).then_some(ended)
        });
        if ended {
            let mut said = String::new();
            network.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            return Err(said.trim().to_owned());
        }
        network.ip("link set lo up");
        Ok(network)
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

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
