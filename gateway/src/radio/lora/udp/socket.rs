//! The server's socket.

use std::net::SocketAddr;
use std::{fs, io};

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

/// Datagrams that the kernel has dropped since the socket was opened, because they came faster than they were read (the
/// last column of `/proc/net/udp`). `None` where it does not say.
pub(super) fn dropped(socket: &UdpSocket) -> Option<u64> {
    let inode = rustix::fs::fstat(socket).ok()?.st_ino;
    // Not `/proc/net`: the unit hides what is no process.
    ["/proc/self/net/udp", "/proc/self/net/udp6"]
        .iter()
        .find_map(|path| find_dropped(&fs::read_to_string(path).ok()?, inode))
}

fn find_dropped(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let ours = columns.get(9)?.parse() == Ok(inode);
        ours.then(|| columns.get(12)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
             1: 0100007F:06A4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 42\n\
             2: bad\n";
        assert_eq!((find_dropped(table, 4711), find_dropped(table, 1), find_dropped("", 1)), (Some(42), None, None));
    }

    #[tokio::test]
    async fn a_socket_that_was_just_opened_has_lost_nothing() {
        let (socket, room) = open("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(room > 0);
        assert_eq!(dropped(&socket), Some(0));
    }
}
