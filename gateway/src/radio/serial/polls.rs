//! What a radio asks its device on its own: which question is due, and what its answer says.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::modbus::{self, ModbusError};
use crate::config::{Ask, ModbusRead, ModbusType, SerialRadio};

/// One radio's polls. Each is known by its index in the settings.
pub(super) struct Polls<'a> {
    radio: &'a SerialRadio,
    /// When each is due.
    due: Vec<Instant>,
    names: Vec<Arc<str>>,
}

impl<'a> Polls<'a> {
    /// All are due at once.
    pub(super) fn new(radio: &'a SerialRadio) -> Self {
        let names = radio.poll.iter().map(|p| p.name.as_str().into()).collect();
        Self { radio, due: vec![Instant::now(); radio.poll.len()], names }
    }

    /// When the next one is due; `None` without polls.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.iter().min().copied()
    }

    /// The one that has been due for longest, and its question.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(usize, Bytes)> {
        let (index, due) = self.due.iter_mut().enumerate().min_by_key(|(_, at)| **at).filter(|(_, at)| **at <= now)?;
        let poll = self.radio.poll.get(index)?;
        // Missed turns are skipped, not made up for.
        *due = (*due + poll.period).max(now);
        let question = match &poll.ask {
            Ask::Modbus(read) => modbus::request(read).into(),
            Ask::Request { request } => Bytes::copy_from_slice(request),
        };
        Some((index, question))
    }

    /// The name for messages.
    pub(super) fn name(&self, index: usize) -> Option<Arc<str>> {
        self.names.get(index).cloned()
    }

    /// The name for logs.
    pub(super) fn name_or_none(&self, index: usize) -> &str {
        self.names.get(index).map_or("", |name| name)
    }

    /// What an answer says: for Modbus the values by name, for others the frame itself.
    pub(super) fn answer(&self, index: usize, frame: &Bytes) -> Result<Bytes, ModbusError> {
        let Some(poll) = self.radio.poll.get(index) else { return Ok(frame.clone()) };
        let Ask::Modbus(read) = &poll.ask else { return Ok(frame.clone()) };
        let data = modbus::response(read, frame)?;
        Ok(if read.value == ModbusType::Raw { data } else { reading(&poll.name, read, &data) })
    }
}

/// A Modbus reading as a message: `{"name":"voltage","value":230.2,"slave":1,"function":4,"address":0}`.
fn reading(name: &str, read: &ModbusRead, data: &[u8]) -> Bytes {
    let body = serde_json::json!({
        "name": name,
        "value": modbus::values(read, data),
        "slave": read.slave,
        "function": read.function,
        "address": read.address,
    });
    body.to_string().into()
}
