//! What a plugin remembers.

use std::time::Duration;

use super::super::bindings::stile::filter::kv::{Host, KvError};
use super::super::kv::Refused;
use super::super::state::State;
use crate::config::Grant;

impl From<Refused> for KvError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooLarge => Self::TooLarge,
            Refused::Quota => Self::Quota,
            Refused::NotANumber => Self::NotANumber,
            Refused::Unavailable => Self::Unavailable,
        }
    }
}

impl Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.granted(Grant::Kv)?;
        Ok(self.kv.get(&key).map(|value| value.to_vec()))
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl: Option<u32>) -> wasmtime::Result<Result<(), KvError>> {
        self.granted(Grant::Kv)?;
        let ttl = ttl.map(|seconds| Duration::from_secs(seconds.into()));
        Ok(self.kv.set(key, &value, ttl).map_err(KvError::from))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<bool> {
        self.granted(Grant::Kv)?;
        Ok(self.kv.delete(&key))
    }

    fn increment(&mut self, key: String, by: i64) -> wasmtime::Result<Result<i64, KvError>> {
        self.granted(Grant::Kv)?;
        Ok(self.kv.increment(key, by).map_err(KvError::from))
    }

    fn keys(&mut self, prefix: String, after: Option<String>, limit: u32) -> wasmtime::Result<Vec<String>> {
        self.granted(Grant::Kv)?;
        Ok(self.kv.keys(&prefix, after.as_deref(), limit as usize))
    }
}
