//! Somebody who visits the admin page: HTTP with cookies, plain or by TLS, one connection a request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

use crate::websocket::trusting;
use crate::{PATIENCE, Stile};

/// The password of everybody in tests.
pub const PASSWORD: &str = "several plain words";

/// See the module's head.
pub struct Visitor {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    /// Names and values, as the gateway has set them.
    pub cookies: Vec<(String, String)>,
    /// Sent with each request.
    pub headers: Vec<(&'static str, String)>,
}

/// What came.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came, but for the framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Where it leads, for redirections.
    pub fn leads_to(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text());
        self.header("location")
    }

    /// The value of the hidden field `csrf`.
    #[track_caller]
    pub fn csrf(&self) -> String {
        let text = self.text();
        let found = text.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        found.unwrap_or_else(|| panic!("no form in:\n{text}")).to_owned()
    }
}

impl Visitor {
    /// Comes by plain HTTP.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, tls: None, cookies: Vec::new(), headers: Vec::new() }
    }

    /// Comes by TLS, and believes this authority.
    pub fn secure(address: SocketAddr, authority: &Path) -> Self {
        Self { tls: Some(trusting(authority)), ..Self::new(address) }
    }

    /// Comes with a token.
    pub fn with_token(address: SocketAddr, token: &str) -> Self {
        Self { headers: vec![("Authorization", format!("Bearer {token}"))], ..Self::new(address) }
    }

    /// Sets a fresh gateway up as `anna`, and stays signed in.
    #[track_caller]
    pub fn first(stile: &Stile) -> Self {
        let mut visitor = Self::new(stile.admin);
        let logged = stile.wait_log("nobody can sign in to the admin page yet; set it up with this code");
        let code = logged["code"].as_str().unwrap().to_owned();
        let answer = visitor.post("/setup", &[("code", &code), ("name", "anna"), ("password", PASSWORD)]);
        assert_eq!(answer.leads_to(), "/first-steps");
        visitor
    }

    /// Signs in.
    #[track_caller]
    pub fn signed_in(stile: &Stile, name: &str) -> Self {
        let mut visitor = Self::new(stile.admin);
        let answer = visitor.post("/sign-in", &[("name", name), ("password", PASSWORD)]);
        assert_eq!(answer.leads_to(), "/");
        visitor
    }

    /// Asks for a page, as a browser does.
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[("Accept", "text/html")], "")
    }

    /// Sends a form, as a browser does.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        self.ask("POST", path, &[("Accept", "text/html"), kind], &body.join("&"))
    }

    /// Asks for anything.
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &(impl AsRef<[u8]> + ?Sized),
    ) -> Answer {
        let mut stream = self.send(method, path, headers, body);
        let mut bytes = Vec::new();
        // TLS without a proper end is fine where the length is known.
        let _ = stream.read_to_end(&mut bytes);
        let answer = parse(&bytes);
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(own, _)| own != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    /// Sends a request and leaves the answer to be read.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &(impl AsRef<[u8]> + ?Sized),
    ) -> Box<dyn Read> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            head += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        let own = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            head += &format!("{name}: {value}\r\n");
        }
        let body = body.as_ref();
        let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        let request = [head.as_bytes(), body].concat();
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match &self.tls {
            None => {
                stream.write_all(&request).unwrap();
                Box::new(stream)
            }
            Some(config) => {
                let tls = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
                let mut stream = StreamOwned::new(tls, stream);
                stream.write_all(&request).unwrap();
                Box::new(stream)
            }
        }
    }
}

/// A value in a form.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[track_caller]
fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {bytes:?}"));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
    let body = &bytes[end + 4..];
    let in_chunks = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    Answer { status, headers, body: if in_chunks { of_chunks(body) } else { body.to_vec() } }
}

/// A body of chunks (RFC 9112, section 7.1), as far as it came.
fn of_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let data = &rest[end + 2..];
        body.extend_from_slice(&data[..size.min(data.len())]);
        rest = data.get(size + 2..).unwrap_or_default();
    }
    body
}
