//! Reads `[[uplink]]`: where a remote broker is, who the gateway is to it, and what goes which way.

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::filters::{filter, filters};
use super::{hub, name, path, share, tls, users};
use crate::config::duration;
use crate::config::problem::plain;
use crate::config::profile::{Profile, RemoteLimits};
use crate::config::section::{Section, Unique};
use crate::config::uplink::{Direction, InFile, Password, Protocol, Rule, Spool, Uplink};
use crate::config::url::Url;
use crate::message::{QoS, Topic, TopicFilter};
use crate::tls::{Authorities, Chain, Client, Key, Pin, SYSTEM_AUTHORITIES};

/// More rules of one uplink than this are refused: each may be tried for each message.
const RULES_MAX: usize = 100;

/// The longest client identifier, in bytes, as long as any broker takes.
const CLIENT_ID_MAX: usize = 256;

/// Reads one uplink. `names` are those of all; `gateway` is the gateway's id.
pub(super) fn read(mut section: Section<'_>, gateway: &str, names: &mut Unique) -> Option<Uplink> {
    let s = &mut section;
    let name = name(s, "name");
    s.require("name", "write `name = \"...\"`; what waits for the remote belongs to it");
    if let Some(name) = &name {
        names.claim(name, s.spot("name"), s.notes);
    }
    let profile: Profile = s.choice("profile").unwrap_or_default();
    let hub = hub(s, profile);
    let url = match hub.as_ref().and_then(|hub| hub.host.as_deref()) {
        Some(host) if !s.has("url") => Url::parse(&format!("mqtts://{host}")),
        _ => url(s),
    };
    let protocol = s.choice("protocol").or(profile.takes().protocol).unwrap_or_default();
    let device = hub.as_ref().and_then(|hub| hub.device.clone());
    let usual_id = device.or_else(|| name.as_ref().map(|name| format!("{gateway}-{name}")));
    let client_id = s.parsed("client-id", "a text of 1 to 256 bytes without control characters", client_id);
    let user = s.text("user");
    let password = password(s, user.is_some());
    let tls = client(s, url.as_ref());
    let ways = path::read(s);
    let topics = topics(s, protocol, profile);
    let share = share::read(s, topics.as_deref());
    let pseudonyms_change = share::pseudonyms_change(s, share.as_deref());
    let keep_alive = s.duration("keep-alive", Duration::from_secs(5)..=Duration::from_secs(65_535));
    let in_flight = s.integer("in-flight", 1..=1000).and_then(NonZeroU16::new);
    let max_rate = s.integer("max-rate", 1..=1_000_000);
    let max_packet_size = s.integer("max-packet-size", 1024..=268_435_455);
    let announce = s.boolean("announce").unwrap_or(hub.is_none());
    let spool = spool(s.section("spool", "[uplink.spool]"));
    let limits = limits(s.section("limits", "[uplink.limits]"));
    let known_as = client_id.as_ref().or(usual_id.as_ref());
    check_profile(s, profile, url.as_ref(), known_as, keep_alive, protocol);
    if let Some(hub) = &hub {
        hub.check(s, known_as.map(String::as_str));
        hub::warn_of_own(s, name.as_deref().unwrap_or_default(), topics.as_deref().unwrap_or_default());
    }
    section.finish();
    let mut uplink = Uplink::new(&name?, url?, topics?);
    uplink.client_id = client_id.or(usual_id)?;
    uplink.hub = hub.map(|hub| hub.hub(&uplink.url.host));
    let Files { ca, certificate, key, pin, client } = tls?;
    (uplink.ca, uplink.certificate, uplink.key, uplink.pin, uplink.tls) = (ca, certificate, key, pin, client);
    let path::Ways { paths, proxy, timeout, back } = ways?;
    (uplink.paths, uplink.proxy) = (paths, proxy);
    uplink.path_timeout = timeout.unwrap_or(uplink.path_timeout);
    uplink.path_return = back.unwrap_or(uplink.path_return);
    uplink.keep_alive = keep_alive.unwrap_or(uplink.keep_alive);
    uplink.in_flight = in_flight.unwrap_or(uplink.in_flight);
    uplink.max_packet_size = max_packet_size.unwrap_or(uplink.max_packet_size);
    uplink.share = share?;
    Some(Uplink { profile, protocol, user, password, pseudonyms_change, max_rate, announce, spool, limits, ..uplink })
}

