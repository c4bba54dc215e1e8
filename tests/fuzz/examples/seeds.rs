//! Writes the seeds of the corpus with the daemon's own encoder: one a packet kind and version, and a few conversations.
//!
//!     cargo run --manifest-path tests/fuzz/Cargo.toml --example seeds

use std::path::Path;

use bytes::{Bytes, BytesMut};
use stile::codec::{
    Ack, Auth, Authentication, ConnAck, Connect, Details, Disconnect, Packet, Publish, PublishProperties, ReasonCode,
    RetainHandling, SubAck, Subscribe, Subscription, UnsubAck, Unsubscribe, Utf8, Version, Will, write,
};
use stile::message::QoS;
use stile_fuzz::id;

const VERSIONS: [(Version, &str); 3] = [(Version::V31, "v31"), (Version::V311, "v311"), (Version::V5, "v5")];
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// The requests before a WebSocket, and a frame's header with a mask of zeros.
const UPGRADE: &str = "GET /mqtt HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Protocol: mqtt\r\n\r\n";

fn text(text: &str) -> Utf8 {
    Utf8::new(text).expect("valid text")
}

fn rich() -> PublishProperties {
    PublishProperties {
        payload_is_utf8: Some(true),
        expiry: Some(60),
        response_topic: Some(text("answer")),
        correlation_data: Some(Bytes::from_static(b"c")),
        user: vec![(text("a"), text("b"))],
        content_type: Some(text("text/plain")),
        ..PublishProperties::default()
    }
}

fn connect(version: Version, name: &str, persistent: bool) -> Packet {
    let mut connect = Connect::new(version, text(name));
    connect.clean_start = !persistent;
    connect.user_name = Some(text("user"));
    connect.password = Some(Bytes::from_static(b"password"));
    if version == Version::V5 {
        connect.session_expiry = persistent.then_some(60);
        connect.receive_maximum = Some(id(2));
        connect.topic_alias_maximum = Some(2);
        connect.maximum_packet_size = std::num::NonZeroU32::new(200);
    }
    Packet::Connect(Box::new(connect))
}

fn with_will(version: Version) -> Packet {
    let Packet::Connect(mut connect) = connect(version, "will", true) else { unreachable!("it is a CONNECT") };
    let v5 = version == Version::V5;
    let properties = if v5 { rich() } else { PublishProperties::default() };
    let delay = v5.then_some(1);
    let payload = Bytes::from_static(b"gone");
    connect.will =
        Some(Will { topic: text("a/will"), payload, qos: QoS::AtLeastOnce, retain: true, delay, properties });
    Packet::Connect(connect)
}

fn publish(version: Version, qos: QoS, retain: bool, topic: &str) -> Packet {
    let properties =
        (version == Version::V5).then(|| Box::new(PublishProperties { topic_alias: Some(id(1)), ..rich() }));
    let packet_id = (qos != QoS::AtMostOnce).then_some(id(7));
    let payload = Bytes::from_static(b"payload");
    Packet::Publish(Publish { dup: false, qos, retain, topic: text(topic), packet_id, payload, properties })
}

fn subscribe(version: Version, filters: &[&str]) -> Packet {
    let v5 = version == Version::V5;
    let subscription = |filter: &&str| Subscription {
        filter: text(filter),
        qos: QoS::ExactlyOnce,
        no_local: v5 && !filter.starts_with("$share"),
        retain_as_published: v5,
        retain_handling: if v5 { RetainHandling::IfNew } else { RetainHandling::Always },
    };
    let subscriptions = filters.iter().map(subscription).collect();
    let subscription_id = if v5 { std::num::NonZeroU32::new(3) } else { None };
    Packet::Subscribe(Subscribe { packet_id: id(1), subscription_id, user: Vec::new(), subscriptions })
}

fn unsubscribe() -> Packet {
    Packet::Unsubscribe(Unsubscribe { packet_id: id(2), user: Vec::new(), filters: vec![text("a/#"), text("none")] })
}

/// What a client may send once it is in, by name.
fn from_clients(version: Version) -> Vec<(String, Packet)> {
    let ack = |number| Ack::new(id(number), ReasonCode::Success);
    let mut all = vec![
        ("subscribe".to_owned(), subscribe(version, &["a/#", "+/b", "$share/g/a/+"])),
        ("unsubscribe".to_owned(), unsubscribe()),
        ("puback".to_owned(), Packet::PubAck(ack(1))),
        ("pubrec".to_owned(), Packet::PubRec(ack(1))),
        ("pubrel".to_owned(), Packet::PubRel(ack(7))),
        ("pubcomp".to_owned(), Packet::PubComp(ack(1))),
        ("pingreq".to_owned(), Packet::PingReq),
        ("disconnect".to_owned(), Packet::Disconnect(Disconnect::new(ReasonCode::Success))),
    ];
    all.extend(QOS.map(|qos| (format!("publish-{}", qos as u8), publish(version, qos, qos as u8 > 0, "a/b"))));
    all
}

/// What only servers send, and AUTH.
fn from_servers(version: Version) -> Vec<(String, Packet)> {
    let details = Details::default();
    let reasons = vec![ReasonCode::Success];
    let suback = SubAck { packet_id: id(1), details: details.clone(), reasons: reasons.clone() };
    let reasons = if version == Version::V5 { reasons } else { Vec::new() };
    let unsuback = UnsubAck { packet_id: id(2), details: details.clone(), reasons };
    let mut all = vec![
        ("connack".to_owned(), Packet::ConnAck(Box::new(ConnAck::new(false, ReasonCode::Success)))),
        ("suback".to_owned(), Packet::SubAck(suback)),
        ("unsuback".to_owned(), Packet::UnsubAck(unsuback)),
        ("pingresp".to_owned(), Packet::PingResp),
    ];
    if version == Version::V5 {
        let authentication = Some(Authentication { method: text("m"), data: Some(Bytes::from_static(b"d")) });
        let reason = ReasonCode::Success;
        all.push(("auth".to_owned(), Packet::Auth(Auth { reason, authentication, details })));
    }
    all
}

