//! Shared subscriptions (MQTT 5.0, section 4.8.2): a group takes turns, each message goes to one of its members.

use std::sync::Arc;

use super::outbox::{Delivery, NotTaken};
use super::table::Subscriber;
use crate::message::{Receipt, TopicError, TopicFilter};

const PREFIX: &str = "$share/";

/// What a subscription names: a filter, perhaps shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shared {
    /// The group's name.
    pub(super) group: Arc<str>,
    /// The filter behind it. Groups of one name with different filters are different groups.
    pub(super) filter: TopicFilter,
}

impl Shared {
    /// The whole, as a client writes it.
    pub(super) fn name(&self) -> Option<TopicFilter> {
        TopicFilter::new(&format!("{PREFIX}{}/{}", self.group, self.filter)).ok()
    }
}

/// Splits `$share/GROUP/FILTER`; `None` for a filter that is not shared.
///
/// # Errors
/// A group without a name or with a wildcard in it, or no filter behind it.
pub(super) fn parse(text: &str) -> Result<Option<Shared>, TopicError> {
    let Some(rest) = text.strip_prefix(PREFIX) else { return Ok(None) };
    let (group, filter) = rest.split_once('/').ok_or(TopicError::Empty)?;
    if group.is_empty() {
        return Err(TopicError::Empty);
    }
    if group.contains(['+', '#']) {
        return Err(TopicError::Wildcard);
    }
    Ok(Some(Shared { group: group.into(), filter: TopicFilter::new(filter)? }))
}

/// The members of one group on one filter.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Arc<str>,
    pub(super) members: Vec<Subscriber>,
    next: usize,
}

impl Group {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self { name, members: Vec::new(), next: 0 }
    }

    /// Gives a message to the member whose turn it is. One that has no right to the topic is passed over, and one that is
    /// away or full as long as another is there; the last resort is the queue of one that is away.
    pub(super) fn give(
        &mut self,
        topic: &str,
        delivery: impl Fn(&Subscriber) -> Delivery,
        receipts: &[Receipt],
    ) -> Result<(), NotTaken> {
        let mut why = NotTaken::Ended;
        for away_too in [false, true] {
            for turn in 0..self.members.len() {
                let index = (self.next + turn) % self.members.len();
                let Some(member) = self.members.get(index) else { continue };
                if !member.scope.allows(topic) {
                    if why == NotTaken::Ended {
                        why = NotTaken::NotAllowed;
                    }
                    continue;
                }
                match member.outbox.push(delivery(member), away_too, receipts) {
                    Ok(()) => {
                        self.next = index + 1;
                        return Ok(());
                    }
                    Err(NotTaken::Ended) => {}
                    Err(other) => why = other,
                }
            }
        }
        Err(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_filter_is_split_and_its_faults_are_found() {
        let shared = parse("$share/g/a/+/#").unwrap().unwrap();
        assert_eq!((&*shared.group, shared.filter.as_str()), ("g", "a/+/#"));
        assert_eq!(parse("$share/g//x").unwrap().unwrap().filter.as_str(), "/x");
        assert_eq!(parse("$SYS/#"), Ok(None));
        assert_eq!(parse("$shared/g/a"), Ok(None));
        for wrong in ["$share/", "$share/g", "$share/g/", "$share//a", "$share/g+/a", "$share/#/a", "$share/g/a#"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
