//! A packet forwarder that speaks Semtech's UDP protocol, version 2 (`packet_forwarder/PROTOCOL.md` of sx1302_hal), by code
//! of its own.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{PATIENCE, Random};

/// How long one answer is waited for before the question is asked again: the kernel may drop a datagram under load.
const ANSWER: Duration = Duration::from_millis(500);

/// A gateway: its EUI and its socket.
pub struct Forwarder {
    /// Its socket.
    pub socket: UdpSocket,
    /// Its EUI.
    pub eui: [u8; 8],
    server: SocketAddr,
    token: std::cell::Cell<u16>,
}

/// A downlink that came.
#[derive(Debug)]
pub struct PullResp {
    /// What its acknowledgement must carry.
    pub token: [u8; 2],
    /// `txpk`.
    pub txpk: Value,
}

impl Forwarder {
    /// A gateway on a free port of loopback.
    pub fn new(server: SocketAddr, eui: u64) -> Self {
        Self::from("127.0.0.1", server, eui)
    }

    /// One at this address of loopback.
    pub fn from(address: &str, server: SocketAddr, eui: u64) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(ANSWER)).unwrap();
        Self { socket, eui: eui.to_be_bytes(), server, token: std::cell::Cell::new(1) }
    }

    /// The EUI as topics have it.
    pub fn id(&self) -> String {
        format!("{:016x}", u64::from_be_bytes(self.eui))
    }

    /// Sends any bytes.
    pub fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).unwrap();
    }

    fn next_token(&self) -> [u8; 2] {
        let token = self.token.get();
        self.token.set(token.wrapping_add(1));
        token.to_be_bytes()
    }

    /// A datagram of this kind.
    pub fn datagram(&self, token: [u8; 2], kind: u8, json: &str) -> Vec<u8> {
        [&[2, token[0], token[1], kind][..], &self.eui, json.as_bytes()].concat()
    }

    /// Sends and waits for the answer with its token, again and again.
    #[track_caller]
    fn ask(&self, kind: u8, answer: u8, json: &str) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let token = self.next_token();
            self.send(&self.datagram(token, kind, json));
            if self.answered([2, token[0], token[1], answer]) {
                return;
            }
        }
        panic!("no answer to {kind}");
    }

    fn answered(&self, expected: [u8; 4]) -> bool {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            if buffer[..length] == expected {
                return true;
            }
        }
        false
    }

    /// PULL_DATA, until it is acknowledged.
    #[track_caller]
    pub fn pull(&self) {
        self.ask(2, 4, "");
    }

    /// PUSH_DATA, until it is acknowledged.
    #[track_caller]
    pub fn push(&self, json: &Value) {
        self.ask(0, 1, &json.to_string());
    }

    /// PUSH_DATA without waiting.
    pub fn push_blindly(&self, json: &Value) {
        self.send(&self.datagram(self.next_token(), 0, &json.to_string()));
    }

    /// Whether nothing is answered to a datagram.
    pub fn is_ignored(&self, bytes: &[u8]) -> bool {
        self.send(bytes);
        let mut buffer = [0; 4096];
        self.socket.recv(&mut buffer).is_err()
    }

    /// The next downlink.
    #[track_caller]
    pub fn downlink(&self) -> PullResp {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        while Instant::now() < deadline {
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            if let [2, high, low, 3, json @ ..] = &buffer[..length] {
                let mut body: Value = serde_json::from_slice(json).unwrap();
                return PullResp { token: [*high, *low], txpk: body["txpk"].take() };
            }
        }
        panic!("no downlink");
    }

    /// TX_ACK: fine with empty JSON, or with an error.
    pub fn tx_ack(&self, token: [u8; 2], json: &str) {
        self.send(&self.datagram(token, 5, json));
    }

    /// These frames in datagrams of their own, shuffled, some twice, some with a pause between them; each is acknowledged.
    pub fn push_roughly(&self, frames: &[Value], random: &mut Random) {
        let mut left: Vec<&Value> = frames.iter().collect();
        while !left.is_empty() {
            let at = usize::try_from(random.below(left.len() as u64)).unwrap();
            let body = json!({ "rxpk": [left.swap_remove(at)] });
            match random.below(8) {
                0 => self.push_blindly(&body),
                1 => std::thread::sleep(Duration::from_millis(random.below(5))),
                _ => {}
            }
            self.push(&body);
        }
    }
}

/// A frame as a gateway would say it: at SF7 on 868.1 MHz, with this count and these bytes.
pub fn rxpk(tmst: u32, phy: &[u8]) -> Value {
    json!({ "tmst": tmst, "chan": 0, "rfch": 1, "freq": 868.1, "stat": 1, "modu": "LORA", "datr": "SF7BW125", "codr": "4/5",
        "rssi": -57, "lsnr": 9.5, "size": phy.len(), "data": base64(phy) })
}

/// A data frame of LoRaWAN with a made-up payload and MIC.
pub fn data_frame(dev_addr: u32, counter: u16) -> Vec<u8> {
    let [a, b, c, d] = dev_addr.to_le_bytes();
    let [low, high] = counter.to_le_bytes();
    vec![0x40, a, b, c, d, 0x80, low, high, 10, 1, 2, 3, 4, 5, 6, 7]
}

/// Base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for letter in 0..4 {
            let index = bits >> (18 - 6 * letter) & 63;
            text.push(if letter <= chunk.len() { LETTERS[index as usize] as char } else { '=' });
        }
    }
    text
}
