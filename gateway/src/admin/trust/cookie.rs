//! Cookies: how they are written, and which of those that came is ours.
//!
//! Over TLS the name begins with `__Host-`: browsers take such a cookie only with `Secure`, for this host alone, for all
//! of its paths. Plain HTTP is on loopback alone, where some browsers refuse `Secure`; there the name has no such
//! beginning, so that nobody takes one for the other. Cookies do not know ports, so the name has the port in it: two
//! gateways on one machine must not sign each other out.

use axum::http::{HeaderMap, header};

use crate::admin::Door;

/// What the name of the session's cookie has in it.
const SESSION: &str = "stile";
/// Light or dark, by the person's choice.
const THEME: &str = "stile-theme";
/// For how long that is remembered.
const YEAR_SECONDS: u32 = 31_536_000;

/// The cookies of one door.
#[derive(Debug, Clone, Copy)]
pub(in crate::admin) struct Cookies(pub(in crate::admin) Door);

impl Cookies {
    fn name(self) -> String {
        match self.0 {
            Door::Secure { port } => format!("__Host-{SESSION}-{port}"),
            Door::Loopback { port } => format!("{SESSION}-{port}"),
            Door::Socket => SESSION.to_owned(),
        }
    }

    fn secure(self) -> &'static str {
        if matches!(self.0, Door::Secure { .. }) { "; Secure" } else { "" }
    }

    /// For the header `Set-Cookie`.
    pub(in crate::admin) fn begin(self, secret: &str) -> String {
        format!("{}={secret}; Path=/; HttpOnly; SameSite=Strict{}", self.name(), self.secure())
    }

    /// The same, to end it.
    pub(in crate::admin) fn end(self) -> String {
        format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{}", self.name(), self.secure())
    }

    /// The session's secret, where there is one.
    pub(in crate::admin) fn session(self, headers: &HeaderMap) -> Option<&str> {
        value(headers, &self.name()).filter(|secret| !secret.is_empty())
    }

    /// The same for the theme; only a word that a page knows may be remembered.
    pub(in crate::admin) fn set_theme(self, theme: &str) -> String {
        format!("{THEME}={theme}; Path=/; HttpOnly; SameSite=Strict; Max-Age={YEAR_SECONDS}{}", self.secure())
    }

    /// Light or dark, where somebody has chosen.
    pub(in crate::admin) fn theme(headers: &HeaderMap) -> Option<&str> {
        value(headers, THEME)
    }
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_this_host_and_this_port_alone() {
        let (secure, plain) = (Cookies(Door::Secure { port: 443 }), Cookies(Door::Loopback { port: 8080 }));
        assert_eq!(secure.begin("x"), "__Host-stile-443=x; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert_eq!(plain.begin("x"), "stile-8080=x; Path=/; HttpOnly; SameSite=Strict");
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=b; stile-8080=one".parse().unwrap());
        headers.append(header::COOKIE, "__Host-stile-443=two; stile-theme=dark".parse().unwrap());
        assert_eq!((plain.session(&headers), secure.session(&headers)), (Some("one"), Some("two")));
        assert_eq!(Cookies(Door::Loopback { port: 80 }).session(&headers), None);
        assert_eq!(Cookies::theme(&headers), Some("dark"));
    }
}
