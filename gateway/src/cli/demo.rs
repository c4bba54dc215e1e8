//! `stile demo`: the whole gateway with three made-up radios, on loopback, with nothing to set up.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{fail, run, runtime, say};
use crate::supervisor::UnitError;
use crate::{Gateway, config, factory_reset, logging};

/// Run the gateway with three made-up radios, on loopback alone
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile demo
  stile demo --mqtt-port 1884 --admin-port 8081
  stile demo --seed 7 --data-dir ./demo     the same readings each time, data in ./demo")]
pub(super) struct Arguments {
    /// Port for MQTT clients; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 1883)]
    mqtt_port: u16,
    /// Port of the admin page; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    admin_port: u16,
    /// Where it keeps its data; without it, a temporary folder that is removed at the end
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Same seed, same readings
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    for (port, option) in [(arguments.mqtt_port, "--mqtt-port"), (arguments.admin_port, "--admin-port")] {
        if let Err(error) = try_port(port, option) {
            return fail(&error);
        }
    }
    if arguments.mqtt_port == arguments.admin_port && arguments.mqtt_port != 0 {
        let port = arguments.mqtt_port;
        return fail(&format!("port {port} is given twice; choose another with --mqtt-port PORT or --admin-port PORT"));
    }
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// A busy port is said in the words of this command, not in those of the settings that it writes.
fn try_port(port: u16, option: &str) -> Result<(), String> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(format!("port {port} on 127.0.0.1 is taken by another program; choose another with {option} PORT"))
        }
        Err(error) => Err(format!("port {port} on 127.0.0.1: {error}; choose another with {option} PORT")),
    }
}

fn start(arguments: &Arguments) -> Result<(), UnitError> {
    // Removed when it goes out of scope, after the gateway has stopped. The settings are always here, never in a folder
    // of the user's, who may have some there.
    let temporary = tempfile::Builder::new().prefix("stile-demo-").tempdir()?;
    let dir = match &arguments.data_dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}; choose another --data-dir", dir.display()))?;
            dir.canonicalize()?
        }
        None => temporary.path().to_owned(),
    };
    factory_reset::finish(&dir)?;
    let file = temporary.path().join("stile.toml");
    std::fs::write(&file, settings(arguments, &dir))?;
    // The same way in as for `stile run`; variables are left out, for they are meant for the real gateway.
    let loaded = config::load(&file, std::iter::empty())?;
    let logs = logging::start(&loaded.settings.log)?;
    // Nobody would start it again, so it is not asked to.
    runtime()?.block_on(run::serve(loaded, None, logs, |gateway| welcome(gateway, &dir))).map(drop)
}

/// The settings of the demonstration, as anybody would write them.
fn settings(arguments: &Arguments, dir: &Path) -> String {
    let Arguments { mqtt_port, admin_port, seed, .. } = arguments;
    let dir = toml::Value::from(dir.to_string_lossy().into_owned());
    format!(
        r#"# Settings of `stile demo`.
[gateway]
id = "demo"
data-dir = {dir}
[broker]
listen = ["127.0.0.1:{mqtt_port}"]
[admin]
listen = "127.0.0.1:{admin_port}"

# A sensor that prints a line of JSON and answers what it is sent.
[[radio]]
name = "sensor"
kind = "simulated"
device = "line"
seed = {seed}

# An electricity meter, asked over Modbus RTU.
[[radio]]
name = "meter"
kind = "simulated"
device = "sdm120"
seed = {seed}
[[radio.poll]]
name = "voltage"
period = "2s"
slave = 1
function = 4
address = 0
count = 2
type = "f32"
[[radio.poll]]
name = "power"
period = "2s"
slave = 1
function = 4
address = 12
count = 2
type = "f32"

# A LoRa gateway that hears ten parking bays, three rooms and a water meter.
[[radio]]
name = "roof"
kind = "simulated"
device = "lora-gateway"
region = "eu868"
seed = {seed}
"#
    )
}

fn welcome(gateway: &Gateway, dir: &Path) {
    let mqtt = gateway.mqtt_addresses().next().map_or(0, |address| address.port());
    let (dir, stile) = (dir.display(), callable());
    let mut text = format!(
        "
Stile is running with three made-up radios. Ctrl-C stops it. In another terminal:

  mosquitto_sub -p {mqtt} -t 'serial/#' -v                  their messages
  mosquitto_pub -p {mqtt} -t serial/sensor/down -m hello    send to the sensor; it answers on serial/sensor/up
  mosquitto_sub -p {mqtt} -t 'eu868/#' -v                   what the LoRa gateway hears, in ChirpStack's form
  {stile} tap --data-dir {dir}                live messages without an MQTT client
  {stile} top --data-dir {dir}                the ledger of messages
"
    );
    let code = gateway.setup_code();
    if let Some(admin) = gateway.admin_address() {
        let first = code.map_or_else(String::new, |code| format!("; the code to set it up: {code}"));
        text.push_str(&format!("\nThe admin page is at http://{admin}/{first}\n"));
    }
    say(&text);
}

/// What to type to run this program: its name where a shell finds it, else where it is.
fn callable() -> String {
    let found =
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("stile").exists()));
    match std::env::current_exe() {
        Ok(program) if !found => program.display().to_string(),
        _ => "stile".to_owned(),
    }
}
