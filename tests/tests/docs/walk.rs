//! Does what a page says, in a temporary folder, with the built binary.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use stile_tests::{binary, within};
use tempfile::TempDir;

use super::page::{Block, Kind};

/// What stands in front of a fragment, so that lines of a radio and sections of their own are both at home behind it.
const BEFORE_FRAGMENT: &str = "[[radio]]\nname = \"example\"\nkind = \"serial\"\ndevice = \"/dev/ttyUSB0\"\n";

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Goes through a page from its top. Panics at the first thing that is not as the page says. `given`: the filter that the
/// page has at hand.
pub(crate) fn walk(name: &str, given: Option<&str>, blocks: &[Block]) {
    let mut walk = Walk { dir: tempfile::tempdir().unwrap(), gateway: None, printed: None };
    if let Some(filter) = given {
        walk.give(filter);
    }
    for block in blocks {
        if let Err(what) = walk.step(block) {
            panic!("{name}, line {}: {what}\n{}", block.line, block.text);
        }
    }
    walk.stop_gateway().unwrap_or_else(|what| panic!("{name}: {what}"));
}

/// A reader at work.
struct Walk {
    dir: TempDir,
    gateway: Option<Gateway>,
    /// What the block before printed, if it ran.
    printed: Option<String>,
}

impl Walk {
    fn step(&mut self, block: &Block) -> Result<(), String> {
        let printed = self.printed.take();
        match block.kind {
            Kind::Printed => printed.map_or(Ok(()), |printed| alike(&block.text, &printed)),
            Kind::Run(code) => self.run(&block.text, code),
            Kind::Daemon => {
                self.stop_gateway()?;
                self.gateway = Some(Gateway::start(self.dir.path(), &block.text)?);
                Ok(())
            }
            Kind::Settings { good } => {
                self.write("stile.toml", &block.text);
                self.run("stile check stile.toml", if good { 0 } else { 78 })
            }
            Kind::Fragment => {
                self.write("fragment/stile.toml", &format!("{BEFORE_FRAGMENT}{}", block.text));
                self.run("stile check fragment/stile.toml", 0)
            }
            Kind::Manual | Kind::Shown => Ok(()),
        }
    }

    fn give(&self, filter: &str) {
        let built = root().join(format!("target/plugins/{filter}.wasm"));
        assert!(built.exists(), "{} is not there; make plugins", built.display());
        std::fs::copy(built, self.dir.path().join(format!("{filter}.wasm"))).unwrap();
        for case in std::fs::read_dir(root().join(format!("plugins/{filter}/cases"))).unwrap() {
            let case = case.unwrap();
            let text = std::fs::read_to_string(case.path()).unwrap();
            self.write(&format!("cases/{}", case.file_name().display()), &text);
        }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn run(&mut self, script: &str, code: i32) -> Result<(), String> {
        let script = match &self.gateway {
            Some(gateway) => {
                gateway.ports.iter().fold(script.to_owned(), |script, (shown, port)| script.replace(shown, port))
            }
            None => script.to_owned(),
        };
        let mut shell = Shell::start(self.dir.path(), "run", &script, &[]);
        let status = shell.wait("a block ends");
        if status.code() != Some(code) {
            return Err(format!("{status}, not {code}; {}", shell.said()));
        }
        self.printed = Some(shell.said());
        Ok(())
    }

    fn stop_gateway(&mut self) -> Result<(), String> {
        self.gateway.take().map_or(Ok(()), Gateway::stop)
    }
}

/// Whether each line shown has one like it among those printed: JSON with the same keys, and the same words where words
/// are not readings.
fn alike(shown: &str, printed: &str) -> Result<(), String> {
    let form = |line: &str| {
        let Ok(Value::Object(fields)) = serde_json::from_str(line) else { return None };
        let keys: BTreeSet<_> = fields.keys().cloned().collect();
        let words = ["result", "reason", "state", "detail"].map(|key| fields.get(key).cloned());
        Some((keys, words))
    };
    match shown.lines().find(|line| form(line).is_none() || !printed.lines().any(|other| form(other) == form(line))) {
        Some(line) => Err(format!("no line was printed like {line}\nbut {printed}")),
        None => Ok(()),
    }
}

/// One script under way; whatever is left of it goes with it.
struct Shell {
    child: Child,
    output: PathBuf,
    ended: bool,
}

impl Shell {
    fn start(dir: &Path, name: &str, script: &str, variables: &[(&str, &str)]) -> Self {
        // Beside the folder that the page sees.
        let output = dir.with_extension(name);
        let file = File::create(&output).unwrap();
        let mut path = binary().parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STILE_") {
                command.env_remove(name);
            }
        }
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(dir)
            .env("PATH", path)
            .env_remove("JOURNAL_STREAM");
        command.envs(variables.iter().copied()).process_group(0);
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), output, ended: false }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap()).into_owned()
    }

    fn wait(&mut self, what: &str) -> ExitStatus {
        let status = within(what, || self.child.try_wait().unwrap());
        self.ended = true;
        status
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Children of the script too, such as a subscriber that it left behind.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        if !self.ended {
            let _ = self.child.wait();
        }
        let _ = std::fs::remove_file(&self.output);
    }
}

