//! MQTT over WebSocket, by the ordinary library, or frame by frame.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::PATIENCE;
use crate::packet::{Connect, RawPacket};

/// A client that has done its handshake.
#[derive(Debug)]
pub struct WebSocketClient<S = TcpStream> {
    /// The library's own client.
    pub socket: WebSocket<S>,
    inbox: Vec<u8>,
}

impl WebSocketClient {
    /// Does the handshake, without a CONNECT. The library checks the answer.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::over(tcp(address), &format!("ws://{address}/mqtt"))
    }

    /// Connects; it must be let in.
    #[track_caller]
    pub fn connect(address: SocketAddr, version: u8, id: &str) -> Self {
        let mut client = Self::open(address);
        client.join(&Connect::new(version, id));
        client
    }
}

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A client's side of TLS that believes this authority (PEM).
pub(crate) fn trusting(authority: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let settings = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(settings.with_root_certificates(roots).with_no_client_auth())
}

/// A client over TLS.
pub type SecureWebSocketClient = WebSocketClient<StreamOwned<ClientConnection, TcpStream>>;

impl SecureWebSocketClient {
    /// Shakes hands with a gateway on this machine that `authority` (PEM) vouches for, then does the WebSocket's.
    #[track_caller]
    pub fn open_secure(address: SocketAddr, authority: &Path) -> Self {
        let tls = ClientConnection::new(trusting(authority), "localhost".try_into().unwrap()).unwrap();
        Self::over(StreamOwned::new(tls, tcp(address)), &format!("wss://localhost:{}/mqtt", address.port()))
    }
}

impl<S: Read + Write> WebSocketClient<S> {
    #[track_caller]
    fn over(stream: S, url: &str) -> Self {
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "mqtt".parse().unwrap());
        let Ok((socket, answer)) = tungstenite::client(request, stream) else { panic!("no WebSocket at {url}") };
        assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], "mqtt");
        Self { socket, inbox: Vec::new() }
    }

    /// Says CONNECT; it must be let in.
    #[track_caller]
    pub fn join(&mut self, connect: &Connect) {
        self.send(&connect.bytes());
        let connack = self.packet();
        assert_eq!((connack.kind(), connack.body[1]), (2, 0), "{connack:02x?}");
    }

    /// Sends bytes in one binary message.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).unwrap();
    }

    /// Sends bytes below WebSocket.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).unwrap();
    }

    /// The next packet; messages that are not binary are a fault of the gateway.
    #[track_caller]
    pub fn packet(&mut self) -> RawPacket {
        loop {
            if let Some((packet, size)) = RawPacket::parse(&self.inbox) {
                self.inbox.drain(..size);
                return packet;
            }
            match self.socket.read().unwrap() {
                Message::Binary(bytes) => self.inbox.extend(bytes),
                Message::Pong(_) | Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The bytes that still come until the gateway closes the connection.
    #[track_caller]
    pub fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.socket.get_mut().read_to_end(&mut rest) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{error}; {rest:02x?}"),
            _ => rest,
        }
    }
}

/// A frame as a client sends it, masked with a mask of its own.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5a, 1, 0xff, 0];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        medium @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}
