//! A LoRa Basics Station as it speaks the LNS protocol (doc.sm.tc/station/tcproto.html; basicstation, `src/tc.c`,
//! `src/lora.c`, `src/s2e.c`), by code of its own and the ordinary WebSocket library.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Error, Message, WebSocket};

use crate::PATIENCE;

/// A stream that can be read and written.
pub trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// How a Station reaches its server.
#[derive(Clone)]
pub struct Uplink {
    address: SocketAddr,
    token: Option<String>,
    tls: Option<Arc<ClientConfig>>,
}

/// One connection of a Station.
pub struct Station {
    /// The library's own client.
    pub socket: WebSocket<Box<dyn Stream>>,
    /// What came and was not waited for.
    inbox: Vec<Value>,
}

impl Uplink {
    /// Without anything that would speak for it.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, token: None, tls: None }
    }

    /// With the line of `tc.key`.
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// Over TLS, to a server that `authority` vouches for, with a certificate and its key (PEM) where it has them.
    pub fn with_tls(self, authority: &Path, own: Option<(&Path, &Path)>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let settings = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let settings = settings.with_root_certificates(roots);
        let settings = match own {
            None => settings.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
                settings.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
            }
        };
        Self { tls: Some(Arc::new(settings)), ..self }
    }

    fn stream(&self) -> Box<dyn Stream> {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match &self.tls {
            None => Box::new(stream),
            Some(settings) => {
                let client = ClientConnection::new(Arc::clone(settings), "localhost".try_into().unwrap()).unwrap();
                Box::new(StreamOwned::new(client, stream))
            }
        }
    }

    /// Opens a WebSocket, or says with which status it was refused; 0 where it did not come so far.
    pub fn open(&self, path: &str) -> Result<Station, u16> {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        let mut request = format!("{scheme}://localhost:{}{path}", self.address.port()).into_client_request().unwrap();
        if let Some(token) = &self.token {
            request.headers_mut().insert("Authorization", token.parse().unwrap());
        }
        match tungstenite::client(request, self.stream()) {
            Ok((socket, _)) => Ok(Station { socket, inbox: Vec::new() }),
            Err(tungstenite::HandshakeError::Failure(Error::Http(answer))) => Err(answer.status().as_u16()),
            Err(_) => Err(0),
        }
    }

    /// Asks where to go, as Station does first.
    #[track_caller]
    pub fn discover(&self, router: &Value) -> Value {
        let mut station = self.open("/router-info").unwrap();
        station.say(&json!({ "router": router }));
        let answer = station.next_message();
        assert!(station.is_closed(), "it is closed behind the answer");
        answer
    }

    /// Asks where to go and goes there, says who it is and waits for its channels.
    #[track_caller]
    pub fn join(&self, eui: u64) -> (Station, Value) {
        let [a, b, c, d] = [48, 32, 16, 0].map(|shift| eui >> shift & 0xffff);
        let answer = self.discover(&json!(format!("{a:x}:{b:x}:{c:x}:{d:x}")));
        let uri = answer["uri"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let (_, path) = uri.split_once("://").unwrap().1.split_once('/').unwrap();
        let mut station = self.open(&format!("/{path}")).unwrap();
        station.say(&json!({ "msgtype": "version", "station": "2.0.6(linux/std)", "firmware": "1", "package": "1",
            "model": "linux", "protocol": 2, "features": "gps" }));
        let config = station.next_of("router_config");
        (station, config)
    }
}

impl Station {
    /// Says something.
    #[track_caller]
    pub fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).unwrap();
    }

    /// The next message.
    #[track_caller]
    pub fn next_message(&mut self) -> Value {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.socket.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("nothing came");
    }

    /// The next message of a kind; others are kept.
    #[track_caller]
    pub fn next_of(&mut self, kind: &str) -> Value {
        if let Some(at) = self.inbox.iter().position(|message| message["msgtype"] == kind) {
            return self.inbox.remove(at);
        }
        loop {
            let message = self.next_message();
            if message["msgtype"] == kind {
                return message;
            }
            self.inbox.push(message);
        }
    }

    /// Says that a downlink was sent, at this data rate and frequency.
    #[track_caller]
    pub fn sent(&mut self, dnmsg: &Value, dr: u8, frequency: u32) {
        let diid = &dnmsg["diid"];
        self.say(&json!({ "msgtype": "dntxed", "seqno": diid, "diid": diid, "DR": dr, "Freq": frequency,
            "DevEui": dnmsg["DevEui"], "rctx": 0, "xtime": 1, "txtime": 1.5, "gpstime": 0 }));
    }

    /// Whether the server closes the connection, whatever it still says.
    pub fn is_closed(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.socket.read() {
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
        false
    }
}

/// How a frame was heard: at SF7 on 868.1 MHz, at this count.
fn heard(xtime: i64) -> Value {
    json!({ "rctx": 3, "xtime": xtime, "gpstime": 0, "fts": -1, "rssi": -57, "snr": 9.5,
        "rxtime": Duration::from_millis(1_552_906_698_250).as_secs_f64() })
}

/// A data frame without options or with, taken apart as Station does it.
pub fn updf(phy: &[u8], xtime: i64) -> Value {
    let word = |at: usize| i32::from_le_bytes(phy[at..at + 4].try_into().unwrap());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    let (options, end) = (usize::from(phy[5] & 0xf), phy.len() - 4);
    let port_at = 8 + options;
    let port = if port_at == end { -1 } else { i32::from(phy[port_at]) };
    let payload = if port_at == end { &[][..] } else { &phy[port_at + 1..end] };
    json!({ "msgtype": "updf", "MHdr": phy[0], "DevAddr": word(1), "FCtrl": phy[5],
        "FCnt": u16::from_le_bytes([phy[6], phy[7]]), "FOpts": hex(&phy[8..port_at]), "FPort": port,
        "FRMPayload": hex(payload), "MIC": word(end), "RefTime": 0.0, "DR": 5, "Freq": 868_100_000,
        "upinfo": heard(xtime) })
}

/// A join request of this device.
pub fn jreq(dev_eui: &str, xtime: i64) -> Value {
    json!({ "msgtype": "jreq", "MHdr": 0, "JoinEui": "70-B3-D5-7E-D0-00-00-01", "DevEui": dev_eui, "DevNonce": 258,
        "MIC": -1_985_229_329, "RefTime": 0.0, "DR": 0, "Freq": 868_300_000, "upinfo": heard(xtime) })
}
