//! What a remote sends with QoS 2, over kills of the daemon: it is taken in once, and nothing new is taken for it.

use stile_tests::packet::{Connect, V5, ack, packet, publish};
use stile_tests::{PlayedBroker, PlayedClient, RawClient};

use super::{start, uplink};

const SUBSCRIBE: u8 = 0x82;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

/// Lets the gateway in; `present` says that its session is still there.
#[track_caller]
fn meet(remote: &PlayedBroker, present: bool) -> PlayedClient {
    let (mut client, _) = remote.meet();
    client.send(&packet(0x20, &[u8::from(present), 0, 0]));
    client
}

/// Waits for a packet, others passed over, that begins with an identifier.
#[track_caller]
fn expect(client: &mut PlayedClient, first: u8) -> u16 {
    loop {
        let packet = client.packet();
        if packet.first == first {
            return u16::from_be_bytes([packet.body[0], packet.body[1]]);
        }
    }
}

/// Sends a message, again or not, and waits until the gateway has it.
#[track_caller]
fn send(client: &mut PlayedClient, id: u16, again: bool, text: &str) {
    let flags = if again { 0b1100 } else { 0b0100 };
    client.send(&publish(V5, flags, "in/1", id, &[], text));
    assert_eq!(expect(client, PUBREC), id);
}

#[track_caller]
fn release(client: &mut PlayedClient, id: u16) {
    client.send(&ack(PUBREL, id));
    assert_eq!(expect(client, PUBCOMP), id);
}

#[test]
fn each_message_is_taken_in_once_whenever_the_daemon_is_killed() {
    let remote = PlayedBroker::start();
    let mut stile = start(&uplink("up", remote.address(), "{ filter = \"in/#\", direction = \"in\", qos = 2 }", ""));
    let me = Connect::persistent(V5, "me");
    let mut here = RawClient::with(stile.mqtt, &me);
    here.subscribe(&[("in/#", 1)], &[]);
    here.cut();
    let mut client = meet(&remote, false);
    send(&mut client, 7, false, "one");
    stile.kill_and_start();
    // Not released, so it comes again.
    let mut client = meet(&remote, true);
    send(&mut client, 7, true, "one");
    release(&mut client, 7);
    stile.kill_and_start();
    // Released, so its identifier is another message's.
    let mut client = meet(&remote, true);
    release(&mut client, 7);
    send(&mut client, 7, true, "two");
    stile.kill_and_start();
    // The remote has begun a new session, so all identifiers are free.
    let mut client = meet(&remote, false);
    expect(&mut client, SUBSCRIBE);
    send(&mut client, 7, false, "three");
    stile.kill_and_start();
    let mut client = meet(&remote, true);
    send(&mut client, 7, true, "three");
    release(&mut client, 7);
    send(&mut client, 8, false, "last");
    let mut here = RawClient::with(stile.mqtt, &me);
    let texts: Vec<String> = (0..4).map(|_| here.next_acked().text).collect();
    assert_eq!(texts, ["one", "two", "three", "last"]);
    here.expect_nothing();
}

#[test]
fn a_reload_forgets_nothing_of_what_was_taken_in() {
    let remote = PlayedBroker::start();
    let rule = "{ filter = \"in/#\", direction = \"in\", qos = 2 }";
    let stile = start(&uplink("up", remote.address(), rule, ""));
    let mut here = RawClient::connect(stile.mqtt, V5, "here");
    here.subscribe(&[("in/#", 1)], &[]);
    let mut client = meet(&remote, false);
    send(&mut client, 7, false, "one");
    assert_eq!(here.next_acked().text, "one");
    let changed = uplink("up", remote.address(), rule, "max-rate = 1000");
    assert_eq!(stile.reload("", &changed)["message"], "reload done");
    let mut client = meet(&remote, true);
    send(&mut client, 7, true, "one");
    release(&mut client, 7);
    here.expect_nothing();
}
