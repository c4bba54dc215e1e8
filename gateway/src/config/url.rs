//! Where remotes are, as URLs: written and read.

use std::fmt;

use serde::{Serialize, Serializer};

/// The path of a WebSocket where the URL names none; what brokers mostly have.
const USUAL_PATH: &str = "/mqtt";

/// The longest path of a WebSocket, in bytes.
const PATH_MAX: usize = 1024;

/// Where a remote is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// `mqtts` or `wss`, and not `mqtt` or `ws`.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Where the WebSocket is on that host, with what may stand behind a `?`; `None`: MQTT goes without one.
    pub websocket: Option<String>,
}

impl Url {
    /// Reads `mqtt://host` or `ws://host/path`, with `s` for TLS and a port where it is not the usual one. `None` for anything
    /// else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (tls, websocket, usual) = match scheme {
            "mqtt" => (false, false, 1883),
            "mqtts" => (true, false, 8883),
            "ws" => (false, true, 80),
            "wss" => (true, true, 443),
            _ => return None,
        };
        let (place, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = place_of(place)?;
        let websocket = match (websocket, path) {
            (false, "" | "/") => None,
            (false, _) => return None,
            (true, "") => Some(USUAL_PATH.to_owned()),
            (true, path) => Some(is_path(path).then(|| path.to_owned())?),
        };
        Some(Self { tls, host: host.to_owned(), port: port.unwrap_or(usual), websocket })
    }
}

/// What may stand in the first line of a request.
fn is_path(text: &str) -> bool {
    text.len() <= PATH_MAX && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// The two parts of `host:port`; an IPv6 address stands in brackets.
pub(super) fn place_of(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None => None,
    };
    // No user, whose password would be in the open.
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let fits = (1..=253).contains(&host.len()) && host.chars().all(sound);
    fits.then_some((host, port))
}

/// The other way: `host:port`, an IPv6 address in brackets.
pub fn place(host: &str, port: u16) -> String {
    let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
    format!("{open}{host}{close}:{port}")
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.websocket.is_some(), self.tls) {
            (false, false) => "mqtt",
            (false, true) => "mqtts",
            (true, false) => "ws",
            (true, true) => "wss",
        };
        write!(f, "{scheme}://{}{}", place(&self.host, self.port), self.websocket.as_deref().unwrap_or_default())
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn what_is_read_is_written_with_all_that_was_left_out() {
        for (written, whole) in [
            ("mqtt://host", "mqtt://host:1883"),
            ("mqtts://host/", "mqtts://host:8883"),
            ("ws://host", "ws://host:80/mqtt"),
            ("wss://[::1]", "wss://[::1]:443/mqtt"),
            ("wss://host:8443/", "wss://host:8443/"),
            ("wss://hub.example/$iothub/websocket?x=1", "wss://hub.example:443/$iothub/websocket?x=1"),
        ] {
            let url = Url::parse(written).map(|url| url.to_string());
            assert_eq!(url.as_deref(), Some(whole), "{written}");
            assert_eq!(Url::parse(whole), Url::parse(written), "{whole}");
        }
    }

    #[test]
    fn what_is_no_place_of_a_broker_is_not_taken() {
        let long = format!("ws://host/{}", "x".repeat(1024));
        for text in [
            "",
            "host",
            "http://host",
            "mqtt://",
            "mqtt://host/path",
            "mqtt://host:0",
            "mqtt://anna@host",
            "ws://host/a b",
            "ws://host/a#b",
            "ws://host/\r\nx: y",
            "ws:///mqtt",
            "wss://[::1]x",
            "wss://[host]",
            "ws://host?x",
            &long,
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }
}
