//! `stile run`: the daemon.

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::{ConfigFile, environment, fail, runtime, wrong_settings};
use crate::admin::ReloadAsked;
use crate::changes::{Changes, Settled};
use crate::config::{Loaded, Problems, load_instead};
use crate::data_dir::DataDir;
use crate::logging::Kept;
use crate::reload::Reloaded;
use crate::wait::sleep_until;
use crate::{Gateway, factory_reset, logging, systemd};

/// The exit code of a gateway that is to be started again (`EX_TEMPFAIL` of sysexits.h).
const EX_AGAIN: u8 = 75;

/// How long threads that hang in a driver are waited for at the end.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// A trial is counted in milliseconds; looking too early would be in vain.
const TRIAL_SLACK: Duration = Duration::from_millis(20);

/// Until the settings of before are tried again, when a change was given back and they could not be taken.
const AGAIN: Duration = Duration::from_secs(10);

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

/// Where the settings are, and which change of them was given back.
#[derive(Clone)]
pub(super) struct Source {
    file: ConfigFile,
    changes: Changes,
    returned: Option<u64>,
    /// Set from then on until the settings of before are in force.
    owed: bool,
}

impl Source {
    fn of(file: &ConfigFile) -> Self {
        Self { file: file.clone(), changes: file.changes(), returned: None, owed: false }
    }

    /// Reads the settings, when what nobody confirmed in time has been given back.
    fn read(&mut self, at_start: bool) -> (Result<Loaded, Problems>, Settled) {
        let settled = self.changes.settle(at_start, self.returned);
        if let Some(entry) = &settled.returned {
            self.returned = Some(entry.number);
            self.owed |= !at_start;
        }
        (load_instead(&self.file.config, environment(), &settled.instead), settled)
    }

    /// Sees that no gateway runs whose change is on trial: a second one must not give it back.
    fn nobody_tries(&self) -> Result<(), String> {
        // What can't be read is told of when it is settled.
        let Ok(Some(entry)) = self.changes.pending() else { return Ok(()) };
        let before = entry.files.into_iter().map(|(name, edit)| (name, edit.old)).collect();
        // It has the folder that it started with. Where nothing says which, none can run with these settings.
        self.changes.data_dir_of(&before).map_or(Ok(()), |data_dir| DataDir::take(&data_dir).map(drop))
    }
}

/// Loads, starts, and stays until told to go.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut source = Source::of(&arguments.file);
    if let Err(taken) = source.nobody_tries() {
        return fail(&taken);
    }
    let (loaded, settled) = source.read(true);
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => return wrong_settings(&problems),
    };
    let logs = match logging::start(&loaded.settings.log) {
        Ok(logs) => logs,
        Err(error) => return fail(&format!("can't log: {error}; set `log.format` to \"text\" or \"json\"")),
    };
    tell(&settled);
    // What the settings took from the data folder, such as a certificate, may be gone behind it.
    let loaded = match factory_reset::finish(&loaded.settings.gateway.data_dir) {
        Ok(false) => loaded,
        Ok(true) => match source.read(true).0 {
            Ok(loaded) => loaded,
            Err(problems) => return wrong_settings(&problems),
        },
        Err(error) => return fail(&error),
    };
    match runtime() {
        Ok(runtime) => {
            let served = runtime.block_on(serve(loaded, Some(source), logs, |_| {}));
            // A driver that hangs in opening a port must not hold up the end.
            runtime.shutdown_timeout(LAST_THREADS);
            match served {
                Ok(Ended::Told) => ExitCode::SUCCESS,
                Ok(Ended::ToStartAgain) => ExitCode::from(EX_AGAIN),
                Err(error) => fail(&error),
            }
        }
        Err(error) => fail(&format!("can't start threads: {error}")),
    }
}

/// Why a gateway has ended in order.
pub(super) enum Ended {
    /// It was told to.
    Told,
    /// An admin wants it to start again.
    ToStartAgain,
}

/// Says what became of a change of the settings.
fn tell(settled: &Settled) {
    if let Some(entry) = &settled.returned {
        log::warn!(number = entry.number, by = entry.by.as_str(), why = entry.note.as_str();
            "a change of the settings was not confirmed; those of before are in force");
    }
    for file in &settled.changed_since {
        log::warn!(file = file.as_str(); "the file was changed since by somebody else, and stays as it is");
    }
    match &settled.error {
        Some(error) if settled.instead.is_empty() => {
            log::error!(error = error.as_str(); "the changes of the settings can't be read or written");
        }
        Some(error) => {
            log::error!(error = error.as_str();
                "a change can't be given back in its files; the gateway reads the old texts instead");
        }
        None => {}
    }
}

