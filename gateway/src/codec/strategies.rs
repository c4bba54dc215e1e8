//! Arbitrary packets for property tests, each one that its version can say in full.
//!
//! Owns the generators, for the tests of other rooms too. Never makes a packet that [`super::write`] refuses or
//! shortens: what is read back after writing is equal.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::message::QoS;

/// All versions.
pub(crate) fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V31), Just(Version::V311), Just(Version::V5)]
}

/// A version and a packet of it.
pub(crate) fn versioned_packet() -> impl Strategy<Value = (Version, Packet)> {
    version().prop_flat_map(|version| packet(version).prop_map(move |packet| (version, packet)))
}

/// Any packet of `version`, CONNECT included.
pub(crate) fn packet(version: Version) -> BoxedStrategy<Packet> {
    let v5_only = match version {
        Version::V5 => auth().prop_map(Packet::Auth).boxed(),
        _ => Just(Packet::PingReq).boxed(),
    };
    prop_oneof![
        2 => connect(version).prop_map(|connect| Packet::Connect(Box::new(connect))),
        2 => connack(version).prop_map(|connack| Packet::ConnAck(Box::new(connack))),
        3 => publish(version).prop_map(Packet::Publish),
        1 => ack(version, ack::RECEIVED).prop_map(Packet::PubAck),
        1 => ack(version, ack::RECEIVED).prop_map(Packet::PubRec),
        1 => ack(version, ack::RELEASED).prop_map(Packet::PubRel),
        1 => ack(version, ack::RELEASED).prop_map(Packet::PubComp),
        2 => subscribe(version).prop_map(Packet::Subscribe),
        1 => suback(version).prop_map(Packet::SubAck),
        1 => unsubscribe(version).prop_map(Packet::Unsubscribe),
        1 => unsuback(version).prop_map(Packet::UnsubAck),
        1 => prop_oneof![Just(Packet::PingReq), Just(Packet::PingResp)],
        1 => disconnect(version).prop_map(Packet::Disconnect),
        1 => v5_only,
    ]
    .boxed()
}

/// A valid text, often short, sometimes longer than one byte of length can say.
pub(crate) fn text() -> impl Strategy<Value = Utf8> {
    let short = vec(any::<char>(), 0..8).prop_map(String::from_iter);
    let long = (any::<char>(), 60..200_usize).prop_map(|(c, count)| String::from_iter(vec![c; count]));
    prop_oneof![8 => short, 1 => long].prop_map(|text| Utf8::new(&text.replace('\0', "x")).unwrap())
}

/// A topic name.
pub(crate) fn topic() -> impl Strategy<Value = Utf8> {
    text().prop_map(|text| Utf8::new(&format!("t{}", text.replace(['+', '#'], "/"))).unwrap())
}

/// A topic filter, now and then a shared one.
pub(crate) fn filter() -> impl Strategy<Value = Utf8> {
    let level = prop_oneof![Just("+".to_owned()), topic().prop_map(|topic| topic.to_string())];
    (any::<bool>(), vec(level, 1..4), any::<bool>()).prop_map(|(shared, levels, all)| {
        let prefix = if shared { "$share/g/" } else { "" };
        let suffix = if all { "/#" } else { "" };
        Utf8::new(&format!("{prefix}{}{suffix}", levels.join("/"))).unwrap()
    })
}

/// Any bytes.
pub(crate) fn binary() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

/// All levels.
pub(crate) fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

fn id() -> impl Strategy<Value = NonZeroU16> {
    any::<NonZeroU16>()
}

fn subscription_id() -> impl Strategy<Value = NonZeroU32> {
    prop_oneof![1_u32..300, 1_u32..=268_435_455].prop_map(|id| NonZeroU32::new(id).unwrap())
}

fn user() -> impl Strategy<Value = UserProperties> {
    vec((text(), text()), 0..3)
}

fn one_of(reasons: &'static [ReasonCode]) -> impl Strategy<Value = ReasonCode> {
    proptest::sample::select(reasons)
}

/// `strategy` for 5.0, the default for versions that cannot say it.
fn v5_or_default<T: Default + Clone + std::fmt::Debug + 'static>(
    version: Version,
    strategy: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T> {
    if version == Version::V5 { strategy.boxed() } else { Just(T::default()).boxed() }
}

fn details() -> impl Strategy<Value = Details> {
    (option::of(text()), user()).prop_map(|(reason_string, user)| Details { reason_string, user })
}

