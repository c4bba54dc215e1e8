//! By WebSocket: against Mosquitto's, plain and with TLS, and against one that a test plays, which breaks rules.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use rumqttc::QoS;
use serde_json::Value;
use stile_tests::packet::{RawPacket, V5, ack, packet};
use stile_tests::{Authority, Client, Mosquitto, Stile, check, within, within_or};
use tungstenite::handshake::server::{Request, Response};
use tungstenite::{Message, WebSocket};

use super::secured::{gets_there, is_refused, named, secured};
use super::{keep, numbers, sink, start, wait_drained, wait_online};

/// A listener for WebSocket. Mosquitto 2.0.11 starts with none but those as little as with none at all, so there is another.
pub(super) const LISTENER: &str = "protocol websockets\nallow_anonymous true\nlistener 0 DIR/socket";

/// An uplink by WebSocket.
fn uplink(scheme: &str, port: u16, path: &str, more: &str) -> String {
    let url = format!("{scheme}://localhost:{port}{path}");
    format!("[[uplink]]\nname = \"up\"\nurl = \"{url}\"\ntopics = [{{ filter = \"n/#\" }}]\n{more}\n")
}

/// What `stile uplink test` says of it: the exit code, and all that it printed.
fn tried(settings: &str) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stile.toml");
    std::fs::write(&file, Stile::settings(dir.path(), "", settings)).unwrap();
    let (code, said, error) = check(&["uplink", "test", "up", "--config", file.to_str().unwrap()]);
    (code, said + &error)
}

#[test]
fn a_remote_with_a_websocket_gets_everything_in_order_also_after_it_was_killed() {
    let mut remote = Mosquitto::prepare();
    // One port for the uplink, and the one behind it for whoever looks what came.
    let looking = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    remote.configure(&format!("protocol websockets\nlistener {} 127.0.0.1\nallow_anonymous true", looking.port()));
    remote.start_again();
    within("mosquitto listens there too", || TcpStream::connect(looking).ok());
    keep(looking, "n/#");
    let settings = uplink("ws", remote.address.port(), "", "in-flight = 10\n[uplink.spool]\ninterval = \"1ms\"");
    let stile = start(&settings);
    wait_online(&stile, "up");
    let here = Client::connect(stile.mqtt, "here");
    for number in 0..300 {
        // Beside the short ones some that need the longer forms of a frame's head.
        let text = if number % 50 == 0 { format!("{number:<9000}") } else { number.to_string() };
        here.publish("n/1", QoS::AtLeastOnce, false, text);
        if number == 150 {
            remote.stop();
            remote.start_again();
        }
    }
    wait_drained(&stile, "up");
    let there = sink(looking, "n/#");
    let mut next = 0;
    while next < 300 {
        let number: u64 = there.next().text().trim_end().parse().unwrap();
        assert!(number <= next && number + 10 >= next, "{number} comes where {next} should");
        next = next.max(number + 1);
    }
    let (code, said) = tried(&settings);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("WebSocket at /mqtt, for the subprotocol mqtt"), "{said}");
}

#[test]
fn a_websocket_over_tls_has_all_that_tls_has() {
    let (remote, ca) = secured(LISTENER);
    let port = remote.address.port();
    let settings = uplink("wss", port, "/any/path?at=all", &named("ca", &ca.file));
    gets_there(&start(&settings));
    let (code, said) = tried(&settings);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("TLSv1_3") && said.contains("WebSocket at /any/path?at=all"), "{said}");
    let pin = said.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap().trim_end_matches(',');
    gets_there(&start(&uplink("wss", port, "", &format!("pin = \"{pin}\""))));
    let other = tempfile::tempdir().unwrap();
    let stranger = Authority::new(other.path(), "stranger");
    is_refused(&uplink("wss", port, "", &named("ca", &stranger.file)), "nobody in `ca` has signed");
    // By the wrong scheme, either way.
    is_refused(&uplink("ws", port, "", ""), "look at the port and the scheme in `url`");
    is_refused(&uplink("mqtts", port, "", &named("ca", &ca.file)), "");
}

#[test]
fn a_client_certificate_opens_a_websocket_that_is_closed_without() {
    let (remote, ca) = secured(&format!("require_certificate true\n{LISTENER}"));
    let port = remote.address.port();
    let (certificate, key) = ca.sign("roof", Some("roof"));
    let bare = named("ca", &ca.file);
    is_refused(&uplink("wss", port, "", &bare), "");
    let files = bare + &named("certificate", &certificate) + &named("key", &key);
    gets_there(&start(&uplink("wss", port, "", &files)));
}

/// A broker by WebSocket that a test plays.
struct Played(TcpListener);

/// Who has come to it.
struct Guest {
    socket: WebSocket<TcpStream>,
    inbox: Vec<u8>,
}

impl Played {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// The next one, before it has said anything.
    #[track_caller]
    fn comes(&self) -> TcpStream {
        let (stream, _) = within("a client connects", || self.0.accept().ok());
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(stile_tests::PATIENCE)).unwrap();
        stream
    }

    /// Answers the next one's request with this.
    #[track_caller]
    fn answers(&self, answer: &str) {
        let mut stream = self.comes();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        // The client hangs up first.
        let _ = stream.read(&mut [0]);
    }

    /// The next one, let in.
    #[track_caller]
    fn lets_in(&self) -> Guest {
        #[allow(clippy::result_large_err, reason = "the library's")]
        let agree = |request: &Request, mut response: Response| {
            let offered = request.headers()["Sec-WebSocket-Protocol"].clone();
            assert_eq!(offered, "mqtt");
            response.headers_mut().insert("Sec-WebSocket-Protocol", offered);
            Ok(response)
        };
        let socket = tungstenite::accept_hdr(self.comes(), agree).unwrap();
        let mut guest = Guest { socket, inbox: Vec::new() };
        assert_eq!(guest.packet().kind(), 1);
        guest.send(&packet(0x20, &[0, 0, 0]));
        guest
    }
}

