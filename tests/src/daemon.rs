//! The daemon under test: the built binary, its settings, its log, its ledger.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Process, command};
use crate::{get, within, within_or};

/// A running daemon.
pub struct Stile {
    pub(crate) process: Process,
    /// Its folder: `stile.toml`, `conf.d`, `data`, and whatever a test puts there.
    pub dir: TempDir,
    /// Where MQTT clients connect.
    pub mqtt: SocketAddr,
    /// The admin page; nowhere while it is off.
    pub admin: SocketAddr,
    pub(crate) ended: bool,
}

impl Stile {
    /// Starts a daemon with these `[[radio]]` sections, on free ports, and waits until it is ready.
    pub fn start(radios: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), "", radios)
    }

    /// Starts a daemon in a folder that a test has prepared. `broker` is added to `[broker]`, `rest` to the file.
    pub fn start_in(dir: TempDir, broker: &str, rest: &str) -> Self {
        std::fs::write(dir.path().join("stile.toml"), Self::settings(dir.path(), broker, rest)).unwrap();
        Self::launch(dir, command())
    }

    /// Starts a daemon as another user and group, to whom the folder must belong. Only root can.
    pub fn start_as(user: u32, dir: TempDir, rest: &str) -> Self {
        std::fs::write(dir.path().join("stile.toml"), Self::settings(dir.path(), "", rest)).unwrap();
        let mut command = command();
        command.uid(user).gid(user);
        Self::launch(dir, command)
    }

    /// Starts a daemon with these variables, as systemd would set them.
    pub fn start_with(variables: &[(&str, &str)], dir: TempDir) -> Self {
        std::fs::write(dir.path().join("stile.toml"), Self::settings(dir.path(), "", "")).unwrap();
        let mut command = command();
        command.envs(variables.iter().copied());
        Self::launch(dir, command)
    }

    /// Starts a daemon by a command of the caller's, such as a shell that becomes it.
    pub fn start_by(command: Command, dir: TempDir, broker: &str) -> Self {
        std::fs::write(dir.path().join("stile.toml"), Self::settings(dir.path(), broker, "")).unwrap();
        Self::launch(dir, command)
    }

    fn launch(dir: TempDir, command: Command) -> Self {
        let process = Process::start(dir.path(), command);
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut stile = Self { process, dir, mqtt: nowhere, admin: nowhere, ended: false };
        stile.wait_ready();
        stile
    }

    /// Waits until it is ready, and finds out where.
    pub(crate) fn wait_ready(&mut self) {
        self.wait_log("ready");
        self.mqtt = self.door("listening for MQTT");
        // Where it is off, nothing serves it; what does has said so by now.
        if !self.logged("serving the admin page").is_empty() {
            self.admin = self.door("serving the admin page");
        }
    }

    /// The settings file that [`start_in`](Self::start_in) writes, for tests that change it and reload.
    pub fn settings(dir: &Path, broker: &str, rest: &str) -> String {
        let data = dir.join("data");
        format!(
            "[gateway]\nid = \"test\"\ndata-dir = {data:?}\n[log]\nlevel = \"debug\"\nformat = \"json\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n[broker]\nlisten = [\"127.0.0.1:0\"]\n{broker}\n{rest}\n"
        )
    }

    /// Everything logged so far.
    pub fn log(&self) -> Vec<Value> {
        self.process.log.lock().unwrap().clone()
    }

    /// Waits for a log line with this message and gives the first one.
    #[track_caller]
    pub fn wait_log(&self, message: &str) -> Value {
        self.wait_record(message, |record| record["message"] == message)
    }

    /// Waits for a log line that fits and gives the first one.
    #[track_caller]
    pub fn wait_record(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        within_or(
            || format!("log line: {what}; logged: {:#?}", self.log()),
            || self.log().into_iter().find(|r| fits(r)),
        )
    }

    /// Everything logged so far with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        self.log().into_iter().filter(|record| record["message"] == message).collect()
    }

    /// Waits until this message has been logged more than `before` times, and gives the last of them.
    #[track_caller]
    pub fn wait_another(&self, message: &str, before: usize) -> Value {
        within(&format!("another log line: {message}"), || self.logged(message).into_iter().nth(before))
    }

    /// Writes these settings, has them read with SIGHUP, and waits for the verdict: `reload done` or `reload refused...`.
    #[track_caller]
    pub fn reload(&self, broker: &str, rest: &str) -> Value {
        let verdicts = || {
            let is_verdict = |r: &Value| r["message"].as_str().is_some_and(|m| m.starts_with("reload "));
            self.log().into_iter().filter(is_verdict).collect::<Vec<_>>()
        };
        let before = verdicts().len();
        let path = self.dir.path();
        std::fs::write(path.join("stile.toml"), Self::settings(path, broker, rest)).unwrap();
        self.signal(Signal::HUP);
        within("the reload's verdict", || verdicts().into_iter().nth(before))
    }

    /// A counter of one radio: `opened_total` for `stile_radio_opened_total`.
    pub fn radio(&self, radio: &str, counter: &str) -> f64 {
        self.metric(&format!("stile_radio_{counter}{{radio=\"{radio}\"}}"))
    }

    /// Waits until a radio's port is open, and its line is raw.
    #[track_caller]
    pub fn wait_online(&self, radio: &str) {
        self.wait_metric(&format!("stile_radio_online{{radio=\"{radio}\"}}"), |online| online == 1.0);
    }

    /// The most memory that the daemon has ever had resident, in KiB.
    pub fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The processor time that the daemon has used.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.child.id())).unwrap();
        // Behind the name, which may hold anything, the first field is the third; user and system time are 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Where a listener is, by what it logs when it opens.
    #[track_caller]
    pub fn door(&self, message: &str) -> SocketAddr {
        self.wait_log(message)["address"].as_str().unwrap().parse().unwrap()
    }

    /// `GET path` from the admin address.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(TcpStream::connect(self.admin).unwrap(), path)
    }

    /// One value from `/metrics`, by its whole name with labels, as in `stile_radio_online{radio="a"}`.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.get("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in:\n{page}")).parse().unwrap()
    }

    /// Waits until a metric has a value that fits.
    #[track_caller]
    pub fn wait_metric(&self, name: &str, fits: impl Fn(f64) -> bool) -> f64 {
        within_or(
            || format!("{name} is {}", self.metric(name)),
            || Some(self.metric(name)).filter(|value| fits(*value)),
        )
    }

    /// What `/api/v1/ledger` on the socket says; the ledger must balance.
    pub fn ledger(&self) -> Value {
        let socket = UnixStream::connect(self.dir.path().join("data/stile.sock")).unwrap();
        let (status, body) = get(socket, "/api/v1/ledger");
        assert_eq!(status, 200, "{body}");
        let ledger: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(ledger["balances"], true, "{ledger:#}");
        ledger
    }

    /// How many messages or frames were dropped for this reason.
    pub fn dropped(&self, reason: &str) -> u64 {
        self.ledger()["ledger"]["dropped"][reason].as_u64().unwrap()
    }

    /// The process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process.child)
    }

    /// How much memory it holds, in kB.
    pub fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_nonzero())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let status = within("the daemon ends", || self.process.child.try_wait().unwrap());
        self.ended = true;
        status
    }

    /// Stops the daemon with SIGTERM. It must end by itself with code 0 and a ledger that balances, with nothing under way.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        let last = self.wait_log("stopped");
        assert!(status.success(), "{status}");
        assert_eq!((&last["balances"], &last["in_flight"]), (&Value::from(true), &Value::from(0)), "{last}");
        self.expect_no_panic();
    }

    pub(crate) fn expect_no_panic(&self) {
        let panics: Vec<_> = self.log().into_iter().filter(|r| r.to_string().contains("panicked")).collect();
        assert!(panics.is_empty(), "{panics:#?}");
    }
}

impl Drop for Stile {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for record in self.log() {
                println!("{record}");
            }
        } else if !self.ended {
            self.stop();
        }
        let _ = self.process.child.kill();
        let _ = self.process.child.wait();
    }
}
