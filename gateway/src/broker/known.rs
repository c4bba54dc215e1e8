//! What the router has said: which filters match a topic. Only the hub's table has one.
//!
//! Most topics are published to again and again. Their messages need not go through the router's thread and back, which
//! costs more than all the rest of their way while the gateway is not busy. Nothing here matches anything.

use std::collections::HashMap;
use std::sync::Arc;

use super::router::FilterId;
use crate::message::Topic;

/// What may be known in all, in bytes. Policy when it would be more: all is forgotten, and learned again.
const BYTES: usize = 1 << 20;
/// What is known of one topic costs so much besides its text and its filters.
const TOPIC_COST: usize = 96;

/// Topics and the filters that match them, as long as no filter comes or goes.
#[derive(Default)]
pub(super) struct Known {
    topics: HashMap<Topic, Arc<[FilterId]>>,
    bytes: usize,
}

impl Known {
    /// The filters that match this topic, if the router has said so.
    pub(super) fn of(&self, topic: &Topic) -> Option<Arc<[FilterId]>> {
        self.topics.get(topic).cloned()
    }

    /// The filters that match each of these topics, if the router has said so of every one.
    pub(super) fn all<'a>(&self, topics: impl Iterator<Item = &'a Topic>) -> Option<Vec<Arc<[FilterId]>>> {
        topics.map(|topic| self.of(topic)).collect()
    }

    /// Notes what the router said of the topics of one window: `matches` are pairs of a topic's place in it and a filter.
    pub(super) fn learn<'a>(
        &mut self,
        topics: impl ExactSizeIterator<Item = &'a Topic>,
        matches: &[(usize, FilterId)],
    ) {
        let mut filters = vec![Vec::new(); topics.len()];
        for (slot, filter) in matches {
            filters[*slot].push(*filter);
        }
        for (topic, filters) in topics.zip(filters) {
            if self.topics.contains_key(topic) {
                continue;
            }
            let bytes = TOPIC_COST + topic.as_str().len() + size_of_val(&filters[..]);
            if self.bytes + bytes > BYTES {
                self.forget();
            }
            if bytes <= BYTES {
                self.bytes += bytes;
                self.topics.insert(topic.clone(), filters.into());
            }
        }
    }

    /// Forgets all: a filter has come or gone.
    pub(super) fn forget(&mut self) {
        self.topics.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The filters of one topic.
    fn filters(known: &Known, topic: &Topic) -> Option<Vec<FilterId>> {
        known.all([topic].into_iter()).map(|matches| matches[0].to_vec())
    }

    #[test]
    fn what_a_window_brought_is_known_until_filters_change() {
        let [a, b, c] = ["a", "b", "c"].map(|name| Topic::new(name).unwrap());
        let mut known = Known::default();
        known.learn([&a, &b, &a].into_iter(), &[(0, 1), (2, 1), (0, 7), (2, 7)]);
        assert_eq!(filters(&known, &a), Some(vec![1, 7]));
        assert_eq!(filters(&known, &b), Some(vec![]), "that nobody wants it is known as well");
        assert!(known.all([&a, &b].into_iter()).is_some() && known.all([&a, &c].into_iter()).is_none());
        known.forget();
        assert_eq!(filters(&known, &a), None);
    }

    #[test]
    fn it_never_knows_more_than_it_may_and_always_the_newest() {
        let mut known = Known::default();
        for number in 0..20_000 {
            let topic = Topic::new(&format!("{number}/{}", "x".repeat(number % 500))).unwrap();
            known.learn([&topic].into_iter(), &[(0, 1), (0, 2)]);
            assert_eq!(filters(&known, &topic), Some(vec![1, 2]));
            let bytes: usize = known.topics.iter().map(|(t, f)| t.as_str().len() + size_of_val(&f[..])).sum();
            assert!(bytes <= BYTES);
        }
        let matches: Vec<_> = (0..BYTES).map(|filter| (0, filter)).collect();
        let topic = Topic::new("wanted/by/too/many").unwrap();
        known.learn([&topic].into_iter(), &matches);
        assert_eq!(filters(&known, &topic), None);
    }
}
