//! Who wants what: distinct filters, and the subscriptions behind each. Only the hub's desk has one.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::known::Known;
use super::outbox::{Delivery, Outbox};
use super::rights::Scope;
use super::routed::Routed;
use super::router::FilterId;
use super::share::{Group, Shared};
use crate::message::{QoS, TopicFilter};
use crate::store::SubscriptionRow;

/// A subscription's options and the session it belongs to.
#[derive(Debug, Clone)]
pub(super) struct Subscriber {
    pub(super) outbox: Arc<Outbox>,
    pub(super) qos: QoS,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) subscription_id: Option<NonZeroU32>,
    /// How much of the filter the client may have. The hub sets it.
    pub(super) scope: Scope,
}

impl Subscriber {
    pub(super) fn new(outbox: &Arc<Outbox>, row: SubscriptionRow) -> Self {
        Self {
            outbox: Arc::clone(outbox),
            qos: row.qos,
            no_local: row.no_local,
            retain_as_published: row.retain_as_published,
            subscription_id: row.subscription_id,
            scope: Scope::Nothing,
        }
    }

    /// The message as this subscription wants it.
    pub(super) fn delivery(&self, routed: &Arc<Routed>, share: Option<Arc<Shared>>) -> Delivery {
        Delivery {
            routed: Arc::clone(routed),
            qos: routed.message.qos.min(self.qos),
            retain: routed.message.retain && self.retain_as_published,
            subscription_id: self.subscription_id,
            share,
            room: None,
        }
    }
}

/// One filter and who has it.
pub(super) struct FilterEntry {
    pub(super) filter: TopicFilter,
    pub(super) subscribers: Vec<Subscriber>,
    pub(super) groups: Vec<Group>,
}

impl FilterEntry {
    fn new(filter: TopicFilter) -> Self {
        Self { filter, subscribers: Vec::new(), groups: Vec::new() }
    }

    /// The list of a group, or of those who share with nobody.
    pub(super) fn list(&mut self, group: Option<&Arc<str>>) -> &mut Vec<Subscriber> {
        let Some(name) = group else { return &mut self.subscribers };
        let index = self.groups.iter().position(|g| g.name == *name).unwrap_or_else(|| {
            self.groups.push(Group::new(Arc::clone(name)));
            self.groups.len() - 1
        });
        &mut self.groups[index].members
    }

    fn retain(&mut self, keep: impl Fn(&Subscriber) -> bool) {
        self.subscribers.retain(&keep);
        self.groups.iter_mut().for_each(|group| group.members.retain(&keep));
        self.groups.retain(|group| !group.members.is_empty());
    }

    pub(super) fn remove_ended(&mut self) {
        self.retain(|s| !s.outbox.is_closed());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subscribers.is_empty() && self.groups.is_empty()
    }
}

/// Who wants what. Filter ids count up for the life of a router and are never used twice in it. Policy when there are
/// `max_filters`: one more is refused. Each makes matching a new topic dearer and has a ring of its own in the router.
pub(super) struct Table {
    pub(super) ids: HashMap<TopicFilter, FilterId>,
    pub(super) entries: HashMap<FilterId, FilterEntry>,
    /// Forgotten whenever `ids` change.
    pub(super) known: Known,
    last_id: FilterId,
    max_filters: usize,
}

impl Table {
    pub(super) fn new(max_filters: usize) -> Self {
        Self { ids: HashMap::new(), entries: HashMap::new(), known: Known::default(), last_id: 0, max_filters }
    }

    /// Whether a subscription to `filter` may be added.
    pub(super) fn has_room_for(&self, filter: &TopicFilter) -> bool {
        self.ids.len() < self.max_filters || self.ids.contains_key(filter)
    }

    pub(super) fn entry(&mut self, filter: &TopicFilter) -> Option<&mut FilterEntry> {
        self.entries.get_mut(self.ids.get(filter)?)
    }

    /// Adds a subscription, in the place of the one that the session had on the same filter. Gives the filter's number if
    /// it is new.
    pub(super) fn subscribe(
        &mut self,
        filter: &TopicFilter,
        group: Option<&Arc<str>>,
        subscriber: Subscriber,
    ) -> Option<FilterId> {
        let new = !self.ids.contains_key(filter);
        if new {
            self.known.forget();
            self.last_id += 1;
            self.ids.insert(filter.clone(), self.last_id);
            self.entries.insert(self.last_id, FilterEntry::new(filter.clone()));
        }
        if let Some(entry) = self.entry(filter) {
            let list = entry.list(group);
            list.retain(|s| !Arc::ptr_eq(&s.outbox, &subscriber.outbox) && !s.outbox.is_closed());
            list.push(subscriber);
        }
        new.then_some(self.last_id)
    }

    /// Works out anew what each subscription may have. The rights of a session are made once for all that it has.
    pub(super) fn judge_again(&mut self) {
        let mut rights = HashMap::new();
        for FilterEntry { filter, subscribers, groups } in self.entries.values_mut() {
            let members = groups.iter_mut().flat_map(|group| &mut group.members);
            for s in members.chain(subscribers) {
                let rights = rights.entry(Arc::as_ptr(&s.outbox)).or_insert_with(|| s.outbox.rights());
                s.scope = rights.reach(filter);
            }
        }
    }

    /// Forgets a filter. Says whether it was there.
    pub(super) fn forget(&mut self, filter: &TopicFilter) -> bool {
        self.known.forget();
        self.ids.remove(filter).is_some_and(|id| self.entries.remove(&id).is_some())
    }

    /// Lets the subscriptions of ended sessions go. Gives the filters that nobody has any more.
    pub(super) fn sweep(&mut self) -> Vec<TopicFilter> {
        self.entries.values_mut().for_each(FilterEntry::remove_ended);
        self.entries.values().filter(|entry| entry.is_empty()).map(|entry| entry.filter.clone()).collect()
    }
}
