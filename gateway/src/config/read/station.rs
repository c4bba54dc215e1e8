//! Reads what `[[radio]]` of LoRa Basics Station has of its own.

use std::net::{Ipv4Addr, SocketAddr};

use super::lora::{GATEWAYS_MAX, eui};
use super::ports::Ports;
use super::tls::file;
use crate::config::secret::{MASK, Secret};
use crate::config::section::{Section, Unique};
use crate::config::station::{BasicsStation, CHANNELS_MAX, RADIO_SPAN, StationGateway, StationTls, share_out};
use crate::config::tree::{Kind, Value};
use crate::tls::{Authorities, Chain, Key, Server};

/// The port that network servers usually have for it.
const USUAL_PORT: u16 = 3001;

/// The longest token, in bytes: what Station sends of `tc.key` is 1 KiB at most.
const TOKEN_MAX_BYTES: usize = 512;

/// What the concentrators of gateways can be tuned to, in Hz (basicstation, `sx130xconf.c`).
const FREQUENCY: std::ops::RangeInclusive<i128> = 100_000_000..=1_000_000_000;

/// Reads it; its listener goes to `ports` as well. None when it has a problem that leaves nothing to go on with.
pub(super) fn read(section: &mut Section<'_>, ports: &mut Ports) -> Option<BasicsStation> {
    let wanted = "an IP address with a port, such as \"127.0.0.1:3001\" or \"0.0.0.0:3001\"";
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT));
    let listen = section.parsed("listen", wanted, |text| text.parse().ok()).unwrap_or(usual);
    ports.add("[[radio]]", listen, Some(section.spot("listen")));
    let has_tls = section.has("tls");
    let tls = has_tls.then(|| read_tls(section.section("tls", "tls of [[radio]]"))).flatten();
    let certified = tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let guard = Guard { outside: !listen.ip().to_canonical().is_loopback(), has_tls, certified };
    let gateways = read_gateways(section, listen, guard);
    let channels = channels(section);
    (tls.is_some() || !has_tls).then_some(BasicsStation { listen, tls, gateways, channels })
}

/// What keeps strangers out.
#[derive(Clone, Copy)]
struct Guard {
    outside: bool,
    has_tls: bool,
    certified: bool,
}

fn read_gateways(section: &mut Section<'_>, listen: SocketAddr, guard: Guard) -> Vec<StationGateway> {
    let mut euis = Unique::new("gateway");
    let sections = section.sections("gateways", "gateways of [[radio]]", GATEWAYS_MAX);
    let none = sections.is_empty();
    let gateways: Vec<_> = sections.into_iter().filter_map(|gateway| one_gateway(gateway, guard, &mut euis)).collect();
    if guard.outside && none {
        let what =
            format!("the listener on {listen} can be reached from outside, and no gateway is named that may connect");
        let remedy = "write `gateways = [{ eui = \"...\", token = \"...\" }]`, or listen on 127.0.0.1 only";
        section.notes.error(section.spot("listen"), what, remedy);
    }
    if guard.outside && !guard.has_tls && gateways.iter().any(|gateway| gateway.token.is_some()) {
        let what = format!("the listener on {listen} has no TLS: tokens can be read on their way");
        section.notes.warning(section.spot("listen"), what, "add `[radio.tls]`; `stile cert` makes a certificate");
    }
    gateways
}

fn one_gateway(mut section: Section<'_>, guard: Guard, euis: &mut Unique) -> Option<StationGateway> {
    let s = &mut section;
    let eui = eui(s, "write `eui = \"...\"`; Station's log calls it `Station EUI`");
    let wanted = "1 to 512 printable characters without spaces around them";
    let token = s.text("token").and_then(|text| {
        let fits = (1..=TOKEN_MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let fits = fits && text.trim() == text && text != MASK;
        if !fits {
            s.refuse("token", format!("is not {wanted}"), format!("write {wanted}"));
        }
        fits.then(|| Secret::new(text))
    });
    if let Some(eui) = eui {
        euis.claim(&eui.to_string(), s.spot("eui"), s.notes);
        if guard.outside && !guard.certified && !s.has("token") {
            let what = format!("gateway `{eui}` has no token: whoever reaches the port can speak for it");
            let remedy = "add `token = \"...\"`, or ask for certificates with `client-ca` in `[radio.tls]`";
            s.notes.warning(s.spot("eui"), what, remedy);
        }
    }
    section.finish();
    Some(StationGateway { eui: eui?, token })
}

fn read_tls(mut section: Section<'_>) -> Option<StationTls> {
    let (certificate, key) = (section.path("certificate"), section.path("key"));
    for key in ["certificate", "key"] {
        section.require(key, format!("write `{key} = \"/path\"`; `stile cert` makes both"));
    }
    let client_ca = section.path("client-ca");
    let chain = file(&section, "certificate", certificate.clone(), "no certificate", Chain::read);
    let secret = file(&section, "key", key.clone(), "no private key", Key::read);
    let authorities = file(&section, "client-ca", client_ca.clone(), "no certificate", Authorities::read);
    let server = chain.zip(secret).and_then(|(chain, secret)| {
        let server = Server::new(chain, secret, authorities.map(|authorities| (authorities, true)));
        let refuse =
            |why| section.refuse("key", format!("names a file which {why}"), "name the two that belong together");
        server.map_err(refuse).ok()
    });
    section.finish();
    Some(StationTls { certificate: certificate?, key: key?, client_ca, server: server? })
}

fn channels(section: &mut Section<'_>) -> Vec<u32> {
    let wanted = "a frequency in Hz, such as 868100000";
    let items = section.list("channels", CHANNELS_MAX).unwrap_or_default();
    let mut read = Vec::new();
    for item in items {
        let item = item.resolve(&[Kind::Integer]);
        let frequency = match item.value {
            Value::Integer(number) if FREQUENCY.contains(&number) => u32::try_from(number).ok(),
            _ => None,
        };
        match frequency {
            Some(frequency) if read.contains(&frequency) => {
                let what = format!("`channels` in {} has {frequency} twice", section.title());
                section.notes.error(&item.spot, what, "remove one of them");
            }
            Some(frequency) => read.push(frequency),
            None => {
                let what = format!("`channels` in {} has what is not {wanted}", section.title());
                section.notes.error(&item.spot, what, format!("write {wanted}"));
            }
        }
    }
    if share_out(&read).is_none() {
        let is = format!("lie too far apart: a concentrator has two radios of {} kHz each", RADIO_SPAN / 1000);
        section.refuse("channels", is, "leave some of them out");
    }
    read
}
