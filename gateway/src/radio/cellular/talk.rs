//! The conversation with one modem: where it stands, and what comes next.
//!
//! Pure: lines and times come in, commands and what was learnt go out, without numbers of people or devices. Each question has
//! an end: the modem's final word, or its silence. A PIN is told only when whoever holds the conversation gives it, and once.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::about::{About, Sim};
use super::dialect::{Dialect, Taken};
use super::shape::ShapeError;
use super::values::{Reading, Technology};
use super::veil::{ELSEWHERE, IN_ANSWERS, Veil};
use crate::config::{ModemDialect, Secret};
use crate::pipeline::DropReason;

/// How long a modem may take for its final word.
const ANSWER: Duration = Duration::from_secs(3);

/// How often a question is asked.
const TRIES: u32 = 2;

/// Questions without any word after which the modem is set up again.
const SILENCES: u32 = 3;

/// How often the set-up is begun, without a reading in between, before the modem is given up.
const SETUPS: u32 = 5;

/// Time between two looks at a card. One that is open may be taken out.
const CARD_AGAIN: Duration = Duration::from_secs(30);

/// The same when it was just told its PIN, or can't be read yet, as after a start.
const CARD_SOON: Duration = Duration::from_secs(2);

/// Readings without a question that the modem had no word for.
const DUMB_ROUNDS: u64 = 60;

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