/// The gateway that a page has started, on free ports.
struct Gateway {
    shell: Shell,
    /// By the port that stands in the pages.
    ports: Vec<(&'static str, String)>,
}

impl Gateway {
    /// `stile demo` gets its ports by options, `stile run` by variables; both are the reader's own ways to set them.
    fn start(dir: &Path, script: &str) -> Result<Self, String> {
        let script = script.replace("stile demo", "stile demo --mqtt-port 0 --admin-port 0");
        let mut variables = vec![("STILE_BROKER__LISTEN", "127.0.0.1:0"), ("STILE_ADMIN__LISTEN", "127.0.0.1:0")];
        let settings = std::fs::read_to_string(dir.join("stile.toml")).unwrap_or_default();
        if settings.contains("[broker.tls]") {
            variables.push(("STILE_BROKER__TLS__LISTEN", "127.0.0.1:0"));
        }
        if settings.contains("semtech-udp") {
            variables.push(("STILE_RADIO__ROOF__LISTEN", "127.0.0.1:0"));
        }
        if settings.contains("basics-station") {
            variables.push(("STILE_RADIO__MAST__LISTEN", "127.0.0.1:0"));
        }
        let mut shell = Shell::start(dir, "gateway", &script, &variables);
        within("the gateway is ready", || match shell.child.try_wait().unwrap() {
            Some(status) => {
                shell.ended = true;
                Some(Err(format!("{status}; {}", shell.said())))
            }
            None => shell.said().contains(" ready version=").then_some(Ok(())),
        })?;
        let said = shell.said();
        let port = |line: &str| said.split(line).nth(1)?.split_whitespace().next().map(str::to_owned);
        let lines = [
            ("1883", "listening for MQTT"),
            ("8080", "serving the admin page"),
            ("8883", "listening for MQTT over TLS"),
            ("1700", "listening for LoRa gateways"),
            ("3001", "listening for Basics Stations"),
        ];
        let found = lines.map(|(shown, line)| Some((shown, port(&format!("{line} address=127.0.0.1:"))?)));
        Ok(Self { shell, ports: found.into_iter().flatten().collect() })
    }

    /// It ends by itself, with a ledger that balances.
    fn stop(mut self) -> Result<(), String> {
        kill_process(Pid::from_child(&self.shell.child), Signal::TERM).unwrap();
        let status = self.shell.wait("the gateway ends");
        let said = self.shell.said();
        let good = status.success() && said.contains("in_flight=0 balances=true") && !said.contains("panicked");
        if good { Ok(()) } else { Err(format!("the gateway ended with {status}; {said}")) }
    }
}