/// Runs the gateway until a signal ends it. SIGHUP reads the settings again, and so does the end of a change's trial;
/// where they are in no file, SIGHUP ends the gateway too, as when a
/// terminal is closed. `started` is called once the gateway serves.
pub(super) async fn serve(
    loaded: Loaded,
    mut source: Option<Source>,
    logs: Kept,
    started: impl FnOnce(&Gateway),
) -> Result<Ended, crate::supervisor::UnitError> {
    let mut signals = Signals::new()?;
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let radios = loaded.settings.radio.len();
    let mut gateway = Gateway::start(loaded.settings, logs).await?;
    log::info!(version = env!("CARGO_PKG_VERSION"), radios = radios; "ready");
    systemd::ready(&format!("{radios} radios"));
    started(&gateway);
    if let Some(source) = &source {
        gateway.settings_are_in(source.changes.clone());
    }
    let mut reloads = gateway.take_reloads();
    // When a change's trial ends, or its end is tried again.
    let mut due = None;
    let mut ended = Ended::Told;
    let failure = loop {
        let asked = tokio::select! {
            failure = gateway.critical_failure() => break Some(failure),
            _ = signals.terminate.recv() => break None,
            _ = signals.interrupt.recv() => break None,
            () = gateway.restart_wanted() => {
                ended = Ended::ToStartAgain;
                break None;
            }
            _ = signals.hangup.recv() => None,
            Some(asked) = next(&mut reloads) => Some(asked),
            () = sleep_until(due) => None,
        };
        let Some(source) = source.as_mut() else {
            let Some(asked) = asked else { break None };
            // Whoever asked may have gone.
            let _ = asked.send(Err("this gateway's settings are in no file".to_owned()));
            continue;
        };
        // Compiling a plugin takes its time; a reload that is given up on the way out harms nobody.
        tokio::select! {
            done = reload(&mut gateway, source, &mut due) => drop(asked.map(|asked| asked.send(done))),
            _ = signals.terminate.recv() => break None,
            _ = signals.interrupt.recv() => break None,
        }
    };
    systemd::stopping();
    let clean = gateway.stop().await;
    match failure {
        Some(failure) => Err(failure.into()),
        None if clean => Ok(ended),
        None => Err("not everything stopped in time; the log says what was cut off".into()),
    }
}

async fn next(reloads: &mut Option<Receiver<ReloadAsked>>) -> Option<ReloadAsked> {
    reloads.as_mut()?.recv().await
}

/// Reads the settings again. Wrong ones are logged, and told to whoever asked, and the last good ones go on.
async fn reload(gateway: &mut Gateway, source: &mut Source, due: &mut Option<Instant>) -> Result<(), String> {
    systemd::reloading();
    let taken = read_again(gateway, source, due).await;
    systemd::ready("settings reloaded");
    let done = match taken {
        Ok(reloaded) => reloaded.plugins.map_err(|error| {
            format!("plugins could not be changed, and those of before go on: {error}; all else is taken")
        }),
        Err(error) => {
            log::error!(error:% = error; "reload refused; the old settings go on");
            Err(error)
        }
    };
    source.owed &= done.is_err();
    if source.owed {
        let again = Instant::now() + AGAIN;
        *due = Some(due.map_or(again, |due| due.min(again)));
    }
    done
}

async fn read_again(gateway: &mut Gateway, source: &mut Source, due: &mut Option<Instant>) -> Result<Reloaded, String> {
    let mut reader = source.clone();
    // Should the reading fail as such, what is due stays due, but not at once.
    *due = due.map(|due| due.max(Instant::now() + AGAIN));
    // In a thread of its own: a slow disk must not hold up messages.
    let read = tokio::task::spawn_blocking(move || {
        let read = reader.read(false);
        (reader, read)
    });
    let (reader, (loaded, settled)) = read.await.map_err(|panic| panic.to_string())?;
    *source = reader;
    tell(&settled);
    *due = settled.on_trial.as_ref().map(|on_trial| Instant::now() + on_trial.left + TRIAL_SLACK);
    gateway.is_on_trial(settled.on_trial);
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
