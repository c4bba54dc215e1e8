//! `stile run`: the daemon.

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;

use super::{ConfigFile, fail, runtime, wrong_settings};
use crate::admin::ReloadAsked;
use crate::config::Loaded;
use crate::reload::Reloaded;
use crate::{Gateway, logging, systemd};

/// How long threads that hang in a driver are waited for at the end.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// Run the gateway until SIGTERM or Ctrl-C; SIGHUP reads the settings again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile run
  stile run --config ./stile.toml
  STILE_LOG__LEVEL=debug stile run --config ./stile.toml
  kill -HUP $(pidof stile)                  read the settings again")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// Loads, starts, and stays until told to go.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let loaded = match arguments.file.load() {
        Ok(loaded) => loaded,
        Err(problems) => return wrong_settings(&problems),
    };
    if let Err(error) = logging::start(&loaded.settings.log) {
        return fail(&format!("can't log: {error}; set `log.format` to \"text\" or \"json\""));
    }
    match runtime() {
        Ok(runtime) => {
            let served = runtime.block_on(serve(loaded, Some(&arguments.file), |_| {}));
            // A driver that hangs in opening a port must not hold up the end.
            runtime.shutdown_timeout(LAST_THREADS);
            match served {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            }
        }
        Err(error) => fail(&format!("can't start threads: {error}")),
    }
}

/// Runs the gateway until a signal ends it. SIGHUP reads `file` again; without one it ends the gateway too, as when a
/// terminal is closed. `started` is called once the gateway serves.
pub(super) async fn serve(
    loaded: Loaded,
    file: Option<&ConfigFile>,
    started: impl FnOnce(&Gateway),
) -> Result<(), crate::supervisor::UnitError> {
    let mut signals = Signals::new()?;
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let radios = loaded.settings.radio.len();
    let mut gateway = Gateway::start(loaded.settings).await?;
    log::info!(version = env!("CARGO_PKG_VERSION"), radios = radios; "ready");
    systemd::ready(&format!("{radios} radios"));
    started(&gateway);
    let mut reloads = gateway.take_reloads();
    let failure = loop {
        let asked = tokio::select! {
            failure = gateway.critical_failure() => break Some(failure),
            _ = signals.terminate.recv() => break None,
            _ = signals.interrupt.recv() => break None,
            _ = signals.hangup.recv() => None,
            Some(asked) = next(&mut reloads) => Some(asked),
        };
        let Some(file) = file else {
            let Some(asked) = asked else { break None };
            // Whoever asked may have gone.
            let _ = asked.send(Err("this gateway's settings are in no file".to_owned()));
            continue;
        };
        // Compiling a plugin takes its time; a reload that is given up on the way out harms nobody.
        tokio::select! {
            done = reload(&mut gateway, file) => drop(asked.map(|asked| asked.send(done))),
            _ = signals.terminate.recv() => break None,
            _ = signals.interrupt.recv() => break None,
        }
    };
    systemd::stopping();
    let clean = gateway.stop().await;
    match failure {
        Some(failure) => Err(failure.into()),
        None if clean => Ok(()),
        None => Err("not everything stopped in time; the log says what was cut off".into()),
    }
}

async fn next(reloads: &mut Option<Receiver<ReloadAsked>>) -> Option<ReloadAsked> {
    reloads.as_mut()?.recv().await
}

/// Reads the settings again. Wrong ones are logged, and told to whoever asked, and the last good ones go on.
async fn reload(gateway: &mut Gateway, file: &ConfigFile) -> Result<(), String> {
    systemd::reloading();
    let taken = read_again(gateway, file).await;
    systemd::ready("settings reloaded");
    match taken {
        Ok(reloaded) => reloaded.plugins.map_err(|error| {
            format!("plugins could not be changed, and those of before go on: {error}; all else is taken")
        }),
        Err(error) => {
            log::error!(error:% = error; "reload refused; the old settings go on");
            Err(error)
        }
    }
}

async fn read_again(gateway: &mut Gateway, file: &ConfigFile) -> Result<Reloaded, String> {
    let file = file.clone();
    // In a thread of its own: a slow disk must not hold up messages.
    let loaded = tokio::task::spawn_blocking(move || file.load()).await.map_err(|panic| panic.to_string())?;
    let loaded = loaded.map_err(|problems| problems.to_string())?;
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let reloaded = gateway.reload(loaded.settings).await.map_err(|error| error.to_string())?;
    log::info!(changes = reloaded.changes.len(); "reload done");
    Ok(reloaded)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}
