//! Says what a user may do by trying all topics there are, level by level, with no knowledge of how filters compare.

use std::collections::BTreeSet;

use super::world::{User, World, universe};

/// What becomes of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grant {
    Whole,
    /// With the topics that are left of it.
    Cut(BTreeSet<String>),
    Refused,
}

pub(crate) struct Oracle {
    universe: Vec<String>,
    publish: Vec<String>,
    subscribe: Vec<String>,
}

impl Oracle {
    pub(crate) fn of(world: &World, user: &User) -> Self {
        let groups = || user.groups.iter().map(|group| &world.groups[*group]);
        let all = |own: &[String], more: Vec<&String>| {
            own.iter().chain(more).filter_map(|right| filled(right, user)).collect::<Vec<_>>()
        };
        Self {
            universe: universe(user),
            publish: all(&user.publish, groups().flat_map(|group| &group.publish).collect()),
            subscribe: all(&user.subscribe, groups().flat_map(|group| &group.subscribe).collect()),
        }
    }

    pub(crate) fn may_publish(&self, topic: &str) -> bool {
        self.publish.iter().any(|right| matches(right, topic))
    }

    fn under(&self, filter: &str) -> BTreeSet<String> {
        self.universe.iter().filter(|topic| matches(filter, topic)).cloned().collect()
    }

    pub(crate) fn may_subscribe(&self, filter: &str) -> Grant {
        let wanted = self.under(filter);
        let rights: Vec<_> = self.subscribe.iter().map(|right| self.under(right)).collect();
        if rights.iter().any(|right| wanted.is_subset(right)) {
            return Grant::Whole;
        }
        if rights.iter().any(|right| right.is_subset(&wanted)) {
            return Grant::Refused;
        }
        let left: BTreeSet<_> = rights.iter().flat_map(|right| wanted.intersection(right)).cloned().collect();
        if left.is_empty() { Grant::Refused } else { Grant::Cut(left) }
    }

    /// Whether a message of this topic comes by a granted subscription.
    pub(crate) fn gets(&self, grant: &Grant, filter: &str, topic: &str) -> bool {
        match grant {
            Grant::Whole => matches(filter, topic),
            Grant::Cut(left) => left.contains(topic),
            Grant::Refused => false,
        }
    }
}

/// A right with the names in it, `None` where a name has no place in a topic.
fn filled(right: &str, user: &User) -> Option<String> {
    let good = |name: &str| !name.is_empty() && !name.contains(['/', '+', '#']);
    let names = [("%u", user.name), ("%c", user.client)];
    let wrong = names.iter().any(|(mark, name)| right.contains(mark) && !good(name));
    (!wrong).then(|| right.replace("%u", user.name).replace("%c", user.client))
}

/// MQTT 5.0, section 4.7, by going down both texts at once.
fn matches(filter: &str, topic: &str) -> bool {
    let (first, more) = filter.split_once('/').map_or((filter, None), |(first, more)| (first, Some(more)));
    let (name, rest) = topic.split_once('/').map_or((topic, None), |(name, rest)| (name, Some(rest)));
    if first == "#" {
        return true;
    }
    if first != "+" && first != name {
        return false;
    }
    match (more, rest) {
        (None, None) | (Some("#"), None) => true,
        (Some(more), Some(rest)) => matches(more, rest),
        _ => false,
    }
}
