//! Reads `[uplink.hub]`: who the gateway is to an Azure IoT hub, and what it takes from there.

use std::time::Duration;

use super::filters::texts;
use super::users;
use crate::config::hub::{Credential, Hub, Receive, SharedAccessKey};
use crate::config::problem::plain;
use crate::config::secret::Secret;
use crate::config::section::Section;
use crate::config::uplink::{Direction, InFile, Rule};

/// Characters of a device's name besides letters and digits (Microsoft, "Understand the identity registry").
const DEVICE_ID: &str = "-.%_*?!(),:=@$'";

/// What the section says, of which some may come from elsewhere.
pub(super) struct Read {
    host_name: Option<String>,
    key: Option<SharedAccessKey>,
    /// A key is named, good or not.
    named: bool,
    /// What a connection string says besides the key.
    pub(super) host: Option<String>,
    pub(super) device: Option<String>,
    token_life: Option<Duration>,
    receive: Option<Vec<Receive>>,
    method_timeout: Option<Duration>,
}

pub(super) fn read(mut section: Section<'_>) -> Read {
    let s = &mut section;
    let host_name = s.parsed("host-name", "a name such as \"roof.azure-devices.net\"", host_name);
    let key = key(s);
    let (key, credential) = key.unzip();
    let read = Read {
        host_name,
        key,
        named: s.has("shared-access-key") || s.has("shared-access-key-file"),
        host: credential.as_ref().and_then(|credential| credential.host.clone()),
        device: credential.and_then(|credential| credential.device),
        token_life: s.duration("token-life", Duration::from_secs(5)..=Duration::from_secs(30 * 24 * 3600)),
        receive: receive(s),
        method_timeout: s.duration("method-timeout", Duration::from_secs(1)..=Duration::from_secs(300)),
    };
    section.finish();
    read
}

impl Read {
    /// All of it together. `host`: where the URL leads.
    pub(super) fn hub(self, host: &str) -> Hub {
        let usual = Hub::new(host);
        Hub {
            host_name: self.host_name.or(self.host).unwrap_or(usual.host_name),
            shared_access_key: self.key,
            token_life: self.token_life.unwrap_or(usual.token_life),
            receive: self.receive.unwrap_or(usual.receive),
            method_timeout: self.method_timeout.unwrap_or(usual.method_timeout),
        }
    }

    /// What no hub takes of the uplink that the section belongs to.
    pub(super) fn check(&self, uplink: &Section<'_>, device: Option<&str>) {
        for key in ["user", "password", "password-file"] {
            if uplink.has(key) {
                uplink.refuse(key, "does not go with a hub, to which the device's name and key say it", "remove it");
            }
        }
        match (self.named, uplink.has("certificate")) {
            (true, true) => {
                uplink.refuse("certificate", "stands beside `shared-access-key`", "keep the one that the hub knows");
            }
            (false, false) => {
                let remedy = "write `shared-access-key-file` in [uplink.hub], or `certificate` and `key`";
                uplink.require("certificate", remedy);
            }
            _ => {}
        }
        let known = |c: char| c.is_ascii_alphanumeric() || DEVICE_ID.contains(c);
        if let Some(device) = device.filter(|device| !device.chars().all(known)) {
            let is = format!("is `{}`, which is no name of a device", plain(device));
            uplink.refuse("client-id", is, format!("write letters, digits and `{DEVICE_ID}`, as it stands in the hub"));
        }
        if let Some((named, device)) = self.device.as_deref().zip(device).filter(|(named, device)| named != device) {
            let is = format!("is `{}`, and the connection string is of `{}`", plain(device), plain(named));
            uplink.refuse("client-id", is, "remove it, or name the key of that device");
        }
    }
}

/// The hub says under which topics its messages come.
pub(super) fn check_rule(section: &Section<'_>, direction: Direction) {
    if direction != Direction::Out {
        let is = "is not `out`, and what a hub sends comes under `hub/<uplink>/`";
        section.refuse("direction", is, "remove the rule, and look at `receive` in [uplink.hub]");
    }
}

/// Whether some rule sends what the hub itself says here: none does.
pub(super) fn warn_of_own(section: &Section<'_>, name: &str, rules: &[Rule]) {
    let own = format!("hub/{name}/");
    if rules.iter().any(|rule| format!("{}{}", rule.local_prefix, rule.filter).starts_with(&own)) {
        let what =
            format!("a rule names topics under `{own}`, which are between here and the hub: it sends none of them");
        section.notes.warning(section.spot("topics"), what, "remove the rule");
    }
}

fn host_name(text: &str) -> Option<String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    ((1..=253).contains(&text.len()) && text.chars().all(sound)).then(|| text.to_owned())
}

/// The key, checked, with what it says besides.
fn key(section: &mut Section<'_>) -> Option<(SharedAccessKey, Credential)> {
    let (given, path) = (section.text("shared-access-key"), section.path("shared-access-key-file"));
    if given.is_some() && path.is_some() {
        section.refuse("shared-access-key-file", "stands beside `shared-access-key`", "keep one of the two");
        return None;
    }
    let (name, secret) = match &path {
        Some(path) => {
            let what = "the device's key or connection string";
            ("shared-access-key-file", users::secret_of_file(section, "shared-access-key-file", what, path)?)
        }
        None => ("shared-access-key", Secret::new(given?)),
    };
    match Credential::parse(secret.expose()) {
        Ok(credential) => {
            let key = match path {
                Some(path) => SharedAccessKey::SharedAccessKeyFile(InFile { path, secret }),
                None => SharedAccessKey::SharedAccessKey(secret),
            };
            Some((key, credential))
        }
        // The text is not repeated: it may be most of a key.
        Err(why) => {
            section.refuse(name, format!("holds what {why}"), "copy the device's primary key or connection string");
            None
        }
    }
}

fn receive(section: &mut Section<'_>) -> Option<Vec<Receive>> {
    let mut receive = Vec::new();
    for text in texts(section, "receive", "`messages`, `methods` or `twin`")? {
        let what = match text.as_str() {
            "messages" => Receive::Messages,
            "methods" => Receive::Methods,
            "twin" => Receive::Twin,
            _ => {
                let is = format!("has `{}`, which no hub sends", plain(&text));
                section.refuse("receive", is, "write some of: `messages`, `methods`, `twin`");
                continue;
            }
        };
        if !receive.contains(&what) {
            receive.push(what);
        }
    }
    Some(receive)
}
