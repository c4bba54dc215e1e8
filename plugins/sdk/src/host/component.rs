//! In the component: each call goes to the gateway, by an import of its own. None may be called from where a filter does
//! not need it, or the component imports what it does not use.

use std::time::Duration;

use super::{DataError, KvError, Level};
use crate::guest::{clock, data, emit, kv, log, metrics, random};
use crate::time::Time;
use crate::verdict::Draft;

/// The gateway outside.
#[derive(Debug)]
pub(crate) struct Gateway;

impl Gateway {
    pub(super) fn threshold(&self) -> Level {
        match log::threshold() {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        }
    }

    pub(super) fn write(&self, level: Level, text: &str) {
        let level = match level {
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        log::write(level, text);
    }

    pub(super) fn count(&self, name: &str, by: u64) {
        metrics::count(name, by);
    }

    pub(super) fn gauge(&self, name: &str, value: f64) {
        metrics::gauge(name, value);
    }

    pub(super) fn now(&self) -> Time {
        Time(clock::now())
    }

    pub(super) fn monotonic(&self) -> Duration {
        Duration::from_nanos(clock::monotonic())
    }

    pub(super) fn publish(&self, draft: Draft) -> Result<(), String> {
        emit::publish(&draft.into())
    }

    pub(super) fn random(&self, count: u32) -> Vec<u8> {
        random::bytes(count)
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        kv::get(key)
    }

    pub(super) fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), KvError> {
        let ttl = ttl.map(|ttl| u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX).max(1));
        kv::set(key, value, ttl).map_err(why)
    }

    pub(super) fn delete(&self, key: &str) -> bool {
        kv::delete(key)
    }

    pub(super) fn increment(&self, key: &str, by: i64) -> Result<i64, KvError> {
        kv::increment(key, by).map_err(why)
    }

    pub(super) fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<String> {
        kv::keys(prefix, after, limit)
    }

    pub(super) fn size(&self, name: &str) -> Result<u64, DataError> {
        data::size(name).map_err(unread)
    }

    pub(super) fn read(&self, name: &str, offset: u64, length: u32) -> Result<Vec<u8>, DataError> {
        data::read(name, offset, length).map_err(unread)
    }
}

fn why(error: kv::KvError) -> KvError {
    match error {
        kv::KvError::TooLarge => KvError::TooLarge,
        kv::KvError::Quota => KvError::Quota,
        kv::KvError::NotANumber => KvError::NotANumber,
        kv::KvError::Unavailable => KvError::Unavailable,
    }
}

fn unread(error: data::DataError) -> DataError {
    match error {
        data::DataError::Absent => DataError::Absent,
        data::DataError::Unreadable(why) => DataError::Unreadable(why),
    }
}

impl super::Host {
    /// The gateway that the component runs in.
    pub(crate) fn of_the_gateway() -> Self {
        Self { gateway: Gateway }
    }
}
