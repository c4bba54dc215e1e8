//! Files that the operator named.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::super::bindings::stile::filter::data::{DataError, Host};
use super::super::state::State;
use crate::config::Grant;

/// The most that one call reads.
const READ_BYTES: usize = 1 << 20;

impl State {
    fn file(&self, name: &str) -> wasmtime::Result<Result<&File, DataError>> {
        self.granted(Grant::Data)?;
        Ok(self.own.terms.data.get(name).ok_or(DataError::Absent))
    }
}

fn unreadable(error: &io::Error) -> DataError {
    DataError::Unreadable(error.to_string())
}

fn read(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

impl Host for State {
    fn size(&mut self, name: String) -> wasmtime::Result<Result<u64, DataError>> {
        let length = |file: &File| file.metadata().map(|meta| meta.len()).map_err(|error| unreadable(&error));
        Ok(self.file(&name)?.and_then(length))
    }

    fn read(&mut self, name: String, offset: u64, length: u32) -> wasmtime::Result<Result<Vec<u8>, DataError>> {
        let length = (length as usize).min(READ_BYTES);
        Ok(self.file(&name)?.and_then(|file| read(file, offset, length).map_err(|error| unreadable(&error))))
    }
}
