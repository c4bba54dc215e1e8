//! The built binary: found, run to its end, or started as a daemon.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// The built daemon, beside the test that runs.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("stile");
    assert!(path.exists(), "{} is not there; build it first: cargo build -p stile", path.display());
    path
}

/// A command that runs the daemon's binary with no `STILE_*` variable of the caller's.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STILE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the binary to its end: exit code, standard output, standard error.
pub fn check(arguments: &[&str]) -> (i32, String, String) {
    let output = command().args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// The process, and what it has logged.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) log: Arc<Mutex<Vec<Value>>>,
}

impl Process {
    /// Starts the daemon on the settings of a folder.
    pub(crate) fn start(dir: &Path, mut command: Command) -> Self {
        let mut child = command
            .args(["run", "--config"])
            .arg(dir.join("stile.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let record = serde_json::from_str(&line).unwrap_or_else(|_| Value::from(line));
                sink.lock().unwrap().push(record);
            }
        });
        Self { child, log }
    }
}
