//! The server's socket.

use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt;
use tokio::net::UdpSocket;

/// What is asked of the kernel for datagrams that were not read yet: seconds of the most that gateways can send.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Opens it, with as much room for what was not read yet as the kernel gives. Says how much that is, in bytes.
///
/// # Errors
/// When the address can't be had.
pub(super) fn open(address: SocketAddr) -> io::Result<(UdpSocket, usize)> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    // With the right to it, beyond `net.core.rmem_max`. Less room is no failure: it is said how much there is.
    if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
    }
    let room = sockopt::socket_recv_buffer_size(&socket).unwrap_or(0);
    Ok((UdpSocket::from_std(socket)?, room))
}
