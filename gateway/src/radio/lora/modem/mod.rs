//! LoRa modems on serial ports: small boards that are told by lines of text to hear one channel with one spreading factor.
//!
//! Owns what is said to a modem. The port's life is the serial driver's, and so are the topics: `serial/<name>/up` and the
//! others. What is sent keeps the region's duty cycle.
//!
//! Map: `dialogue.rs` is what one model is told and answers, read from a file in `dialogues/`; `pattern.rs` takes its lines
//! apart; `talk.rs` is the conversation, pure; `session.rs` has it over a port; `air.rs` asks the scheduler.

mod air;
mod dialogue;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzed;
mod pattern;
mod session;
mod talk;
#[cfg(test)]
mod tests;

use std::time::Instant;

use self::air::Air;
use self::dialogue::Dialogue;
pub(in crate::radio) use self::pattern::Pattern;
pub(in crate::radio) use self::session::Session;
use crate::config::LoraModem;
use crate::supervisor::UnitError;

/// A modem, whatever becomes of its port.
pub(in crate::radio) struct Modem {
    radio: LoraModem,
    dialogue: Dialogue,
    air: Air,
}

impl Modem {
    /// Nothing was sent yet.
    ///
    /// # Errors
    /// When the dialogue of its model can't be read, which is a fault of this program.
    pub(in crate::radio) fn new(radio: LoraModem) -> Result<Self, UnitError> {
        let dialogue = Dialogue::of(radio.model)?;
        let air = Air::new(&radio, Instant::now());
        Ok(Self { radio, dialogue, air })
    }
}
