//! How many are connected.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

/// Connections at once. Policy: one more is closed at once and counted.
pub(super) const CONNECTIONS_MAX: usize = 512;

/// Connections at once from one address: several gateways may share one.
const PER_ADDRESS_MAX: usize = 64;

/// Those who are connected.
#[derive(Default)]
pub(super) struct Visitors {
    /// Their tasks.
    pub(super) tasks: JoinSet<()>,
    /// One for each address; each of its connections has a share.
    addresses: HashMap<IpAddr, Arc<()>>,
    /// The number of the connection that came last.
    pub(super) next: u64,
}

impl Visitors {
    /// Lets one more in, if there is room. It holds what it gets until it goes.
    pub(super) fn enter(&mut self, address: IpAddr) -> Option<Arc<()>> {
        if self.tasks.len() >= CONNECTIONS_MAX {
            return None;
        }
        if self.addresses.len() >= CONNECTIONS_MAX {
            self.addresses.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let share = self.addresses.entry(address.to_canonical()).or_default();
        (Arc::strong_count(share) <= PER_ADDRESS_MAX).then(|| {
            self.next += 1;
            Arc::clone(share)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_bounded_for_each_address_and_those_that_went_make_room() {
        let mut visitors = Visitors::default();
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let mut passes: Vec<_> = (0..PER_ADDRESS_MAX).map(|_| visitors.enter(address(1)).unwrap()).collect();
        assert!(visitors.enter(address(1)).is_none());
        assert!(visitors.enter("::ffff:10.0.0.1".parse().unwrap()).is_none(), "the same by another name");
        assert!(visitors.enter(address(2)).is_some());
        passes.pop();
        assert!(visitors.enter(address(1)).is_some());
        for _ in 0..CONNECTIONS_MAX {
            visitors.tasks.spawn(std::future::pending());
        }
        assert!(visitors.enter(address(3)).is_none(), "all are too many");
    }
}
