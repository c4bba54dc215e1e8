//! The conversation with one modem: where it stands, and what comes next.
//!
//! Pure: lines, times and frames come in, commands and what was learnt go out. Each wait has an end and each question is
//! asked only so often; a modem that does not play its part ends the conversation.

use std::time::{Duration, Instant};

use super::dialogue::{Dialogue, Exchange, Values};
use super::pattern::{Found, Pattern};
use crate::config::ModemChannel;
use crate::pipeline::DropReason;
use crate::radio::Refused;

/// How long a modem may take to answer, once the command is out.
const ANSWER: Duration = Duration::from_secs(2);

/// How often a question is asked.
const TRIES: u32 = 3;

/// How often the set-up is begun before the modem is given up.
const SETUPS: u32 = 5;

/// Silence after which the modem is asked whether it still receives: it may have been reset unnoticed.
const PROBE: Duration = Duration::from_secs(30);

/// How long the first line of a packet waits for the second.
const HALF: Duration = Duration::from_secs(1);

/// A packet that was heard.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Packet {
    pub(super) payload: Vec<u8>,
    /// dBm, where the modem says it.
    pub(super) rssi: Option<f32>,
    /// dB, where the modem says it.
    pub(super) snr: Option<f32>,
}

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// To be written, the ending included.
    Write(String),
    /// It receives, after a set-up.
    Ready,
    /// It has heard this.
    Packet(Packet),
    /// The frame has been on the air.
    Sent,
    /// It has not been, or nobody knows (`may_be_on_air`).
    NotSent { why: Refused, detail: String, may_be_on_air: bool },
    /// It was reset, and is set up again.
    Reset,
    /// It will not do what would be good but need not be.
    Declined { command: String, answer: String },
    /// A line that was dropped.
    Dropped { reason: DropReason, length: usize },
    /// The conversation is over, in words.
    Over(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Left alone after a reset.
    Settling,
    /// One of the set-up's exchanges.
    Setup(usize),
    /// To be made to receive; whether that ends a set-up.
    Arming {
        setup: bool,
    },
    /// It receives.
    Listening,
    Probing,
    /// To be made to stop, since a frame is to be sent.
    Stopping,
    Sending,
    /// The frame is on the air.
    OnAir,
    Over,
}

/// A frame to send.
#[derive(Debug, Clone)]
struct Outgoing {
    payload: Vec<u8>,
    airtime: Duration,
}

/// See the module's head.
pub(super) struct Talk {
    dialogue: Dialogue,
    channel: ModemChannel,
    /// Time that one character takes on the wire.
    character: Duration,
    step: Step,
    deadline: Instant,
    tries: u32,
    setups: u32,
    /// The command that is to be answered.
    asked: String,
    outgoing: Option<Outgoing>,
    /// What the first line of a packet said, and when.
    half: Option<(Found, Instant)>,
}

impl Talk {
    pub(super) fn new(dialogue: Dialogue, channel: ModemChannel, character: Duration, now: Instant) -> Self {
        Self {
            dialogue,
            channel,
            character,
            step: Step::Settling,
            deadline: now,
            tries: 0,
            setups: 0,
            asked: String::new(),
            outgoing: None,
            half: None,
        }
    }

