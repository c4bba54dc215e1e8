//! Debian's stock clients.

use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::within;

fn command(program: &str, broker: SocketAddr, version: &str) -> Command {
    let found = Command::new(program).arg("--help").output().is_ok();
    assert!(found, "{program} is not there; `tests/setup.sh test` installs it (Debian's mosquitto-clients)");
    let mut command = Command::new(program);
    command.args(["-h", &broker.ip().to_string(), "-p", &broker.port().to_string(), "-V", version]);
    command
}

/// Runs `mosquitto_pub` to its end.
pub fn mosquitto_pub(broker: SocketAddr, version: &str, arguments: &[&str]) -> Output {
    command("mosquitto_pub", broker, version).args(arguments).output().unwrap()
}

/// A running `mosquitto_sub`. Dropped, it is killed.
pub struct MosquittoSub(Option<Child>);

impl MosquittoSub {
    /// Starts it. It ends by itself after 30 seconds, or what `arguments` say.
    pub fn start(broker: SocketAddr, version: &str, arguments: &[&str]) -> Self {
        let mut command = command("mosquitto_sub", broker, version);
        command.args(["-W", "30"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().unwrap()))
    }

    /// Waits until it has ended and gives its exit code and what it printed, errors behind the rest.
    #[track_caller]
    pub fn finish(mut self) -> (Option<i32>, String) {
        let mut child = self.0.take().unwrap();
        within("mosquitto_sub ends", || child.try_wait().unwrap());
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    }

    /// Stops it for a while, with SIGSTOP, or lets it go on, with SIGCONT.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.0.as_ref().unwrap()), signal).unwrap();
    }

    /// Kills it, so that it can't say DISCONNECT.
    pub fn kill(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for MosquittoSub {
    fn drop(&mut self) {
        self.kill();
    }
}
