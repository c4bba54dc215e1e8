//! Why a call of a plugin came to nothing.

use std::fmt;

use wasmtime::Trap;

/// The kinds of failure. Each is a label in `/metrics`, so the set is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum FailureKind {
    /// It could not be started: an instance could not be made, or its `configure` refused.
    Start,
    /// It trapped: unreachable code, a bad address, endless recursion.
    Trap,
    /// It used more CPU time than a call may.
    CpuTime,
    /// It used more fuel than a call may.
    Fuel,
    /// It needed more memory than it may have.
    Memory,
    /// Its answer is not what it has to be.
    Output,
    /// It asked an import for something that is not to be had: an interface that is not granted, a place beyond the batch.
    Misuse,
    /// It said itself that what it was given is wrong.
    Invalid,
    /// It said itself that it can't go on.
    Broken,
    /// It said itself that something it needs is not there now.
    Unavailable,
}

impl FailureKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Start,
        Self::Trap,
        Self::CpuTime,
        Self::Fuel,
        Self::Memory,
        Self::Output,
        Self::Misuse,
        Self::Invalid,
        Self::Broken,
        Self::Unavailable,
    ];

    /// The word for metrics, logs and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Trap => "trap",
            Self::CpuTime => "cpu-time",
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Misuse => "misuse",
            Self::Invalid => "invalid",
            Self::Broken => "broken",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether the instance may be used again. After all others nobody knows in what state it is, and a batch that it calls
    /// invalid is judged again, one by one: what it counted already must not count twice.
    pub(super) fn leaves_the_instance(self) -> bool {
        self == Self::Unavailable
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// For people, in one line.
    pub text: String,
}

/// The longest text of a failure; a plugin writes some of them.
const TEXT_BYTES: usize = 512;

impl Failure {
    pub(super) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        let text = one_line(text.into(), TEXT_BYTES);
        // A plugin that fails without a word leaves an operator nothing to go by.
        Self { kind, text: if text.trim().is_empty() { "no reason given".to_owned() } else { text } }
    }

    /// What a call that ended with `error` failed of. `full`: whether it was refused memory meanwhile, since a guest mostly
    /// runs into `unreachable` then.
    pub(super) fn of(error: &wasmtime::Error, full: bool) -> Self {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return Self::new(stop.kind(), stop.to_string());
        }
        let Some(trap) = error.downcast_ref::<Trap>() else {
            return Self::new(FailureKind::Output, error.root_cause().to_string());
        };
        if *trap == Trap::OutOfFuel {
            return Self::new(FailureKind::Fuel, "used more fuel than it may in one call");
        }
        if full {
            return Self::new(FailureKind::Memory, format!("needs more memory than it may have ({trap})"));
        }
        Self::new(FailureKind::Trap, format!("{trap}{}", place(error)))
    }
}

/// The function that a trap came from, where its name is known.
fn place(error: &wasmtime::Error) -> String {
    let trace = error.downcast_ref::<wasmtime::WasmBacktrace>();
    let name = trace.and_then(|trace| trace.frames().iter().find_map(wasmtime::FrameInfo::func_name));
    name.map(|name| format!(" in {name}")).unwrap_or_default()
}

/// A plugin's text as one line of at most `most` bytes: nothing in it may look like another line of the log.
pub(super) fn one_line(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    if text.contains(char::is_control) { text.replace(char::is_control, " ") } else { text }
}

/// Why the host ended a call.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("used more than {} ms of CPU time in one call", .0.as_millis())]
    CpuTime(std::time::Duration),
    #[error("called `{0}`, which it is not granted; add it to the plugin's `grants` if it may")]
    NotGranted(&'static str),
    #[error("{0}")]
    Misuse(String),
}

impl Stop {
    fn kind(&self) -> FailureKind {
        match self {
            Self::CpuTime(_) => FailureKind::CpuTime,
            Self::NotGranted(_) | Self::Misuse(_) => FailureKind::Misuse,
        }
    }
}