fn authentication() -> impl Strategy<Value = Authentication> {
    (text(), option::of(binary())).prop_map(|(method, data)| Authentication { method, data })
}

/// Properties that a will may have.
fn common_properties() -> impl Strategy<Value = PublishProperties> {
    (
        option::of(any::<bool>()),
        option::of(any::<u32>()),
        option::of(topic()),
        option::of(binary()),
        user(),
        option::of(text()),
    )
        .prop_map(|(payload_is_utf8, expiry, response_topic, correlation_data, user, content_type)| {
            PublishProperties {
                payload_is_utf8,
                expiry,
                response_topic,
                correlation_data,
                user,
                content_type,
                ..PublishProperties::default()
            }
        })
}

/// Properties of a PUBLISH; `None` rather than empty ones, as reading has it.
fn publish_properties() -> impl Strategy<Value = Option<Box<PublishProperties>>> {
    (common_properties(), option::of(id()), vec(subscription_id(), 0..3)).prop_map(
        |(common, topic_alias, subscription_ids)| {
            let properties = PublishProperties { topic_alias, subscription_ids, ..common };
            (properties != PublishProperties::default()).then(|| Box::new(properties))
        },
    )
}

/// A PUBLISH of `version`.
pub(crate) fn publish(version: Version) -> impl Strategy<Value = Publish> {
    let properties = v5_or_default(version, prop_oneof![Just(None), publish_properties()]);
    (any::<[bool; 3]>(), qos(), topic(), id(), binary(), properties).prop_map(
        |([dup, retain, no_topic], qos, topic, id, payload, properties)| {
            let aliased = properties.as_ref().is_some_and(|properties| properties.topic_alias.is_some());
            let acknowledged = qos != QoS::AtMostOnce;
            Publish {
                dup: dup && acknowledged,
                qos,
                retain,
                topic: if no_topic && aliased { Utf8::default() } else { topic },
                packet_id: acknowledged.then_some(id),
                payload,
                properties,
            }
        },
    )
}

fn will(version: Version) -> impl Strategy<Value = Will> {
    let v5 = v5_or_default(version, (option::of(any::<u32>()), common_properties()));
    (topic(), binary(), qos(), any::<bool>(), v5).prop_map(|(topic, payload, qos, retain, (delay, properties))| Will {
        topic,
        payload,
        qos,
        retain,
        delay,
        properties,
    })
}

/// A CONNECT of `version`.
pub(crate) fn connect(version: Version) -> impl Strategy<Value = Connect> {
    let who = (topic(), option::of(will(version)), option::of(text()), option::of(binary()));
    let limits = (
        option::of(any::<u32>()),
        option::of(id()),
        option::of(any::<NonZeroU32>()),
        option::of(any::<u16>()),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
    );
    let v5 = v5_or_default(version, (limits, user(), option::of(authentication())));
    (any::<bool>(), any::<u16>(), who, v5).prop_map(move |(clean_start, keep_alive, who, (limits, user, step))| {
        let mut connect = Connect::new(version, who.0);
        connect.clean_start = clean_start;
        connect.keep_alive = keep_alive;
        connect.will = who.1;
        connect.user_name = who.2;
        let password_allowed = version == Version::V5 || connect.user_name.is_some();
        connect.password = who.3.filter(|_| password_allowed);
        connect.session_expiry = limits.0;
        connect.receive_maximum = limits.1;
        connect.maximum_packet_size = limits.2;
        connect.topic_alias_maximum = limits.3;
        connect.request_response_information = limits.4;
        connect.request_problem_information = limits.5;
        connect.user = user;
        connect.authentication = step;
        connect
    })
}

