//! Files that the operator named.

use std::os::unix::fs::FileExt;

use super::super::bindings::stile::filter::data::Host;
use super::super::state::{State, misuse};
use crate::config::Grant;

/// The most that one call reads.
const READ_BYTES: usize = 1 << 20;

impl Host for State {
    fn size(&mut self, name: String) -> wasmtime::Result<Option<u64>> {
        self.granted(Grant::Data)?;
        let Some(file) = self.own.terms.data.get(&name) else { return Ok(None) };
        match file.metadata() {
            Ok(meta) => Ok(Some(meta.len())),
            Err(error) => misuse(format!("could not read the data file {name:?}: {error}")),
        }
    }

    fn read(&mut self, name: String, offset: u64, length: u32) -> wasmtime::Result<Option<Vec<u8>>> {
        self.granted(Grant::Data)?;
        let Some(file) = self.own.terms.data.get(&name) else { return Ok(None) };
        let mut bytes = vec![0; (length as usize).min(READ_BYTES)];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return misuse(format!("could not read the data file {name:?}: {error}")),
            }
        }
        bytes.truncate(filled);
        Ok(Some(bytes))
    }
}