impl Guest {
    fn send(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).unwrap();
    }

    #[track_caller]
    fn packet(&mut self) -> RawPacket {
        loop {
            if let Some((packet, size)) = RawPacket::parse(&self.inbox) {
                self.inbox.drain(..size);
                return packet;
            }
            let Message::Binary(bytes) = self.socket.read().unwrap() else { continue };
            self.inbox.extend(bytes);
        }
    }

    /// The next message that is no state.
    #[track_caller]
    fn message(&mut self) -> stile_tests::packet::RawPublish {
        loop {
            let packet = self.packet();
            if packet.kind() == 3 {
                let publish = packet.publish(V5);
                if !publish.topic.starts_with("stile/") {
                    return publish;
                }
            }
        }
    }
}

/// Waits for a log line with such an error, behind as many lines as there were `before`.
#[track_caller]
fn told(stile: &Stile, before: usize, why: &str) {
    let fits = |line: &Value| line["error"].as_str().is_some_and(|error| error.contains(why));
    let lines = || stile.log().split_off(before);
    within_or(|| format!("log line: {why:?}; logged: {:#?}", lines()), || lines().iter().any(fits).then_some(()));
}

#[test]
fn whatever_a_web_server_answers_is_told_of_and_nothing_is_lost() {
    let remote = Played::start();
    let stile = start(&uplink("ws", remote.port(), "", "[uplink.spool]\ninterval = \"1ms\""));
    let here = Client::connect(stile.mqtt, "here");
    here.publish("n/1", QoS::AtLeastOnce, false, "0");
    for (answer, why) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "answers 403 Forbidden to the request for a WebSocket; ask there"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "has not read"),
    ] {
        let before = stile.log().len();
        remote.answers(answer);
        told(&stile, before, why);
    }
    // Frames that are not allowed, and ends in the middle.
    let faults: [(&[u8], &str); 4] = [
        (b"\x81\x05hello", "a text frame, where MQTT has binary ones"),
        (b"\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff", "a frame larger than `max-packet-size`"),
        (b"\x88\x02\x03\xe8", "closed by the remote"),
        (b"\x82\x20part", ""),
    ];
    for (number, (bytes, why)) in faults.iter().enumerate() {
        let mut guest = remote.lets_in();
        let publish = guest.message();
        assert_eq!(publish.text, number.to_string());
        guest.send(&ack(0x40, publish.id));
        let next = (number + 1).to_string();
        here.publish("n/1", QoS::AtLeastOnce, false, next.clone());
        assert_eq!(guest.message().text, next);
        let before = stile.log().len();
        guest.socket.get_mut().write_all(bytes).unwrap();
        guest.socket.get_mut().shutdown(Shutdown::Write).unwrap();
        told(&stile, before, why);
    }
    let mut guest = remote.lets_in();
    let publish = guest.message();
    assert_eq!(publish.text, faults.len().to_string());
    // A ping in the middle is answered, and pieces of a packet in frames of one byte are put together.
    guest.socket.send(Message::Ping(b"there?"[..].into())).unwrap();
    for byte in ack(0x40, publish.id) {
        guest.send(&[byte]);
    }
    wait_drained(&stile, "up");
    let pong = within("an answer to the ping", || match guest.socket.read().unwrap() {
        Message::Pong(bytes) => Some(bytes),
        _ => None,
    });
    assert_eq!(&pong[..], b"there?");
}

#[test]
fn a_web_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    // Two paths, so that the time is short.
    let paths = "paths = [{}, { name = \"second\" }]\npath-timeout = \"1s\"";
    let stile = start(&uplink("ws", silent.local_addr().unwrap().port(), "", paths));
    let line = stile.wait_log("no connection to the remote; it is tried again, and messages are kept");
    let error = line["error"].as_str().unwrap();
    let why = "the remote took too long to answer the request for a WebSocket";
    assert_eq!(error, format!("over default: {why}; over second: {why}"));
    assert_eq!(stile.metric("stile_uplink_path_failed_total{uplink=\"up\",path=\"second\"}"), 1.0);
}

#[test]
fn a_gateway_is_a_remote_by_websocket_too() {
    let remote = Stile::start("");
    let settings =
        format!("[[uplink]]\nname = \"up\"\nurl = \"ws://{}/mqtt\"\ntopics = [{{ filter = \"n/#\" }}]\n", remote.admin);
    let there = Client::connect(remote.mqtt, "there");
    there.subscribe("n/#", QoS::AtLeastOnce);
    let stile = start(&settings);
    wait_online(&stile, "up");
    let here = Client::connect(stile.mqtt, "here");
    for number in 0..50 {
        here.publish("n/1", QoS::AtLeastOnce, false, number.to_string());
    }
    assert_eq!(numbers(&there, 50), (0..50).collect::<Vec<_>>());
}
