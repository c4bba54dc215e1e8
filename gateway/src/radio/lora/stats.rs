//! The counters that only LoRa radios have, for `/metrics`. All only grow, but for those that say how something is now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::behind::{Behind, Gateways};
use super::schedule::TxStatus;
use super::udp::Kind;
use super::{Refusal, concentratord, station};
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
    datagrams: Counters<{ Kind::ALL.len() }>,
    messages: Counters<{ station::Kind::ALL.len() }>,
    events: Counters<{ concentratord::Kind::ALL.len() }>,
    refused: Counters<{ Refusal::ALL.len() }>,
    statuses: Counters<{ TxStatus::ALL.len() }>,
    pub(in crate::radio) gateways: Gateways,
    /// The suspicious channels of gateways that have some, in Hz.
    suspicious: Mutex<BTreeMap<Eui, Vec<u32>>>,
}

/// As many counters as there are words.
#[derive(Debug)]
struct Counters<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }
}

impl<const N: usize> Counters<N> {
    fn add(&self, index: usize) {
        if let Some(counter) = self.0.get(index) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|counter| counter.load(Ordering::Relaxed))
    }
}

impl LoraStats {
    pub(super) fn datagram(&self, kind: Kind) {
        self.datagrams.add(kind as usize);
    }

    pub(super) fn message(&self, kind: station::Kind) {
        self.messages.add(kind as usize);
    }

    pub(super) fn event(&self, kind: concentratord::Kind) {
        self.events.add(kind as usize);
    }

    pub(super) fn refused(&self, why: Refusal) {
        self.refused.add(why as usize);
    }

    pub(super) fn item(&self, status: TxStatus) {
        self.statuses.add(status as usize);
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

    /// The gateways behind the radio.
    pub fn gateways(&self) -> BTreeMap<Eui, Behind> {
        self.gateways.all()
    }

    /// Datagrams from gateways that may speak, by kind.
    pub fn datagrams(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Kind::ALL.iter().zip(self.datagrams.read()).map(|(kind, count)| (kind.as_str(), count))
    }

    /// Messages from Basics Stations, by kind.
    pub fn messages(&self) -> impl Iterator<Item = (&'static str, u64)> {
        station::Kind::ALL.iter().zip(self.messages.read()).map(|(kind, count)| (kind.as_str(), count))
    }

    /// Events of Concentratord, by kind.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> {
        concentratord::Kind::ALL.iter().zip(self.events.read()).map(|(kind, count)| (kind.as_str(), count))
    }

    /// Datagrams, messages, frames and connections that went no further, by reason.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refusal::ALL.iter().zip(self.refused.read()).map(|(refusal, count)| (refusal.as_str(), count))
    }

    /// Items of downlinks, by what became of them.
    pub fn items(&self) -> impl Iterator<Item = (&'static str, u64)> {
        TxStatus::ALL.iter().zip(self.statuses.read()).map(|(status, count)| (status.as_str(), count))
    }
}
