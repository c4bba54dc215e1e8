//! Stands between two who talk by UDP, and treats what they say as a bad network would.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A relay on a thread of its own, in the network in which it is made. Dropped, it ends.
pub struct Relay {
    /// Where the one side is to send.
    pub address: SocketAddr,
    ends: Arc<AtomicBool>,
}

impl Relay {
    /// Hands on from `address` to `to` and back, each datagram `delay` later. Of those to `to`, each `lost`th is not.
    pub fn start(address: &str, to: SocketAddr, delay: Duration, lost: usize) -> Self {
        let (near, far) = (UdpSocket::bind(address).unwrap(), UdpSocket::bind("0.0.0.0:0").unwrap());
        let (address, ends) = (near.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        far.connect(to).unwrap();
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        }
        let peer = Arc::new(std::sync::Mutex::new(None));
        let (near, far) = (Arc::new(near), Arc::new(far));
        let (known, stop, into, from) = (Arc::clone(&peer), Arc::clone(&ends), Arc::clone(&far), Arc::clone(&near));
        std::thread::spawn(move || {
            let (mut datagram, mut count) = ([0; 2048], 0);
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, sender)) = from.recv_from(&mut datagram) else { continue };
                *known.lock().unwrap() = Some(sender);
                count += 1;
                if lost == 0 || count % lost != 0 {
                    std::thread::sleep(delay);
                    let _ = into.send(&datagram[..length]);
                }
            }
        });
        let stop = Arc::clone(&ends);
        std::thread::spawn(move || {
            let mut datagram = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                let Ok(length) = far.recv(&mut datagram) else { continue };
                std::thread::sleep(delay);
                if let Some(sender) = *peer.lock().unwrap() {
                    let _ = near.send_to(&datagram[..length], sender);
                }
            }
        });
        Self { address, ends }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}
