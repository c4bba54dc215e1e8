//! What a client signs in with, to be copied or to be read by a camera: shown once, in the answer to the form that made it.
//!
//! The code holds one text, `mqtts://USER:PASSWORD@HOST:PORT`, or `mqtt://` where the broker has no TLS: the form of a URL
//! that clients of MQTT take, with user and password percent-encoded (RFC 3986, section 3.2.1).

use std::fmt::Write;
use std::net::SocketAddr;

use axum::http::{HeaderMap, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qrcode::{Color, EcLevel, QrCode};

use crate::admin::Sources;
use crate::broker::Transport;

/// All but what RFC 3986 leaves alone (section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Around the code, in modules: what cameras find it by (ISO/IEC 18004, section 9.1).
const QUIET: usize = 4;

/// See the module's head.
pub(super) struct Ticket {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) url: String,
    /// The picture; none where the text is too long for one.
    pub(super) code: Option<String>,
    /// Only this machine reaches the broker.
    pub(super) only_here: bool,
}

impl Ticket {
    pub(super) fn new(sources: &Sources, headers: &HeaderMap, user: &str, password: &str) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).map_or("", without_port);
        let (door, address) = best(&sources.broker.listeners());
        let url = url(door, &place(address, host), user, password);
        let code = picture(&url);
        let only_here = address.ip().to_canonical().is_loopback();
        Self { user: user.to_owned(), password: password.to_owned(), url, code, only_here }
    }
}

/// Of everywhere that clients connect, what a device is best told: beyond this machine, with TLS, and MQTT at once.
fn best(listeners: &[(Transport, SocketAddr)]) -> (Transport, SocketAddr) {
    let plain = listeners.iter().filter(|(door, _)| matches!(door, Transport::Plain | Transport::Tls));
    let worth = |(door, address): &(Transport, SocketAddr)| {
        (!address.ip().to_canonical().is_loopback(), *door == Transport::Tls)
    };
    let none = (Transport::Plain, SocketAddr::from(([127, 0, 0, 1], 1883)));
    plain.max_by_key(|listener| worth(listener)).copied().unwrap_or(none)
}

/// The host of an HTTP header.
fn without_port(host: &str) -> &str {
    let end = host.rfind(':').filter(|colon| host.rfind(']').is_none_or(|bracket| bracket < *colon));
    &host[..end.unwrap_or(host.len())]
}

/// Host and port: the address itself, or where it stands for all of the machine's, the name that the page was reached by.
fn place(address: SocketAddr, host: &str) -> String {
    match address.ip() {
        ip if ip.is_unspecified() && !host.is_empty() => format!("{host}:{}", address.port()),
        _ => address.to_string(),
    }
}

fn url(door: Transport, place: &str, user: &str, password: &str) -> String {
    let scheme = if door == Transport::Tls { "mqtts" } else { "mqtt" };
    let [user, password] = [user, password].map(|text| utf8_percent_encode(text, RESERVED));
    format!("{scheme}://{user}:{password}@{place}")
}

/// As SVG, in classes alone. Dark on light whatever the page's colours are, since cameras want that.
fn picture(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let (width, colors) = (code.width(), code.to_colors());
    let side = width + 2 * QUIET;
    let mut path = String::new();
    for (y, row) in colors.chunks(width).enumerate() {
        for (x, _) in row.iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
            // Writing to a string can't fail.
            let _ = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    Some(format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"The same as a code for a \
         camera\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\"><rect width=\"{side}\" \
         height=\"{side}\"/><path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_told_the_address_that_it_can_reach_with_tls_if_there_is_one() {
        let at = |door, address: &str| (door, address.parse().unwrap());
        let (plain, tls) = (at(Transport::Plain, "0.0.0.0:1883"), at(Transport::Tls, "0.0.0.0:8883"));
        let here = at(Transport::Tls, "127.0.0.1:8883");
        assert_eq!(best(&[plain, tls]), tls);
        assert_eq!(best(&[here, plain]), plain);
        assert_eq!(best(&[at(Transport::Plain, "127.0.0.1:1883"), here]), here);
        assert_eq!(best(&[at(Transport::WebSocket, "0.0.0.0:80")]).1.port(), 1883);
        assert_eq!(["a:80", "a", "[::1]:80", "[::1]"].map(without_port), ["a", "a", "[::1]", "[::1]"]);
        assert_eq!(place(tls.1, "gateway.lan"), "gateway.lan:8883");
        assert_eq!(place("192.0.2.1:1883".parse().unwrap(), "gateway.lan"), "192.0.2.1:1883");
        assert_eq!(place("[::]:1883".parse().unwrap(), ""), "[::]:1883");
        assert_eq!(url(tls.0, "h:8883", "a/b", "p:@ä"), "mqtts://a%2Fb:p%3A%40%C3%A4@h:8883");
    }

    #[test]
    fn a_code_is_a_square_of_modules_and_what_is_too_long_has_none() {
        let svg = picture("mqtt://kitchen:8rxc2kbhuwg7mzq3ayvf@192.0.2.1:1883").unwrap();
        // 50 bytes at level M are version 4, of 33 modules, and 4 around them.
        assert!(svg.contains("viewBox=\"0 0 41 41\"") && !svg.contains("style"), "{svg}");
        assert!(svg.contains("M4 4h1v1h-1z"), "the corner that cameras look for");
        assert_eq!(picture(&"x".repeat(3000)), None);
    }
}
