//! What one call sees and changes, before it is known whether the call ends well.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Entry, Kv, cost};

/// The longest key.
const KEY_BYTES: usize = 512;
/// The longest value.
const VALUE_BYTES: usize = 65_536;
/// The most keys that `keys` gives at once.
const KEYS: usize = 4096;

/// Why a value was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plugin_host) enum Refused {
    TooLarge,
    Quota,
    NotANumber,
    Unavailable,
}

/// What one call sees and changes.
#[derive(Debug)]
pub(in crate::plugin_host) struct Transaction {
    kv: Kv,
    quota: usize,
    changes: BTreeMap<String, Option<Entry>>,
    /// By how much the changes raise what is kept, beside what they free.
    more: usize,
    less: usize,
    /// The disk has failed for so long that nothing more may be kept.
    stuck: bool,
}

impl Transaction {
    pub(in crate::plugin_host) fn new(kv: Kv, quota: usize) -> Self {
        Self { kv, quota, changes: BTreeMap::new(), more: 0, less: 0, stuck: false }
    }

    /// A call begins: what has had its time must not keep it from its quota.
    pub(in crate::plugin_host) fn begin(&mut self) {
        if self.kv.bytes() / 3 > self.quota / 4 {
            self.kv.sweep();
        }
        self.stuck = self.kv.is_stuck(self.quota);
    }

    fn entry(&self, key: &str) -> Option<Entry> {
        let found = match self.changes.get(key) {
            Some(changed) => changed.clone(),
            None => self.kv.lock().entries.get(key).cloned(),
        };
        found.filter(Entry::live)
    }

    pub(in crate::plugin_host) fn get(&self, key: &str) -> Option<Arc<[u8]>> {
        self.entry(key).map(|entry| entry.value)
    }

    pub(in crate::plugin_host) fn set(
        &mut self,
        key: String,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<(), Refused> {
        // A time beyond what the clock can count is no end at all.
        let until = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        self.put(key, Entry { value: value.into(), until })
    }

    fn put(&mut self, key: String, entry: Entry) -> Result<(), Refused> {
        if key.len() > KEY_BYTES || entry.value.len() > VALUE_BYTES {
            return Err(Refused::TooLarge);
        }
        if self.stuck {
            return Err(Refused::Unavailable);
        }
        let (more, less) = self.replaced(&key);
        let more = more + cost(&key, &entry);
        if self.kv.lock().bytes + more > self.quota + less {
            return Err(Refused::Quota);
        }
        (self.more, self.less) = (more, less);
        self.changes.insert(key, Some(entry));
        Ok(())
    }

    /// The sums without what this key has now.
    fn replaced(&self, key: &str) -> (usize, usize) {
        match self.changes.get(key) {
            Some(Some(own)) => (self.more - cost(key, own), self.less),
            Some(None) => (self.more, self.less),
            None => {
                let freed = self.kv.lock().entries.get(key).map_or(0, |entry| cost(key, entry));
                (self.more, self.less + freed)
            }
        }
    }

    /// Whether the key was there.
    pub(in crate::plugin_host) fn delete(&mut self, key: &str) -> bool {
        let there = self.entry(key).is_some();
        if there {
            (self.more, self.less) = self.replaced(key);
            if self.kv.lock().entries.contains_key(key) {
                self.changes.insert(key.to_owned(), None);
            } else {
                // Only this call knew it: a mark would count towards no quota.
                self.changes.remove(key);
            }
        }
        there
    }

    /// Stays at the ends of its range; keeps the time that the key has left.
    pub(in crate::plugin_host) fn increment(&mut self, key: String, by: i64) -> Result<i64, Refused> {
        let old = self.entry(&key);
        let number = match &old {
            None => 0,
            Some(entry) => {
                std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok()).ok_or(Refused::NotANumber)?
            }
        };
        let number: i64 = i64::saturating_add(number, by);
        let value = number.to_string().into_bytes().into();
        self.put(key, Entry { value, until: old.and_then(|entry| entry.until) })?;
        Ok(number)
    }

