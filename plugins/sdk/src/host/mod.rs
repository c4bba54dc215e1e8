//! What a filter may ask of the gateway. In the component each call goes to the gateway (`component.rs`), and what a
//! filter does not call is not imported; natively `memory.rs` answers, for tests.

#[cfg(target_family = "wasm")]
mod component;
#[cfg(not(target_family = "wasm"))]
mod memory;

use std::fmt::Display;
use std::time::Duration;

use crate::time::Time;
use crate::verdict::Draft;

#[cfg(target_family = "wasm")]
use component::Gateway;
#[cfg(not(target_family = "wasm"))]
pub use memory::Gateway;

/// What only the operator can grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// [`Host::kv`].
    Kv,
    /// [`Host::publish`].
    Emit,
    /// [`Host::random`].
    Random,
    /// [`Host::data`].
    Data,
}

impl Grant {
    /// The name in settings: that of the interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Emit => "emit",
            Self::Random => "random",
            Self::Data => "data",
        }
    }
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the author.
    Debug,
    /// For the record.
    Info,
    /// Something is odd; it goes on.
    Warn,
    /// Something does not work.
    Error,
}

/// Why a value was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvError {
    /// The key or the value is longer than one may be.
    TooLarge,
    /// All that the filter keeps would be more than its quota.
    Quota,
    /// `increment` on a value that is no number.
    NotANumber,
    /// Nothing can be kept now, such as on a disk that fails.
    Unavailable,
}

impl Display for KvError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "a key or value is too long to be kept",
            Self::Quota => "the quota of kept values is used up",
            Self::NotANumber => "the kept value is no number",
            Self::Unavailable => "nothing can be kept now",
        })
    }
}

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataError {
    /// The operator gave no file of that name.
    Absent,
    /// It is there and can't be read.
    Unreadable(String),
}

impl Display for DataError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no such data file: name it under `[plugin.data]`"),
            Self::Unreadable(why) => write!(f, "the data file can't be read: {why}"),
        }
    }
}

/// The gateway, as a filter sees it.
#[derive(Debug)]
pub struct Host {
    pub(crate) gateway: Gateway,
}

impl Host {
    /// Writes a log line under the filter's name. The text is made only if it will be written.
    pub fn log(&self, level: Level, text: impl Display) {
        if level >= self.gateway.threshold() {
            self.gateway.write(level, &text.to_string());
        }
    }

    /// Counts a metric up. Names: small letters, digits and `_`.
    pub fn count(&self, name: &str, by: u64) {
        self.gateway.count(name, by);
    }

    /// Sets a metric that goes up and down.
    pub fn gauge(&self, name: &str, value: f64) {
        self.gateway.gauge(name, value);
    }

    /// The time. A filter that goes by [`crate::Message::received`] instead behaves the same in a test.
    pub fn now(&self) -> Time {
        self.gateway.now()
    }

    /// Time since some moment before; never goes back.
    pub fn monotonic(&self) -> Duration {
        self.gateway.monotonic()
    }

    /// Publishes a message besides those that the filter judges; it goes on from the next filter, after the batch. Needs
    /// [`Grant::Emit`]. The text of an error says why the message was not taken.
    pub fn publish(&self, draft: Draft) -> Result<(), String> {
        self.gateway.publish(draft)
    }

    /// So many random bytes, at most 4,096. Needs [`Grant::Random`].
    pub fn random(&self, count: u32) -> Vec<u8> {
        self.gateway.random(count)
    }

    /// What the filter remembers beyond the life of an instance. Needs [`Grant::Kv`].
    pub fn kv(&self) -> Kv<'_> {
        Kv(&self.gateway)
    }

    /// Files that the operator gave the filter. Needs [`Grant::Data`].
    pub fn data(&self) -> Data<'_> {
        Data(&self.gateway)
    }
}

/// What a filter remembers: it outlives the instance, a new version of the filter and a restart of the gateway.
#[derive(Debug, Clone, Copy)]
pub struct Kv<'a>(&'a Gateway);

impl Kv<'_> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    /// Sets a key; with `ttl`, for that long, to the second.
    pub fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), KvError> {
        self.0.set(key, value, ttl)
    }

    /// Takes a key away. Says whether it was there.
    pub fn delete(&self, key: &str) -> bool {
        self.0.delete(key)
    }

    /// Adds to a number, which begins at 0, and gives what it is then. It is kept as decimal text.
    pub fn increment(&self, key: &str, by: i64) -> Result<i64, KvError> {
        self.0.increment(key, by)
    }

    /// The keys that begin with `prefix`, in the order of their bytes, at most `limit` and at most 4,096.
    pub fn keys(&self, prefix: &str, limit: u32) -> Vec<String> {
        self.0.keys(prefix, None, limit)
    }

    /// Those of them that come after the key `after`: whoever wants all asks again with the last one that it got.
    pub fn keys_after(&self, prefix: &str, after: &str, limit: u32) -> Vec<String> {
        self.0.keys(prefix, Some(after), limit)
    }
}

/// Files that the operator gave the filter, read-only.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a>(&'a Gateway);

impl Data<'_> {
    /// Length in bytes.
    pub fn size(&self, name: &str) -> Result<u64, DataError> {
        self.0.size(name)
    }

    /// At most `length` bytes from `offset`, and at most 1 MiB at once; fewer at the end, none behind it.
    pub fn read(&self, name: &str, offset: u64, length: u32) -> Result<Vec<u8>, DataError> {
        self.0.read(name, offset, length)
    }
}
