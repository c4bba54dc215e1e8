//! A way to a remote, from its name to a stream that carries MQTT: name resolved, connected, through the proxy, shaken
//! hands with, and upgraded to WebSocket, as far as the settings want it.
//!
//! `tcp.rs` connects, `http_proxy.rs` and `socks.rs` talk to proxies, `websocket.rs` to the remote's web server,
//! `http.rs` reads what either answers. Every answer is bounded in size, and all of it together in time.

mod http;
mod http_proxy;
mod socks;
mod tcp;
#[cfg(test)]
mod tests;
mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

pub use self::tcp::leaving;

use super::probe::Stage;
use super::trouble::Trouble;
use crate::config::{NetworkPath, Proxy, ProxyKind, Uplink, Url};
use crate::resolver::{Resolver, Unresolved};
use crate::tls;
use crate::wait::Flushing;

/// How long all of it may take where there is no other path.
const PATIENCE: Duration = Duration::from_secs(30);
/// A frame of WebSocket may be at least so long, in bytes, however short packets must be: servers put many into one. None is
/// gathered, and packets are bounded by themselves.
const FRAME_MAX_LEAST: usize = 1 << 20;

/// What carries the bytes.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// An open connection.
pub(super) struct Link {
    pub(super) stream: Box<dyn Stream>,
    /// Whom it leads to: the remote, or the proxy.
    pub(super) peer: SocketAddr,
    /// From which address of this machine.
    pub(super) local: SocketAddr,
    /// The proxy that goes on to the remote from there.
    pub(super) proxy: Option<String>,
    /// What TLS agreed on.
    pub(super) tls: Option<tls::Agreed>,
    /// Where the WebSocket is.
    pub(super) websocket: Option<String>,
}

/// Opens connections to one remote, over each of its paths.
pub(super) struct Dialer {
    url: Url,
    client: Option<tls::Client>,
    /// At least one.
    paths: Vec<NetworkPath>,
    patience: Duration,
    /// The longest frame of WebSocket.
    frame_max: usize,
    resolver: Resolver,
}

impl Dialer {
    pub(super) fn new(uplink: &Uplink) -> Self {
        let mut paths = uplink.paths.clone();
        if paths.is_empty() {
            paths.push(NetworkPath::default());
        }
        for path in &mut paths {
            path.proxy = path.proxy.take().or_else(|| uplink.proxy.clone());
        }
        let patience = if paths.len() > 1 { uplink.path_timeout } else { PATIENCE };
        let (url, client) = (uplink.url.clone(), uplink.tls.clone());
        let frame_max = uplink.max_packet_size.max(FRAME_MAX_LEAST);
        Self { url, client, paths, patience, frame_max, resolver: Resolver::default() }
    }

    /// How many paths there are.
    pub(super) fn count(&self) -> usize {
        self.paths.len()
    }

    /// How long opening one may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// What a path is called.
    pub(super) fn label(&self, path: usize) -> String {
        self.paths[path].label()
    }

    /// Opens a connection over a path; its number is less than [`count`](Self::count).
    pub(super) async fn open(&mut self, path: usize) -> Result<Link, Trouble> {
        self.open_telling(path, &mut Stage::Name).await
    }

    /// The same; `at` says what is under way.
    pub(super) async fn open_telling(&mut self, path: usize, at: &mut Stage) -> Result<Link, Trouble> {
        let deadline = Instant::now() + self.patience;
        let path = &self.paths[path];
        let (url, proxy) = (&self.url, path.proxy.as_ref());
        let (host, port) = proxy.map_or((&url.host, url.port), |proxy| (&proxy.url.host, proxy.url.port));
        let of_proxy = |why| match (proxy, why) {
            (Some(proxy), why @ (Trouble::Name { .. } | Trouble::Connect { .. } | Trouble::TooSlow(_))) => {
                Trouble::proxy(proxy, format!("can't be reached: {why}"))
            }
            (_, why) => why,
        };
        let addresses = self.resolver.resolve(host, port, deadline).await.map_err(|why| match why {
            Unresolved::TooSlow => of_proxy(Trouble::TooSlow("to be resolved; look at the network's name server")),
            Unresolved::Failed(why) => of_proxy(Trouble::Name { host: host.clone(), why }),
        })?;
        *at = Stage::Connection;
        let mut tcp = tcp::connect(path, host, &addresses, deadline).await.map_err(of_proxy)?;
        let (peer, local) = (tcp.peer_addr()?, tcp.local_addr()?);
        if let Some(proxy) = proxy {
            *at = Stage::Proxy;
            let through = timeout_at(deadline, through(proxy, &mut tcp, url));
            through.await.map_err(|_| Trouble::proxy(proxy, "takes too long to answer".to_owned()))??;
        }
        *at = Stage::Tls;
        let (stream, tls) = secure(tcp, url, self.client.as_ref(), deadline).await?;
        *at = Stage::WebSocket;
        let stream = match &url.websocket {
            Some(where_to) => {
                let upgrading = timeout_at(deadline, websocket::upgrade(stream, url, where_to, self.frame_max));
                upgrading.await.map_err(|_| Trouble::TooSlow("to answer the request for a WebSocket"))??
            }
            None => stream,
        };
        let proxy = proxy.map(|proxy| proxy.url.to_string());
        Ok(Link { stream, peer, local, proxy, tls, websocket: url.websocket.clone() })
    }
}

async fn through(proxy: &Proxy, tcp: &mut TcpStream, url: &Url) -> Result<(), Trouble> {
    let met = match proxy.url.kind {
        ProxyKind::Http => http_proxy::connect(proxy, tcp, &url.host, url.port).await,
        ProxyKind::Socks5 => socks::connect(proxy, tcp, &url.host, url.port).await,
    };
    met.map_err(|what| Trouble::proxy(proxy, what))
}

/// Shakes hands, where TLS is wanted.
async fn secure(
    tcp: TcpStream,
    url: &Url,
    client: Option<&tls::Client>,
    deadline: Instant,
) -> Result<(Box<dyn Stream>, Option<tls::Agreed>), Trouble> {
    let Some(client) = client else { return Ok((Box::new(tcp), None)) };
    let name = tls::server_name(&url.host).map_err(Trouble::Tls)?;
    let shaking = timeout_at(deadline, TlsConnector::from(client.config()).connect(name, tcp));
    let stream = shaking.await.map_err(|_| Trouble::TooSlow("to shake hands"))??;
    let agreed = tls::agreed(stream.get_ref().1);
    Ok((Box::new(Flushing::new(stream)), Some(agreed)))
}
