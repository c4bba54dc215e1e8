//! The command line: arguments, exit codes; one file a verb.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong arguments, 78 wrong settings (`EX_CONFIG` of sysexits.h). `policy explain` adds 3: it
//! can be told, and nothing would be sent; `status` too: there is a problem. `run` adds 75 (`EX_TEMPFAIL`): it wants to be
//! started again.

mod capture;
mod cert;
mod check;
mod clients;
mod compile_plugin;
mod config;
mod demo;
mod export;
mod gateway;
mod health;
mod person;
mod plugin;
mod policy;
mod probe;
mod provision;
mod reload;
mod remote;
mod run;
mod shell;
mod socket;
mod spool;
mod status;
mod tap;
mod text;
mod token;
mod top;
mod udev;
mod update;
mod uplink;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::changes::Changes;
use crate::config::{Loaded, Problems};

/// Wrong settings.
const EX_CONFIG: u8 = 78;
const DEFAULT_CONFIG: &str = "/etc/stile/stile.toml";

/// Edge gateway: serial and LoRa radios to an MQTT broker, in one daemon.
#[derive(Debug, Parser)]
#[command(name = "stile", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  stile demo                                three made-up radios, no settings needed
  stile config example > stile.toml         a commented file to start from
  stile check stile.toml                    everything that is wrong with it, at once
  stile run --config stile.toml             the gateway
  stile plugin inspect parking.wasm         what a plugin is and asks for
  stile status                              how the running gateway is, and what needs attention
  stile tap 'serial/+/up'                   its live messages
  stile export --from 1h -o signal.csv      its measurements of the last hour
  stile uplink status                       remote brokers, and what waits for them
  stile policy explain a/b reading.json     what remote brokers would get of a message
  stile probe core                          a measurement of the network, now
  stile user add anna --all                 somebody who may connect
  stile person add anna --role admin        somebody who may sign in to the admin page")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Arguments),
    Capture(capture::Arguments),
    Check(check::Arguments),
    Cert(cert::Arguments),
    Clients(clients::Arguments),
    Config(config::Arguments),
    Demo(demo::Arguments),
    Export(export::Arguments),
    Health(health::Arguments),
    Person(person::Arguments),
    Plugin(plugin::Arguments),
    Policy(policy::Arguments),
    Probe(probe::Arguments),
    Provision(provision::Arguments),
    Reload(reload::Arguments),
    Spool(spool::Arguments),
    Status(status::Arguments),
    Tap(tap::Arguments),
    Token(token::Arguments),
    Top(top::Arguments),
    Udev(udev::Arguments),
    Update(update::Arguments),
    Uplink(uplink::Arguments),
    User(user::Arguments),
    #[command(name = crate::plugin_host::compile::VERB, hide = true)]
    CompilePlugin(compile_plugin::Arguments),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// Where the settings are.
#[derive(Debug, Clone, clap::Args)]
struct ConfigFile {
    /// The settings; conf.d/*.toml beside it are read too
    #[arg(long = "config", value_name = "FILE", env = "STILE_CONFIG", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

impl ConfigFile {
    fn load(&self) -> Result<Loaded, Problems> {
        crate::config::load(&self.config, environment())
    }

    /// The changes of them.
    fn changes(&self) -> Changes {
        Changes::of(&self.config, environment().collect())
    }

    /// For the verb that adds the first user: that there is none is no problem yet.
    fn load_before_users(&self) -> Result<Loaded, Problems> {
        crate::config::load_before_users(&self.config, environment())
    }
}

/// The `STILE_*` variables, but for those that are arguments.
fn environment() -> impl Iterator<Item = (String, String)> {
    let texts =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.filter(|(name, _)| name.starts_with("STILE_") && name != "STILE_CONFIG")
}

/// Parses the arguments, does what they say, returns the exit code.
pub fn main() -> ExitCode {
    match Arguments::parse().verb {
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Capture(arguments) => capture::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Cert(arguments) => cert::run(&arguments),
        Verb::Clients(arguments) => clients::run(&arguments),
        Verb::Config(arguments) => config::run(&arguments),
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::Export(arguments) => export::run(&arguments),
        Verb::Health(arguments) => health::run(&arguments),
        Verb::Person(arguments) => person::run(&arguments),
        Verb::Plugin(arguments) => plugin::run(&arguments),
        Verb::Policy(arguments) => policy::run(&arguments),
        Verb::Probe(arguments) => probe::run(&arguments),
        Verb::Provision(arguments) => provision::run(&arguments),
        Verb::Reload(arguments) => reload::run(&arguments),
        Verb::Spool(arguments) => spool::run(&arguments),
        Verb::Status(arguments) => status::run(&arguments),
        Verb::Tap(arguments) => tap::run(&arguments),
        Verb::Token(arguments) => token::run(&arguments),
        Verb::Top(arguments) => top::run(&arguments),
        Verb::Udev(arguments) => udev::run(&arguments),
        Verb::Update(arguments) => update::run(&arguments),
        Verb::Uplink(arguments) => uplink::run(&arguments),
        Verb::User(arguments) => user::run(&arguments),
        Verb::CompilePlugin(arguments) => compile_plugin::run(&arguments),
        Verb::Completions(arguments) => shell::completions(&arguments),
        Verb::Man(_) => shell::man(),
    }
}

/// Prints what went wrong, as `stile: ...`, and returns the code for it.
fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    complain(&format!("stile: {error}"));
    ExitCode::FAILURE
}

/// Prints settings' problems and returns the code for them.
fn wrong_settings(problems: &Problems) -> ExitCode {
    complain(problems.to_string().trim_end());
    ExitCode::from(EX_CONFIG)
}

#[allow(clippy::print_stderr, reason = "the one place where the command line talks to whoever typed it")]
fn complain(text: &str) {
    eprintln!("{text}");
}

/// Prints to standard output; a reader that has gone, as in `| head`, is no error.
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A runtime for the verbs that need one: one thread, since threads that wake each other are most of what a message would
/// cost. Nothing on it may wait for a disk; ARCHITECTURE.md says more.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
