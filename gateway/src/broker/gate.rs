//! Who may come in: connections counted in all and for each address, and users and their passwords.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::stats::Refusal;
use super::tls::Caller;
use crate::config;

/// Counts open connections.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<HashMap<IpAddr, usize>>);

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection in, or says why not.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, settings: &config::Broker) -> Result<Pass, Refusal> {
        let address = address.to_canonical();
        let mut open = self.lock();
        if open.values().sum::<usize>() >= settings.max_connections {
            return Err(Refusal::TooMany);
        }
        let from_there = open.entry(address).or_default();
        if *from_there >= settings.max_connections_per_address {
            return Err(Refusal::TooManyFromAddress);
        }
        *from_there += 1;
        Ok(Pass { gate: Arc::clone(self), address })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Whether a client may connect as this user. A password that is not UTF-8 is a wrong one. What a certificate says of
/// the user counts, and not what CONNECT says beside it.
pub(super) fn may_connect(
    settings: &config::Broker,
    caller: &Caller,
    name: Option<&str>,
    password: Option<&[u8]>,
) -> bool {
    let name = match (caller, name) {
        (Caller::User(_), _) => return true,
        (Caller::Nameless, _) => return false,
        (Caller::Certified, _) if settings.user.is_empty() => return true,
        (_, Some(name)) if !settings.user.is_empty() => name,
        _ => return settings.anonymous(),
    };
    let user = settings.user.iter().find(|user| user.name == name);
    let expected = user.map_or("", |user| user.password.expose());
    same(expected.as_bytes(), password.unwrap_or_default()) && user.is_some()
}

/// Compares in a time that depends on the lengths alone, so that a guess can't be bettered byte by byte.
fn same(expected: &[u8], given: &[u8]) -> bool {
    let differing = expected.iter().zip(given).fold(0, |acc, (a, b)| acc | (a ^ b));
    std::hint::black_box(differing) == 0 && expected.len() == given.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, User};

    #[test]
    fn connections_are_counted_by_address_and_in_all() {
        let settings = config::Broker { max_connections: 3, max_connections_per_address: 2, ..Default::default() };
        let gate = Arc::new(Gate::default());
        let enter = |address: &str| gate.enter(address.parse().unwrap(), &settings);
        let first = enter("10.0.0.1").unwrap();
        let _second = enter("::ffff:10.0.0.1").unwrap();
        assert_eq!(enter("10.0.0.1").unwrap_err(), Refusal::TooManyFromAddress);
        let _third = enter("10.0.0.2").unwrap();
        assert_eq!(enter("10.0.0.3").unwrap_err(), Refusal::TooMany);
        drop(first);
        assert!(enter("10.0.0.1").is_ok());
    }

    #[test]
    fn a_user_needs_the_right_password_and_the_nameless_need_permission() {
        let user = User { name: "ops".into(), password: Secret::new("s3cret"), password_file: None };
        let mut settings = config::Broker { user: vec![user], ..Default::default() };
        assert!(may_connect(&settings, &Caller::Stranger, Some("ops"), Some(b"s3cret")));
        for wrong in [&b"s3cre"[..], b"s3crett", b"", b"\xff\xfe"] {
            assert!(!may_connect(&settings, &Caller::Stranger, Some("ops"), Some(wrong)));
        }
        assert!(!may_connect(&settings, &Caller::Stranger, Some("ops"), None));
        assert!(!may_connect(&settings, &Caller::Stranger, Some("nobody"), Some(b"")));
        assert!(!may_connect(&settings, &Caller::Stranger, None, None));
        settings.allow_anonymous = true;
        assert!(may_connect(&settings, &Caller::Stranger, None, None));
        assert!(!may_connect(&settings, &Caller::Stranger, Some("ops"), Some(b"guess")));
    }
}
