//! Messages besides those that are judged.

use super::super::answer::{Checks, weight};
use super::super::bindings::stile::filter::emit::Host;
use super::super::bindings::stile::filter::types::Draft;
use super::super::instance::ANSWER_BYTES;
use super::super::state::State;
use crate::config::Grant;

impl Host for State {
    fn publish(&mut self, draft: Draft) -> wasmtime::Result<Result<(), String>> {
        self.granted(Grant::Emit)?;
        let bytes = self.emitted_bytes.saturating_add(weight(&draft));
        if bytes > ANSWER_BYTES {
            return Ok(Err(format!("emits more than {ANSWER_BYTES} bytes in one call")));
        }
        let checked = Checks::new(&self.own.terms, self.emitted.len()).draft(draft);
        Ok(checked.map(|outgoing| {
            self.emitted.push(outgoing);
            self.emitted_bytes = bytes;
        }))
    }
}
