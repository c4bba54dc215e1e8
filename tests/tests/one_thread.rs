//! One thread carries all messages, so nothing on it may wait for a disk.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rumqttc::QoS;
use rustix::process::Signal;
use stile_tests::{Client, Stile};

/// Takes a lease on the file (fcntl(2)): whoever else opens it waits, as for a disk that does not answer, until standard
/// input ends. It says when it has the lease, and when somebody waits.
const HOLD: &str = r#"
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, lambda *_: print("awaited", flush=True))
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
sys.stdin.read()
"#;

/// A file that takes as long to open as the test likes; until it is dropped.
struct SlowFile {
    holder: Child,
    says: Lines<BufReader<ChildStdout>>,
}

impl SlowFile {
    fn new(path: &Path) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", HOLD]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let says = BufReader::new(holder.stdout.take().unwrap()).lines();
        let mut file = Self { holder, says };
        file.expect("held");
        file
    }

    fn expect(&mut self, word: &str) {
        assert_eq!(self.says.next().unwrap().unwrap(), word);
    }
}

impl Drop for SlowFile {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        self.holder.wait().unwrap();
    }
}

#[test]
fn messages_go_on_while_settings_and_users_take_for_ever_to_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("conf.d")).unwrap();
    let stile = Stile::start_in(dir, "", "");
    let client = Client::connect(stile.mqtt, "c");
    client.subscribe("t", QoS::AtLeastOnce);
    for (number, (name, text)) in [("conf.d/slow.toml", ""), ("data/users.toml", "")].into_iter().enumerate() {
        let path = stile.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut file = SlowFile::new(&path);
        stile.signal(Signal::HUP);
        file.expect("awaited");
        client.publish("t", QoS::AtLeastOnce, false, name);
        assert_eq!(client.next().text(), name);
        assert_eq!(stile.logged("reload done").len(), number);
        drop(file);
        stile.wait_another("reload done", number);
    }
}
