//! Log lines of a plugin. They are written at once, also in a call that fails later: they tell why.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::bindings::stile::filter::log::{Host, Level};
use super::super::failure::one_line;
use super::super::state::State;

/// The longest line, in bytes; the rest is cut.
const LINE_BYTES: usize = 1024;
/// Lines that may come at once.
const BURST: u32 = 50;
/// One more line each time this has passed.
const PACE: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Flow {
    lines: u32,
    since: Instant,
    left_out: u64,
}

/// Keeps a plugin from filling the log, whatever its instances do.
#[derive(Debug)]
pub(in super::super) struct Gate(Mutex<Flow>);

impl Gate {
    pub(in super::super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Flow { lines: BURST, since: now, left_out: 0 }))
    }

    /// Whether a line may be written now, and how many were left out before it.
    fn pass(&self, now: Instant) -> Option<u64> {
        let mut flow = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let more = now.duration_since(flow.since).as_millis() / PACE.as_millis();
        if more > 0 {
            flow.lines = flow.lines.saturating_add(u32::try_from(more).unwrap_or(u32::MAX)).min(BURST);
            flow.since = now;
        }
        if flow.lines == 0 {
            flow.left_out += 1;
            return None;
        }
        flow.lines -= 1;
        Some(std::mem::take(&mut flow.left_out))
    }
}

/// Lines of a plugin that is tried out, for whoever tries it. Bounded by the plugin's [`Gate`] and by whoever takes them.
#[derive(Debug, Default)]
pub(in super::super) struct Notepad(Mutex<Vec<(::log::Level, String)>>);

impl Notepad {
    /// The lines since this was last asked.
    pub(in super::super) fn take(&self) -> Vec<(::log::Level, String)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, level: ::log::Level, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((level, text));
    }
}

fn log_level(level: Level) -> ::log::Level {
    match level {
        Level::Debug => ::log::Level::Debug,
        Level::Info => ::log::Level::Info,
        Level::Warn => ::log::Level::Warn,
        Level::Error => ::log::Level::Error,
    }
}

impl Host for State {
    fn threshold(&mut self) -> wasmtime::Result<Level> {
        Ok(match ::log::max_level() {
            _ if self.own.notepad.is_some() => Level::Debug,
            ::log::LevelFilter::Off | ::log::LevelFilter::Error => Level::Error,
            ::log::LevelFilter::Warn => Level::Warn,
            ::log::LevelFilter::Info => Level::Info,
            ::log::LevelFilter::Debug | ::log::LevelFilter::Trace => Level::Debug,
        })
    }

    fn write(&mut self, level: Level, text: String) -> wasmtime::Result<()> {
        let level = log_level(level);
        if level > ::log::max_level() && self.own.notepad.is_none() {
            return Ok(());
        }
        let name = &*self.own.terms.name;
        let Some(left_out) = self.own.gate.pass(Instant::now()) else {
            self.own.status.edit(|report| report.lines_left_out += 1);
            return Ok(());
        };
        let text = one_line(text, LINE_BYTES);
        if let Some(notepad) = &self.own.notepad {
            notepad.note(level, text);
            return Ok(());
        }
        if left_out > 0 {
            ::log::log!(level, plugin = name, left_out = left_out; "{text}");
        } else {
            ::log::log!(level, plugin = name; "{text}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_counted_and_a_pause_makes_room_again() {
        let start = Instant::now();
        let gate = Gate::new(start);
        let passed = (0..1000).filter(|_| gate.pass(start).is_some()).count();
        assert_eq!(passed, BURST as usize);
        assert_eq!(gate.pass(start + PACE), Some(1000 - u64::from(BURST)));
        assert_eq!(gate.pass(start + PACE), None);
        assert_eq!(gate.pass(start + PACE * 3), Some(1));
        assert_eq!(gate.pass(start + PACE * 3), Some(0));
        assert_eq!(gate.pass(start + PACE * 3), None);
    }

    #[test]
    fn a_text_is_one_line_however_long_it_is() {
        assert_eq!(one_line("a\nb\u{1b}[31m".into(), 100), "a b [31m");
        assert_eq!(one_line("ü".repeat(10), 5), "üü…");
    }
}
