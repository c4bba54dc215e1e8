//! What sessions ask of the hub, and what time brings.

use std::sync::Arc;

use super::desk::{Desk, lock};
use super::{Command, Hub};
use crate::broker::outbox::{NotTaken, Parcel};
use crate::broker::routed::Routed;
use crate::broker::stats::Drop as Dropped;
use crate::broker::sys;
use crate::broker::table::Subscriber;
use crate::message::{Receipt, TopicFilter};

impl Hub {
    pub(in crate::broker) fn obey(&mut self, command: Command) {
        let desk = Arc::clone(&self.desk);
        let desk = &mut *lock(&desk);
        match command {
            Command::Subscribe { filter, group, mut subscriber, want_kept, reply } => {
                // Here, and not where it is asked for: a change of rights meanwhile finds it in the table or comes first.
                subscriber.scope = subscriber.outbox.rights().reach(&filter);
                let granted = desk.table.has_room_for(&filter);
                let kept = granted.then(|| {
                    let kept = want_kept && group.is_none();
                    let mut kept = if kept { self.kept(desk, &filter) } else { Vec::new() };
                    kept.retain(|routed| subscriber.scope.allows(routed.message.topic.as_str()));
                    self.subscribe(desk, &filter, group.as_ref(), subscriber);
                    kept
                });
                // The session may have ended while it waited.
                let _ = reply.send(kept);
            }
            Command::JudgeAgain { reply } => {
                desk.table.judge_again();
                let _ = reply.send(());
            }
            Command::Settle { reply } => self.settling.push(reply),
            Command::Unsubscribe { filter, group, outbox, reply } => {
                if let Some(entry) = desk.table.entry(&filter) {
                    entry.list(group.as_ref()).retain(|s| !Arc::ptr_eq(&s.outbox, &outbox));
                    entry.remove_ended();
                    if entry.is_empty() {
                        self.forget(desk, &filter);
                    }
                }
                let _ = reply.send(());
            }
            Command::Redistribute { parcels } => parcels.into_iter().for_each(|mut parcel| {
                // The other one's purse pays now.
                parcel.delivery.room = None;
                self.pass_on(desk, &parcel);
            }),
        }
        desk.show_filters();
    }

    /// Adds a subscription that was there before a restart.
    pub(in crate::broker) fn restore(
        &mut self,
        filter: &TopicFilter,
        group: Option<&Arc<str>>,
        mut subscriber: Subscriber,
    ) {
        let desk = Arc::clone(&self.desk);
        let desk = &mut *lock(&desk);
        subscriber.scope = subscriber.outbox.rights().reach(filter);
        self.subscribe(desk, filter, group, subscriber);
        desk.show_filters();
    }

    fn subscribe(&mut self, desk: &mut Desk, filter: &TopicFilter, group: Option<&Arc<str>>, subscriber: Subscriber) {
        if let Some(id) = desk.table.subscribe(filter, group, subscriber) {
            self.link.subscribe(filter.as_str(), id);
        }
    }

    /// What a new subscription gets at once: retained messages, and the broker's own figures.
    fn kept(&self, desk: &Desk, filter: &TopicFilter) -> Vec<Arc<Routed>> {
        let mut kept = desk.retained.matching(filter);
        if sys::is_asked_by(filter) {
            let figures = self.system.messages().into_iter().filter(|m| filter.matches(m.topic.as_str()));
            kept.extend(figures.map(|message| Arc::new(Routed::new(message))));
        }
        kept
    }

    /// Gives a message that a lost member of a shared subscription did not get to another.
    pub(in crate::broker) fn redistribute(&self, parcel: &Parcel) {
        self.pass_on(&mut lock(&self.desk), parcel);
    }

    fn pass_on(&self, desk: &mut Desk, parcel: &Parcel) {
        let delivery = &parcel.delivery;
        let Some(share) = &delivery.share else { return };
        let entry = desk.table.entry(&share.filter);
        let group = entry.and_then(|entry| entry.groups.iter_mut().find(|group| group.name == share.group));
        // Whoever waits for the old place now waits for the new one; only then does the old one go.
        let receipts = parcel.row.map(|row| self.store.receipts(row)).unwrap_or_default();
        let again = |member: &Subscriber| member.delivery(&delivery.routed, Some(Arc::clone(share)));
        let topic = delivery.routed.message.topic.as_str();
        let taken = group.map_or(Err(NotTaken::Ended), |group| group.give(topic, again, &receipts));
        if let Some(row) = parcel.row {
            self.store.forget(row);
        }
        receipts.into_iter().for_each(Receipt::settle);
        match taken {
            // The last member has gone, and with it whoever could have had it.
            Err(NotTaken::Ended) => self.stats.dropped(Dropped::SessionEnded),
            taken => self.stats.count(taken),
        }
    }

    fn forget(&mut self, desk: &mut Desk, filter: &TopicFilter) {
        if desk.table.forget(filter) {
            self.link.unsubscribe(filter.as_str());
        }
    }

    /// Lets the subscriptions of ended sessions and expired retained messages go.
    pub(in crate::broker) fn sweep(&mut self) {
        let desk = Arc::clone(&self.desk);
        let desk = &mut *lock(&desk);
        desk.retained.purge();
        let empty = desk.table.sweep();
        for filter in &empty {
            self.forget(desk, filter);
        }
        desk.show_filters();
    }
}
