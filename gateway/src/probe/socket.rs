//! A UDP socket that says when the kernel took a datagram off the network, and with which TTL.
//!
//! The time is that of SO_TIMESTAMPNS (socket(7)): what the daemon does meanwhile is not in it.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::config::NetworkPath;

/// A datagram that was read longer after it came was not: the clock has jumped.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// See the module's head.
pub(super) struct TimedSocket {
    socket: UdpSocket,
    /// Room for what the kernel says beside a datagram.
    beside: Mutex<Vec<u8>>,
}

/// A datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived {
    /// How many bytes of it were read.
    pub(super) length: usize,
    /// There was more of it than room.
    pub(super) cut: bool,
    pub(super) from: Option<SocketAddr>,
    /// When it came, by the wall clock.
    pub(super) wall: SystemTime,
    /// The same by the clock that never jumps.
    pub(super) at: Instant,
    /// TTL or hop limit.
    pub(super) ttl: Option<u8>,
}

impl TimedSocket {
    /// One that listens there.
    ///
    /// # Errors
    /// When the address can't be had.
    pub(super) async fn bound(address: SocketAddr) -> io::Result<Self> {
        Self::over(UdpSocket::bind(address).await?).await
    }

    /// One that leaves by `way` and hears of `peer` alone.
    ///
    /// # Errors
    /// When the way can't be used, or leads to no such place.
    pub(super) async fn connected(way: &NetworkPath, peer: SocketAddr) -> io::Result<Self> {
        Self::over(leaving(way, peer).await?).await
    }

    async fn over(socket: UdpSocket) -> io::Result<Self> {
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        // Either is for one family of addresses; without it nothing is known of the TTL.
        let _ = setsockopt(&socket, sockopt::Ipv4RecvTtl, &true);
        let _ = setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true);
        // What is sent at once is known to go only after that.
        socket.writable().await?;
        Ok(Self { socket, beside: Mutex::new(nix::cmsg_space!(TimeSpec, i32, i32)) })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Sends to the one that it is connected to.
    pub(super) fn try_send(&self, packet: &[u8]) -> io::Result<usize> {
        self.socket.try_send(packet)
    }

    pub(super) fn try_send_to(&self, packet: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.socket.try_send_to(packet, to)
    }

    /// Reads a datagram, if one is there.
    pub(super) fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Arrived> {
        self.socket.try_io(Interest::READABLE, || {
            // Held for one system call that does not wait.
            let mut beside = self.beside.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let mut into = [IoSliceMut::new(buffer)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let read = recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut into, Some(&mut beside), flags)?;
            let (now, at) = (SystemTime::now(), Instant::now());
            let (mut wall, mut ttl) = (now, None);
            for said in read.cmsgs()? {
                match said {
                    ControlMessageOwned::ScmTimestampns(time) => {
                        wall = SystemTime::UNIX_EPOCH.checked_add(time.into()).unwrap_or(now);
                    }
                    ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => {
                        ttl = u8::try_from(limit).ok();
                    }
                    _ => {}
                }
            }
            // Where the clock was set meanwhile, the moment of reading stands for it.
            let waited = now.duration_since(wall).ok().filter(|waited| *waited <= READ_WITHIN).unwrap_or_default();
            let cut = read.flags.contains(MsgFlags::MSG_TRUNC);
            Ok(Arrived {
                length: read.bytes,
                cut,
                from: read.address.as_ref().and_then(address),
                wall,
                at: at - waited,
                ttl,
            })
        })
    }
}

/// A socket that leaves by `way` and hears of `peer` alone.
pub(super) async fn leaving(way: &NetworkPath, peer: SocketAddr) -> io::Result<UdpSocket> {
    let any = if peer.is_ipv6() { IpAddr::from(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(way.address.unwrap_or(any), 0)).await?;
    if let Some(interface) = &way.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    socket.connect(peer).await?;
    Ok(socket)
}

fn address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_datagram_comes_with_the_time_at_which_the_kernel_took_it() {
        let listening = TimedSocket::bound("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let to = listening.local_addr().unwrap();
        let sending = TimedSocket::connected(&NetworkPath::default(), to).await.unwrap();
        let before = (SystemTime::now(), Instant::now());
        sending.try_send(b"hello").unwrap();
        let sent = Instant::now();
        // It waits to be read for longer than it takes to be sent.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut buffer = [0; 4];
        let arrived = loop {
            listening.readable().await.unwrap();
            if let Ok(arrived) = listening.try_recv(&mut buffer) {
                break arrived;
            }
        };
        assert_eq!((arrived.length, arrived.cut, arrived.from), (4, true, Some(sending.local_addr().unwrap())));
        assert_eq!((&buffer, arrived.ttl), (b"hell", Some(64)));
        assert!(arrived.wall >= before.0, "{arrived:?}");
        // The two clocks are read one after the other, which costs a little.
        assert!(arrived.at >= before.1 - Duration::from_millis(1), "{arrived:?}");
        assert!(arrived.at <= sent + Duration::from_millis(40), "{arrived:?}");
    }
}
