//! For the fuzz target `cellular`, and for the test that plays its corpus: what must hold for anything that modems say.
//!
//! Built for these alone. An input is a script (`tests/fuzz/src/script.rs`): bytes with marks between them.

use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::about::Sim;
use super::past::Past;
use super::record::{Identity, Records};
use super::session::LINE_MAX;
use super::talk::{Said, Talk};
use super::values::{Reading, Side};
use super::veil::{IN_ANSWERS, Veil};
use crate::config::{CellularFormat, Framing, LineEnding, ModemDialect, Secret};
use crate::message::{ClockQuality, Received};
use crate::pseudonym::Key;
use crate::radio::lora::fuzzed::lines;
use crate::radio::lora::fuzzed::script::{self, Step};
use crate::radio::serial::framing::{self, Decoder};

/// The longest wait that a conversation may have: an answer, or the time between two readings.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What comes at most of one line.
const SAID_MAX: usize = 16;

const PIN: &str = "97531864";

/// Has conversations with modems. `Client` begins one anew, with another dialect in the settings; `Send` is bytes off the
/// port; `Settle` lets time run out; `Cut` has the port lost in the middle of a line. Panics where a command is not one line,
/// a PIN is told twice, a long number comes out, a reading has numbers that there can't be, or the conversation goes on after
/// its end.
pub fn play(input: &[u8]) {
    let mut world = World::new(0, input);
    for step in script::read(input) {
        match step {
            Step::Client(number) => world = World::new(number, input),
            Step::Send(bytes) => world.read(&bytes),
            Step::Cut => world.decoder.reset(&mut |_| {}),
            Step::Settle => world.wait(),
        }
    }
}

struct World {
    talk: Talk,
    decoder: Box<dyn Decoder>,
    now: Instant,
    /// The PIN was told, and the card is not open yet.
    told: bool,
    over: bool,
    past: Past,
    identity: Identity,
    /// Long numbers of the input: none of them may come out.
    numbers: Vec<String>,
}

impl World {
    fn new(number: usize, input: &[u8]) -> Self {
        let dialect = [None, Some(ModemDialect::Simcom), Some(ModemDialect::Sierra)].get(number).copied().flatten();
        let now = Instant::now();
        let talk = Talk::new((dialect, None), Duration::from_secs(1), Veil::new(Key::example()), now)
            .expect("dialects are sound");
        let text = String::from_utf8_lossy(input);
        let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() > IN_ANSWERS);
        Self {
            talk,
            decoder: framing::decoder(&Framing::Line { ending: LineEnding::Lf }, LINE_MAX),
            now,
            told: false,
            over: false,
            past: Past::default(),
            identity: Identity::default(),
            numbers: runs.map(str::to_owned).collect(),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        for line in lines(&mut *self.decoder, bytes) {
            self.now += Duration::from_millis(1);
            let mut said = Vec::new();
            self.talk.line(&line, self.now, &mut said);
            assert!(said.iter().filter(|said| matches!(said, Said::Dropped { .. } | Said::Aside(_))).count() <= 1);
            self.check(said);
        }
    }

    fn wait(&mut self) {
        let Some(deadline) = self.talk.deadline() else { return };
        assert!(deadline <= self.now + WAIT_MAX, "it waits for {:?}", deadline - self.now);
        self.now = self.now.max(deadline);
        let mut said = Vec::new();
        self.talk.timer(self.now, &mut said);
        self.check(said);
    }

    fn check(&mut self, said: Vec<Said>) {
        assert!(said.len() <= SAID_MAX && (!self.over || said.is_empty()), "{said:?}");
        for said in said {
            assert!(!self.over, "it goes on after its end: {said:?}");
            match said {
                Said::Write { command, secret } => self.command(&command, secret),
                Said::WantsPin => {
                    let pin = if self.told { Err(Sim::PinRefused) } else { Ok(Secret::new(PIN)) };
                    let mut more = Vec::new();
                    self.talk.pin(pin, self.now, &mut more);
                    self.check(more);
                }
                Said::Card(sim) => {
                    self.told &= sim != Sim::Ready;
                    self.identity.card(sim);
                }
                Said::Learnt(about, text) => {
                    self.hides(&text);
                    self.identity.learn(about, text);
                }
                Said::Reading(reading) => self.reading(&reading),
                Said::Declined { command, answer } => {
                    assert!(!command.is_empty());
                    self.hides(&answer);
                }
                Said::Over(why) => {
                    self.hides(&why);
                    self.over = true;
                }
                Said::Ready | Said::Speaks(_) | Said::Reset | Said::Aside(_) | Said::Dropped { .. } => {}
            }
        }
        assert_eq!(self.talk.deadline().is_none(), self.over);
    }

    fn command(&mut self, command: &str, secret: bool) {
        let text = command.strip_suffix('\r').expect("a command ends its line");
        assert!(!text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}");
        assert_eq!(text.contains(PIN), secret);
        if secret {
            assert!(!std::mem::replace(&mut self.told, true), "a PIN is told twice");
        }
    }

    fn reading(&mut self, reading: &Reading) {
        for (side, layer) in [(Side::Lte, &reading.lte), (Side::Nr, &reading.nr)] {
            for (key, value) in &layer.numbers {
                let (least, most) = key.bounds(side);
                assert!((least..=most).contains(value), "{key:?} {value}");
            }
        }
        let at = Received { wall: SystemTime::now(), monotonic: self.now, clock: ClockQuality::Unknown };
        let events = self.past.look(reading);
        for format in [CellularFormat::Json, CellularFormat::Senml] {
            let mut records = Records { radio: "a".to_owned(), gateway: "g".into(), format, sequence: 0 };
            let made = (&at, &serde_json::Map::new());
            let mut texts = vec![records.signal(reading, made), records.cell(reading, &self.identity, made).1];
            texts.extend(events.iter().map(|event| records.event(event, made)));
            for text in texts {
                self.hides(&text);
                let value: Value = serde_json::from_str(&text).expect("it is JSON");
                assert_eq!(value.is_array(), format == CellularFormat::Senml);
            }
        }
    }

    fn hides(&self, text: &str) {
        for number in &self.numbers {
            assert!(!text.contains(number.as_str()), "{number} comes out in {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::lora::fuzzed::corpus::{corpus, play_changed};

    #[test]
    fn each_conversation_of_the_corpus_keeps_its_numbers_and_comes_to_an_end() {
        corpus("cellular").iter().for_each(|input| play(input));
        play_changed("cellular", 100, play);
    }
}
