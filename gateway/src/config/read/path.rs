//! Reads the ways to a remote: `paths` and `proxy` of `[[uplink]]`.

use std::net::IpAddr;
use std::time::Duration;

use super::name;
use super::uplink::password;
use crate::config::path::{NetworkPath, Proxy, ProxyKind, ProxyUrl};
use crate::config::problem::plain;
use crate::config::section::{Section, Unique};

/// More paths of one uplink than this are refused.
const PATHS_MAX: usize = 8;

/// The longest name that Linux gives an interface, in bytes (IFNAMSIZ less its NUL).
const INTERFACE_MAX: usize = 15;

/// The longest user and password that SOCKS5 carries, in bytes (RFC 1929, section 2).
const SOCKS_MAX: usize = 255;

/// All ways, and how long one may be silent and has to be well.
pub(super) struct Ways {
    pub(super) paths: Vec<NetworkPath>,
    pub(super) proxy: Option<Proxy>,
    pub(super) timeout: Option<Duration>,
    pub(super) back: Option<Duration>,
}

/// Reads them. `None` where one has a problem.
pub(super) fn read(section: &mut Section<'_>) -> Option<Ways> {
    let has_proxy = section.has("proxy");
    let proxy = proxy(section);
    let mut names = Unique::new("path");
    let sections = section.sections("paths", "[[uplink.paths]]", PATHS_MAX);
    let (named, written) = (section.has("paths"), sections.len());
    if named && written == 0 {
        section.refuse("paths", "has no path", "write `paths = [{ interface = \"wwan0\" }]`, or remove it");
    }
    let paths: Vec<_> = sections.into_iter().filter_map(|path| read_path(path, &mut names)).collect();
    let timeout = section.duration("path-timeout", Duration::from_secs(1)..=Duration::from_secs(300));
    let back = section.duration("path-return", Duration::from_secs(1)..=Duration::from_secs(24 * 3600));
    let whole = proxy.is_some() == has_proxy && paths.len() == written && (written > 0) == named;
    whole.then_some(Ways { paths, proxy, timeout, back })
}

fn read_path(mut section: Section<'_>, names: &mut Unique) -> Option<NetworkPath> {
    let s = &mut section;
    let name = name(s, "name");
    let (interface, address) = (interface(s), address(s));
    let has_proxy = s.has("proxy");
    let proxy = proxy(s);
    let read = [("name", name.is_some()), ("interface", interface.is_some()), ("address", address.is_some())];
    let whole = read.iter().all(|(key, read)| s.has(key) == *read) && has_proxy == proxy.is_some();
    let path = NetworkPath { name, interface, address, proxy };
    if whole {
        names.claim(&path.label(), s.spot("name"), s.notes);
    }
    section.finish();
    whole.then_some(path)
}

/// By which interface connections leave.
pub(super) fn interface(section: &mut Section<'_>) -> Option<String> {
    let wanted = "the name of a network interface, such as \"wwan0\"";
    section.parsed("interface", wanted, |text| is_interface(text).then(|| text.to_owned()))
}

/// From which address they do.
pub(super) fn address(section: &mut Section<'_>) -> Option<IpAddr> {
    let wanted = "an address of this machine, such as \"192.0.2.7\"";
    section.parsed("address", wanted, |text| text.parse().ok())
}

fn is_interface(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b':';
    (1..=INTERFACE_MAX).contains(&text.len()) && text.bytes().all(sound) && text != "." && text != ".."
}

fn proxy(section: &mut Section<'_>) -> Option<Proxy> {
    if !section.has("proxy") {
        return None;
    }
    let mut section = section.section("proxy", "`proxy` of [[uplink]]");
    let s = &mut section;
    let url = proxy_url(s);
    let user = s.text("user");
    let password = password(s, user.is_some());
    if let (Some(url), Some(user)) = (&url, &user) {
        check_user(s, url.kind, user, password.as_ref().map_or("", |password| password.secret().expose()));
    }
    let whole = [("user", user.is_some()), ("password", password.is_some()), ("password-file", password.is_some())];
    let whole = whole.iter().all(|(key, read)| !s.has(key) || *read);
    section.finish();
    let url = url.filter(|_| whole)?;
    Some(Proxy { url, user, password })
}

fn proxy_url(section: &mut Section<'_>) -> Option<ProxyUrl> {
    let remedy = "write such as \"http://proxy.example.org:3128\" or \"socks5://192.0.2.7:1080\", with the port";
    let text = section.text("url");
    section.require("url", remedy);
    let text = text?;
    let url = ProxyUrl::parse(&text);
    if url.is_none() && text.contains('@') {
        // The text is not repeated: a password may stand in it.
        section.refuse("url", "has a user in it", "write `user` and `password-file` beside it");
    } else if url.is_none() {
        section.refuse("url", format!("is `{}`, which is no place of a proxy", plain(&text)), remedy);
    }
    url
}

/// What each kind of proxy can't be told.
fn check_user(section: &Section<'_>, kind: ProxyKind, user: &str, password: &str) {
    let fits = |text: &str| (1..=SOCKS_MAX).contains(&text.len());
    match kind {
        ProxyKind::Http if user.contains(':') || user.contains(char::is_control) => {
            section.refuse("user", "has a colon or a control character, which HTTP can't carry", "write another user");
        }
        ProxyKind::Socks5 if !fits(user) || !fits(password) => {
            let is = "and its password must have 1 to 255 bytes each for SOCKS5";
            section.refuse("user", is, "write both, `user` and `password-file`");
        }
        _ => {}
    }
}
