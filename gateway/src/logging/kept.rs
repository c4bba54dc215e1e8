//! The last log lines in memory, for whoever looks by the admin page: bounded in lines and in bytes.
//!
//! Readers go by the lines' numbers and ask for what is new. Nobody who logs ever waits for them: whoever reads too
//! slowly finds that some lines have gone, and how many.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::kv::{Key, Value, VisitSource};
use log::{Level, Record};
use tokio::sync::watch;

/// Lines that are kept. Policy: the oldest go.
const LINES: usize = 2000;
/// Bytes of their texts that are kept. Policy: the same.
const BYTES: usize = 512 * 1024;
/// The longest text of a line, and of each value beside it, in bytes: what is beyond is left out.
const TEXT_BYTES: usize = 2048;
/// Values beside a text that are kept.
const FIELDS: usize = 16;

/// A part of the daemon that logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Radios and their drivers.
    Radio,
    /// The MQTT broker.
    Broker,
    /// Plugins, and what keeps them.
    Plugin,
    /// Remote brokers, and what waits for them.
    Uplink,
    /// The admin page and its API.
    Admin,
    /// What outlives the process.
    Store,
    /// All else of the gateway.
    Gateway,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Gateway, Self::Radio, Self::Broker, Self::Plugin, Self::Uplink, Self::Admin, Self::Store];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Radio => "radio",
            Self::Broker => "broker",
            Self::Plugin => "plugin",
            Self::Uplink => "uplink",
            Self::Admin => "admin",
            Self::Store => "store",
            Self::Gateway => "gateway",
        }
    }

    /// By that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == word)
    }

    /// Whose module it is that logs, such as `stile::radio::serial`.
    fn of(target: &str) -> Self {
        match target.split("::").nth(1).unwrap_or_default() {
            "radio" => Self::Radio,
            "broker" | "codec" | "users" => Self::Broker,
            "plugin_host" | "plugins" | "component" | "signature" => Self::Plugin,
            "uplink" | "spool" | "sharing" => Self::Uplink,
            "admin" | "people" => Self::Admin,
            "store" | "history" => Self::Store,
            _ => Self::Gateway,
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Grows by one from line to line, and is greater after a restart.
    pub number: u64,
    /// When, by the wall clock.
    pub at: SystemTime,
    /// How bad it is.
    pub level: Level,
    /// Who logs.
    pub part: Part,
    /// What is said.
    pub text: String,
    /// What goes with it, in order.
    pub fields: Vec<(String, String)>,
}

impl Line {
    fn of(record: &Record<'_>) -> Self {
        let mut fields = Vec::new();
        // Visiting a list can't fail.
        let _ = record.key_values().visit(&mut IntoList(&mut fields));
        let (part, text) = (Part::of(record.target()), short(record.args().to_string()));
        Self { number: 0, at: SystemTime::now(), level: record.level(), part, text, fields }
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.fields.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    }

    /// Whether the text or what goes with it has these words, which are in lower case.
    pub fn has(&self, words: &str) -> bool {
        let found = |text: &str| text.to_lowercase().contains(words);
        found(&self.text) || self.fields.iter().any(|(key, value)| found(&format!("{key}={value}")))
    }
}

fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES));
    text
}

struct IntoList<'a>(&'a mut Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for IntoList<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        if self.0.len() < FIELDS {
            self.0.push((key.to_string(), short(value.to_string())));
        }
        Ok(())
    }
}

/// The lines that are there.
struct Ring {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    /// The number of this run's first line.
    first: u64,
    /// That of the next one.
    next: u64,
}

/// What somebody has not seen yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Lines that he is too late for.
    pub missed: u64,
    /// Those that are there, the oldest first.
    pub lines: Vec<Arc<Line>>,
    /// The number to go on from.
    pub next: u64,
}

/// See the module's head. A clone is another handle.
#[derive(Clone)]
pub struct Kept {
    ring: Arc<Mutex<Ring>>,
    /// The number of the next line.
    next: watch::Sender<u64>,
}

impl Default for Kept {
    fn default() -> Self {
        // A million lines a second are not to be had, so the numbers of the next run are greater.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self::from_number(since.as_secs().saturating_mul(1_000_000))
    }
}

impl Kept {
    fn from_number(first: u64) -> Self {
        let ring = Ring { lines: VecDeque::new(), bytes: 0, first, next: first };
        Self { ring: Arc::new(Mutex::new(ring)), next: watch::Sender::new(first) }
    }

