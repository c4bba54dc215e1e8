//! Messages besides those that are judged.

use super::super::answer::Checks;
use super::super::bindings::stile::filter::emit::Host;
use super::super::bindings::stile::filter::types::Draft;
use super::super::state::State;
use crate::config::Grant;

impl Host for State {
    fn publish(&mut self, draft: Draft) -> wasmtime::Result<Result<(), String>> {
        self.granted(Grant::Emit)?;
        let checked = Checks::new(&self.own.terms, self.emitted.len()).draft(draft);
        Ok(checked.map(|outgoing| self.emitted.push(outgoing)))
    }
}
