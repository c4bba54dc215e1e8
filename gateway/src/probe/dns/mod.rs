//! Questions to a name server, and how long the answers take.
//!
//! `packet.rs` is the wire. What the gateway itself resolves goes by the system's resolver and not through here.

pub(super) mod packet;

use std::time::Duration;

use self::packet::Answer;
use super::socket::Arrived;
use super::train::Exchange;
use crate::config::{Dns, DnsRecord};

/// The questions of one train.
pub(super) struct Questions {
    name: String,
    record: DnsRecord,
    /// Not to be guessed by whoever would like to answer.
    ids: Vec<u16>,
    last: Option<Answer>,
    /// The last answer that counts.
    pub(super) answer: Option<Answer>,
}

impl Questions {
    /// # Errors
    /// When the system has no random numbers.
    pub(super) fn new(dns: &Dns) -> Result<Self, getrandom::Error> {
        let mut random = [0; 4];
        getrandom::fill(&mut random)?;
        let [a, b, c, d] = random;
        let (first, mask) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        // No two alike, and a train has at most a thousand.
        let turns = 0..u16::try_from(dns.train.packets).unwrap_or(u16::MAX);
        let ids = turns.map(|turn| first.wrapping_add(turn) ^ mask).collect();
        Ok(Self { name: dns.query.clone(), record: dns.record, ids, last: None, answer: None })
    }
}

impl Exchange for Questions {
    fn packet(&mut self, sequence: u32) -> Vec<u8> {
        let id = self.ids.get(sequence as usize).copied().unwrap_or_default();
        packet::question(id, &self.name, self.record)
    }

    fn answer(&mut self, packet: &[u8], _: &Arrived) -> Option<(u32, Duration)> {
        let answer = Answer::parse(packet, &self.name, self.record)?;
        let of = self.ids.iter().position(|id| *id == answer.id)?;
        self.last = Some(answer);
        Some((u32::try_from(of).ok()?, Duration::ZERO))
    }

    fn counts(&mut self) {
        self.answer = self.last.take();
    }
}
