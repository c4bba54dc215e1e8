//! The conversation with one modem: where it stands, and what comes next.
//!
//! `asking.rs` has its questions one by one, `rounds.rs` what is asked when, `card.rs` the card.
//!
//! Pure: lines and times come in, commands and what was learnt go out, without numbers of people or devices. Each question has
//! an end: the modem's final word, or its silence. A PIN is told only when whoever holds the conversation gives it, and once.

mod asking;
mod card;
mod rounds;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use self::asking::{Final, final_word};
use super::about::{About, Sim};
use super::dialect::{Dialect, Taken};
use super::shape::ShapeError;
use super::values::{Reading, Technology};
use super::veil::{IN_ANSWERS, Veil};
use crate::config::{ModemDialect, Secret};
use crate::pipeline::DropReason;

/// How often the set-up is begun, without a reading in between, before the modem is given up.
const SETUPS: u32 = 5;

/// Lines of one reading that are kept. Policy: drop newest.
const LINES_MAX: usize = 64;

/// Bytes of what a modem says of itself that are looked at.
const SEEN_MAX: usize = 2048;

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// To be written, the ending included. What is secret is not logged.
    Write { command: String, secret: bool },
    /// It is set up.
    Ready,
    /// It speaks this.
    Speaks(&'static str),
    /// It says this of itself; numbers as pseudonyms.
    Learnt(About, String),
    /// How its card is, when that has changed.
    Card(Sim),
    /// Its card wants a PIN: [`Talk::pin`] answers.
    WantsPin,
    /// A reading.
    Reading(Box<Reading>),
    /// It was reset, or fell silent, and is set up again.
    Reset,
    /// It does not know a command.
    Declined { command: String, answer: String },
    /// A line that nobody asked for, of so many bytes.
    Aside(usize),
    /// A line that was dropped.
    Dropped { reason: DropReason, length: usize },
    /// The conversation is over, in words.
    Over(String),
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ask {
    /// It is to repeat nothing.
    Echo,
    About(About),
    /// What it says of itself, so that its dialect is found.
    Info,
    Set(String),
    Card,
    Pin(Secret),
    /// One of the dialect's.
    Measure(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Left alone after a reset.
    Settling,
    SettingUp,
    /// Until the next reading.
    Resting,
    Measuring,
    Over,
}

/// See the module's head.
pub(super) struct Talk {
    wanted: Option<ModemDialect>,
    /// What defines its data connection.
    context: Option<String>,
    dialect: Dialect,
    veil: Veil,
    period: Duration,
    phase: Phase,
    deadline: Instant,
    plan: VecDeque<Ask>,
    asked: Option<Ask>,
    /// The words of that.
    command: String,
    tries: u32,
    silences: u32,
    setups: u32,
    /// It has repeated what it was told now; and it did not before.
    echoed: bool,
    quiet: bool,
    /// Whoever holds the conversation is asked for a PIN.
    deciding: bool,
    /// What it said of itself.
    seen: String,
    card: Option<Sim>,
    /// What it says of the card now.
    card_says: String,
    card_due: Option<Instant>,
    reading: Reading,
    act: Option<Technology>,
    operator: Option<String>,
    round: u64,
    round_due: Instant,
    /// Questions that it had no word for, and the round in which each is asked again.
    dumb: BTreeMap<usize, u64>,
}

impl Talk {
    /// With the dialect that it speaks, if that is known, and the access point of its data connection, which it keeps.
    ///
    /// # Errors
    /// When the dialect can't be read, which is a fault of this program.
    pub(super) fn new(
        (wanted, apn): (Option<ModemDialect>, Option<&str>),
        period: Duration,
        veil: Veil,
        now: Instant,
    ) -> Result<Self, ShapeError> {
        Ok(Self {
            wanted,
            // 3GPP TS 27.007, 10.1.1.
            context: apn.map(|apn| format!("AT+CGDCONT=1,\"IPV4V6\",\"{apn}\"")),
            dialect: Dialect::of(wanted.unwrap_or(ModemDialect::ThreeGpp))?,
            veil,
            period,
            phase: Phase::Settling,
            deadline: now,
            plan: VecDeque::new(),
            asked: None,
            command: String::new(),
            tries: 0,
            silences: 0,
            setups: 0,
            echoed: false,
            quiet: false,
            deciding: false,
            seen: String::new(),
            card: None,
            card_says: String::new(),
            card_due: None,
            reading: Reading::new(now),
            act: None,
            operator: None,
            round: 0,
            round_due: now,
            dumb: BTreeMap::new(),
        })
    }

    /// When [`Talk::timer`] is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.phase != Phase::Over).then_some(self.deadline)
    }

    /// Time has run out.
    pub(super) fn timer(&mut self, now: Instant, out: &mut Vec<Said>) {
        if now < self.deadline {
            return;
        }
        match self.phase {
            Phase::Over => {}
            Phase::Settling => self.set_up(now, out),
            Phase::Resting => self.begin_round(now, out),
            _ if self.deciding => self.pin(Err(Sim::PinNeeded), now, out),
            _ => self.finished(&Final::Silence, now, out),
        }
    }

    /// What is to be done about a card that wants a PIN: the PIN, or how the card is without.
    pub(super) fn pin(&mut self, pin: Result<Secret, Sim>, now: Instant, out: &mut Vec<Said>) {
        if !std::mem::take(&mut self.deciding) {
            return;
        }
        match pin {
            Ok(pin) => self.plan.push_front(Ask::Pin(pin)),
            Err(sim) => self.card_is(sim, now, out),
        }
        self.next(now, out);
    }

    /// A line came.
    pub(super) fn line(&mut self, line: &str, now: Instant, out: &mut Vec<Said>) {
        let line = line.trim();
        if line.is_empty() || self.phase == Phase::Over {
            return;
        }
        if line.contains(|c: char| (c.is_control() && c != '\t') || c == char::REPLACEMENT_CHARACTER) {
            out.push(Said::Dropped { reason: DropReason::FrameNoise, length: line.len() });
            return;
        }
        if self.asked.is_some() && line == self.command {
            self.echoed = true;
            // It was told not to, and has forgotten.
            if self.quiet {
                self.reset(now, out);
            }
            return;
        }
        if self.dialect.restart.iter().any(|pattern| pattern.ends(line)) {
            return self.reset(now, out);
        }
        // What it was told before, repeated late: no answer, and it may be the PIN.
        if line.starts_with("AT+CPIN=") {
            return out.push(Said::Aside(line.len()));
        }
        match (final_word(line), self.asked.is_some()) {
            (Some(word), true) => self.finished(&word, now, out),
            // It comes late.
            (Some(_), false) => out.push(Said::Aside(line.len())),
            (None, _) => self.answer(line, out),
        }
    }

    /// What is no final word.
    fn answer(&mut self, line: &str, out: &mut Vec<Said>) {
        match &self.asked {
            Some(Ask::About(about)) => {
                let about = *about;
                if let Some(text) = about.read(line) {
                    return self.learn(about, &text, out);
                }
            }
            Some(Ask::Info) => return self.sees(line),
            Some(Ask::Card) => {
                if let Some(says) = line.strip_prefix("+CPIN:") {
                    self.card_says = says.trim().to_owned();
                    return;
                }
            }
            _ => {}
        }
        let line = self.veil.hide(line, IN_ANSWERS);
        let taken = match self.phase {
            Phase::Measuring => self.dialect.take(&line, &mut self.reading, &mut self.act),
            _ => Taken::Not,
        };
        if taken == Taken::Not {
            return out.push(Said::Aside(line.len()));
        }
        self.reading.unread += u64::from(taken == Taken::Unread);
        if self.reading.raw.len() < LINES_MAX {
            self.reading.raw.push(line);
        }
    }

    fn sees(&mut self, text: &str) {
        if self.seen.len() + text.len() < SEEN_MAX {
            self.seen.push_str(text);
            self.seen.push('\n');
        }
    }

    fn learn(&mut self, about: About, text: &str, out: &mut Vec<Said>) {
        if about == About::Manufacturer {
            self.sees(text);
        }
        let text =
            if about.is_personal() { self.veil.learn(about.name(), text) } else { self.veil.hide(text, IN_ANSWERS) };
        out.push(Said::Learnt(about, text));
    }

    /// It was reset, as it says or its silence suggests.
    fn reset(&mut self, now: Instant, out: &mut Vec<Said>) {
        // Its greeting has several lines.
        if matches!(self.phase, Phase::Settling | Phase::Over) {
            return;
        }
        if matches!(self.phase, Phase::Measuring | Phase::Resting) {
            out.push(Said::Reset);
        }
        self.setups += 1;
        if self.setups > SETUPS {
            return self
                .over(format!("the modem could not be set up in {SETUPS} tries; check its power and `baud`"), out);
        }
        self.plan.clear();
        // A card that was given a wrong PIN has not forgotten that.
        self.card = self.card.filter(|sim| matches!(sim, Sim::PinNeeded | Sim::PinRefused));
        (self.asked, self.deciding, self.quiet, self.silences) = (None, false, false, 0);
        self.seen.clear();
        self.dumb.clear();
        self.phase = Phase::Settling;
        self.deadline = now + Duration::from_millis(self.dialect.settle_ms);
    }

    fn over(&mut self, why: String, out: &mut Vec<Said>) {
        (self.phase, self.asked, self.deciding) = (Phase::Over, None, false);
        out.push(Said::Over(why));
    }
}