    /// Keeps a line.
    pub(super) fn take(&self, record: &Record<'_>) {
        // Made before the others are held up.
        let mut line = Line::of(record);
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        line.number = ring.next;
        ring.next += 1;
        ring.bytes += line.bytes();
        ring.lines.push_back(Arc::new(line));
        while ring.lines.len() > LINES || ring.bytes > BYTES {
            let Some(gone) = ring.lines.pop_front() else { break };
            ring.bytes -= gone.bytes();
        }
        // While it is held, so that the number never goes back.
        self.next.send_replace(ring.next);
    }

    /// All that is there, the oldest first.
    pub fn all(&self) -> Vec<Arc<Line>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }

    /// The number of the next line.
    pub fn next(&self) -> u64 {
        *self.next.borrow()
    }

    /// What is there from this number on. A number of another run stands for the beginning of this one.
    pub fn since(&self, number: u64) -> News {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let from = if (ring.first..=ring.next).contains(&number) { number } else { ring.first };
        let oldest = ring.lines.front().map_or(ring.next, |line| line.number);
        let skip = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let lines = ring.lines.iter().skip(skip).cloned().collect();
        News { missed: oldest.saturating_sub(from), lines, next: ring.next }
    }

    /// Waits until there is a line with this number or a later one. A number of another run waits for nothing.
    pub async fn wait(&self, number: u64) {
        let mut next = self.next.subscribe();
        let first = self.ring.lock().unwrap_or_else(PoisonError::into_inner).first;
        // The sender is held here.
        let _ = next.wait_for(|next| *next > number || number < first || number > *next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(kept: &Kept, target: &str, text: &str) {
        let pairs: &[(&str, Value<'_>)] = &[("radio", Value::from("Meter"))];
        let args = format_args!("{text}");
        kept.take(&Record::builder().target(target).level(Level::Warn).key_values(&pairs).args(args).build());
    }

    fn texts(lines: &[Arc<Line>]) -> Vec<&str> {
        lines.iter().map(|line| &*line.text).collect()
    }

    #[test]
    fn a_line_says_who_logs_and_is_found_by_its_words_and_values() {
        let kept = Kept::from_number(7);
        for (target, part) in
            [("stile::radio::serial", Part::Radio), ("stile", Part::Gateway), ("tokio", Part::Gateway)]
        {
            log(&kept, target, "The port is open");
            let line = kept.all().pop().unwrap();
            assert_eq!((line.part, line.level), (part, Level::Warn));
            assert!(line.has("port") && line.has("radio=meter") && !line.has("closed"));
        }
        assert!(Part::ALL.into_iter().all(|part| Part::parse(part.as_str()) == Some(part)));
    }

    #[test]
    fn the_oldest_go_by_lines_and_by_bytes_and_whoever_is_late_is_told() {
        let kept = Kept::from_number(100);
        (0..LINES + 3).for_each(|number| log(&kept, "stile", &number.to_string()));
        let news = kept.since(100);
        assert_eq!((news.missed, news.lines.len(), &*news.lines[0].text), (3, LINES, "3"));
        let later = kept.since(kept.next() - 1);
        assert_eq!((later.missed, texts(&later.lines)), (0, vec![&*(LINES + 2).to_string()]));
        let long = "ä".repeat(TEXT_BYTES);
        (0..LINES).for_each(|_| log(&kept, "stile", &long));
        let bytes: usize = kept.all().iter().map(|line| line.bytes()).sum();
        assert!((BYTES - 2 * TEXT_BYTES..=BYTES).contains(&bytes), "{bytes}");
        assert!(kept.all().iter().all(|line| line.text.len() == TEXT_BYTES));
    }

    #[test]
    fn a_number_of_another_run_stands_for_the_beginning_of_this_one() {
        let kept = Kept::from_number(100);
        log(&kept, "stile", "one");
        for other in [0, 99, 102, u64::MAX] {
            assert_eq!((kept.since(other).missed, texts(&kept.since(other).lines)), (0, vec!["one"]), "{other}");
        }
        assert_eq!(kept.since(101), News { missed: 0, lines: Vec::new(), next: 101 });
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_the_next_line() {
        let kept = Kept::from_number(1);
        let waits = kept.clone();
        let woken = tokio::spawn(async move { waits.wait(1).await });
        tokio::task::yield_now().await;
        assert!(!woken.is_finished());
        log(&kept, "stile", "one");
        woken.await.unwrap();
        kept.wait(1).await;
    }
}
