//! How many may come in: connections counted in all and for each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::stats::Refusal;
use crate::accept::counted_as;
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
        let address = counted_as(address);
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn who_has_a_whole_network_has_the_places_of_one() {
        let settings = config::Broker { max_connections_per_address: 1, ..Default::default() };
        let gate = Arc::new(Gate::default());
        let enter = |address: &str| gate.enter(address.parse().unwrap(), &settings);
        let _first = enter("2001:db8::1").unwrap();
        assert_eq!(enter("2001:db8::2").unwrap_err(), Refusal::TooManyFromAddress);
        assert!(enter("2001:db8:0:1::1").is_ok());
    }
}
