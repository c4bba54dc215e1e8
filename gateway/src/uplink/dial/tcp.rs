//! Connections opened, on one path.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

use crate::config::NetworkPath;
use crate::uplink::trouble::Trouble;

/// How long one address may take.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(8);

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
        let socket = leaving(path, **address).map_err(|why| Trouble::Unusable { path: path.label(), why })?;
        let connecting = socket.connect(**address);
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

/// A socket that leaves by this path.
///
/// # Errors
/// When this machine has no such interface or address, or may not use it.
pub fn leaving(path: &NetworkPath, to: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if to.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    if let Some(interface) = &path.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if let Some(own) = path.address {
        socket.bind(SocketAddr::new(own, 0))?;
    }
    Ok(socket)
}