fn bytes(version: Version, packet: &Packet) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(packet, version, &mut out).expect("a packet that this version has");
    out.to_vec()
}

/// A packet in a script, without its length.
fn framed(version: Version, packet: &Packet) -> Vec<u8> {
    let bytes = bytes(version, packet);
    let length = bytes[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let bare = [&bytes[..1], &bytes[1 + length..]].concat();
    let escaped = bare.into_iter().flat_map(|byte| if byte == 0xff { vec![byte; 2] } else { vec![byte] });
    [0xff, 5].into_iter().chain(escaped).collect()
}

/// A script in which packets follow each other; a number is a mark.
enum Part {
    Mark(u8),
    Packet(Packet),
}

fn script(version: Version, parts: Vec<Part>) -> Vec<u8> {
    let part = |part| match part {
        Part::Mark(mark) => vec![0xff, mark],
        Part::Packet(packet) => framed(version, &packet),
    };
    parts.into_iter().flat_map(part).collect()
}

/// Two or three clients that have to do with each other.
fn conversations(version: Version) -> Vec<(&'static str, Vec<u8>)> {
    use Part::{Mark, Packet as P};
    let (sub, shared) = (["a/#"], ["$share/g/a/#"]);
    let all = |qos| P(publish(version, qos, true, "a/b"));
    let release = || P(Packet::PubRel(Ack::new(id(7), ReasonCode::Success)));
    let received = || P(Packet::PubRec(Ack::new(id(1), ReasonCode::Success)));
    let mut found = vec![(
        "delivery",
        script(
            version,
            vec![
                Mark(0),
                P(connect(version, "s", true)),
                P(subscribe(version, &sub)),
                Mark(4),
                Mark(1),
                P(connect(version, "p", false)),
                all(QOS[0]),
                all(QOS[1]),
                all(QOS[2]),
                release(),
                Mark(4),
                Mark(0),
                received(),
                Mark(4),
                Mark(3),
                all(QOS[0]),
                P(connect(version, "s", true)),
                received(),
                Mark(4),
            ],
        ),
    )];
    found.push((
        "share",
        script(
            version,
            vec![
                Mark(0),
                P(connect(version, "s", true)),
                P(subscribe(version, &shared)),
                Mark(1),
                P(connect(version, "t", false)),
                P(subscribe(version, &shared)),
                Mark(4),
                Mark(2),
                P(connect(version, "p", false)),
                all(QOS[1]),
                all(QOS[1]),
                all(QOS[2]),
                Mark(4),
                Mark(0),
                Mark(3),
                Mark(4),
                Mark(1),
                Mark(3),
                Mark(4),
                P(connect(version, "t", false)),
            ],
        ),
    ));
    found.push((
        "takeover",
        script(
            version,
            vec![
                Mark(0),
                P(with_will(version)),
                P(subscribe(version, &sub)),
                Mark(1),
                P(with_will(version)),
                Mark(4),
                all(QOS[1]),
                Mark(2),
                P(with_will(version)),
                Mark(4),
                P(unsubscribe()),
                Mark(3),
                Mark(4),
            ],
        ),
    ));
    found
}

/// A script's bytes in a WebSocket's frames with a mask of zeros: one frame a packet.
fn in_frames(version: Version, packets: &[Packet]) -> Vec<u8> {
    let mut all = UPGRADE.as_bytes().to_vec();
    for packet in packets {
        let packet = bytes(version, packet);
        let length = u8::try_from(packet.len()).ok().filter(|length| *length < 126).expect("a short packet");
        all.extend([0x82, 0x80 | length, 0, 0, 0, 0]);
        all.extend(packet.iter().flat_map(|byte| if *byte == 0xff { vec![*byte; 2] } else { vec![*byte] }));
        // A ping between each two.
        all.extend([0x89, 0x81, 0, 0, 0, 0, b'p']);
    }
    all
}

fn save(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder).expect("the corpus can be written");
    std::fs::write(folder.join(name), bytes).expect("the corpus can be written");
}

fn main() {
    for (i, (version, name)) in VERSIONS.into_iter().enumerate() {
        let known = u8::try_from(i + 1).expect("few versions");
        let hello = connect(version, "c", false);
        for (kind, packet) in [("connect", hello.clone()), ("connect-will", with_will(version))] {
            save("codec", &format!("{name}-{kind}"), &[vec![0], bytes(version, &packet)].concat());
            save("clients", &format!("{name}-{kind}"), &framed(version, &packet));
        }
        for (kind, packet) in from_clients(version).into_iter().chain(from_servers(version)) {
            save("codec", &format!("{name}-{kind}"), &[vec![known], bytes(version, &packet)].concat());
            let both = [framed(version, &hello), framed(version, &packet)].concat();
            save("clients", &format!("{name}-{kind}"), &both);
        }
        for (kind, script) in conversations(version) {
            save("clients", &format!("{name}-{kind}"), &script);
        }
        let packets = [hello, subscribe(version, &["a/#"]), Packet::PingReq];
        save("websocket", name, &in_frames(version, &packets));
    }
    save("websocket", "refused", UPGRADE.replace("Protocol: mqtt", "Protocol: other").as_bytes());
}
