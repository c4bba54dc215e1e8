//! SUBSCRIBE and UNSUBSCRIBE: each filter judged by itself, each answered once.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::codec::{ReasonCode, RetainHandling, SubAck, Subscribe, Subscription, UnsubAck, Unsubscribe};
use super::hub::{Command, Subscriber};
use super::session::Session;
use crate::config;
use crate::message::{QoS, TopicFilter};

/// The way to the hub.
type Hub = mpsc::Sender<Command>;

/// Adds the subscriptions that are asked for, as far as each may be.
pub(super) async fn subscribe(
    session: &mut Session,
    hub: &Hub,
    settings: &config::Broker,
    packet: Subscribe,
) -> SubAck {
    let mut reasons = Vec::with_capacity(packet.subscriptions.len());
    for subscription in &packet.subscriptions {
        let reason = match judge(session, settings, subscription) {
            Ok(filter) => add(session, hub, settings, filter, subscription, packet.subscription_id).await,
            Err(reason) => reason,
        };
        reasons.push(reason);
    }
    SubAck { packet_id: packet.packet_id, details: Default::default(), reasons }
}

fn judge(session: &Session, settings: &config::Broker, subscription: &Subscription) -> Result<TopicFilter, ReasonCode> {
    let text = subscription.filter.as_str();
    if text.starts_with("$share/") {
        return Err(ReasonCode::SharedSubscriptionsNotSupported);
    }
    let filter = TopicFilter::new(text).map_err(|_| ReasonCode::TopicFilterInvalid)?;
    if text.split('/').count() > settings.max_topic_levels {
        return Err(ReasonCode::TopicFilterInvalid);
    }
    if session.filters.len() >= settings.subscriptions_per_client && !session.filters.contains(&filter) {
        return Err(ReasonCode::QuotaExceeded);
    }
    Ok(filter)
}

async fn add(
    session: &mut Session,
    hub: &Hub,
    settings: &config::Broker,
    filter: TopicFilter,
    wanted: &Subscription,
    subscription_id: Option<std::num::NonZeroU32>,
) -> ReasonCode {
    let subscriber = Subscriber {
        outbox: Arc::clone(&session.outbox),
        qos: wanted.qos,
        no_local: wanted.no_local,
        retain_as_published: wanted.retain_as_published,
        subscription_id,
    };
    let (reply, kept) = oneshot::channel();
    let command = Command::Subscribe { filter: filter.clone(), subscriber, reply };
    if hub.send(command).await.is_err() {
        return ReasonCode::UnspecifiedError;
    }
    let Ok(kept) = kept.await else { return ReasonCode::UnspecifiedError };
    let new = session.filters.insert(filter);
    let send_kept = match wanted.retain_handling {
        RetainHandling::Always => true,
        RetainHandling::IfNew => new,
        RetainHandling::Never => false,
    };
    if send_kept {
        // Room for everything that can be kept, twice: overlapping filters may each bring a message.
        session.add_retained(kept, 2 * settings.retained_messages, wanted.qos, subscription_id);
    }
    match wanted.qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
        QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
    }
}

/// Ends the subscriptions that are given up.
pub(super) async fn unsubscribe(session: &mut Session, hub: &Hub, packet: Unsubscribe) -> UnsubAck {
    let mut reasons = Vec::with_capacity(packet.filters.len());
    for text in &packet.filters {
        let known = TopicFilter::new(text).ok().filter(|filter| session.filters.remove(filter));
        let Some(filter) = known else {
            reasons.push(ReasonCode::NoSubscriptionExisted);
            continue;
        };
        let (reply, done) = oneshot::channel();
        let command = Command::Unsubscribe { filter, outbox: Arc::clone(&session.outbox), reply };
        let gone = hub.send(command).await.is_ok() && done.await.is_ok();
        reasons.push(if gone { ReasonCode::Success } else { ReasonCode::UnspecifiedError });
    }
    UnsubAck { packet_id: packet.packet_id, details: Default::default(), reasons }
}