/// `[uplink.hub]`, where the remote is one.
fn hub(section: &mut Section<'_>, profile: Profile) -> Option<hub::Read> {
    if profile == Profile::AzureIotHub {
        return Some(hub::read(section.section("hub", "[uplink.hub]")));
    }
    if section.has("hub") {
        section.skip("hub");
        section.refuse(
            "hub",
            "is there, and the remote is no hub",
            "write `profile = \"azure-iot-hub\"`, or remove it",
        );
    }
    None
}

fn url(section: &mut Section<'_>) -> Option<Url> {
    let text = section.text("url");
    section.require("url", "write `url = \"mqtts://...\"` with the remote broker's name");
    let text = text?;
    let url = Url::parse(&text);
    if url.is_none() && text.contains('@') {
        // The text is not repeated: a password may stand in it.
        section.refuse("url", "has a user in it", "write `user` and `password-file` in its place");
    } else if url.is_none() {
        let remedy = "write such as \"mqtts://broker.example.org\", \"mqtt://192.0.2.7:1883\" or \"wss://broker.example.org/mqtt\"";
        section.refuse("url", format!("is `{}`, which is no place of a broker", plain(&text)), remedy);
    }
    url
}

fn client_id(text: &str) -> Option<String> {
    ((1..=CLIENT_ID_MAX).contains(&text.len()) && !text.contains(char::is_control)).then(|| text.to_owned())
}

pub(super) fn password(section: &mut Section<'_>, user: bool) -> Option<Password> {
    let given = section.text("password");
    let file = section.path("password-file");
    for key in ["password", "password-file"] {
        if section.has(key) && !user && !section.has("user") {
            section.refuse(key, "is there without `user`", "write `user = \"...\"` as well");
        }
    }
    match (given, file) {
        (Some(_), Some(_)) => {
            section.refuse("password-file", "stands beside `password`", "keep one of the two");
            None
        }
        (Some(given), None) => users::check_password(section, &given).map(Password::Password),
        (None, Some(path)) => {
            let secret = users::password_of_file(section, &path)?;
            Some(Password::PasswordFile(InFile { path, secret }))
        }
        (None, None) => None,
    }
}

/// The files of TLS, and what is made of them.
struct Files {
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    pin: Option<Pin>,
    client: Option<Client>,
}

/// Where the URL wants no TLS, nothing that belongs to it may be there.
fn client(section: &mut Section<'_>, url: Option<&Url>) -> Option<Files> {
    let (ca, certificate, key) = (section.path("ca"), section.path("certificate"), section.path("key"));
    let pin = section.parsed("pin", "a SHA-256 in hex digits, as `stile uplink test` prints it", Pin::parse);
    let named = ["ca", "certificate", "key", "pin"].into_iter().filter(|key| section.has(key)).collect::<Vec<_>>();
    if url.is_some_and(|url| !url.tls) {
        for key in named {
            section.refuse(
                key,
                "does not go with `mqtt://` or `ws://`, which have no TLS",
                "write `mqtts://` or `wss://` in `url`, or remove it",
            );
        }
        return Some(Files { ca, certificate, key, pin, client: None });
    }
    for (key, other) in [("certificate", "key"), ("key", "certificate")] {
        if section.has(other) {
            section.require(key, format!("write `{key} = \"/path\"`; it goes with `{other}`"));
        }
    }
    let chain = tls::file(section, "certificate", certificate.clone(), "no certificate", Chain::read);
    let secret = tls::file(section, "key", key.clone(), "no private key", Key::read);
    let authorities = authorities(section, ca.as_deref(), section.has("pin"), url.is_some());
    let wanted = [certificate.is_some(), key.is_some(), pin.is_some()];
    let whole = wanted == [chain.is_some(), secret.is_some(), section.has("pin")] && authorities.is_some();
    let client = whole.then(|| {
        Client::new(authorities?, pin, chain.zip(secret))
            .map_err(|why| {
                section.refuse("key", format!("names a file which {why}"), "name the two that belong together");
            })
            .ok()
    });
    let client = client.flatten()?;
    Some(Files { ca, certificate, key, pin, client: Some(client) })
}

