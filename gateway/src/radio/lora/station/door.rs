//! Who may come in, and for what: by path, by token, by certificate.
//!
//! Pure. `/router-info` is where a Station asks where to go; `/gateway/<eui>` is where it is sent.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::id;
use crate::config::{BasicsStation, Eui, Secret};
use crate::radio::lora::Refusal;

/// Where a Station asks.
const DISCOVERY: &str = "/router-info";

/// Where it is sent to, with its EUI behind.
const DATA: &str = "/gateway/";

/// The longest `Host` that is believed: Station takes addresses of 150 bytes at most (`MAX_URI_LEN`).
const HOST_MAX: usize = 100;

/// Where a connection wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// To ask where to go.
    Discovery,
    /// To speak for a gateway.
    Data(Eui),
}

/// What a connection has shown of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its `Authorization`.
    pub(super) authorization: Option<String>,
    /// The common name in its certificate.
    pub(super) certificate: Option<String>,
    /// How it calls this server.
    pub(super) host: Option<String>,
}

/// The rules.
pub(super) struct Door {
    /// Those that may come; none where whoever can may.
    named: HashMap<Eui, Option<Secret>>,
    /// Whether a gateway must show a certificate of its own name.
    certified: bool,
    secure: bool,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(deserialize_with = "id::deserialize")]
    router: u64,
}

#[derive(Serialize)]
struct Answer {
    router: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    muxs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl Door {
    /// As the settings say.
    pub(super) fn new(station: &BasicsStation) -> Self {
        let named = station.gateways.iter().map(|gateway| (gateway.eui, gateway.token.clone())).collect();
        let certified = station.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        Self { named, certified, secure: station.tls.is_some() }
    }

    /// Whether all that may come are named.
    pub(super) fn names_all(&self) -> bool {
        !self.named.is_empty()
    }

    /// Whether somebody may speak for a gateway.
    ///
    /// # Errors
    /// When not.
    pub(super) fn admit(&self, eui: Eui, shown: &Shown) -> Result<(), Refusal> {
        if self.certified && shown.certificate.as_deref().and_then(id::parse) != Some(eui) {
            return Err(Refusal::Certificate);
        }
        match self.named.get(&eui) {
            None if self.names_all() => Err(Refusal::UnknownGateway),
            Some(Some(token)) if !has_token(shown, token) => Err(Refusal::Token),
            _ => Ok(()),
        }
    }

    /// The answer to what a Station asks at [`Goal::Discovery`], and whether it is let in. `address` is where this server
    /// listens, for one that does not say how it calls it.
    ///
    /// # Errors
    /// When it is no such question.
    pub(super) fn discover(
        &self,
        text: &str,
        shown: &Shown,
        address: &str,
    ) -> Result<(String, Result<(), Refusal>), Refusal> {
        let Asked { router } = serde_json::from_str(text).map_err(|_| Refusal::Json)?;
        let eui = Eui(router);
        let admitted = self.admit(eui, shown);
        let router = id::as_id6(eui);
        let answer = match admitted {
            Err(refusal) => Answer { router, muxs: None, uri: None, error: Some(refusal.as_str()) },
            Ok(()) => {
                let scheme = if self.secure { "wss" } else { "ws" };
                let host = shown.host.as_deref().and_then(|host| self.with_port(host));
                let host = host.unwrap_or_else(|| address.to_owned());
                let uri = Some(format!("{scheme}://{host}{DATA}{eui}"));
                Answer { muxs: Some(router.clone()), router, uri, error: None }
            }
        };
        // Nothing in it can't be written.
        Ok((serde_json::to_string(&answer).unwrap_or_default(), admitted))
    }

    /// A host as Station needs it, with a port. `None` for what is no host.
    fn with_port(&self, host: &str) -> Option<String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if host.is_empty() || host.len() > HOST_MAX || !host.bytes().all(fits) {
            return None;
        }
        let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
        let usual = if self.secure { 443 } else { 80 };
        Some(if behind.contains(':') { host.to_owned() } else { format!("{host}:{usual}") })
    }
}

/// The path of a request. Whatever stands behind `?` is left alone.
pub(super) fn goal(path: &str) -> Option<Goal> {
    match path.strip_prefix(DATA) {
        Some(eui) => id::parse(eui).map(Goal::Data),
        None => (path == DISCOVERY).then_some(Goal::Discovery),
    }
}

/// With or without `Bearer` before it.
fn has_token(shown: &Shown, token: &Secret) -> bool {
    let Some(authorization) = &shown.authorization else { return false };
    let bare = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let bare = bare.map_or("", |(_, bare)| bare.trim());
    same(authorization, token.expose()) | same(bare, token.expose())
}

