//! Topic aliases (MQTT 5.0, section 3.3.2.3.4): numbers in the place of topics, for one connection, each way apart.

use std::collections::HashMap;
use std::num::NonZeroU16;

use crate::codec::ReasonCode;
use crate::message::Topic;

/// Aliases that a client may use, and the most that are used towards it. Each costs a topic's memory.
pub(super) const MAX: u16 = 64;
/// The longest topic that is remembered without an alias, in bytes: each connection may keep one.
const REMEMBERED_MAX: usize = 256;

/// The aliases that a client has set, and what it named last.
#[derive(Debug, Default)]
pub(super) struct Taken {
    by_alias: HashMap<NonZeroU16, Topic>,
    /// Most clients publish under one topic, message after message.
    last: Option<Topic>,
}

impl Taken {
    /// The topic that a PUBLISH means, which names it, or an alias for it, or both to set the alias.
    ///
    /// # Errors
    /// The reason code to disconnect with.
    pub(super) fn resolve(&mut self, name: &str, alias: Option<NonZeroU16>) -> Result<Topic, ReasonCode> {
        match alias {
            Some(alias) if alias.get() > MAX => Err(ReasonCode::TopicAliasInvalid),
            Some(alias) if name.is_empty() => self.by_alias.get(&alias).cloned().ok_or(ReasonCode::ProtocolError),
            alias => {
                let topic = self.named(name)?;
                if let Some(alias) = alias {
                    self.by_alias.insert(alias, topic.clone());
                }
                Ok(topic)
            }
        }
    }

    fn named(&mut self, name: &str) -> Result<Topic, ReasonCode> {
        match &self.last {
            Some(last) if last.as_str() == name => Ok(last.clone()),
            _ => {
                let topic = Topic::new(name).map_err(|_| ReasonCode::TopicNameInvalid)?;
                self.last = (name.len() <= REMEMBERED_MAX).then(|| topic.clone());
                Ok(topic)
            }
        }
    }
}

/// The aliases that a client has been told.
#[derive(Debug)]
pub(super) struct Given {
    max: u16,
    by_topic: HashMap<Topic, NonZeroU16>,
}

impl Given {
    /// For a client that takes so many.
    pub(super) fn new(client_max: u16) -> Self {
        Self { max: client_max.min(MAX), by_topic: HashMap::new() }
    }

    /// The alias that the client knows the topic by.
    pub(super) fn known(&self, topic: &Topic) -> Option<NonZeroU16> {
        self.by_topic.get(topic).copied()
    }

    /// A number that could be told for another topic; first come, first served.
    pub(super) fn free(&self) -> Option<NonZeroU16> {
        let used = u16::try_from(self.by_topic.len()).unwrap_or(u16::MAX);
        NonZeroU16::new(used.saturating_add(1)).filter(|next| next.get() <= self.max)
    }

    /// Notes that the client has been told.
    pub(super) fn told(&mut self, topic: &Topic, alias: NonZeroU16) {
        self.by_topic.insert(topic.clone(), alias);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u16) -> Option<NonZeroU16> {
        NonZeroU16::new(n)
    }

    #[test]
    fn a_client_sets_uses_and_changes_an_alias() {
        let mut taken = Taken::default();
        assert_eq!(taken.resolve("", number(1)), Err(ReasonCode::ProtocolError));
        assert_eq!(taken.resolve("a", number(1)).unwrap().as_str(), "a");
        assert_eq!(taken.resolve("", number(1)).unwrap().as_str(), "a");
        assert_eq!(taken.resolve("b", number(1)).unwrap().as_str(), "b");
        assert_eq!(taken.resolve("", number(1)).unwrap().as_str(), "b");
        assert_eq!(taken.resolve("x", number(MAX + 1)), Err(ReasonCode::TopicAliasInvalid));
        assert_eq!(taken.resolve("a/+", None), Err(ReasonCode::TopicNameInvalid));
    }

    #[test]
    fn no_more_aliases_are_told_than_the_client_takes() {
        let mut given = Given::new(2);
        for (name, alias) in [("a", 1), ("b", 2)] {
            let topic = Topic::new(name).unwrap();
            assert_eq!((given.known(&topic), given.free()), (None, number(alias)));
            given.told(&topic, number(alias).unwrap());
            assert_eq!(given.known(&topic), number(alias));
        }
        assert_eq!(given.free(), None);
        assert_eq!(Given::new(0).free(), None);
    }
}
