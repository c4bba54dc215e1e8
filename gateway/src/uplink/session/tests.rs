//! A remote that says anything at all: the client must neither panic nor hang, end no record that was not acknowledged, and
//! go on with the next connection.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::codec::strategies;
use crate::config::{Direction, Protocol, Rule, Uplink, Url};
use crate::message::{Origin, QoS, Topic, TopicFilter};
use crate::pipeline::{Intake, Pipeline};
use crate::spool::{Priority, Spool};
use crate::uplink::dial::Link;
use crate::uplink::run::spool_settings;

const PATIENCE: Duration = Duration::from_secs(30);

struct Stand {
    own: Own,
    spool: Spool,
    pipeline: Arc<Pipeline>,
    _intake: Intake,
    _folder: TempDir,
}

impl Stand {
    fn new(protocol: Protocol, qos: QoS, hub: bool) -> Self {
        let filter = TopicFilter::new("#").unwrap();
        let (direction, empty) = (Direction::Both, String::new);
        let rule = Rule { filter, direction, qos, local_prefix: empty(), remote_prefix: empty() };
        let mut uplink =
            Uplink::new("cloud", Url { tls: false, host: "host".into(), port: 1883, websocket: None }, vec![rule]);
        uplink.protocol = protocol;
        uplink.hub = hub.then(|| config::Hub::new("host"));
        let folder = tempfile::tempdir().unwrap();
        let (pipeline, intake) = Pipeline::new(1);
        let clock = Arc::clone(&pipeline);
        let now: crate::spool::Now = Arc::new(move || clock.clock().now());
        let (spool, _) = Spool::open(folder.path(), "cloud", spool_settings(&uplink.spool), now).unwrap();
        let (store, _) = crate::store::Store::open(folder.path()).unwrap();
        let stats = Arc::<UplinkStats>::default();
        let dead = DeadLetters::new("gw", "cloud", Arc::clone(&pipeline), Arc::clone(&stats)).unwrap();
        let own = Own {
            routes: Routes::new(&uplink),
            dead: Arc::new(dead),
            reports: Reports::new("gw", "cloud", Arc::clone(&pipeline)).unwrap(),
            stats,
            reader: spool.reader().unwrap(),
            flight: Flight::default(),
            gap: Gap::default(),
            rate: Rate::new(None, Instant::now()),
            taken: Arc::new(Mutex::new(Taken::new(store, &uplink, None))),
            subscribed: false,
            forget: Arc::default(),
            desk: Arc::default(),
            renew_at: None,
            settings: Arc::new(uplink),
        };
        Self { own, spool, pipeline, _intake: intake, _folder: folder }
    }

    fn append(&self, payload: &str) {
        let topic = Topic::new("a/b").unwrap();
        let message = self.pipeline.message(self.pipeline.clock().now(), Origin::Gateway, topic, payload.to_owned());
        self.spool.try_append(message.to_record().into(), Priority::Bulk, None).unwrap();
    }
}

/// A connection on which the gateway was let in, and the remote's end of it.
fn joined(session_present: bool) -> (Joined, DuplexStream) {
    let (near, far) = duplex(1 << 16);
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let limits = Limits {
        receive_maximum: 10,
        maximum_qos: 2,
        retain_available: true,
        maximum_packet_size: None,
        keep_alive: 60,
        topic_alias_maximum: 0,
    };
    let stream = Box::new(near);
    let link = Link { stream, peer, local: peer, proxy: None, tls: None, websocket: None };
    (Joined { link, inbox: BytesMut::new(), session_present, limits }, far)
}

/// Whether it is the one of records, or of telemetry.
fn is_record(topic: &str) -> bool {
    topic == "a/b" || topic.starts_with("devices/")
}

async fn grant(far: &mut DuplexStream, asked: &Subscribe, version: Version) {
    let (packet_id, reasons) = (asked.packet_id, vec![ReasonCode::Success; asked.subscriptions.len()]);
    let granted = Packet::SubAck(codec::SubAck { packet_id, details: codec::Details::default(), reasons });
    let mut out = BytesMut::new();
    codec::write(&granted, version, &mut out).unwrap();
    far.write_all(&out).await.unwrap();
}

/// Reads until a PUBLISH of a record comes. Subscriptions are granted meanwhile.
async fn published(far: &mut DuplexStream, inbox: &mut BytesMut, version: Version) -> codec::Publish {
    loop {
        match codec::read(inbox, Some(version), 1 << 20).unwrap() {
            // The state goes without an identifier.
            Some(Packet::Publish(publish)) if is_record(&publish.topic) && publish.packet_id.is_some() => {
                return publish;
            }
            Some(Packet::Subscribe(asked)) => {
                grant(far, &asked, version).await;
            }
            Some(_) => {}
            None => assert!(far.read_buf(inbox).await.unwrap() > 0, "the client has gone"),
        }
    }
}

async fn serve_babble(stand: &mut Stand, present: bool, babble: &[u8]) {
    let (joined, mut far) = joined(present);
    let (stop, onward) = (CancellationToken::new(), CancellationToken::new());
    let talking = async {
        // The client may go in the middle.
        let _ = far.write_all(babble).await;
        let _ = far.shutdown().await;
        let mut rest = Vec::new();
        let _ = far.read_to_end(&mut rest).await;
    };
    let (ended, ()) = tokio::join!(serve(&mut stand.own, joined, &stop, &onward), talking);
    assert!(ended.why.is_some(), "nobody told it to stop");
}

