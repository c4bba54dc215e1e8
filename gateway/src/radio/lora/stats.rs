//! The counters that only LoRa radios have, for `/metrics`. All only grow, but for those that say how something is now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Refusal;
use super::gw::TxAckStatus;
use super::station;
use super::udp::Kind;
use crate::config::Eui;

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
    /// The suspicious channels of gateways that have some, in Hz.
    suspicious: Mutex<BTreeMap<Eui, Vec<u32>>>,
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

    /// These channels of a gateway are suspicious now, and no others.
    pub(super) fn suspect(&self, eui: Eui, channels: Vec<u32>) {
        let mut all = self.suspicious.lock().unwrap_or_else(PoisonError::into_inner);
        if channels.is_empty() {
            all.remove(&eui);
        } else {
            all.insert(eui, channels);
        }
    }

    /// Channels on which far more frames come with a wrong checksum than usual: the gateway, and their frequencies in Hz.
    pub fn suspicious(&self) -> BTreeMap<Eui, Vec<u32>> {
        self.suspicious.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
