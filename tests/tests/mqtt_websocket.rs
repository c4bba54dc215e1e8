//! MQTT over WebSocket, on the admin port and on ports of its own: what goes through, and what is refused.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use stile_tests::packet::{Connect, V5, V311, publish, subscribe};
use stile_tests::{Neighbour, PATIENCE, RawClient, Stile, WebSocketClient, frame, get};
use tungstenite::{Bytes, Message};

fn refused(reason: &str) -> String {
    format!("stile_mqtt_clients_refused_total{{reason=\"{reason}\"}}")
}

/// A gateway, and both addresses with WebSocket: the admin's and the broker's own.
fn gateway(broker: &str) -> (Stile, [SocketAddr; 2]) {
    let own = "[broker.websocket]\nlisten = [\"127.0.0.1:0\"]\n";
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), broker, own);
    let addresses = [stile.admin, stile.door("listening for MQTT over WebSocket")];
    (stile, addresses)
}

#[test]
fn both_versions_of_mqtt_go_through_and_meet_clients_over_tcp() {
    let (stile, addresses) = gateway("");
    for address in addresses {
        for version in [V311, V5] {
            let mut web = WebSocketClient::connect(address, version, "web");
            web.send(&subscribe(version, &[("to/web", 1)], &[]));
            assert_eq!(web.packet().kind(), 9);
            let mut plain = RawClient::connect(stile.mqtt, version, "plain");
            assert_eq!(plain.subscribe(&[("from/web", 0)], &[]), [0]);
            plain.publish_acked(false, "to/web", &[], vec![b'x'; 100_000]);
            assert_eq!(web.packet().publish(version).text.len(), 100_000);
            web.send(&publish(version, 0, "from/web", 0, &[], vec![b'y'; 100_000]));
            assert_eq!(plain.message().text.len(), 100_000);
            web.send(&[0xe0, 0]);
            assert_eq!(
                web.socket.read().unwrap(),
                Message::Close(Some(tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "".into() }))
            );
        }
    }
}

#[test]
fn a_packet_in_many_frames_and_many_packets_in_one_frame_are_the_same_to_mqtt() {
    let (_stile, addresses) = gateway("");
    for address in addresses {
        let mut web = WebSocketClient::open(address);
        // Each byte in a frame of its own, of one message; then a ping, in the middle of a packet.
        let connect = Connect::new(V5, "web").bytes();
        for (i, byte) in connect.iter().enumerate() {
            let last = if i + 1 == connect.len() { 0x80 } else { 0 };
            web.send_raw(&frame(last | if i == 0 { 2 } else { 0 }, &[*byte]));
            if i == 3 {
                web.send_raw(&frame(0x89, b"between"));
            }
        }
        assert_eq!(web.socket.read().unwrap(), Message::Pong(Bytes::from_static(b"between")));
        assert_eq!(web.packet().kind(), 2);
        let many = [subscribe(V5, &[("a", 0)], &[]), publish(V5, 0, "a", 0, &[], "1"), vec![0xc0, 0]].concat();
        web.send(&[&many[..], &[0xc0]].concat());
        web.send(&[]);
        web.send(&[0]);
        let mut kinds = [9, 3, 13, 13].map(|_| web.packet().kind());
        kinds.sort_unstable();
        assert_eq!(kinds, [3, 9, 13, 13]);
    }
}