/// That a record is delivered by a remote that keeps to the rules.
async fn serve_well(stand: &mut Stand, version: Version) {
    let (joined, mut far) = joined(false);
    let (stop, onward) = (CancellationToken::new(), CancellationToken::new());
    let remote = async {
        let mut inbox = BytesMut::new();
        while stand.spool.figures().messages > 0 {
            let publish = published(&mut far, &mut inbox, version).await;
            let id = publish.packet_id.unwrap();
            let ack = |packet: fn(codec::Ack) -> Packet| packet(codec::Ack::new(id, ReasonCode::Success));
            let mut out = BytesMut::new();
            if publish.qos == QoS::ExactlyOnce {
                codec::write(&ack(Packet::PubRec), version, &mut out).unwrap();
                codec::write(&ack(Packet::PubComp), version, &mut out).unwrap();
            } else {
                codec::write(&ack(Packet::PubAck), version, &mut out).unwrap();
            }
            far.write_all(&out).await.unwrap();
            // Until the client has seen it.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        let mut rest = Vec::new();
        let _ = far.read_to_end(&mut rest).await;
    };
    let (ended, ()) = tokio::join!(serve(&mut stand.own, joined, &stop, &onward), remote);
    assert!(ended.why.is_none() && ended.good, "{:?}", ended.why);
}

fn within(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("it hangs") });
}

/// What a hub may say, and what it would not.
fn of_hub() -> impl Strategy<Value = Packet> {
    let topics = prop::sample::select(vec![
        "$iothub/methods/POST/reboot/?$rid=1",
        "$iothub/methods/POST/+/?$rid=%31",
        "$iothub/methods/POST//?$rid=2&$rid=3",
        "$iothub/twin/res/200/?$rid=twin-1&$version=99999999999999999999",
        "$iothub/twin/res/503/?$rid=twin-1",
        "$iothub/twin/res/429/?$rid=0000000000000001-1",
        "$iothub/twin/PATCH/properties/desired/?$version=2",
        "devices/cloud/messages/devicebound/%24.ct=%ff",
        "devices/cloud/messages/devicebound/a=1&a=2&stile-id=x",
    ]);
    (topics, proptest::collection::vec(any::<u8>(), 0..4)).prop_map(|(topic, payload)| {
        let (topic, payload) = (Utf8::new(topic).unwrap(), payload.into());
        let qos = QoS::AtMostOnce;
        Packet::Publish(codec::Publish {
            dup: false,
            qos,
            retain: false,
            topic,
            packet_id: None,
            payload,
            properties: None,
        })
    })
}

/// Packets as a remote may send them, or a client, or nobody; with what may be left out of the last.
fn babble(version: Version) -> impl Strategy<Value = Vec<u8>> {
    let packets = proptest::collection::vec(prop_oneof![4 => strategies::packet(version), 1 => of_hub()], 0..12);
    (packets, proptest::collection::vec(any::<u8>(), 0..8)).prop_map(move |(packets, rest)| {
        let mut out = BytesMut::new();
        for packet in packets {
            // Some can't be written in every version.
            let _ = codec::write(&packet, version, &mut out);
        }
        [out.to_vec(), rest].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_remote_says_the_next_connection_delivers_what_was_not_acknowledged(
        v5 in any::<bool>(), exactly_once in any::<bool>(), present in any::<bool>(), hub in any::<bool>(),
        said in prop_oneof![babble(Version::V5), babble(Version::V311)],
    ) {
        let (v5, exactly_once) = (v5 && !hub, exactly_once && !hub);
        let (protocol, version) = if v5 { (Protocol::V5, Version::V5) } else { (Protocol::V311, Version::V311) };
        let qos = if exactly_once { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
        within(async move {
            let mut stand = Stand::new(protocol, qos, hub);
            stand.append("one");
            serve_babble(&mut stand, present, &said).await;
            // Nothing it said can have been the acknowledgement of what had not been sent yet.
            stand.append("two");
            serve_well(&mut stand, version).await;
            assert_eq!(stand.spool.figures().messages, 0);
        });
    }
}

/// Whether the remote is asked for anything before a record comes; it grants that, or goes without an answer.
async fn is_asked(stand: &mut Stand, present: bool, grants: bool) -> bool {
    stand.append("a record");
    let (joined, mut far) = joined(present);
    let (stop, onward) = (CancellationToken::new(), CancellationToken::new());
    let remote = async move {
        let (mut inbox, mut asked) = (BytesMut::new(), false);
        loop {
            match codec::read(&mut inbox, Some(Version::V5), 1 << 20).unwrap() {
                Some(Packet::Subscribe(_)) if !grants => return true,
                Some(Packet::Subscribe(subscribe)) => {
                    grant(&mut far, &subscribe, Version::V5).await;
                    asked = true;
                }
                // Before it may ask a new session, it forgets the old one on disk.
                Some(Packet::Publish(publish)) if is_record(&publish.topic) && (present || asked) => return asked,
                Some(_) => {}
                None => assert!(far.read_buf(&mut inbox).await.unwrap() > 0, "the client has gone"),
            }
        }
    };
    tokio::join!(serve(&mut stand.own, joined, &stop, &onward), remote).1
}

#[test]
fn a_subscription_that_was_not_granted_is_asked_for_again_though_the_remote_has_the_session() {
    within(async {
        let mut stand = Stand::new(Protocol::V5, QoS::AtLeastOnce, false);
        assert!(is_asked(&mut stand, false, false).await);
        assert!(is_asked(&mut stand, true, false).await, "the answer may have been lost, or the question");
        assert!(is_asked(&mut stand, true, true).await);
        assert!(!is_asked(&mut stand, true, true).await);
        assert!(is_asked(&mut stand, false, true).await, "it is another session");
    });
}
