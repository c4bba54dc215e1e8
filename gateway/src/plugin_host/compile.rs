//! Compiling a component, in a short-lived child process: the daemon's memory never pays for the compiler, and whatever an
//! author's file makes of the compiler is far away from the gateway.
//!
//! Owns the parent's side: what the child is given, and how long it is waited for. `child.rs` is what the child does,
//! `sandbox.rs` what it gives up before it reads a byte. The child is this same executable with a hidden verb: a component
//! on its standard input, compiled code on its standard output, one line on standard error and a code when it fails.

pub mod child;
mod sandbox;

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::engine::Code;
use crate::component::MAX_BYTES;

/// The hidden verb.
pub const VERB: &str = "compile-plugin";

/// The most compiled code taken from a child, in bytes.
const COMPILED_MAX_BYTES: usize = 512 << 20;

/// The most that a child may say of its failure, in bytes.
const SAID_MAX_BYTES: usize = 2048;

/// What one compilation may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Seconds of CPU time.
    pub cpu_seconds: u64,
    /// Bytes of address space.
    pub memory: u64,
    /// How long it is waited for.
    pub patience: Duration,
}

impl Default for Budget {
    /// Python's interpreter, the largest that is known, takes 12 s and 335 MB on a PC, and a Pi is several times slower.
    fn default() -> Self {
        Self { cpu_seconds: 180, memory: 2 << 30, patience: Duration::from_secs(300) }
    }
}

/// Why there is no compiled code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// More than [`MAX_BYTES`].
    #[error("it has {0} bytes, and at most {MAX_BYTES} are taken")]
    TooLarge(usize),
    /// The child could not be started or asked.
    #[error("the compiler could not be started: {0}")]
    Start(#[source] io::Error),
    /// The compiler says what is wrong with the component.
    #[error("{0}")]
    Refused(String),
    /// The child took too long and was ended.
    #[error("the compiler was ended: it took longer than {}", humantime::format_duration(*.0))]
    TookTooLong(Duration),
    /// The child went over its CPU time.
    #[error("the compiler was ended: it needed more than {0} s of CPU time")]
    Cpu(u64),
    /// The child ended otherwise: out of memory, killed, broken.
    #[error("the compiler ended with {}{}", .0, Said(.1))]
    Ended(ExitStatus, String),
    /// The compiled code is larger than anything that could be run here.
    #[error("its compiled code has more than {COMPILED_MAX_BYTES} bytes")]
    CompiledTooLarge,
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// Starts the children.
#[derive(Debug, Clone)]
pub struct Compiler {
    program: PathBuf,
    budget: Budget,
    code: Code,
}

impl Default for Compiler {
    /// This same executable, also when its file has been replaced meanwhile.
    fn default() -> Self {
        Self::new("/proc/self/exe", Budget::default())
    }
}

impl Compiler {
    /// One whose children are `program compile-plugin`.
    pub fn new(program: impl Into<PathBuf>, budget: Budget) -> Self {
        Self { program: program.into(), budget, code: Code::default() }
    }

    /// The same, whose children make this code.
    #[must_use]
    pub fn making(&self, code: Code) -> Self {
        Self { code, ..self.clone() }
    }

    /// The compiled form of `component`, for this machine and [`super::engine::config`]. Blocks for as long as that takes.
    ///
    /// # Errors
    /// In words that go behind the file's name.
    pub fn compile(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        if component.len() > MAX_BYTES {
            return Err(CompileError::TooLarge(component.len()));
        }
        let child = self.command().spawn().map_err(CompileError::Start)?;
        let answer = self.ask(child, component).map_err(CompileError::Start)?;
        answer.judge(&self.budget)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(VERB);
        command.arg("--cpu-seconds").arg(self.budget.cpu_seconds.to_string());
        command.arg("--memory").arg(self.budget.memory.to_string());
        command.args((self.code == Code::Metered).then_some("--fuel"));
        command.env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Gives the child its component and takes what it answers; ends it when the time is over.
    fn ask(&self, mut child: Child, component: &[u8]) -> io::Result<Answer> {
        let process = match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(process) => process,
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error.into());
            }
        };
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            let (done, ended) = mpsc::channel::<()>();
            let patience = self.budget.patience;
            let watch = scope.spawn(move || {
                let late = ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
                if late {
                    kill(&process);
                }
                late
            });
            // A child that refuses the component closes its end early.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(component)));
            let said = scope.spawn(move || read_bounded(stderr, SAID_MAX_BYTES));
            let compiled = read_bounded(stdout, COMPILED_MAX_BYTES);
            let status = child.wait();
            drop(done);
            let said = String::from_utf8_lossy(&said.join().unwrap_or_default()).into_owned();
            Ok(Answer { compiled, said, status: status?, late: watch.join().unwrap_or_default() })
        })
    }
}

/// The process is told by its descriptor, so that no other can be hit that got its number meanwhile. It has no children.
fn kill(process: &OwnedFd) {
    // It may have ended by itself.
    let _ = pidfd_send_signal(process, Signal::KILL);
}

/// All that comes, or `most` and one byte. The pipe is closed then, which ends a child that goes on writing.
fn read_bounded(from: Option<impl Read>, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What came before an error is judged by how the child ended.
        let _ = from.take(most as u64 + 1).read_to_end(&mut bytes);
    }
    bytes
}

/// What a child left behind.
struct Answer {
    compiled: Vec<u8>,
    said: String,
    status: ExitStatus,
    late: bool,
}

impl Answer {
    fn judge(self, budget: &Budget) -> Result<Vec<u8>, CompileError> {
        if self.late {
            return Err(CompileError::TookTooLong(budget.patience));
        }
        if self.compiled.len() > COMPILED_MAX_BYTES {
            return Err(CompileError::CompiledTooLarge);
        }
        if self.status.signal() == Some(Signal::XCPU.as_raw()) {
            return Err(CompileError::Cpu(budget.cpu_seconds));
        }
        let said = one_line(&self.said);
        match self.status.code() {
            Some(0) if !self.compiled.is_empty() => Ok(self.compiled),
            Some(code) if code == i32::from(child::REFUSED) => Err(CompileError::Refused(said)),
            _ => Err(CompileError::Ended(self.status, said)),
        }
    }
}

/// What may be put into a log line: what a component's author wrote into names may be among it.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
