//! What the imports of one instance can reach.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Outgoing;
use super::budget::Budget;
use super::failure::Stop;
use super::imports::clock::Clock;
use super::imports::log::{Gate, Notepad};
use super::kv::{Kv, Transaction};
use super::room::Room;
use super::status::{Figure, Status};
use super::terms::Terms;
use crate::config::Grant;
use crate::message::{Message, MessageId, Origin, Properties};

/// What belongs to a plugin and outlives its instances.
pub(super) struct Own {
    pub(super) terms: Terms,
    pub(super) status: Arc<Status>,
    pub(super) kv: Kv,
    pub(super) gate: Gate,
    /// Where its lines go in the place of the log, for one that is tried out.
    pub(super) notepad: Option<Notepad>,
    pub(super) clock: Clock,
}

/// What `context` tells of a message besides its record.
pub(super) struct Beside {
    pub(super) id: MessageId,
    pub(super) origin: Origin,
    pub(super) properties: Option<Arc<Properties>>,
}

/// The data of one instance's store. What a call changes is kept aside until the call has ended well, so that one that is
/// made again counts once.
pub(super) struct State {
    pub(super) own: Arc<Own>,
    pub(super) budget: Budget,
    pub(super) room: Room,
    /// Of the batch that is being judged, for a plugin that imports `context`.
    pub(super) batch: Vec<Beside>,
    pub(super) kv: Transaction,
    pub(super) emitted: Vec<Outgoing>,
    /// What these weigh.
    pub(super) emitted_bytes: usize,
    pub(super) figures: BTreeMap<String, Figure>,
}

impl State {
    pub(super) fn new(own: Arc<Own>) -> Self {
        let limits = &own.terms.limits;
        Self {
            budget: Budget::new(limits.cpu),
            room: Room::new(limits.memory),
            batch: Vec::new(),
            kv: Transaction::new(own.kv.clone(), limits.kv_bytes),
            emitted: Vec::new(),
            emitted_bytes: 0,
            figures: BTreeMap::new(),
            own,
        }
    }

    /// A call is about to be made, which may use so much CPU time.
    pub(super) fn begin(&mut self, most: Duration) {
        self.budget.begin(most);
        self.room.begin();
        // It takes a lock.
        if self.own.terms.grants.contains(&Grant::Kv) {
            self.kv.begin();
        }
    }

    /// A batch is about to be judged.
    pub(super) fn show(&mut self, batch: &[Message]) {
        self.batch.extend(batch.iter().map(|message| Beside {
            id: message.id,
            origin: message.origin.clone(),
            properties: message.properties.clone(),
        }));
    }

    /// The call ended well: what it changed comes true.
    pub(super) fn commit(&mut self) -> Vec<Outgoing> {
        self.batch.clear();
        self.kv.commit();
        if !self.figures.is_empty() {
            let figures = std::mem::take(&mut self.figures);
            self.own.status.edit(|report| figures.into_iter().for_each(|(name, figure)| report.measure(name, figure)));
        }
        self.emitted_bytes = 0;
        std::mem::take(&mut self.emitted)
    }

    /// The call failed: nothing of it happened.
    pub(super) fn rollback(&mut self) {
        self.batch.clear();
        self.kv.rollback();
        self.figures.clear();
        self.emitted.clear();
        self.emitted_bytes = 0;
    }

    /// Traps unless the operator granted it.
    pub(super) fn granted(&self, grant: Grant) -> wasmtime::Result<()> {
        if self.own.terms.grants.contains(&grant) { Ok(()) } else { Err(Stop::NotGranted(grant.as_str()).into()) }
    }
}

/// A trap that says what the plugin did wrong.
pub(super) fn misuse<T>(what: impl Into<String>) -> wasmtime::Result<T> {
    Err(Stop::Misuse(what.into()).into())
}
