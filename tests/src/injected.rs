//! System calls of a running process that fail, by strace.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::within;

/// Has system calls fail until it is dropped.
pub struct Injected {
    strace: Child,
    dir: TempDir,
}

impl Injected {
    /// Each of these `calls` (a list with commas) of a process gives `error` from now on, and does nothing.
    ///
    /// # Errors
    /// Why that can't be.
    pub fn start(process: Pid, calls: &str, error: &str) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let said = std::fs::File::create(dir.path().join("said")).unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &process.as_raw_nonzero().to_string(), "-o"]).arg(dir.path().join("calls"));
        command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:error={error}")]);
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn();
        let mut injected = Self { strace: started.map_err(|error| format!("strace: {error}"))?, dir };
        let attached = within("strace attaches", || {
            let said = std::fs::read_to_string(injected.dir.path().join("said")).unwrap();
            let ended = injected.strace.try_wait().unwrap().is_some();
            (ended || said.contains("attached")).then_some((said, ended))
        });
        match attached {
            (said, true) => Err(said.trim().to_owned()),
            _ => Ok(injected),
        }
    }

    /// How many calls have failed so far.
    pub fn count(&self) -> usize {
        let calls = std::fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default();
        calls.matches("(INJECTED)").count()
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        // Told to end, it lets the process go on; killed, it may not.
        let _ = kill_process(Pid::from_child(&self.strace), Signal::TERM);
        for _ in 0..1000 {
            if matches!(self.strace.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