/// In a time that does not tell how much is the same.
fn same(one: &str, other: &str) -> bool {
    let differs = one.bytes().zip(other.bytes()).fold(0, |differs, (one, other)| differs | (one ^ other));
    one.len() == other.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const EUI: Eui = Eui(0xb827_ebff_fe61_1234);

    fn door(token: Option<&str>, certified: bool, secure: bool) -> Door {
        Door { named: HashMap::from([(EUI, token.map(Secret::new))]), certified, secure }
    }

    fn open() -> Door {
        Door { named: HashMap::new(), certified: false, secure: false }
    }

    fn with_authorization(text: &str) -> Shown {
        Shown { authorization: Some(text.to_owned()), ..Shown::default() }
    }

    fn with_certificate(name: &str) -> Shown {
        Shown { certificate: Some(name.to_owned()), ..Shown::default() }
    }

    #[test]
    fn a_token_is_taken_with_or_without_its_scheme_and_nothing_else_is() {
        let door = door(Some("secret"), false, false);
        for good in ["secret", "Bearer secret", "bearer  secret"] {
            assert_eq!(door.admit(EUI, &with_authorization(good)), Ok(()), "{good}");
        }
        for bad in ["", "Bearer", "Bearer ", "secret2", "Secret", "Basic secret", "Bearer secret secret"] {
            assert_eq!(door.admit(EUI, &with_authorization(bad)), Err(Refusal::Token), "{bad}");
        }
        assert_eq!(door.admit(EUI, &Shown::default()), Err(Refusal::Token));
        assert_eq!(door.admit(Eui(1), &with_authorization("secret")), Err(Refusal::UnknownGateway));
        assert_eq!(open().admit(Eui(1), &Shown::default()), Ok(()));
    }

    #[test]
    fn a_certificate_speaks_for_its_own_gateway_alone() {
        let door = door(None, true, true);
        for name in ["b827ebfffe611234", "B8-27-EB-FF-FE-61-12-34", "b827:ebff:fe61:1234"] {
            assert_eq!(door.admit(EUI, &with_certificate(name)), Ok(()), "{name}");
        }
        for shown in [with_certificate("::1"), with_certificate("anna"), Shown::default()] {
            assert_eq!(door.admit(EUI, &shown), Err(Refusal::Certificate));
        }
    }

    #[test]
    fn a_station_is_sent_to_where_it_found_this_server() {
        let ask = |door: &Door, text: &str, host: Option<&str>| {
            let shown = Shown { host: host.map(str::to_owned), ..Shown::default() };
            let (answer, admitted) = door.discover(text, &shown, "10.0.0.1:3001").unwrap();
            (serde_json::from_str::<serde_json::Value>(&answer).unwrap(), admitted)
        };
        let number = EUI.0.to_string();
        for router in ["\"b827:ebff:fe61:1234\"", "\"b8-27-eb-ff-fe-61-12-34\"", &number] {
            let (answer, admitted) = ask(&open(), &format!("{{\"router\":{router}}}"), Some("stile.local:3001"));
            assert_eq!(answer["uri"], "ws://stile.local:3001/gateway/b827ebfffe611234");
            assert_eq!((&answer["router"], &answer["muxs"]), (&answer["muxs"], &"b827:ebff:fe61:1234".into()));
            assert!(answer.get("error").is_none() && admitted.is_ok());
        }
        let text = "{\"router\":\"::1\"}";
        for (host, expected) in [
            (Some("a.example"), "a.example:80"),
            (Some("[2001:db8::1]"), "[2001:db8::1]:80"),
            (Some("[2001:db8::1]:9"), "[2001:db8::1]:9"),
            (Some("a/b"), "10.0.0.1:3001"),
            (Some(""), "10.0.0.1:3001"),
            (None, "10.0.0.1:3001"),
        ] {
            assert_eq!(
                ask(&open(), text, host).0["uri"],
                format!("ws://{expected}/gateway/0000000000000001"),
                "{host:?}"
            );
        }
        let (answer, admitted) = ask(&door(None, false, true), text, None);
        assert_eq!((&answer["error"], answer.get("uri")), (&"unknown-gateway".into(), None));
        assert_eq!(admitted, Err(Refusal::UnknownGateway));
        for bad in ["", "{}", "{\"router\":-1}", "{\"router\":1.5}", "{\"router\":\"x\"}", "[]"] {
            assert_eq!(open().discover(bad, &Shown::default(), "x"), Err(Refusal::Json), "{bad}");
        }
    }

    #[test]
    fn a_path_is_for_discovery_or_for_a_gateway() {
        assert_eq!(goal("/router-info"), Some(Goal::Discovery));
        assert_eq!(goal("/gateway/b827ebfffe611234"), Some(Goal::Data(EUI)));
        assert_eq!(goal("/gateway/::1"), Some(Goal::Data(Eui(1))));
        for bad in ["/", "", "/gateway/", "/gateway", "/gateway/x", "/router-info/", "/router"] {
            assert_eq!(goal(bad), None, "{bad}");
        }
    }
}
