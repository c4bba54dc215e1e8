//! A plugin of the settings tried out beside the messages' way: in the sandbox, with its limits and its settings, with a memory
//! of its own that begins with nothing.

use std::ops::ControlFlow;
use std::sync::{MutexGuard, TryLockError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::capture::{self, Capture, Event};
use super::fit::{Fit, fit, said};
use super::{Listed, Plugins, case};
use crate::component::read;
use crate::config;
use crate::message::Message;
use crate::plugin_host::engine::Code;
use crate::plugin_host::{Loaded, Terms, Workbench};

/// Messages that are taken at once.
pub(super) const MESSAGES_MAX: usize = 100;
/// CPU time after which no further message is played. A call may use what its limit says besides.
const CPU_MAX: Duration = Duration::from_secs(5);
/// Ticks after which no further message is played: a capture may have days between two messages.
const TICKS_MAX: usize = 1000;
/// What came of messages that is told, in bytes of their payloads.
pub(super) const TOLD_MAX_BYTES: usize = 1 << 20;

/// What came of it.
#[derive(Debug, Default)]
pub struct Trial {
    /// CPU time of its start.
    pub start: Duration,
    /// What happened, in order; ticks that made nothing are left out.
    pub seen: Vec<Seen>,
    /// What it logged at its start.
    pub lines: Vec<String>,
    /// Messages whose topic is not one of its own.
    pub past: usize,
    /// Messages that were not played, since those before took too long or made too much.
    pub not_played: usize,
    /// The most bytes of its memory.
    pub memory: usize,
}

/// One message, or a tick.
#[derive(Debug)]
pub struct Seen {
    /// `None`: a tick.
    pub message: Option<Message>,
    /// What was said of it in a word: `passed`, `dropped`, `modified`, `replaced`, `rejected`, `failed`, `tick`.
    pub word: &'static str,
    /// Why.
    pub why: Option<String>,
    /// What goes on in its place.
    pub out: Vec<Message>,
    /// What is published besides.
    pub emits: Vec<Message>,
    /// What was logged, each with its level.
    pub lines: Vec<String>,
    /// CPU time of the call.
    pub cpu: Duration,
}

/// Why nothing was tried.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// There is no such plugin in force.
    #[error("there is no plugin `{0}`")]
    Unknown(String),
    /// Another trial is under way.
    #[error("another plugin is being tried out; try again in a moment")]
    Busy,
    /// What is wrong with the messages or the plugin, in words.
    #[error("{0}")]
    Wrong(String),
}

impl From<String> for TrialError {
    fn from(words: String) -> Self {
        Self::Wrong(words)
    }
}

/// A plugin that is about to be tried out; nobody else tries one until it is dropped.
pub(super) struct Ready<'a> {
    pub(super) settings: config::Plugin,
    pub(super) listed: Listed,
    pub(super) loaded: Loaded,
    _alone: MutexGuard<'a, ()>,
}

impl Plugins {
    /// Plays messages, one JSON object a line as `stile tap --json` prints them, to a plugin of the settings in force, enabled or
    /// not. Blocks.
    ///
    /// # Errors
    /// [`TrialError`].
    pub fn try_out(&self, name: &str, lines: &str) -> Result<Trial, TrialError> {
        let capture = messages(lines)?;
        let ready = self.ready(name)?;
        let terms = Terms::of(&ready.settings)?;
        let period = ready.settings.tick.filter(|_| ready.loaded.ticks());
        let start = capture.messages.first().map_or(0, |message| message.received.unix_micros());
        let mut bench = Workbench::listening(ready.loaded.clone(), terms, start);
        bench.start().map_err(|failure| format!("it does not start: {}: {}", failure.kind, failure.text))?;
        let mut trial = Trial { start: bench.cpu(), lines: lines_of(&bench), ..Trial::default() };
        let (mut played, mut budget) = (0, Budget::default());
        let topics = &ready.settings.topics;
        let for_it = |message: &&Message| topics.iter().any(|filter| filter.matches(message.topic.as_str()));
        let meant = capture.messages.iter().filter(for_it).count();
        // Whether it came to the end shows by the count.
        let _ = capture::play(&capture.messages, topics, period, &mut bench, |event, bench| {
            played += usize::from(event.message.is_some());
            trial.memory = trial.memory.max(bench.memory());
            let lines = lines_of(bench);
            let more = budget.take(event, bench.cpu());
            if !event.is_quiet() || !lines.is_empty() {
                trial.seen.push(Seen::of(event, lines, bench.cpu()));
            }
            more
        });
        trial.past = capture.messages.len() - meant;
        trial.not_played = meant - played;
        Ok(trial)
    }

    /// A case, as `stile plugin test` plays it, of such messages and what the plugin makes of them. Blocks.
    ///
    /// # Errors
    /// [`TrialError`].
    pub fn case(&self, name: &str, lines: &str, about: &str) -> Result<String, TrialError> {
        let capture = messages(lines)?;
        let ready = self.ready(name)?;
        Ok(case::make(&ready, capture.messages, about, CPU_MAX)?)
    }

    fn ready(&self, name: &str) -> Result<Ready<'_>, TrialError> {
        let alone = match self.trial.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(TrialError::Busy),
        };
        let (listed, trust) = {
            let in_force = self.in_force();
            let listed = in_force.listed.iter().find(|listed| listed.settings.name == name).cloned();
            (listed.ok_or_else(|| TrialError::Unknown(crate::component::plain(name)))?, in_force.trust.clone())
        };
        let file = &listed.settings.file;
        let component = read(file).map_err(|why| format!("{}: {why}", file.display()))?;
        let Fit { settings, .. } = fit(&component, &listed.settings, &trust).map_err(|misfits| said(&misfits))?;
        let loaded = self.maker.load(&component, Code::of(&settings.limits))?;
        Ok(Ready { settings, listed, loaded, _alone: alone })
    }
}

fn messages(lines: &str) -> Result<Capture, TrialError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let capture = capture::read(lines, u64::try_from(now.as_micros()).unwrap_or(u64::MAX))?;
    match capture.messages.len() {
        0 => Err(TrialError::Wrong("there is no message".to_owned())),
        1..=MESSAGES_MAX => Ok(capture),
        more => Err(TrialError::Wrong(format!("there are {more} messages, and at most {MESSAGES_MAX} are taken"))),
    }
}

/// What a trial has cost so far.
#[derive(Default)]
struct Budget {
    cpu: Duration,
    ticks: usize,
    told: usize,
}

impl Budget {
    fn take(&mut self, event: &Event<'_>, cpu: Duration) -> ControlFlow<()> {
        self.cpu += cpu;
        self.ticks += usize::from(event.message.is_none());
        self.told += event.out().iter().chain(&event.emitted).map(|message| message.payload.len()).sum::<usize>();
        let over = self.cpu > CPU_MAX || self.ticks > TICKS_MAX || self.told > TOLD_MAX_BYTES;
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn lines_of(bench: &Workbench) -> Vec<String> {
    bench.take_lines().into_iter().map(|(level, text)| format!("{}: {text}", level.as_str().to_lowercase())).collect()
}

impl Seen {
    fn of(event: &Event<'_>, lines: Vec<String>, cpu: Duration) -> Self {
        Self {
            message: event.message.cloned(),
            word: event.word(),
            why: event.why(),
            out: event.out().to_vec(),
            emits: event.emitted.clone(),
            lines,
            cpu,
        }
    }
}
