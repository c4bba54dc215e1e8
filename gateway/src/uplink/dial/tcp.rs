//! Names resolved and connections opened, on one path.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use crate::config::NetworkPath;
use crate::uplink::trouble::Trouble;

/// How long a name server may take.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(5);
/// How long one address may take.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(8);
/// Addresses of one name beyond this are not tried.
const ADDRESSES_MAX: usize = 16;

/// Asks the system for addresses, of each name once at a time: it may take minutes where no name server is reached, and
/// a thread waits for it. While it has no answer, the last one counts.
#[derive(Default)]
pub(super) struct Resolver(BTreeMap<String, Asked>);

#[derive(Default)]
struct Asked {
    under_way: Option<JoinHandle<io::Result<Vec<IpAddr>>>>,
    known: Vec<IpAddr>,
}

impl Resolver {
    /// The addresses of a name, or the address that it is.
    pub(super) async fn resolve(
        &mut self,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Trouble> {
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
            Err(_elapsed) => Trouble::TooSlow("to be resolved; look at the network's name server"),
            Ok(ended) => {
                asked.under_way = None;
                match ended.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
                    Ok(addresses) => {
                        asked.known = addresses;
                        return Ok(with_port(&asked.known));
                    }
                    Err(why) => Trouble::Name { host: host.to_owned(), why },
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

/// Tries one address after the other, each with its share of the time that is left.
pub(super) async fn connect(
    path: &NetworkPath,
    host: &str,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<TcpStream, Trouble> {
    let fits = |address: &&SocketAddr| path.address.is_none_or(|own| own.is_ipv6() == address.is_ipv6());
    let addresses: Vec<_> = addresses.iter().filter(fits).collect();
    let mut last = Trouble::NoSuchAddress { host: host.to_owned() };
    for (at, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let connecting = socket(path, **address)?.connect(**address);
        match timeout_at(now + share.min(ADDRESS_PATIENCE), connecting).await {
            Ok(Ok(stream)) => {
                // Small packets are not to wait for others; without it, they do.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(why)) => last = Trouble::Connect { address: **address, why },
            Err(_elapsed) => last = Trouble::Connect { address: **address, why: io::ErrorKind::TimedOut.into() },
        }
    }
    Err(last)
}

/// A socket that leaves by the path.
fn socket(path: &NetworkPath, to: SocketAddr) -> Result<TcpSocket, Trouble> {
    let unusable = |why| Trouble::Unusable { path: path.label(), why };
    let socket = if to.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }.map_err(unusable)?;
    if let Some(interface) = &path.interface {
        socket.bind_device(Some(interface.as_bytes())).map_err(unusable)?;
    }
    if let Some(own) = path.address {
        socket.bind(SocketAddr::new(own, 0)).map_err(unusable)?;
    }
    Ok(socket)
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
        assert!(matches!(trouble, Trouble::TooSlow(_)), "{trouble}");
        resolver.0.get_mut("host").unwrap().known = vec![IpAddr::from([10, 0, 0, 1])];
        assert_eq!(resolver.resolve("host", 7, soon()).await.unwrap(), ["10.0.0.1:7".parse().unwrap()]);
        drop(held);
        let later = Instant::now() + Duration::from_secs(30);
        assert_eq!(resolver.resolve("host", 7, later).await.unwrap(), ["10.0.0.1:7".parse().unwrap()]);
        assert!(resolver.0["host"].under_way.is_none());
    }
}
