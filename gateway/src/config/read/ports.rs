//! Which listeners want the same port.

use std::net::SocketAddr;

use crate::config::notes::{Notes, Spot};
use crate::config::problem::plain;
use crate::config::section::Section;
use crate::config::tree::{Kind, Value};

/// More listeners of one section than this are refused.
const LISTENERS_MAX: usize = 16;

/// All listeners, in the order of the sections.
#[derive(Default)]
pub(super) struct Ports(Vec<Listener>);

struct Listener {
    section: &'static str,
    address: SocketAddr,
    /// None for a default.
    spot: Option<Spot>,
}

impl Ports {
    /// Adds a listener of `section`, written at `spot`, or a default.
    pub(super) fn add(&mut self, section: &'static str, address: SocketAddr, spot: Option<&Spot>) {
        self.0.push(Listener { section, address, spot: spot.cloned() });
    }

    /// Reads the list at `key` of a section and adds what it names. None when there is no such list.
    pub(super) fn listen(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<Vec<SocketAddr>> {
        let wanted = "an IP address with a port, such as \"127.0.0.1:1883\" or \"[::1]:1883\"";
        let title = section.title();
        let items = section.list(key, LISTENERS_MAX)?;
        if items.is_empty() {
            section.refuse(key, "is empty", format!("write at least one: {wanted}"));
        }
        let mut addresses = Vec::new();
        for item in items {
            let item = item.resolve(&[Kind::Text]);
            let (address, shown): (Option<SocketAddr>, _) = match &item.value {
                Value::Text(text) => (text.parse().ok(), format!("`{}`", plain(text))),
                _ => (None, item.kind().to_string()),
            };
            match address {
                Some(address) => {
                    self.add(title, address, Some(&item.spot));
                    addresses.push(address);
                }
                None => {
                    let what = format!("`{key}` in {title} has {shown}, which is not {wanted}");
                    section.notes.error(&item.spot, what, format!("write {wanted}"));
                }
            }
        }
        Some(addresses)
    }

    /// Notes each listener that clashes with one before it.
    pub(super) fn check(&self, notes: &Notes) {
        for (index, later) in self.0.iter().enumerate() {
            let Some(earlier) = self.0.iter().take(index).find(|earlier| clash(earlier.address, later.address)) else {
                continue;
            };
            // Of the two, the one that somebody wrote is reported; two defaults never clash.
            let (wrong, right, spot) = match (&earlier.spot, &later.spot) {
                (_, Some(spot)) => (later, earlier, spot),
                (Some(spot), None) => (earlier, later, spot),
                (None, None) => continue,
            };
            let right_one = match &right.spot {
                Some(spot) => format!("{} in {}, at {}", right.address, right.section, spot.place()),
                None => format!("the default {} of {}", right.address, right.section),
            };
            let what = format!("listener on {} in {} clashes with {right_one}", wrong.address, wrong.section);
            let remedy = format!("choose another port: {} is free in these settings", self.free(wrong.address.port()));
            notes.error(spot, what, remedy);
        }
    }

    /// The next port above `taken` that no listener wants.
    fn free(&self, taken: u16) -> u16 {
        let wanted = |port: &u16| self.0.iter().any(|listener| listener.address.port() == *port);
        (taken..=u16::MAX).chain(1024..taken).find(|port| !wanted(port)).unwrap_or(0)
    }
}

/// Whether the two cannot both be bound: same port on the same address, or on an address that means all addresses.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() != 0
        && one.port() == other.port()
        && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_clash_on_the_same_port_of_a_shared_address() {
        let clashing = |one: &str, other: &str| clash(one.parse().unwrap(), other.parse().unwrap());
        assert!(clashing("127.0.0.1:80", "127.0.0.1:80"));
        assert!(clashing("0.0.0.0:80", "127.0.0.1:80"));
        assert!(clashing("[::]:80", "10.0.0.1:80"));
        assert!(clashing("[::ffff:10.0.0.1]:80", "10.0.0.1:80"));
        assert!(!clashing("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!clashing("127.0.0.1:80", "[::1]:80"));
        assert!(!clashing("0.0.0.0:80", "0.0.0.0:81"));
        assert!(!clashing("0.0.0.0:0", "0.0.0.0:0"));
    }
}
