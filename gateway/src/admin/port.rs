//! The admin port: who may hold a connection to it, and for how long.
//!
//! Whoever dallies, floods or never reads costs a place for a while and nothing else. Never knows what is asked. Speaks TLS
//! where others than this machine reach it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accept::{self, Acceptor, counted_as, secure};
use crate::tls::Server;

/// Connections at once. Policy: one more is turned away and counted.
const CONNECTIONS: usize = 64;
/// Of these, from one address, for IPv6 from one network of 64 bits.
const CONNECTIONS_PER_ADDRESS: usize = 16;
/// How long the head of a request may take, from the connection or from the answer before it.
const HEAD: Duration = Duration::from_secs(10);
/// After this long a connection ends with the answer that is under way.
const LIFETIME: Duration = Duration::from_secs(60);
/// The same with an answer that goes on and on, such as live messages: its reader asks again.
const LIFETIME_OF_STREAMS: Duration = Duration::from_secs(3600);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long that answer may still take.
const LAST_ANSWER: Duration = Duration::from_secs(10);
/// How long a peer may be silent before the kernel asks for it.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// What is counted here.
#[derive(Debug, Default)]
pub struct PortStats {
    /// Connections turned away because too many were there.
    pub refused: AtomicU64,
    /// Connections that could not be accepted.
    pub accepts_failed: AtomicU64,
    /// TLS handshakes that failed.
    pub handshakes_failed: AtomicU64,
}

/// Set while a connection carries an answer that goes on and on.
#[derive(Debug, Clone, Default)]
pub(super) struct Streaming(Arc<AtomicBool>);

impl Streaming {
    /// Until what is given is dropped.
    pub(super) fn begin(&self) -> StreamingNow {
        self.0.store(true, Ordering::Relaxed);
        StreamingNow(self.clone())
    }
}

/// See [`Streaming::begin`].
pub(super) struct StreamingNow(Streaming);

impl Drop for StreamingNow {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// Serves connections until told to stop, then lets each end with the answer that is under way.
pub(super) async fn run(
    listener: TcpListener,
    tls: Option<Server>,
    router: Router,
    stats: &Arc<PortStats>,
    stop: CancellationToken,
) {
    let mut acceptor = Acceptor::new(listener, "HTTP");
    let mut connections = JoinSet::new();
    let mut places: HashMap<Id, IpAddr> = HashMap::new();
    loop {
        tokio::select! {
            // In this order, so that a place that is free is seen before the next one comes.
            biased;
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next_with_id(), if !connections.is_empty() => {
                places.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            (stream, peer) = acceptor.next(&stats.accepts_failed) => {
                if !has_room(places.values(), peer.ip()) {
                    stats.refused.fetch_add(1, Ordering::Relaxed);
                    log::debug!(peer:% = peer; "a connection to the admin port was turned away");
                    continue;
                }
                accept::prepare(&stream, KEEP_ALIVE);
                let (router, stop) = (router.clone(), stop.clone());
                let task = match tls.clone() {
                    None => connections.spawn(serve(stream, peer, router, stop)),
                    Some(tls) => {
                        let stats = Arc::clone(stats);
                        connections.spawn(async move {
                            match secure(stream, &tls, Instant::now() + HANDSHAKE).await {
                                Ok(stream) => serve(stream, peer, router, stop).await,
                                Err(failed) => {
                                    stats.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                                    log::debug!(peer:% = peer, error = failed.why; "no TLS on the admin port");
                                }
                            }
                        })
                    }
                };
                places.insert(task.id(), counted_as(peer.ip()));
            }
        }
    }
    drop(acceptor);
    while connections.join_next().await.is_some() {}
}

/// Whether one more may come from there beside those that are there, as they count.
fn has_room<'a>(places: impl Iterator<Item = &'a IpAddr>, address: IpAddr) -> bool {
    let address = counted_as(address);
    let (all, from_there) = places.fold((0, 0), |(all, same), other| (all + 1, same + usize::from(*other == address)));
    all < CONNECTIONS && from_there < CONNECTIONS_PER_ADDRESS
}

/// One connection, until it ends, becomes a WebSocket, or has lived long enough.
async fn serve<S>(stream: S, peer: SocketAddr, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let streaming = Streaming::default();
    let router = router.layer(axum::Extension(ConnectInfo(peer))).layer(axum::Extension(streaming.clone()));
    let service = TowerToHyperService::new(router);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    tokio::select! {
        // What a client does wrong is its own affair.
        _ended = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = lifetime(&streaming) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_ANSWER, connection).await;
}

/// Passes when a connection has lived long enough.
async fn lifetime(streaming: &Streaming) {
    let begun = Instant::now();
    tokio::time::sleep(LIFETIME).await;
    while streaming.0.load(Ordering::Relaxed) && begun.elapsed() < LIFETIME_OF_STREAMS {
        tokio::time::sleep(LIFETIME).await;
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn connect() -> (DuplexStream, JoinHandle<()>) {
        let (near, far) = duplex(1024);
        let router = Router::new().route("/", get(|| async { "x".repeat(10_000) }));
        let serving = serve(near, ([127, 0, 0, 1], 1).into(), router, CancellationToken::new());
        (far, tokio::spawn(serving))
    }

    /// How long the connection lasts from now on.
    async fn lasts(serving: JoinHandle<()>) -> Duration {
        let begun = Instant::now();
        serving.await.unwrap();
        begun.elapsed()
    }

    #[test]
    fn who_has_a_whole_network_has_the_places_of_one_address() {
        let address = |host: usize| format!("2001:db8::{host:x}").parse().unwrap();
        let places: Vec<_> = (0..CONNECTIONS_PER_ADDRESS).map(|host| counted_as(address(host))).collect();
        assert!(!has_room(places.iter(), address(99)) && has_room(places[1..].iter(), address(99)));
        assert!(has_room(places.iter(), "2001:db8:0:1::1".parse().unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_half_a_request_is_cut_off() {
        for said in [&b""[..], b"GET", &REQUEST[..REQUEST.len() - 2]] {
            let (mut client, serving) = connect();
            client.write_all(said).await.unwrap();
            assert!((HEAD..HEAD * 2).contains(&lasts(serving).await), "{said:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_byte_by_byte_is_cut_off_all_the_same() {
        let (mut client, serving) = connect();
        let begun = Instant::now();
        while client.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(begun.elapsed() < HEAD * 2);
        serving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_cut_off() {
        let (mut client, serving) = connect();
        client.write_all(REQUEST).await.unwrap();
        assert!((LIFETIME..=LIFETIME + LAST_ANSWER * 2).contains(&lasts(serving).await));
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_now_and_then_gets_whole_answers_until_the_end() {
        let (mut client, serving) = connect();
        let mut answers = 0;
        loop {
            let mut answer = Vec::new();
            if client.write_all(REQUEST).await.is_err() {
                break;
            }
            while !answer.ends_with(&[b'x'; 10_000]) && client.read_buf(&mut answer).await.unwrap() > 0 {}
            if answer.is_empty() {
                break;
            }
            assert!(answer.ends_with(&[b'x'; 10_000]));
            answers += 1;
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
        assert!(answers >= 8, "{answers}");
        serving.await.unwrap();
    }
}
