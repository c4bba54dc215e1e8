//! Names resolved to addresses, by the system.
//!
//! Owns how long that may take, and what was known before. Never opens a connection.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

/// How long a name server may take.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of one name beyond this are not tried.
const ADDRESSES_MAX: usize = 16;

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    /// The name server does not answer.
    #[error("it took too long to be resolved; look at the network's name server")]
    TooSlow,
    /// The system says no.
    #[error("it can't be resolved: {0}; look at the network's name server")]
    Failed(io::Error),
}

/// Asks the system for addresses, of each name once at a time: it may take minutes where no name server is reached, and
/// a thread waits for it. While it has no answer, the last one counts.
#[derive(Default)]
pub(crate) struct Resolver(BTreeMap<String, Asked>);

#[derive(Default)]
struct Asked {
    under_way: Option<JoinHandle<io::Result<Vec<IpAddr>>>>,
    known: Vec<IpAddr>,
}

impl Resolver {
    /// The addresses of a name, or the address that it is.
    ///
    /// # Errors
    /// When there is no answer, and there never was one.
    pub(crate) async fn resolve(
        &mut self,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Unresolved> {
        let with_port = |addresses: &[IpAddr]| addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        if let Ok(address) = host.parse() {
            return Ok(with_port(&[address]));
        }
        // Names are those of the settings: few.
        let asked = self.0.entry(host.to_owned()).or_default();
        let name = host.to_owned();
        let task = asked.under_way.get_or_insert_with(|| spawn_blocking(move || ask(&name)));
        let answer = timeout_at(deadline.min(Instant::now() + RESOLVE_PATIENCE), task).await;
        let trouble = match answer {
            // It goes on, and whoever comes next looks for its answer.
            Err(_elapsed) => Unresolved::TooSlow,
            Ok(ended) => {
                asked.under_way = None;
                match ended.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
                    Ok(addresses) => {
                        asked.known = addresses;
                        return Ok(with_port(&asked.known));
                    }
                    Err(why) => Unresolved::Failed(why),
                }
            }
        };
        if asked.known.is_empty() { Err(trouble) } else { Ok(with_port(&asked.known)) }
    }
}

fn ask(host: &str) -> io::Result<Vec<IpAddr>> {
    let addresses: Vec<_> = (host, 0).to_socket_addrs()?.map(|address| address.ip()).collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
    }
    Ok(alternating(addresses))
}

/// The same addresses, those of IPv4 and IPv6 in turn, beginning with the kind of the first one: where one kind leads nowhere,
/// the other is not tried last (RFC 8305, section 4).
fn alternating(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let first = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let longer = one.len().max(other.len());
    let turn = |at| [one.get(at).copied(), other.get(at).copied()];
    (0..longer).flat_map(turn).flatten().take(ADDRESSES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_take_turns() {
        let all = |text: &str| text.split(' ').map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert_eq!(alternating(all("::1 ::2 ::3 1.1.1.1")), all("::1 1.1.1.1 ::2 ::3"));
        assert_eq!(alternating(all("1.1.1.1 ::1 2.2.2.2")), all("1.1.1.1 ::1 2.2.2.2"));
        assert!(alternating(Vec::new()).is_empty());
        let many: Vec<IpAddr> = (0..100).map(|i| IpAddr::from([10, 0, 0, i])).collect();
        assert_eq!(alternating(many).len(), ADDRESSES_MAX);
    }

    #[tokio::test]
    async fn a_name_that_nobody_answers_for_is_given_up_in_time_and_the_last_answer_counts() {
        let mut resolver = Resolver::default();
        let soon = || Instant::now() + Duration::from_millis(50);
        // A task that does not end stands for a name server that does not answer.
        let (held, silent) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let _ = silent.await;
            Err(io::Error::other("late"))
        });
        resolver.0.insert("host".into(), Asked { under_way: Some(task), known: Vec::new() });
        let trouble = resolver.resolve("host", 1, soon()).await.unwrap_err();
        assert!(matches!(trouble, Unresolved::TooSlow), "{trouble:?}");
        resolver.0.get_mut("host").unwrap().known = vec![IpAddr::from([10, 0, 0, 1])];
        assert_eq!(resolver.resolve("host", 7, soon()).await.unwrap(), ["10.0.0.1:7".parse().unwrap()]);
        drop(held);
        let later = Instant::now() + Duration::from_secs(30);
        assert_eq!(resolver.resolve("host", 7, later).await.unwrap(), ["10.0.0.1:7".parse().unwrap()]);
        assert!(resolver.0["host"].under_way.is_none());
    }
}
