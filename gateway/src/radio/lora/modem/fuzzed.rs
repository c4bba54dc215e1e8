//! What must hold for anything that modems say.

use std::time::{Duration, Instant};

use super::dialogue::Dialogue;
use super::session::LINE_MAX;
use super::talk::{Said, Talk};
use crate::config::{CodingRate, Framing, LineEnding, ModemChannel, ModemModel, SyncWord};
use crate::radio::lora::airtime::PHY_MAX;
use crate::radio::lora::fuzzed::lines;
use crate::radio::lora::fuzzed::script::{self, Step};
use crate::radio::serial::framing::{self, Decoder};

/// The longest wait that a conversation may have: a frame on the air at SF12, or the silence before a probe.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What comes at most of one line: a loss, a reset, a command, and the end.
const SAID_MAX: usize = 8;

const FRAME: [u8; 3] = [0x0a, 0xbc, 0xde];
const AIRTIME: Duration = Duration::from_millis(50);

/// Has conversations with modems. `Client` begins one anew with the model of that number, `Send` is bytes off the port,
/// `Cut` has a frame sent as soon as it may, `Settle` lets time run out. Panics where a command is not one line, a packet is
/// none that LoRa has, a frame has not exactly one end, or the conversation goes on after its end.
pub fn play(input: &[u8]) {
    let mut world = World::new(0);
    for step in script::read(input) {
        match step {
            Step::Client(model) => world = World::new(model),
            Step::Send(bytes) => world.read(&bytes),
            Step::Cut => world.send(),
            Step::Settle => world.wait(),
        }
    }
}

/// A channel of EU868, all else as the settings have it.
pub(super) fn channel() -> ModemChannel {
    ModemChannel {
        frequency: 868_100_000,
        spreading_factor: 7,
        bandwidth: 125_000,
        coding_rate: CodingRate::USUAL,
        preamble: 8,
        power: 14,
        network: SyncWord::Public,
    }
}

struct World {
    talk: Talk,
    decoder: Box<dyn Decoder>,
    now: Instant,
    /// A frame was given to it, of whose end it has not told.
    sending: bool,
    over: bool,
}

impl World {
    fn new(model: usize) -> Self {
        let model = ModemModel::ALL[model % ModemModel::ALL.len()];
        let now = Instant::now();
        let dialogue = Dialogue::of(model).expect("each model has one");
        let talk = Talk::new(dialogue, channel(), Duration::from_micros(87), now);
        let decoder = framing::decoder(&Framing::Line { ending: LineEnding::Lf }, LINE_MAX);
        Self { talk, decoder, now, sending: false, over: false }
    }

    fn read(&mut self, bytes: &[u8]) {
        for line in lines(&mut *self.decoder, bytes) {
            self.now += Duration::from_millis(1);
            let mut said = Vec::new();
            self.talk.line(&line, self.now, &mut said);
            let kept = said.iter().filter(|said| matches!(said, Said::Packet(_) | Said::Dropped { .. })).count();
            assert!(kept <= 1, "one line is one packet, or dropped once: {said:?}");
            self.check(said);
        }
    }

    fn send(&mut self) {
        if !self.talk.is_listening() {
            return;
        }
        let mut said = Vec::new();
        assert!(!std::mem::replace(&mut self.sending, true), "it listens while a frame is under way");
        self.talk.send(FRAME.to_vec(), AIRTIME, self.now, &mut said);
        self.check(said);
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
                Said::Write(command) => {
                    let command = command.strip_suffix("\r\n").expect("a command ends its line");
                    assert!(
                        !command.is_empty() && command.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
                        "{command}"
                    );
                }
                Said::Packet(packet) => {
                    assert!(packet.payload.len() <= PHY_MAX);
                    assert!([packet.rssi, packet.snr].into_iter().flatten().all(f32::is_finite));
                }
                Said::Sent | Said::NotSent { .. } => {
                    assert!(std::mem::take(&mut self.sending), "a frame has one end");
                }
                Said::Over(why) => {
                    assert!(!why.is_empty());
                    self.over = true;
                }
                Said::Ready | Said::Reset | Said::Declined { .. } | Said::Dropped { .. } => {}
            }
        }
        assert!(!(self.sending && (self.over || self.talk.is_listening())), "a frame was forgotten");
        assert_eq!(self.talk.deadline().is_none(), self.over);
    }
}
