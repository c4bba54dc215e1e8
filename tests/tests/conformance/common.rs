//! What the chapters share.

use stile_tests::packet::{Connect, RawPacket, RawPublish, V5, packet, section, subscribe};
use stile_tests::{RawClient, Stile};

/// Connect flags.
pub(crate) const CLEAN: u8 = 0x02;
pub(crate) const WILL: u8 = 0x04;
pub(crate) const WILL_RETAIN: u8 = 0x20;
pub(crate) const PASSWORD: u8 = 0x40;
pub(crate) const USER: u8 = 0x80;

/// First bytes of acknowledgements.
pub(crate) const PUBACK: u8 = 0x40;
pub(crate) const PUBREC: u8 = 0x50;
pub(crate) const PUBREL: u8 = 0x62;
pub(crate) const PUBCOMP: u8 = 0x70;

/// A gateway with the usual settings.
pub(crate) fn gateway() -> Stile {
    Stile::start("")
}

/// A client with a clean session that subscribes to one filter.
#[track_caller]
pub(crate) fn subscriber(stile: &Stile, version: u8, id: &str, filter: &str, options: u8) -> RawClient {
    let mut client = RawClient::connect(stile.mqtt, version, id);
    assert_eq!(client.subscribe(&[(filter, options)], &[]), [options & 3]);
    client
}

/// The beginning of a CONNECT: protocol name, level, flags and a keep-alive of a minute.
pub(crate) fn head(name: &str, level: u8, flags: u8) -> Vec<u8> {
    [stile_tests::packet::counted(name), vec![level, flags, 0, 60]].concat()
}

/// A CONNECT of any flags and fields, without properties.
pub(crate) fn raw_connect(version: u8, flags: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    let body = [head("MQTT", version, flags), section(version, &[]), fields.concat()].concat();
    packet(0x10, &body)
}

/// The fields of a will, before the user name.
pub(crate) fn will_fields(version: u8, topic: &[u8], payload: &[u8]) -> Vec<u8> {
    [section(version, &[]), stile_tests::packet::counted(topic), stile_tests::packet::counted(payload)].concat()
}

/// Sends bytes on a new connection and gives all that comes until it is closed.
#[track_caller]
pub(crate) fn answer(stile: &Stile, version: u8, bytes: &[u8]) -> Vec<RawPacket> {
    let mut client = RawClient::open(stile.mqtt, version);
    client.send(bytes);
    client.expect_closed()
}

/// That a client gets nothing more, of all that has been acknowledged to anybody so far.
pub(crate) trait Quiet {
    /// Subscribing settles what is under way, and its answer goes out after what was settled or with it.
    fn expect_quiet(&mut self);
}

impl Quiet for RawClient {
    #[track_caller]
    fn expect_quiet(&mut self) {
        self.subscribe(&[("$quiet", 0)], &[]);
        self.expect_nothing();
    }
}

/// What has come for a client, of all that has been acknowledged to anybody so far.
#[track_caller]
pub(crate) fn arrived(client: &mut RawClient, version: u8) -> Vec<RawPublish> {
    client.send(&subscribe(version, &[("$quiet", 0)], &[]));
    let mut got = Vec::new();
    loop {
        let packet = client.packet();
        match packet.kind() {
            // Settled. What came of it goes out before the answer to the ping.
            9 => client.send(&[0xc0, 0]),
            13 => return got,
            _ => got.push(packet.publish(version)),
        }
    }
}

/// That a CONNECT is not let in: in 3.1.1 without a word, in 5 after a CONNACK with this reason.
#[track_caller]
pub(crate) fn expect_refused(stile: &Stile, version: u8, connect: &[u8], reason: u8) {
    let packets = answer(stile, version, connect);
    if version == V5 {
        assert_eq!(packets, [RawPacket { first: 0x20, body: vec![0, reason, 0] }], "{connect:02x?}");
    } else {
        assert_eq!(packets, [], "{connect:02x?}");
    }
}

/// That a CONNECT is let in.
#[track_caller]
pub(crate) fn expect_welcome(stile: &Stile, version: u8, connect: &[u8]) -> RawClient {
    let mut client = RawClient::open(stile.mqtt, version);
    client.send(connect);
    let connack = client.packet();
    assert_eq!((connack.first, connack.body[1]), (0x20, 0), "{connack:02x?}");
    client
}

/// That the gateway closes the connection: in 5 after a DISCONNECT with this reason, in 3.1.1 without a word.
#[track_caller]
pub(crate) fn expect_ended(client: RawClient, version: u8, reason: u8) {
    let packets = client.expect_closed();
    if version == V5 {
        assert_eq!(packets, [RawPacket { first: 0xe0, body: vec![reason] }]);
    } else {
        assert_eq!(packets, []);
    }
}

/// That each packet ends the connection of its own that it is sent on.
#[track_caller]
pub(crate) fn expect_each_ends(stile: &Stile, version: u8, reason: u8, packets: &[Vec<u8>]) {
    for bytes in packets {
        let mut client = RawClient::connect(stile.mqtt, version, "wrong");
        client.send(bytes);
        let last = client.expect_closed();
        let expected = if version == V5 { vec![RawPacket { first: 0xe0, body: vec![reason] }] } else { vec![] };
        assert_eq!(last, expected, "{bytes:02x?}");
    }
}

/// Connects and says whether there was a session.
#[track_caller]
pub(crate) fn come_back(stile: &Stile, connect: &Connect) -> (RawClient, bool) {
    let (client, connack) = RawClient::meet(stile.mqtt, connect);
    assert_eq!(connack.body[1], 0, "{connack:02x?}");
    (client, connack.body[0] == 1)
}

/// Waits until this many connections are open.
#[track_caller]
pub(crate) fn wait_connections(stile: &Stile, count: u32) {
    stile.wait_metric("stile_mqtt_connections", |n| n == f64::from(count));
}

/// A persistent client that subscribed at this QoS and is away again.
#[track_caller]
pub(crate) fn away(stile: &Stile, version: u8, filter: &str, qos: u8) -> Connect {
    let connect = Connect::persistent(version, "away");
    let (mut client, _) = come_back(stile, &connect);
    assert_eq!(client.subscribe(&[(filter, qos)], &[]), [qos]);
    client.disconnect();
    wait_connections(stile, 0);
    connect
}
