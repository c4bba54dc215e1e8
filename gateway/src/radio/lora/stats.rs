//! The counters that only LoRa radios have, for `/metrics`. All only grow, but for those that say how something is now.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Refusal;
use super::gw::TxAckStatus;
use super::station;
use super::udp::Kind;

/// Counters of one radio.
#[derive(Debug, Default)]
pub struct LoraStats {
    /// Gateways that keep their way back open, now.
    pub gateways_online: AtomicU64,
    /// Bytes that the kernel keeps of what was not read yet, as it says itself.
    pub receive_buffer: AtomicU64,
    /// Whether downlinks beyond the duty cycle are refused.
    pub duty_cycle: AtomicBool,
    /// Datagrams that the kernel dropped, because they came faster than they were read.
    pub datagrams_lost: AtomicU64,
    /// Answers to gateways that the kernel did not take.
    pub answers_unsent: AtomicU64,
    datagrams: [AtomicU64; Kind::ALL.len()],
    messages: [AtomicU64; station::Kind::ALL.len()],
    refused: [AtomicU64; Refusal::ALL.len()],
    statuses: [AtomicU64; TxAckStatus::ALL.len()],
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl LoraStats {
    pub(super) fn datagram(&self, kind: Kind) {
        add(self.datagrams.get(kind as usize));
    }

    pub(super) fn message(&self, kind: station::Kind) {
        add(self.messages.get(kind as usize));
    }

    pub(super) fn refused(&self, why: Refusal) {
        add(self.refused.get(why as usize));
    }

    pub(super) fn item(&self, status: TxAckStatus) {
        let index = TxAckStatus::ALL.iter().position(|known| *known == status);
        add(index.and_then(|index| self.statuses.get(index)));
    }

    /// Datagrams from gateways that may speak, by kind.
    pub fn datagrams(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Kind::ALL.iter().zip(&self.datagrams).map(|(kind, count)| (kind.as_str(), read(count)))
    }

    /// Messages from Basics Stations, by kind.
    pub fn messages(&self) -> impl Iterator<Item = (&'static str, u64)> {
        station::Kind::ALL.iter().zip(&self.messages).map(|(kind, count)| (kind.as_str(), read(count)))
    }

    /// Datagrams, messages, frames and connections that went no further, by reason.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refusal::ALL.iter().zip(&self.refused).map(|(refusal, count)| (refusal.as_str(), read(count)))
    }

    /// Items of downlinks, by what became of them.
    pub fn items(&self) -> impl Iterator<Item = (&'static str, u64)> {
        TxAckStatus::ALL.iter().zip(&self.statuses).map(|(status, count)| (status.as_str(), read(count)))
    }
}