/// Those that may sign the remote's certificate: of a file; the system's; or nobody, where the pin alone says who it is.
/// `None` where they can't be had, which the notes say.
fn authorities(section: &Section<'_>, ca: Option<&Path>, pinned: bool, needed: bool) -> Option<Option<Authorities>> {
    if section.has("ca") {
        return tls::file(section, "ca", ca.map(Path::to_owned), "no certificate", Authorities::read).map(Some);
    }
    if pinned || !needed {
        return Some(None);
    }
    let system = crate::config::files::read_pem(Path::new(SYSTEM_AUTHORITIES));
    match system.and_then(|pem| Authorities::read_system(&pem)) {
        Ok(authorities) => Some(Some(authorities)),
        Err(reason) => {
            let is = format!("wants TLS, and the system's authorities in {SYSTEM_AUTHORITIES} can't be read: {reason}");
            section.refuse("url", is, "install Debian's ca-certificates, or name `ca` or `pin`");
            None
        }
    }
}

fn topics(section: &mut Section<'_>, protocol: Protocol, profile: Profile) -> Option<Vec<Rule>> {
    let sections = section.sections("topics", "[[uplink.topics]]", RULES_MAX);
    let written = sections.len();
    let rules: Vec<_> = sections.into_iter().filter_map(|rule| read_rule(rule, protocol, profile)).collect();
    let remedy = "write `topics = [{ filter = \"serial/+/up\" }]`";
    section.require("topics", remedy);
    if section.has("topics") && written == 0 {
        section.refuse("topics", "has no rule, so that nothing would go either way", remedy);
    }
    (written > 0 && rules.len() == written).then_some(rules)
}

fn read_rule(mut section: Section<'_>, protocol: Protocol, profile: Profile) -> Option<Rule> {
    let s = &mut section;
    let most = profile.takes().qos;
    let text = s.text("filter");
    s.require("filter", "write `filter = \"#\"`, or a narrower one");
    let filter = text.and_then(|text| match filter(&text) {
        Ok(filter) => Some(filter),
        Err(is) => {
            s.refuse(
                "filter",
                format!("is `{}`, which {is}", plain(&text)),
                "write a topic filter such as \"serial/+/up\"",
            );
            None
        }
    });
    let direction: Option<Direction> = s.choice("direction");
    let qos = s.integer::<u8>("qos", 0..=2).and_then(QoS::from_u8);
    if let Some(qos) = qos.filter(|qos| *qos > most) {
        let is = format!("is {}, and brokers of this `profile` take {} at most", qos as u8, most as u8);
        s.refuse("qos", is, format!("write `qos = {}`", most as u8));
    }
    let local_prefix = prefix(s, "local-prefix");
    let remote_prefix = prefix(s, "remote-prefix");
    if let (Some(filter), Some(local), Some(remote)) = (&filter, &local_prefix, &remote_prefix) {
        check_whole(s, filter, local, remote);
    }
    let direction = direction.unwrap_or_default();
    if profile == Profile::AzureIotHub {
        hub::check_rule(s, direction);
    } else if direction == Direction::Both && protocol == Protocol::V311 {
        let what = "a remote that speaks 3.1.1 sends back what goes out under a rule of both directions";
        s.notes.warning(s.spot("direction"), what, "write `protocol = \"5\"`, or two rules with different prefixes");
    }
    section.finish();
    let (filter, local_prefix, remote_prefix) = (filter?, local_prefix?, remote_prefix?);
    Some(Rule { filter, direction, qos: qos.unwrap_or(QoS::AtLeastOnce), local_prefix, remote_prefix })
}