/// A CONNACK of `version`.
pub(crate) fn connack(version: Version) -> BoxedStrategy<ConnAck> {
    let reason = match version {
        Version::V5 => one_of(connack::ALLOWED).boxed(),
        _ => (0_u8..6).prop_map(|code| ReasonCode::from_connack_v3(code).unwrap()).boxed(),
    };
    let plain = (any::<bool>(), reason).prop_map(move |(present, reason)| {
        ConnAck::new(present && reason == ReasonCode::Success && version != Version::V31, reason)
    });
    if version != Version::V5 {
        return plain.boxed();
    }
    let flags =
        (option::of(any::<bool>()), option::of(any::<bool>()), option::of(any::<bool>()), any::<Option<bool>>());
    let numbers =
        (option::of(any::<u32>()), option::of(id()), option::of(any::<NonZeroU32>()), any::<[Option<u16>; 2]>());
    let texts = (option::of(text()), option::of(text()), option::of(text()));
    (plain, flags, numbers, texts, details(), option::of(authentication()))
        .prop_map(|(plain, flags, numbers, texts, details, authentication)| ConnAck {
            retain_available: flags.0,
            wildcards_available: flags.1,
            subscription_ids_available: flags.2,
            shared_available: flags.0,
            maximum_qos: flags.3.map(|one| if one { QoS::AtLeastOnce } else { QoS::AtMostOnce }),
            session_expiry: numbers.0,
            receive_maximum: numbers.1,
            maximum_packet_size: numbers.2,
            topic_alias_maximum: numbers.3[0],
            server_keep_alive: numbers.3[1],
            assigned_client_id: texts.0,
            response_information: texts.1,
            server_reference: texts.2,
            details,
            authentication,
            ..plain
        })
        .boxed()
}

fn ack(version: Version, allowed: &'static [ReasonCode]) -> impl Strategy<Value = Ack> {
    let v5 = v5_or_default(version, (one_of(allowed).prop_map(Some), details()));
    (id(), v5).prop_map(|(packet_id, (reason, details))| Ack {
        packet_id,
        reason: reason.unwrap_or(ReasonCode::Success),
        details,
    })
}

fn subscription(version: Version) -> impl Strategy<Value = Subscription> {
    let handling = prop_oneof![Just(RetainHandling::Always), Just(RetainHandling::IfNew), Just(RetainHandling::Never)];
    let v5 = v5_or_default(version, (any::<bool>(), any::<bool>(), handling));
    (filter(), qos(), v5).prop_map(|(filter, qos, (no_local, retain_as_published, retain_handling))| Subscription {
        filter,
        qos,
        no_local,
        retain_as_published,
        retain_handling,
    })
}

/// A SUBSCRIBE of `version`.
pub(crate) fn subscribe(version: Version) -> impl Strategy<Value = Subscribe> {
    let v5 = v5_or_default(version, (option::of(subscription_id()), user()));
    (id(), v5, vec(subscription(version), 1..4)).prop_map(|(packet_id, (subscription_id, user), subscriptions)| {
        Subscribe { packet_id, subscription_id, user, subscriptions }
    })
}

fn suback(version: Version) -> impl Strategy<Value = SubAck> {
    let reasons = if version == Version::V5 { suback::SUBACK } else { suback::SUBACK_V3 };
    (id(), v5_or_default(version, details()), vec(one_of(reasons), 1..4))
        .prop_map(|(packet_id, details, reasons)| SubAck { packet_id, details, reasons })
}

/// An UNSUBSCRIBE of `version`.
pub(crate) fn unsubscribe(version: Version) -> impl Strategy<Value = Unsubscribe> {
    (id(), v5_or_default(version, user()), vec(filter(), 1..4)).prop_map(|(packet_id, user, filters)| Unsubscribe {
        packet_id,
        user,
        filters,
    })
}

fn unsuback(version: Version) -> impl Strategy<Value = UnsubAck> {
    let v5 = v5_or_default(version, (details(), vec(one_of(suback::UNSUBACK), 1..4)));
    (id(), v5).prop_map(|(packet_id, (details, reasons))| UnsubAck { packet_id, details, reasons })
}

fn disconnect(version: Version) -> impl Strategy<Value = Disconnect> {
    let reason = one_of(disconnect::DISCONNECT).prop_map(Some);
    let v5 = v5_or_default(version, (reason, option::of(any::<u32>()), details(), option::of(text())));
    v5.prop_map(|(reason, session_expiry, details, server_reference)| Disconnect {
        reason: reason.unwrap_or(ReasonCode::Success),
        session_expiry,
        details,
        server_reference,
    })
}

fn auth() -> impl Strategy<Value = Auth> {
    let step = (one_of(disconnect::AUTH), authentication(), details()).prop_map(|(reason, step, details)| Auth {
        reason,
        authentication: Some(step),
        details,
    });
    let empty = Auth { reason: ReasonCode::Success, authentication: None, details: Details::default() };
    prop_oneof![4 => step, 1 => Just(empty)]
}