    /// When [`Talk::timer`] is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.step != Step::Over).then_some(self.deadline)
    }

    /// Whether a frame can be sent now.
    pub(super) fn is_listening(&self) -> bool {
        self.step == Step::Listening
    }

    /// Sends a frame; only while it is listening.
    pub(super) fn send(&mut self, payload: Vec<u8>, airtime: Duration, now: Instant, out: &mut Vec<Said>) {
        self.outgoing = Some(Outgoing { payload, airtime });
        let step = if self.dialogue.stop.is_some() { Step::Stopping } else { Step::Sending };
        self.go(step, now, out);
    }

    /// Time has run out.
    pub(super) fn timer(&mut self, now: Instant, out: &mut Vec<Said>) {
        if now < self.deadline {
            return;
        }
        match self.step {
            Step::Over => {}
            Step::Settling => self.go(Step::Setup(0), now, out),
            Step::Listening => self.go(Step::Probing, now, out),
            Step::OnAir => {
                let detail = "the modem did not say that it was sent";
                self.lose_frame(Refused::NoResponse, detail, true, out);
                self.set_up_again(now, out);
            }
            _ => self.failed(None, now, out),
        }
    }

    /// A line came.
    pub(super) fn line(&mut self, line: &str, now: Instant, out: &mut Vec<Said>) {
        let line = line.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        // Some repeat what they are told.
        if line.is_empty() || line == self.asked || self.step == Step::Over {
            return;
        }
        if let Some(found) = first(&self.dialogue.receive.lines, line) {
            return self.packet(found, now, out);
        }
        if self.exchange().is_some_and(|exchange| any(&exchange.expect, line)) {
            return self.answered(now, out);
        }
        if self.dialogue.restart.iter().any(|pattern| pattern.ends(line)) {
            return self.reset(line, now, out);
        }
        if any(&self.dialogue.errors, line) && self.exchange().is_some() {
            return self.failed(Some(line), now, out);
        }
        self.event(line, now, out);
    }

    /// What is no answer.
    fn event(&mut self, line: &str, now: Instant, out: &mut Vec<Said>) {
        let ended = any(&self.dialogue.receive.ended, line);
        match self.step {
            Step::OnAir if any(&self.dialogue.transmit.done, line) => {
                self.outgoing = None;
                out.push(Said::Sent);
                self.go(Step::Arming { setup: false }, now, out);
            }
            Step::OnAir if any(&self.dialogue.transmit.failed, line) => {
                self.lose_frame(Refused::DeviceRefused, line, false, out);
                self.go(Step::Arming { setup: false }, now, out);
            }
            Step::Listening if ended => self.go(Step::Arming { setup: false }, now, out),
            _ if ended || any(&self.dialogue.ignore, line) => {}
            _ => {
                let damaged = self.dialogue.receive.lines.iter().any(|pattern| pattern.begins(line));
                let reason = if damaged { DropReason::FrameMalformed } else { DropReason::FrameNoise };
                out.push(Said::Dropped { reason, length: line.len() });
            }
        }
    }

    fn packet(&mut self, found: Found, now: Instant, out: &mut Vec<Said>) {
        let before = self.half.take().filter(|(_, at)| now.saturating_duration_since(*at) <= HALF);
        let Some(payload) = found.payload else {
            self.half = Some((found, now));
            return;
        };
        let before = before.map(|(half, _)| half).unwrap_or_default();
        let (rssi, snr) = (found.rssi.or(before.rssi), found.snr.or(before.snr));
        out.push(Said::Packet(Packet { payload, rssi, snr }));
        match self.step {
            Step::Listening if self.dialogue.receive.once => self.go(Step::Arming { setup: false }, now, out),
            Step::Listening => self.deadline = now + PROBE,
            _ => {}
        }
    }

    /// The exchange that is under way.
    fn exchange(&self) -> Option<Exchange> {
        match self.step {
            Step::Setup(index) => self.dialogue.setup.get(index).cloned(),
            Step::Arming { .. } => Some(self.dialogue.receive.exchange()),
            Step::Probing => Some(self.dialogue.probe.clone()),
            Step::Stopping => self.dialogue.stop.clone(),
            Step::Sending => Some(self.dialogue.transmit.exchange()),
            Step::Settling | Step::Listening | Step::OnAir | Step::Over => None,
        }
    }

    /// Goes to a step and does what it begins with.
    fn go(&mut self, step: Step, now: Instant, out: &mut Vec<Said>) {
        self.step = step;
        self.tries = 0;
        self.asked.clear();
        match step {
            Step::Listening => self.deadline = now + PROBE,
            Step::Settling => self.deadline = now + Duration::from_millis(self.dialogue.settle_ms),
            Step::OnAir => {
                let airtime = self.outgoing.as_ref().map_or(Duration::ZERO, |frame| frame.airtime);
                self.deadline = now + airtime + ANSWER;
            }
            Step::Setup(index) if index >= self.dialogue.setup.len() => {
                self.go(Step::Arming { setup: true }, now, out);
            }
            _ => self.ask(now, out),
        }
    }

    fn ask(&mut self, now: Instant, out: &mut Vec<Said>) {
        let Some(exchange) = self.exchange() else { return };
        self.tries += 1;
        let payload = self.outgoing.as_ref().map(|frame| frame.payload.as_slice());
        match (Values { channel: &self.channel, payload }).fill(&exchange.send) {
            Ok(command) => {
                // Out it goes, and perhaps comes back as a whole.
                let characters = u32::try_from(2 * command.len()).unwrap_or(u32::MAX);
                self.deadline = now + ANSWER + self.character.saturating_mul(characters);
                out.push(Said::Write(format!("{command}\r\n")));
                self.asked = command;
            }
            Err(error) => self.over(error.to_string(), out),
        }
    }

    /// The answer was the one that was hoped for.
    fn answered(&mut self, now: Instant, out: &mut Vec<Said>) {
        match self.step {
            Step::Setup(index) => self.go(Step::Setup(index + 1), now, out),
            Step::Arming { setup } => {
                if setup {
                    self.setups = 0;
                    out.push(Said::Ready);
                }
                self.go(Step::Listening, now, out);
            }
            Step::Stopping => self.go(Step::Sending, now, out),
            Step::Sending => self.go(Step::OnAir, now, out),
            _ => self.go(Step::Listening, now, out),
        }
    }

    /// The answer was no, or there was none.
    fn failed(&mut self, answer: Option<&str>, now: Instant, out: &mut Vec<Said>) {
        let optional = self.exchange().is_some_and(|exchange| exchange.optional);
        match self.step {
            // It would begin to receive when it is asked again, which would hide the reset.
            Step::Probing => self.reset("", now, out),
            // What it does not want once it will not want again, and on the air it may be already.
            Step::Sending => self.not_sent(answer, now, out),
            Step::Setup(index) if optional && (answer.is_some() || self.tries >= TRIES) => {
                if let (Some(answer), true) = (answer, index > 0) {
                    out.push(Said::Declined { command: self.asked.clone(), answer: answer.to_owned() });
                }
                self.go(Step::Setup(index + 1), now, out);
            }
            _ if self.tries < TRIES => self.ask(now, out),
            // Where it does not know how to stop, it may send all the same.
            Step::Stopping if answer.is_some() => self.go(Step::Sending, now, out),
            Step::Arming { setup: false } | Step::Stopping => self.reset("", now, out),
            _ => {
                let said = answer.map_or_else(|| "nothing".to_owned(), |answer| format!("`{answer}`"));
                let what = format!("the modem answers {said} to `{}`", self.asked);
                self.over(format!("{what}; check `model`, `baud`, wiring and its power"), out);
            }
        }
    }

    fn not_sent(&mut self, answer: Option<&str>, now: Instant, out: &mut Vec<Said>) {
        match answer {
            Some(answer) => {
                self.lose_frame(Refused::DeviceRefused, answer, false, out);
                self.go(Step::Arming { setup: false }, now, out);
            }
            None => {
                self.lose_frame(Refused::NoResponse, "the modem did not answer", true, out);
                self.reset("", now, out);
            }
        }
    }

    fn lose_frame(&mut self, why: Refused, detail: &str, may_be_on_air: bool, out: &mut Vec<Said>) {
        if self.outgoing.take().is_some() {
            out.push(Said::NotSent { why, detail: detail.to_owned(), may_be_on_air });
        }
    }

    /// It was reset, as the line says or its silence suggests.
    fn reset(&mut self, line: &str, now: Instant, out: &mut Vec<Said>) {
        if self.dialogue.receive.lines.iter().any(|pattern| pattern.begins(line)) {
            out.push(Said::Dropped { reason: DropReason::FrameCut, length: line.len() });
        }
        let may_be_on_air = matches!(self.step, Step::Sending | Step::OnAir);
        self.lose_frame(Refused::NoResponse, "the modem was reset before it said that it was sent", may_be_on_air, out);
        // Its greeting has several lines, and a set-up may begin with a reset.
        if !matches!(self.step, Step::Settling | Step::Setup(_)) {
            out.push(Said::Reset);
        }
        if self.step != Step::Settling {
            self.set_up_again(now, out);
        }
    }

    fn set_up_again(&mut self, now: Instant, out: &mut Vec<Said>) {
        self.half = None;
        self.setups += 1;
        if self.setups > SETUPS {
            return self.over(format!("the modem could not be set up in {SETUPS} tries"), out);
        }
        self.go(Step::Settling, now, out);
    }

    fn over(&mut self, why: String, out: &mut Vec<Said>) {
        self.lose_frame(Refused::NoResponse, "the modem does not answer any more", true, out);
        self.step = Step::Over;
        out.push(Said::Over(why));
    }
}

fn any(patterns: &[Pattern], line: &str) -> bool {
    first(patterns, line).is_some()
}

fn first(patterns: &[Pattern], line: &str) -> Option<Found> {
    patterns.iter().find_map(|pattern| pattern.find(line))
}