/// A text that topics may begin with.
fn prefix(section: &mut Section<'_>, key: &'static str) -> Option<String> {
    if !section.has(key) {
        return Some(String::new());
    }
    let wanted = "what a topic begins with, such as \"site/roof/\"";
    section.parsed(key, wanted, |text| (text.is_empty() || Topic::new(text).is_ok()).then(|| text.to_owned()))
}

/// Prefix and filter must make one filter, on both sides; `$` topics are each broker's own.
fn check_whole(section: &Section<'_>, filter: &TopicFilter, local: &str, remote: &str) {
    for (key, prefix) in [("local-prefix", local), ("remote-prefix", remote)] {
        let whole = format!("{prefix}{filter}");
        if let Err(error) = TopicFilter::new(&whole) {
            let is = format!("and `filter` make `{}`, which {error}", plain(&whole));
            section.refuse(key, is, "end the prefix with `/`");
        } else if whole.starts_with('$') && key == "local-prefix" {
            let key = if prefix.is_empty() { "filter" } else { key };
            section.refuse(key, "begins with `$`, and such topics stay in the gateway", "write another filter");
        }
    }
}

fn limits(mut section: Section<'_>) -> RemoteLimits {
    let s = &mut section;
    let read = RemoteLimits {
        payload: s.integer("payload", 1..=268_435_455),
        topic_bytes: s.integer("topic-bytes", 1..=65_535),
        topic_levels: s.integer("topic-levels", 1..=1024),
        retain: s.boolean("retain"),
    };
    section.finish();
    read
}

/// What brokers of a kind never take, so that no connection would come about.
fn check_profile(
    section: &Section<'_>,
    profile: Profile,
    url: Option<&Url>,
    client_id: Option<&String>,
    keep_alive: Option<Duration>,
    protocol: Protocol,
) {
    let takes = profile.takes();
    if takes.protocol.is_some_and(|only| only != protocol) {
        section.refuse("protocol", "is not the one that brokers of this `profile` speak", "remove it");
    }
    if takes.tls && url.is_some_and(|url| !url.tls) {
        section.refuse("url", "has no TLS, and brokers of this `profile` want it", "write `mqtts://` or `wss://`");
    }
    let too_long = client_id.zip(takes.client_id_bytes).filter(|(id, most)| id.len() > *most);
    if let Some((id, most)) = too_long {
        let is = format!("has {} bytes, and brokers of this `profile` take {most}", id.len());
        section.refuse("client-id", is, format!("write `client-id` with at most {most} bytes"));
    }
    if let Some(most) = takes.keep_alive.filter(|most| keep_alive.is_some_and(|time| time > *most)) {
        let is = format!("is longer than brokers of this `profile` take, {}", duration::print(most));
        section.refuse("keep-alive", is, "write a shorter time");
    }
}

fn spool(mut section: Section<'_>) -> Spool {
    let usual = Spool::default();
    let s = &mut section;
    let day = Duration::from_secs(24 * 3600);
    let read = Spool {
        batch: s.integer("batch", 1..=10_000).unwrap_or(usual.batch),
        interval: s.duration("interval", Duration::from_millis(1)..=Duration::from_secs(10)).unwrap_or(usual.interval),
        durability: s.choice("durability").unwrap_or_default(),
        max_bytes: s.integer("max-bytes", 1 << 20..=1 << 40).unwrap_or(usual.max_bytes),
        max_age: s.duration("max-age", Duration::from_secs(1)..=3650 * day),
        when_full: s.choice("when-full").unwrap_or_default(),
        alarms: filters(s, "alarms", "alarm/#").unwrap_or_default(),
    };
    section.finish();
    read
}
