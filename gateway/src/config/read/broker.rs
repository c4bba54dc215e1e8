//! Reads `[broker]`, all but its tables of other doors, and `[[broker.user]]`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::ports::Ports;
use super::tls;
use crate::config::broker::{Broker, User};
use crate::config::files;
use crate::config::listeners::{Door, WebSocket};
use crate::config::problem::plain;
use crate::config::secret::{MASK, Secret};
use crate::config::section::{Section, Unique};

/// More users than this are refused.
const USERS_MAX: usize = 1000;

/// The longest user name, in bytes.
const USER_NAME_MAX_BYTES: usize = 256;

/// The upper end of limits in bytes: 1 GiB.
const BYTES_MAX: i128 = 1 << 30;

/// The longest session, about 10 years.
const SESSION_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Reads the section; its listeners go to `ports` as well.
pub(super) fn read(mut section: Section<'_>, ports: &mut Ports) -> Broker {
    let usual = Broker::default();
    let (user, any_user) = users(&mut section);
    let tls = section.has("tls").then(|| section.section("tls", "[broker.tls]"));
    let websocket = section.has("websocket").then(|| section.section("websocket", "[broker.websocket]"));
    let s = &mut section;
    let broker = Broker {
        listen: listen(s, ports, usual.listen),
        max_connections: s.integer("max-connections", 1..=65_536).unwrap_or(usual.max_connections),
        max_connections_per_address: s
            .integer("max-connections-per-address", 1..=65_536)
            .unwrap_or(usual.max_connections_per_address),
        max_packet_size: s.integer("max-packet-size", 1024..=268_435_455).unwrap_or(usual.max_packet_size),
        max_topic_levels: s.integer("max-topic-levels", 1..=1024).unwrap_or(usual.max_topic_levels),
        session_queue: s.integer("session-queue", 1..=1_000_000).unwrap_or(usual.session_queue),
        session_queue_bytes: s.integer("session-queue-bytes", 1024..=BYTES_MAX).unwrap_or(usual.session_queue_bytes),
        session_expiry_max: s
            .duration("session-expiry-max", Duration::ZERO..=SESSION_MAX)
            .unwrap_or(usual.session_expiry_max),
        receive_maximum: s.integer("receive-maximum", 1..=65_535).unwrap_or(usual.receive_maximum),
        retained_messages: s.integer("retained-messages", 0..=1_000_000).unwrap_or(usual.retained_messages),
        retained_bytes: s.integer("retained-bytes", 0..=BYTES_MAX).unwrap_or(usual.retained_bytes),
        subscriptions_per_client: s
            .integer("subscriptions-per-client", 1..=100_000)
            .unwrap_or(usual.subscriptions_per_client),
        keep_alive_max: s
            .duration("keep-alive-max", Duration::from_secs(10)..=Duration::from_secs(65_535))
            .unwrap_or(usual.keep_alive_max),
        allow_anonymous: s.boolean("allow-anonymous").unwrap_or(usual.allow_anonymous),
        tls: tls.and_then(|tls| tls::read(tls, ports)),
        websocket: websocket.and_then(|websocket| read_websocket(websocket, ports)),
        user,
    };
    check_access(&section, &broker, any_user);
    section.finish();
    broker
}

/// A listener that others can reach needs somebody who may connect.
fn check_access(section: &Section<'_>, broker: &Broker, any_user: bool) {
    // A user with a problem of its own is there nevertheless.
    if any_user || broker.allow_anonymous {
        return;
    }
    if let Some((door, open)) = broker.exposed() {
        let key = match door {
            Door::Plain => "listen",
            Door::Tls => "tls",
            Door::WebSocket => "websocket",
        };
        section.notes.nowhere(
            section.spot(key),
            format!("the listener on {open} can be reached from outside, and there is no user who may connect"),
            "add a [[broker.user]], listen on 127.0.0.1 only, or write `allow-anonymous = true`",
        );
    }
}

fn read_websocket(mut section: Section<'_>, ports: &mut Ports) -> Option<WebSocket> {
    let listen = ports.listen(&mut section);
    section.require("listen", "write `listen = [\"127.0.0.1:8083\"]`");
    section.finish();
    listen.map(|listen| WebSocket { listen })
}

fn listen(section: &mut Section<'_>, ports: &mut Ports, usual: Vec<SocketAddr>) -> Vec<SocketAddr> {
    ports.listen(section).unwrap_or_else(|| {
        for address in &usual {
            ports.add("[broker]", *address, None);
        }
        usual
    })
}

/// The users without problems, and whether there is any at all.
fn users(section: &mut Section<'_>) -> (Vec<User>, bool) {
    let mut names = Unique::new("user");
    let users = section.sections("user", "[[broker.user]]", USERS_MAX);
    let any = !users.is_empty();
    (users.into_iter().filter_map(|section| user(section, &mut names)).collect(), any)
}

fn user(mut section: Section<'_>, names: &mut Unique) -> Option<User> {
    let name = section.parsed("name", "a text of 1 to 256 bytes without control characters", |text| {
        let fits = (1..=USER_NAME_MAX_BYTES).contains(&text.len()) && !text.contains(char::is_control);
        fits.then(|| text.to_owned())
    });
    section.require("name", "write `name = \"...\"`");
    if let Some(name) = &name {
        names.claim(name, section.spot("name"), section.notes);
    }
    let given = section.text("password");
    let file = section.path("password-file");
    let password = match (&given, &file) {
        (Some(_), Some(_)) => {
            section.refuse("password-file", "stands beside `password`", "keep one of the two");
            None
        }
        (Some(password), None) => check_password(&section, password),
        (None, Some(file)) => password_of_file(&section, file),
        (None, None) => {
            if !section.has("password-file") {
                section.require("password", "write `password = \"...\"` or `password-file = \"/path\"`");
            }
            None
        }
    };
    section.finish();
    Some(User { name: name?, password: Secret::new(password?), password_file: file })
}

fn check_password(section: &Section<'_>, password: &str) -> Option<String> {
    if password.is_empty() {
        section.refuse("password", "is empty", "write a password");
        return None;
    }
    // `config show` prints the mask. Taken back as a password it would be one that everybody knows.
    if password == MASK {
        section.refuse("password", "is the mask that stands for a password", "write the password itself");
        return None;
    }
    Some(password.into())
}

fn password_of_file(section: &Section<'_>, file: &Path) -> Option<String> {
    let shown = |file: &Path| plain(&file.to_string_lossy());
    match files::read_password(file) {
        Ok(password) if password.is_empty() => {
            section.refuse(
                "password-file",
                format!("is `{}`, which is empty", shown(file)),
                "write a password into it",
            );
            None
        }
        Ok(password) => Some(password),
        Err(reason) => {
            let is = format!("is `{}`, which cannot be read: {reason}", shown(file));
            section.refuse("password-file", is, "make a small text file there that the gateway may read");
            None
        }
    }
}