#[test]
fn what_is_behind_the_request_in_the_same_breath_is_not_lost() {
    let (_stile, addresses) = gateway("");
    for address in addresses {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let all = [request("/mqtt", GOOD).into_bytes(), frame(0x82, &Connect::new(V311, "hasty").bytes())].concat();
        stream.write_all(&all).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(&[0x82, 4, 0x20, 2, 0, 0]) {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    }
}

const GOOD: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n";

fn request(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: stile\r\n{headers}\r\n")
}

#[test]
fn a_request_that_is_none_for_mqtt_is_answered_and_not_upgraded() {
    let (stile, addresses) = gateway("");
    let mut neighbour = Neighbour::of(&stile);
    for address in addresses {
        let ask = |path: &str, headers: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(request(path, &format!("{headers}Connection: close\r\n")).as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(ask("/mqtt", ""), "426");
        assert_eq!(ask("/mqtt", &GOOD.replace("13", "8")), "426");
        assert_eq!(ask("/mqtt", &GOOD.replace("Protocol: mqtt", "Protocol: wamp")), "400");
        assert_eq!(ask("/other", GOOD), "404");
        neighbour.is_well();
    }
    assert_eq!(stile.metric(&refused("protocol-error")), 4.0, "those on the broker's own port");
}

#[test]
fn frames_that_are_not_for_mqtt_close_the_connection_alone_and_say_why() {
    let (stile, addresses) = gateway("");
    let mut neighbour = Neighbour::of(&stile);
    let giant = [&[0x82, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat();
    let garbage: Vec<u8> = (0..=255).rev().cycle().take(100_000).collect();
    for (bytes, code) in [
        (frame(0x81, b"text"), 1003_u16),
        (frame(0x82, &vec![0; 262_145]), 1009),
        (giant, 1009),
        (vec![0x82, 2, 0xc0, 0], 1002),
        (frame(0x8f, b""), 1002),
        (garbage, 1002),
    ] {
        for address in addresses {
            for connected in [false, true] {
                let mut web = if connected {
                    WebSocketClient::connect(address, V5, "odd")
                } else {
                    WebSocketClient::open(address)
                };
                // It may be cut off while it still sends.
                let _ = web.socket.get_mut().write_all(&bytes);
                let rest = web.rest();
                let said = [&[0x88, 2][..], &code.to_be_bytes()].concat();
                // What a client was still sending when it was cut off can take the answer with it.
                assert!(rest.starts_with(&said) || (bytes.len() > 1000 && rest.is_empty()), "{code}: {rest:02x?}");
            }
        }
        neighbour.is_well();
    }
    let mut web = WebSocketClient::connect(stile.admin, V5, "fits");
    web.send(&publish(V5, 0, "a", 0, &[], vec![0; 262_000]));
    web.send(&[0xc0, 0]);
    assert_eq!(web.packet().kind(), 13);
}

#[test]
fn those_who_say_nothing_before_during_or_after_the_request_are_let_go() {
    let (stile, [admin, own]) = gateway("");
    let silent = TcpStream::connect(own).unwrap();
    let mut slow = TcpStream::connect(own).unwrap();
    slow.write_all(b"GET /mqtt HTTP/1.1\r\nHost: st").unwrap();
    let upgraded = [WebSocketClient::open(admin), WebSocketClient::open(own)];
    for mut stream in [silent, slow] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
    for web in upgraded {
        web.rest();
    }
    // It is counted behind the close.
    stile.wait_metric(&refused("no-connect"), |count| count == 4.0);
}

#[test]
fn clients_over_websocket_count_at_the_same_gate_as_the_others() {
    let (stile, [admin, own]) = gateway("max-connections = 2\n");
    let _one = WebSocketClient::connect(admin, V5, "one");
    let _two = WebSocketClient::connect(own, V5, "two");
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.write_all(request("/mqtt", &format!("{GOOD}Connection: close\r\n")).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(stile.metric(&refused("too-many-connections")), 1.0);
    assert_eq!(get(TcpStream::connect(admin).unwrap(), "/readyz").0, 200);
}

#[test]
fn a_client_that_stays_hears_that_the_gateway_stops() {
    let (mut stile, addresses) = gateway("");
    let mut clients = addresses.map(|address| WebSocketClient::connect(address, V5, &address.to_string()));
    stile.stop();
    for web in &mut clients {
        let goodbye = web.packet();
        assert_eq!((goodbye.first, goodbye.body[0]), (0xe0, 0x8b), "server shutting down");
        assert!(matches!(web.socket.read().unwrap(), Message::Close(_)));
    }
}
