//! Something for each topic, for a bounded number of them.

use std::collections::BTreeMap;

use stile_filter::{Host, Time};

/// The most topics that are remembered. When there are more, the one that was not heard of for longest is forgotten, and
/// counted as `topics_forgotten`.
const MOST_TOPICS: usize = 4096;

/// Something for each topic.
pub(crate) struct Topics<T>(BTreeMap<String, (Time, T)>);

impl<T> Topics<T> {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn get(&mut self, topic: &str, now: Time) -> Option<&mut T> {
        let (heard, value) = self.0.get_mut(topic)?;
        *heard = now;
        Some(value)
    }

    /// Remembers something. Gives what was forgotten for it.
    pub(crate) fn put(&mut self, topic: &str, now: Time, value: T, host: &Host) -> Option<(String, T)> {
        self.0.insert(topic.to_owned(), (now, value));
        if self.0.len() <= MOST_TOPICS {
            return None;
        }
        let others = self.0.iter().filter(|(name, _)| name.as_str() != topic);
        let oldest = others.min_by_key(|(_, (heard, _))| *heard)?.0.clone();
        host.count("topics_forgotten", 1);
        self.0.remove_entry(&oldest).map(|(name, (_, value))| (name, value))
    }

    /// Takes out what is done.
    pub(crate) fn take(&mut self, done: impl Fn(&T) -> bool) -> Vec<(String, T)> {
        let out = self.0.extract_if(.., |_, (_, value)| done(value));
        out.map(|(topic, (_, value))| (topic, value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_that_was_silent_for_longest_is_forgotten_and_counted() {
        let host = Host::in_memory(&[]);
        let mut topics = Topics::new();
        for number in 0..MOST_TOPICS as u64 {
            assert_eq!(topics.put(&number.to_string(), Time(number), number, &host), None);
        }
        assert_eq!(topics.get("0", Time(9_999)), Some(&mut 0));
        assert_eq!(topics.put("new", Time(5_000), 1, &host), Some(("1".to_owned(), 1)));
        assert_eq!((topics.get("1", Time(0)), host.metric("topics_forgotten")), (None, Some(1.0)));
    }
}
