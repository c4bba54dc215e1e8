//! Log lines: to the journal, as readable text, or as JSON. Key-values go with each in every format. The last of them are
//! kept in memory too.
//!
//! `journal.rs` says what becomes of a line in the journal, `catalogue.rs` which lines have an id there, `kept.rs` keeps them.

mod catalogue;
mod journal;
mod kept;

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::SystemTime;

use log::kv::{Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};

use self::journal::Journal;
pub use self::kept::{Kept, Line, News, Part};
use crate::config::{self, LogFormat, LogLevel};
use crate::systemd;

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Trace => LevelFilter::Trace,
    }
}

/// Starts logging, and gives what is kept of it. Only the first call of a process sets the format and is kept; the level
/// can be changed later.
///
/// # Errors
/// When the journal is asked for and not there.
pub fn start(settings: &config::Log) -> std::io::Result<Kept> {
    let to: Box<dyn Log> = match settings.format {
        LogFormat::Journal => Box::new(Journal(systemd::journal()?)),
        LogFormat::Auto if systemd::journal_is_there() => Box::new(Journal(systemd::journal()?)),
        LogFormat::Auto | LogFormat::Text => Box::new(Lines { json: false }),
        LogFormat::Json => Box::new(Lines { json: true }),
    };
    // Fails only when there is a logger already, and then that one goes on.
    let kept = Kept::default();
    let _ = log::set_boxed_logger(Box::new(Both { kept: kept.clone(), to }));
    set_level(settings.level);
    Ok(kept)
}

/// Changes what is logged from now on.
pub fn set_level(level: LogLevel) {
    log::set_max_level(filter(level));
}

/// Other crates' details are not what an operator turns the level up for.
fn worth_it(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("stile") || metadata.level() <= Level::Warn
}

/// What is worth it is kept, and goes on.
struct Both {
    kept: Kept,
    to: Box<dyn Log>,
}

impl Log for Both {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        worth_it(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.kept.take(record);
            self.to.log(record);
        }
    }

    fn flush(&self) {
        self.to.flush();
    }
}

/// The word for a level, as in the settings.
pub fn level_word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// One line a record on standard error.
struct Lines {
    json: bool,
}

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let line = if self.json { json_line(&now, record) } else { text_line(&now, record) };
        // With standard error gone there is nowhere to say so.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

fn json_line(now: &str, record: &Record<'_>) -> String {
    let mut fields = serde_json::Map::new();
    fields.insert("time".into(), now.into());
    fields.insert("level".into(), level_word(record.level()).into());
    fields.insert("target".into(), record.target().into());
    fields.insert("message".into(), record.args().to_string().into());
    // Visiting a map can't fail.
    let _ = record.key_values().visit(&mut IntoMap(&mut fields));
    format!("{}\n", serde_json::Value::Object(fields))
}

struct IntoMap<'a>(&'a mut serde_json::Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for IntoMap<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        let json = match (value.to_u64(), value.to_bool()) {
            (Some(number), _) => number.into(),
            (_, Some(yes)) => yes.into(),
            _ => value.to_string().into(),
        };
        self.0.insert(key.to_string(), json);
        Ok(())
    }
}

fn text_line(now: &str, record: &Record<'_>) -> String {
    format!("{now} {:5} {}\n", record.level(), words(record))
}

/// The message with its key-values behind it.
fn words(record: &Record<'_>) -> String {
    let mut words = record.args().to_string();
    // Visiting a list and writing to a string can't fail.
    let _ = record.key_values().visit(&mut IntoText(&mut words));
    words
}

struct IntoText<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for IntoText<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        pair(self.0, key.as_str(), &value.to_string());
        Ok(())
    }
}

/// What came from outside must not start a line of its own or steer a terminal.
fn pair(line: &mut String, key: &str, value: &str) {
    let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && c != '"');
    let _ = if plain { write!(line, " {key}={value}") } else { write!(line, " {key}={value:?}") };
}

impl Line {
    /// What goes with the text, as it stands in a log in text form: ` radio=meter`, or nothing.
    pub fn pairs(&self) -> String {
        let mut text = String::new();
        self.fields.iter().for_each(|(key, value)| pair(&mut text, key, value));
        text
    }

    /// The whole line as it stands in a log in text form, with its end.
    pub fn text(&self) -> String {
        let at = humantime::format_rfc3339_millis(self.at);
        format!("{at} {:5} {}{}\n", self.level, self.text, self.pairs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_record(check: impl FnOnce(&Record<'_>)) {
        let pairs: &[(&str, Value<'_>)] =
            &[("radio", Value::from("meter")), ("bytes", Value::from(7_u64)), ("error", Value::from("a\nb"))];
        let record = Record::builder()
            .args(format_args!("frame dropped"))
            .level(Level::Warn)
            .target("stile::radio")
            .key_values(&pairs)
            .build();
        check(&record);
    }

    #[test]
    fn what_other_crates_have_to_say_is_neither_kept_nor_handed_on() {
        struct Never;
        impl Log for Never {
            fn enabled(&self, _: &Metadata<'_>) -> bool {
                true
            }
            fn log(&self, record: &Record<'_>) {
                panic!("{}", record.args());
            }
            fn flush(&self) {}
        }
        let kept = Kept::default();
        let both = Both { kept: kept.clone(), to: Box::new(Never) };
        let detail = Record::builder().args(format_args!("registering")).level(Level::Info).target("mio::poll").build();
        assert!(!both.enabled(detail.metadata()));
        both.log(&detail);
        assert!(kept.all().is_empty());
    }

    #[test]
    fn a_text_line_is_one_line_with_its_key_values() {
        with_record(|record| {
            assert_eq!(text_line("T", record), "T WARN  frame dropped radio=meter bytes=7 error=\"a\\nb\"\n");
        });
    }

    #[test]
    fn a_json_line_is_one_object_with_its_key_values() {
        with_record(|record| {
            let parsed: serde_json::Value = serde_json::from_str(&json_line("T", record)).unwrap();
            assert_eq!(parsed["bytes"], 7);
            assert_eq!(parsed["error"], "a\nb");
            assert_eq!(parsed["level"], "warn");
        });
    }
}
