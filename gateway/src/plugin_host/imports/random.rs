//! Random numbers.

use super::super::bindings::stile::filter::random::Host;
use super::super::state::{State, misuse};
use crate::config::Grant;

/// The most that one call gives.
const MOST: usize = 4096;

impl Host for State {
    fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        self.granted(Grant::Random)?;
        if count as usize > MOST {
            return misuse(format!("asked for {count} random bytes; {MOST} is the most"));
        }
        let mut bytes = vec![0; count as usize];
        match getrandom::fill(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) => misuse(format!("the system gave no random bytes: {error}")),
        }
    }
}
