//! Whom the hub lets in: the form of CONNECT, the user name, the token or the certificate.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::bag::decode;
use super::{HOST, Shows, State};
use crate::forwarder::base64;
use crate::packet::{RawPacket, Reader, V311};

/// A device that is let in.
pub(super) struct Admitted {
    pub(super) device: String,
    pub(super) clean: bool,
    pub(super) keep_alive: Duration,
    /// When its token ends.
    pub(super) until: Option<Instant>,
    pub(super) will: Option<(String, Vec<u8>)>,
}

/// Whom a CONNECT is of, or the return code of CONNACK (0: none is sent) and why. `certificate` is what was shown.
pub(super) fn admit(connect: &RawPacket, certificate: Option<&[u8]>, state: &State) -> Result<Admitted, (u8, String)> {
    let refuse = |code: u8, why: &str| Err((code, why.to_owned()));
    let mut r = Reader(&connect.body);
    let (protocol, version, flags) = (r.text(), r.number(1), r.number(1));
    if protocol != "MQTT" || version != u32::from(V311) {
        return refuse(1, "it speaks MQTT 3.1.1 only");
    }
    let keep_alive = r.number(2);
    if keep_alive > 1177 {
        return refuse(0, "a keep-alive of more than 1177 s");
    }
    let device = r.text();
    let will = (flags & 4 != 0).then(|| (r.text(), r.counted()));
    let user = if flags & 0x80 != 0 { r.text() } else { String::new() };
    let password = (flags & 0x40 != 0).then(|| r.text());
    let events = format!("devices/{device}/messages/events/");
    if will.as_ref().is_some_and(|(topic, _)| !topic.starts_with(&events)) {
        return refuse(0, "a will that is no telemetry");
    }
    if user != format!("{HOST}/{device}/?api-version=2021-04-12") {
        return refuse(4, &format!("the user name {user}"));
    }
    let now = SystemTime::now() + state.ahead;
    let left = match (state.known.get(&device), password) {
        (None, _) => return refuse(5, &format!("the device {device} is not known")),
        (Some(Shows::Key(key)), Some(token)) => Some(check(&token, &device, key, now).map_err(|why| (5, why))?),
        (Some(Shows::Key(_)), None) => return refuse(5, "no token"),
        (Some(Shows::Certificate), Some(_)) => return refuse(5, "a token of a device with a certificate"),
        (Some(Shows::Certificate), None) => {
            let named = |der: &[u8]| der.windows(device.len()).any(|part| part == device.as_bytes());
            if !certificate.is_some_and(named) {
                return refuse(5, "no certificate of this name");
            }
            None
        }
    };
    Ok(Admitted {
        device,
        clean: flags & 2 != 0,
        // Half of it again is given, as MQTT says.
        keep_alive: Duration::from_secs(u64::from(keep_alive)) * 3 / 2,
        until: left.map(|left| Instant::now() + left),
        will,
    })
}

/// How long a token is still good, or why it is not.
fn check(token: &str, device: &str, key: &[u8], now: SystemTime) -> Result<Duration, String> {
    let fields = token.strip_prefix("SharedAccessSignature ").ok_or("no shared access signature")?;
    let field = |name: &str| {
        let found = fields.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        found.ok_or(format!("a token without {name}"))
    };
    let (resource, signature, expiry) = (field("sr")?, field("sig")?, field("se")?);
    if decode(resource)? != format!("{HOST}/devices/{device}") {
        return Err(format!("a token for {resource}"));
    }
    let expected = base64(&hmac_sha256::HMAC::mac(format!("{resource}\n{expiry}").as_bytes(), key));
    if decode(signature)? != expected {
        return Err("a wrong signature".to_owned());
    }
    let expiry = expiry.parse().map_err(|_| format!("a token until {expiry}"))?;
    let left = (UNIX_EPOCH + Duration::from_secs(expiry)).duration_since(now);
    left.map_err(|_| "a token that has ended".to_owned())
}