    /// Those that begin with `prefix` and come after the key `after`.
    pub(in crate::plugin_host) fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let limit = limit.min(KEYS);
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let from = (from, Bound::Unbounded);
        let table = self.kv.lock();
        let kept = table.entries.range::<str, _>(from).take_while(|(key, _)| key.starts_with(prefix));
        let kept = kept.filter(|(key, entry)| !self.changes.contains_key(*key) && entry.live());
        let own = self.changes.range::<str, _>(from).take_while(|(key, _)| key.starts_with(prefix));
        let own = own.filter(|(_, entry)| entry.as_ref().is_some_and(Entry::live));
        let kept = kept.map(|(key, _)| key).take(limit);
        let mut keys: Vec<String> = kept.chain(own.map(|(key, _)| key).take(limit)).cloned().collect();
        keys.sort_unstable();
        keys.truncate(limit);
        keys
    }

    /// The call ended well: all changes at once.
    pub(in crate::plugin_host) fn commit(&mut self) {
        if !self.changes.is_empty() {
            self.kv.change(std::mem::take(&mut self.changes));
        }
        self.rollback();
    }

    /// The call failed: none of them.
    pub(in crate::plugin_host) fn rollback(&mut self) {
        self.changes.clear();
        (self.more, self.less) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(kv: &Kv, quota: usize) -> Transaction {
        Transaction::new(kv.clone(), quota)
    }

    #[test]
    fn a_failed_call_leaves_nothing_behind() {
        let kv = Kv::default();
        let mut call = transaction(&kv, 10_000);
        call.set("a".into(), b"1", None).unwrap();
        call.commit();
        call.set("a".into(), b"2", None).unwrap();
        call.set("b".into(), b"2", None).unwrap();
        assert!(call.delete("a") && !call.delete("a"));
        assert_eq!(call.keys("", None, 10), ["b"]);
        call.rollback();
        assert_eq!(call.get("a").as_deref(), Some(&b"1"[..]));
        assert_eq!(call.keys("", None, 10), ["a"]);
        assert_eq!(kv.bytes(), 66);
    }

    #[test]
    fn the_quota_counts_what_a_call_has_not_committed_yet() {
        let kv = Kv::default();
        let mut call = transaction(&kv, 2 * 66);
        assert_eq!(call.set("a".into(), b"1", None), Ok(()));
        assert_eq!(call.set("a".into(), b"2", None), Ok(()), "in the place of the first");
        assert_eq!(call.set("b".into(), b"1", None), Ok(()));
        assert_eq!(call.set("c".into(), b"1", None), Err(Refused::Quota));
        assert!(call.delete("a"));
        assert_eq!(call.set("c".into(), b"1", None), Ok(()));
        call.commit();
        assert_eq!((kv.bytes(), kv.len()), (132, 2));
        assert_eq!(call.set("a".into(), b"1", None), Err(Refused::Quota));
        assert!(call.delete("b"));
        assert_eq!(call.set("a".into(), b"1", None), Ok(()));
        call.commit();
        assert_eq!((kv.bytes(), call.keys("", None, 1)), (132, vec!["a".to_owned()]));
        assert_eq!(call.set("k".repeat(513), b"", None), Err(Refused::TooLarge));
        assert_eq!(call.set("a".into(), &[0; 65_537], None), Err(Refused::TooLarge));
    }

    #[test]
    fn what_a_call_sets_and_deletes_leaves_no_mark() {
        let kv = Kv::default();
        let mut call = transaction(&kv, 10_000);
        call.set("kept".into(), b"1", None).unwrap();
        call.commit();
        for number in 0..1000 {
            let key = format!("{number}");
            call.set(key.clone(), b"", None).unwrap();
            assert!(call.delete(&key) && !call.delete(&key));
        }
        assert!(call.changes.is_empty());
        assert!(call.delete("kept"));
        assert_eq!((call.changes.len(), call.more, call.less), (1, 0, 69));
        call.commit();
        assert!(kv.is_empty());
    }

    #[test]
    fn keys_come_in_portions_that_leave_none_out() {
        let kv = Kv::default();
        let mut call = transaction(&kv, 10_000);
        for key in ["a", "b1", "b3"] {
            call.set(key.into(), b"", None).unwrap();
        }
        call.commit();
        for key in ["b2", "b4", "c"] {
            call.set(key.into(), b"", None).unwrap();
        }
        assert_eq!(call.keys("b", None, 2), ["b1", "b2"]);
        assert_eq!(call.keys("b", Some("b2"), 2), ["b3", "b4"]);
        assert!(call.keys("b", Some("b4"), 2).is_empty());
        assert_eq!(call.keys("b", Some("a"), 1), ["b1"], "a place before the prefix is its beginning");
        assert!(call.keys("b", Some("c"), 9).is_empty());
    }

    #[test]
    fn numbers_count_and_stay_in_their_range() {
        let kv = Kv::default();
        let mut call = transaction(&kv, 10_000);
        assert_eq!(call.increment("n".into(), 3), Ok(3));
        assert_eq!(call.increment("n".into(), -5), Ok(-2));
        assert_eq!(call.get("n").as_deref(), Some(&b"-2"[..]));
        assert_eq!(call.increment("n".into(), i64::MIN), Ok(i64::MIN));
        call.set("t".into(), b"text", None).unwrap();
        assert_eq!(call.increment("t".into(), 1), Err(Refused::NotANumber));
    }

    #[test]
    fn what_has_had_its_time_is_gone_and_makes_room() {
        let kv = Kv::default();
        let mut call = transaction(&kv, 66);
        call.set("a".into(), b"1", Some(Duration::ZERO)).unwrap();
        assert_eq!(call.get("a"), None);
        call.commit();
        assert_eq!(call.set("b".into(), b"1", None), Err(Refused::Quota));
        call.begin();
        assert!(kv.is_empty(), "it was swept, since the quota is nearly used");
        call.set("b".into(), b"1", Some(Duration::MAX)).unwrap();
        assert!(call.get("b").is_some());
    }
}