/// A final word.
enum Final<'a> {
    Ok,
    No(Option<u32>, &'a str),
    Silence,
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

    fn set_up(&mut self, now: Instant, out: &mut Vec<Said>) {
        self.phase = Phase::SettingUp;
        self.plan = [Ask::Echo].into_iter().chain(About::MODEM.map(Ask::About)).collect();
        if self.wanted.is_none() {
            self.plan.push_back(Ask::Info);
        } else {
            self.plan.extend(self.dialect.setup.iter().cloned().map(Ask::Set));
            out.push(Said::Speaks(self.dialect.name));
        }
        self.plan.extend(self.context.clone().map(Ask::Set));
        self.plan.push_back(Ask::Card);
        self.next(now, out);
    }

    /// The modem has said all that it says of itself.
    fn find_dialect(&mut self, out: &mut Vec<Said>) {
        match Dialect::which_says(&self.seen) {
            Ok(dialect) => self.dialect = dialect,
            Err(error) => return self.over(error.to_string(), out),
        }
        out.push(Said::Speaks(self.dialect.name));
        for command in self.dialect.setup.iter().rev() {
            self.plan.push_front(Ask::Set(command.clone()));
        }
    }

    fn begin_round(&mut self, now: Instant, out: &mut Vec<Said>) {
        self.phase = Phase::Measuring;
        // Missed turns are skipped, not made up for.
        self.round_due = (self.round_due + self.period).max(now);
        (self.reading, self.act) = (Reading::new(now), None);
        self.plan.clear();
        if self.card_due.is_some_and(|due| due <= now) {
            self.plan.push_back(Ask::Card);
        }
        self.dumb.retain(|_, again| *again > self.round);
        let measures = self.dialect.measure.iter().enumerate();
        let due = measures.filter(|(index, measure)| measure.is_due(self.round) && !self.dumb.contains_key(index));
        self.plan.extend(due.map(|(index, _)| Ask::Measure(index)));
        self.round += 1;
        self.next(now, out);
    }

    fn end_round(&mut self, now: Instant, out: &mut Vec<Said>) {
        let mut reading = std::mem::replace(&mut self.reading, Reading::new(now));
        reading.finish(self.act);
        // It is not asked for in each round.
        if reading.operator.is_some() || !reading.has_service() {
            self.operator.clone_from(&reading.operator);
        }
        reading.operator.clone_from(&self.operator);
        self.setups = 0;
        out.push(Said::Reading(Box::new(reading)));
        (self.phase, self.deadline) = (Phase::Resting, self.round_due);
    }

    /// Asks what is to be asked next.
    fn next(&mut self, now: Instant, out: &mut Vec<Said>) {
        if self.deciding || self.phase == Phase::Over {
            return;
        }
        self.tries = 0;
        self.asked = self.plan.pop_front();
        match (&self.asked, self.phase) {
            (Some(_), _) => self.ask(now, out),
            (None, Phase::SettingUp) => {
                out.push(Said::Ready);
                self.round_due = now;
                self.begin_round(now, out);
            }
            (None, Phase::Measuring) => self.end_round(now, out),
            (None, _) => {}
        }
    }

    fn ask(&mut self, now: Instant, out: &mut Vec<Said>) {
        let Some(asked) = &self.asked else { return };
        self.command = match asked {
            Ask::Echo => "ATE0".to_owned(),
            Ask::About(about) => about.command(&self.dialect).to_owned(),
            Ask::Info => "ATI".to_owned(),
            Ask::Set(command) => command.clone(),
            Ask::Card => "AT+CPIN?".to_owned(),
            Ask::Pin(pin) => format!("AT+CPIN=\"{}\"", pin.expose()),
            Ask::Measure(index) => {
                self.dialect.measure.get(*index).map(|measure| measure.send.clone()).unwrap_or_default()
            }
        };
        let secret = matches!(asked, Ask::Pin(_));
        self.tries += 1;
        self.echoed = false;
        self.card_says.clear();
        self.deadline = now + ANSWER;
        out.push(Said::Write { command: format!("{}\r", self.command), secret });
    }

    /// A question has come to its end.
    fn finished(&mut self, word: &Final<'_>, now: Instant, out: &mut Vec<Said>) {
        let Some(asked) = self.asked.take() else { return };
        let silent = matches!(word, Final::Silence);
        if silent {
            self.silences += 1;
            if self.tries < TRIES && !matches!(asked, Ask::Pin(_)) {
                self.asked = Some(asked);
                return self.ask(now, out);
            }
        } else {
            self.silences = 0;
            self.quiet |= !self.echoed && asked != Ask::Echo;
        }
        match asked {
            Ask::Echo if silent => {
                let what = "the modem answers nothing to `ATE0`; check `device`, which must be its AT port, `baud` and its power";
                return self.over(what.to_owned(), out);
            }
            // What it was asked before is still to be answered, and would pass for what is asked next.
            Ask::Echo if self.tries > 1 => return self.reset(now, out),
            Ask::Info => self.find_dialect(out),
            Ask::Set(command) => self.declined(&command, word, out),
            Ask::Card => self.card_answered(word, now, out),
            // What became of it nobody knows when there is no word.
            Ask::Pin(_) if matches!(word, Final::Ok) => self.card_due = Some(now + CARD_SOON),
            Ask::Pin(_) => self.card_is(Sim::PinRefused, now, out),
            Ask::Measure(index) => return self.measured(index, word, now, out),
            Ask::Echo | Ask::About(_) => {}
        }
        self.go_on(now, out);
    }

    fn go_on(&mut self, now: Instant, out: &mut Vec<Said>) {
        if self.silences > SILENCES { self.reset(now, out) } else { self.next(now, out) }
    }

    fn measured(&mut self, index: usize, word: &Final<'_>, now: Instant, out: &mut Vec<Said>) {
        let Some(measure) = self.dialect.measure.get(index) else { return self.next(now, out) };
        let (command, optional) = (measure.send.clone(), measure.optional);
        match word {
            Final::Ok => {}
            Final::No(_, answer) if !optional => {
                let answer = self.veil.hide(answer, ELSEWHERE);
                self.reading.errors.push(format!("`{answer}` to `{command}`"));
            }
            Final::No(..) => {}
            Final::Silence if optional => {
                self.dumb.insert(index, self.round + DUMB_ROUNDS);
                self.declined(&command, word, out);
            }
            Final::Silence => return self.reset(now, out),
        }
        self.go_on(now, out);
    }

    fn declined(&self, command: &str, word: &Final<'_>, out: &mut Vec<Said>) {
        let answer = match word {
            Final::Ok => return,
            Final::No(_, answer) => self.veil.hide(answer, ELSEWHERE),
            Final::Silence => "nothing".to_owned(),
        };
        out.push(Said::Declined { command: command.to_owned(), answer });
    }

    fn card_answered(&mut self, word: &Final<'_>, now: Instant, out: &mut Vec<Said>) {
        let says = std::mem::take(&mut self.card_says);
        match (word, says.as_str()) {
            (Final::Ok, "READY") => self.card_is(Sim::Ready, now, out),
            (Final::Ok, "SIM PIN") | (Final::No(Some(11), _), _) => self.wants_pin(now, out),
            (Final::Ok, "SIM PUK") => self.card_is(Sim::Blocked, now, out),
            (Final::Ok | Final::Silence, _) => self.card_is(Sim::Unknown, now, out),
            (Final::No(code, _), _) => self.card_is(Sim::of_error(*code), now, out),
        }
    }

    fn wants_pin(&mut self, now: Instant, out: &mut Vec<Said>) {
        // The answer would be the same.
        if let Some(sim @ (Sim::PinNeeded | Sim::PinRefused)) = self.card {
            return self.card_is(sim, now, out);
        }
        (self.deciding, self.deadline) = (true, now + ANSWER);
        out.push(Said::WantsPin);
    }

    fn card_is(&mut self, sim: Sim, now: Instant, out: &mut Vec<Said>) {
        self.card_due = Some(now + if sim == Sim::Unknown { CARD_SOON } else { CARD_AGAIN });
        if self.card.replace(sim) == Some(sim) {
            return;
        }
        out.push(Said::Card(sim));
        if sim == Sim::Ready {
            About::CARD.into_iter().rev().for_each(|about| self.plan.push_front(Ask::About(about)));
        }
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

/// What ends an answer (ITU-T V.250, 5.7.1; 3GPP TS 27.007, 9.2).
fn final_word(line: &str) -> Option<Final<'_>> {
    if line == "OK" {
        return Some(Final::Ok);
    }
    if line == "ERROR" || line == "COMMAND NOT SUPPORT" {
        return Some(Final::No(None, line));
    }
    let code = line.strip_prefix("+CME ERROR:").or_else(|| line.strip_prefix("+CMS ERROR:"))?;
    Some(Final::No(code.trim().parse().ok(), line))
}
