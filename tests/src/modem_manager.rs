//! ModemManager's D-Bus API on a bus of a test's own: a real D-Bus daemon, and python-dbusmock.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// How long it may take to do what it is told.
const PATIENCE: Duration = Duration::from_secs(20);

/// A D-Bus daemon that lives until it is dropped.
pub struct Bus {
    daemon: Child,
    /// Where it is reached, for `DBUS_SYSTEM_BUS_ADDRESS`.
    pub address: String,
}

impl Bus {
    /// Starts one; `Err` where this machine can't have one, or no ModemManager on it.
    pub fn start() -> Result<Self, String> {
        let can = Command::new("/usr/bin/python3").args(["-c", "import dbusmock, gi"]).stderr(Stdio::null()).status();
        if !can.is_ok_and(|status| status.success()) {
            return Err("no python3-dbusmock; `tests/setup.sh test` installs it".to_owned());
        }
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("dbus-daemon: {error}"))?;
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Ok(Self { daemon, address: address.trim().to_owned() })
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// ModemManager on a bus. It ends when it is dropped, and its name is nobody's then.
pub struct ModemManager {
    child: Child,
    input: ChildStdin,
    done: Receiver<()>,
    calls: Arc<Mutex<Vec<Value>>>,
}

impl ModemManager {
    /// Starts one without a modem.
    pub fn start(bus: &Bus) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/modem_manager.py"))
            .arg(&bus.address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (tell, done) = mpsc::channel();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&calls);
        std::thread::spawn(move || {
            for line in lines {
                let said: Value = serde_json::from_str(&line).unwrap();
                match said[0].as_str() {
                    Some("ready" | "done") => drop(tell.send(())),
                    _ => kept.lock().unwrap().push(said),
                }
            }
        });
        done.recv_timeout(PATIENCE).expect("it is on the bus; see above");
        Self { child, input, done, calls }
    }

    /// It ends, and starts again without a modem.
    pub fn restart(&mut self, bus: &Bus) {
        // Its name is free before the next one wants it.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        *self = Self::start(bus);
    }

    fn tell(&mut self, what: &Value) {
        writeln!(self.input, "{what}").unwrap();
        self.done.recv_timeout(PATIENCE).expect("it does what it is told; see above");
    }

    /// A modem of this number comes, with ports by name and MMModemPortType.
    pub fn plug(&mut self, number: u32, ports: &[(&str, u32)]) {
        self.tell(&json!(["plug", number, ports]));
    }

    /// It goes.
    pub fn unplug(&mut self, number: u32) {
        self.tell(&json!(["unplug", number]));
    }

    /// A property of modem 0: of the interface with this ending, of a D-Bus type.
    pub fn set(&mut self, interface: &str, name: &str, kind: &str, value: impl Into<Value>) {
        self.tell(&json!(["set", 0, interface, name, kind, value.into()]));
    }

    /// The cells of modem 0.
    pub fn cells(&mut self, cells: &Value) {
        self.tell(&json!(["cells", 0, cells]));
    }

    /// The card of modem 0 wants this PIN.
    pub fn lock(&mut self, pin: &str) {
        self.tell(&json!(["pin", 0, pin]));
    }

    /// This method is not allowed from now on.
    pub fn forbid(&mut self, method: &str) {
        self.tell(&json!(["forbid", method]));
    }

    /// Calls of this name fail with this text from now on; `None`: they are never answered.
    pub fn fail(&mut self, method: &str, text: Option<&str>) {
        self.tell(&json!(["fail", method, text]));
    }

    /// They are answered again.
    pub fn mend(&mut self, method: &str) {
        self.tell(&json!(["mend", method]));
    }

    /// What it was asked to do so far: the arguments of this method's calls.
    pub fn calls(&self, method: &str) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call[0] == method).map(|call| call[1].clone()).collect()
    }
}

impl Drop for ModemManager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
