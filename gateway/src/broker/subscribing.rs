//! SUBSCRIBE and UNSUBSCRIBE: each filter judged by itself, each answered once.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::access::Standing;
use super::hub::Command;
use super::session::Session;
use super::share;
use super::table::Subscriber;
use crate::codec::{ReasonCode, RetainHandling, SubAck, Subscribe, Subscription, UnsubAck, Unsubscribe};
use crate::config;
use crate::message::{Awaited, QoS, TopicFilter};
use crate::store::SubscriptionRow;

/// The way to the hub.
type Hub = mpsc::Sender<Command>;

/// Adds the subscriptions that are asked for, as far as each may be. With what must be safe before they are acknowledged.
pub(super) async fn subscribe(
    session: &mut Session,
    hub: &Hub,
    settings: &config::Broker,
    standing: &Standing,
    packet: Subscribe,
) -> (SubAck, Vec<Awaited>) {
    let mut reasons = Vec::with_capacity(packet.subscriptions.len());
    let mut awaited = Vec::new();
    // Each grant costs a turn of the hub; one packet may ask for some again, but not without end.
    let mut turns = 2 * settings.subscriptions_per_client;
    for subscription in &packet.subscriptions {
        let reason = match judge(session, settings, standing, subscription) {
            Ok(_) if turns == 0 => ReasonCode::QuotaExceeded,
            Ok(granted) => {
                turns -= 1;
                match add(session, hub, settings, &granted, subscription, packet.subscription_id).await {
                    Ok(row) => {
                        awaited
                            .extend(session.keeper.as_ref().map(|keeper| keeper.subscribe(&granted.name, Some(row))));
                        granted_reason(row.qos)
                    }
                    Err(reason) => reason,
                }
            }
            Err(reason) => reason,
        };
        reasons.push(reason);
    }
    (SubAck { packet_id: packet.packet_id, details: Default::default(), reasons }, awaited)
}

/// Whether a subscription that is shared wants no messages of its own client, which can't be (section 3.8.3.1).
pub(super) fn is_shared_no_local(packet: &Subscribe) -> bool {
    packet.subscriptions.iter().any(|s| s.no_local && s.filter.starts_with("$share/"))
}

/// A subscription that may be.
struct Granted {
    /// What the client calls it: the whole text.
    name: TopicFilter,
    /// The filter itself.
    filter: TopicFilter,
    group: Option<Arc<str>>,
}

fn judge(
    session: &Session,
    settings: &config::Broker,
    standing: &Standing,
    wanted: &Subscription,
) -> Result<Granted, ReasonCode> {
    let invalid = |_| ReasonCode::TopicFilterInvalid;
    let name = TopicFilter::new(&wanted.filter).map_err(invalid)?;
    let (filter, group) = match share::parse(&wanted.filter).map_err(invalid)? {
        Some(shared) => (shared.filter, Some(shared.group)),
        None => (name.clone(), None),
    };
    if !super::fits(filter.as_str(), settings) {
        return Err(ReasonCode::TopicFilterInvalid);
    }
    if !standing.may_subscribe(&filter) {
        return Err(ReasonCode::NotAuthorized);
    }
    if session.filters.len() >= settings.subscriptions_per_client && !session.filters.contains(&name) {
        return Err(ReasonCode::QuotaExceeded);
    }
    Ok(Granted { name, filter, group })
}

async fn add(
    session: &mut Session,
    hub: &Hub,
    settings: &config::Broker,
    granted: &Granted,
    wanted: &Subscription,
    subscription_id: Option<std::num::NonZeroU32>,
) -> Result<SubscriptionRow, ReasonCode> {
    let row = SubscriptionRow {
        qos: wanted.qos,
        no_local: wanted.no_local,
        retain_as_published: wanted.retain_as_published,
        subscription_id,
    };
    let (reply, kept) = oneshot::channel();
    let want_kept = match wanted.retain_handling {
        RetainHandling::Always => true,
        RetainHandling::IfNew => !session.filters.contains(&granted.name),
        RetainHandling::Never => false,
    };
    let (filter, group) = (granted.filter.clone(), granted.group.clone());
    let subscriber = Subscriber::new(&session.outbox, row);
    let command = Command::Subscribe { filter, group, subscriber, want_kept, reply };
    if hub.send(command).await.is_err() {
        return Err(ReasonCode::UnspecifiedError);
    }
    let kept = match kept.await {
        Ok(Some(kept)) => kept,
        Ok(None) => return Err(ReasonCode::QuotaExceeded),
        Err(_stopping) => return Err(ReasonCode::UnspecifiedError),
    };
    session.card.subscribed(granted.name.clone(), wanted.qos);
    session.filters.insert(granted.name.clone());
    // Room for everything that can be kept, twice: overlapping filters may each bring a message.
    session.add_retained(kept, 2 * settings.retained_messages, wanted.qos, subscription_id);
    Ok(row)
}

fn granted_reason(qos: QoS) -> ReasonCode {
    match qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
        QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
    }
}

/// What a client's text for a filter names: the filter itself, and the group that shares it. Understood when it was
/// subscribed to.
pub(super) fn parts(name: &TopicFilter) -> (TopicFilter, Option<Arc<str>>) {
    match share::parse(name.as_str()) {
        Ok(Some(shared)) => (shared.filter, Some(shared.group)),
        _ => (name.clone(), None),
    }
}

/// Ends the subscriptions that are given up. With what must be safe before that is acknowledged.
pub(super) async fn unsubscribe(session: &mut Session, hub: &Hub, packet: Unsubscribe) -> (UnsubAck, Vec<Awaited>) {
    let mut awaited = Vec::new();
    let mut reasons = Vec::with_capacity(packet.filters.len());
    for text in &packet.filters {
        let known = TopicFilter::new(text).ok().filter(|name| session.filters.remove(name));
        let Some(name) = known else {
            reasons.push(ReasonCode::NoSubscriptionExisted);
            continue;
        };
        session.card.unsubscribed(&name);
        awaited.extend(session.keeper.as_ref().map(|keeper| keeper.subscribe(&name, None)));
        let (filter, group) = parts(&name);
        let (reply, done) = oneshot::channel();
        let command = Command::Unsubscribe { filter, group, outbox: Arc::clone(&session.outbox), reply };
        let gone = hub.send(command).await.is_ok() && done.await.is_ok();
        reasons.push(if gone { ReasonCode::Success } else { ReasonCode::UnspecifiedError });
    }
    (UnsubAck { packet_id: packet.packet_id, details: Default::default(), reasons }, awaited)
}
