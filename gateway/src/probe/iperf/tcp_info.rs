//! What the kernel knows of a connection (tcp(7), `TCP_INFO`).

use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// Of what was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct TcpInfo {
    /// Segments sent again since the connection began.
    pub(super) retransmits: u64,
    /// Bytes that the other side has not acknowledged, to a segment; sent or not.
    pub(super) unacknowledged: u64,
}

impl TcpInfo {
    /// Asks the kernel; `None` where it does not say.
    #[allow(
        unsafe_code,
        reason = "no safe crate offers TCP_INFO for kernels of any age; the call only fills what it is given"
    )]
    pub(super) fn of(stream: &TcpStream) -> Option<Self> {
        // SAFETY: `info` is plain data for which all zeros is valid, and an older kernel fills less of it; `length` is its size.
        let (said, info) = unsafe {
            let mut info: libc::tcp_info = std::mem::zeroed();
            let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
            let place = (&raw mut info).cast();
            (libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut length), info)
        };
        let under_way = u64::from(info.tcpi_unacked) * u64::from(info.tcpi_snd_mss);
        (said == 0).then(|| Self {
            retransmits: info.tcpi_total_retrans.into(),
            unacknowledged: under_way + u64::from(info.tcpi_notsent_bytes),
        })
    }
}
