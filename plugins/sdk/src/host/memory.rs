//! Natively: a gateway in memory, for tests. It refuses what the filter did not ask leave for, as the real one does, and
//! shows what the filter did.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use super::{DataError, Grant, Host, KvError, Level};
use crate::time::Time;
use crate::verdict::Draft;

/// The most keys and the most bytes of a data file that one call gives, as in the gateway.
const KEYS: u32 = 4096;
const READ_BYTES: u32 = 1 << 20;

/// What is kept under a key, and until when.
type Value = (Vec<u8>, Option<Time>);

/// The gateway as a test sees it.
#[derive(Debug)]
pub struct Gateway {
    grants: Vec<Grant>,
    now: Cell<Time>,
    threshold: Level,
    lines: RefCell<Vec<(Level, String)>>,
    metrics: RefCell<BTreeMap<String, f64>>,
    published: RefCell<Vec<Draft>>,
    kept: RefCell<BTreeMap<String, Value>>,
    data: BTreeMap<String, Vec<u8>>,
    seed: Cell<u64>,
}

impl Host {
    /// In a test: a gateway in memory that grants these. Time stands at [`Time::EXAMPLE`]; random bytes are the same in
    /// each run.
    pub fn in_memory(grants: &[Grant]) -> Self {
        let gateway = Gateway {
            grants: grants.to_vec(),
            now: Cell::new(Time::EXAMPLE),
            threshold: Level::Debug,
            lines: RefCell::default(),
            metrics: RefCell::default(),
            published: RefCell::default(),
            kept: RefCell::default(),
            data: BTreeMap::new(),
            seed: Cell::new(1),
        };
        Self { gateway }
    }

    /// In a test: the same with a data file.
    #[must_use]
    pub fn with_data(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.gateway.data.insert(name.to_owned(), bytes.into());
        self
    }

    /// In a test: sets the clock.
    pub fn set_now(&self, now: Time) {
        self.gateway.now.set(now);
    }

    /// In a test: the log lines since the last call.
    pub fn lines(&self) -> Vec<(Level, String)> {
        self.gateway.lines.take()
    }

    /// In a test: what was published since the last call.
    pub fn published(&self) -> Vec<Draft> {
        self.gateway.published.take()
    }

    /// In a test: a metric's value; none if it was never set.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.gateway.metrics.borrow().get(name).copied()
    }
}

impl Gateway {
    /// As the gateway traps. It ends a test.
    fn need(&self, grant: Grant) {
        assert!(self.grants.contains(&grant), "`{}` was not granted: add it to `Filter::GRANTS`", grant.name());
    }

    pub(super) fn threshold(&self) -> Level {
        self.threshold
    }

    pub(super) fn write(&self, level: Level, text: &str) {
        self.lines.borrow_mut().push((level, text.to_owned()));
    }

    #[expect(clippy::cast_precision_loss, reason = "no test counts that far")]
    pub(super) fn count(&self, name: &str, by: u64) {
        *self.metrics.borrow_mut().entry(name.to_owned()).or_default() += by as f64;
    }

    pub(super) fn gauge(&self, name: &str, value: f64) {
        self.metrics.borrow_mut().insert(name.to_owned(), value);
    }

    pub(super) fn now(&self) -> Time {
        self.now.get()
    }

    pub(super) fn monotonic(&self) -> Duration {
        self.now.get().since(Time(0))
    }

    pub(super) fn publish(&self, draft: Draft) -> Result<(), String> {
        self.need(Grant::Emit);
        if draft.topic.is_empty() || draft.topic.contains(['+', '#', '\0']) {
            return Err(format!("`{}` is no topic name", draft.topic));
        }
        self.published.borrow_mut().push(draft);
        Ok(())
    }

    pub(super) fn random(&self, count: u32) -> Vec<u8> {
        self.need(Grant::Random);
        (0..count).map(|_| self.next_byte()).collect()
    }

    /// Xorshift: the same in each run.
    fn next_byte(&self) -> u8 {
        let mut x = self.seed.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.seed.set(x);
        x.to_le_bytes()[3]
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.need(Grant::Kv);
        self.forget();
        self.kept.borrow().get(key).map(|(value, _)| value.clone())
    }

    pub(super) fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), KvError> {
        self.need(Grant::Kv);
        let until = ttl.map(|ttl| self.now().after(Duration::from_secs(ttl.as_secs().max(1))));
        self.kept.borrow_mut().insert(key.to_owned(), (value.to_owned(), until));
        Ok(())
    }

    pub(super) fn delete(&self, key: &str) -> bool {
        self.need(Grant::Kv);
        self.forget();
        self.kept.borrow_mut().remove(key).is_some()
    }

    pub(super) fn increment(&self, key: &str, by: i64) -> Result<i64, KvError> {
        let before = match self.get(key) {
            None => 0,
            Some(text) => {
                std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).ok_or(KvError::NotANumber)?
            }
        };
        let now = i64::checked_add(before, by).ok_or(KvError::NotANumber)?;
        let until = self.kept.borrow().get(key).and_then(|(_, until)| *until);
        self.kept.borrow_mut().insert(key.to_owned(), (now.to_string().into_bytes(), until));
        Ok(now)
    }

    pub(super) fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<String> {
        self.need(Grant::Kv);
        self.forget();
        let (kept, limit) = (self.kept.borrow(), limit.min(KEYS) as usize);
        let later = kept.keys().filter(|key| after.is_none_or(|after| key.as_str() > after));
        later.filter(|key| key.starts_with(prefix)).take(limit).cloned().collect()
    }

    /// What was to be kept until now goes.
    fn forget(&self) {
        let now = self.now();
        self.kept.borrow_mut().retain(|_, (_, until)| until.is_none_or(|until| until > now));
    }

    pub(super) fn size(&self, name: &str) -> Result<u64, DataError> {
        self.file(name).map(|bytes| bytes.len() as u64)
    }

    pub(super) fn read(&self, name: &str, offset: u64, length: u32) -> Result<Vec<u8>, DataError> {
        let bytes = self.file(name)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(length.min(READ_BYTES) as usize).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    fn file(&self, name: &str) -> Result<&[u8], DataError> {
        self.need(Grant::Data);
        self.data.get(name).map(Vec::as_slice).ok_or(DataError::Absent)
    }
}
