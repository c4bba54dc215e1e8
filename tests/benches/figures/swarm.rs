//! Many clients on one thread, so that what they cost does not grow with their number: their sockets do not block, and
//! the kernel says which of them have something.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::wire::{Packet, Wire};

/// After so long without a byte for anybody, something is lost.
const SILENCE: Duration = Duration::from_secs(10);

struct Member {
    wire: Wire,
    unsent: Vec<u8>,
    /// Whether the kernel tells when the socket takes more.
    watched: bool,
}

/// Clients by number, in the order in which they joined.
pub(crate) struct Swarm {
    epoll: OwnedFd,
    members: Vec<Member>,
}

impl Swarm {
    pub(crate) fn new() -> Self {
        Self { epoll: epoll::create(CreateFlags::CLOEXEC).unwrap(), members: Vec::new() }
    }

    pub(crate) fn join(&mut self, wire: Wire) {
        wire.socket().set_nonblocking(true).unwrap();
        let number = EventData::new_u64(self.members.len() as u64);
        epoll::add(&self.epoll, wire.socket(), number, EventFlags::IN).unwrap();
        self.members.push(Member { wire, unsent: Vec::new(), watched: false });
    }

    /// What a client has still to send. What is put there goes out with the next [`turn`](Self::turn).
    pub(crate) fn unsent(&mut self, member: usize) -> &mut Vec<u8> {
        &mut self.members[member].unsent
    }

    /// Sends what it can, waits until somebody has something, and reads it all: for each packet, who got it and when, and
    /// where an answer goes. `false`: nobody got anything until `deadline`.
    pub(crate) fn turn_until(
        &mut self,
        deadline: Instant,
        mut each: impl FnMut(usize, Packet<'_>, Instant, &mut Vec<u8>),
    ) -> bool {
        self.send();
        let mut ready = [const { Event { flags: EventFlags::empty(), data: EventData::new_u64(0) } }; 64];
        let patience = deadline.saturating_duration_since(Instant::now()).try_into().unwrap();
        let count = epoll::wait(&self.epoll, &mut ready[..], Some(&patience)).unwrap();
        for event in &ready[..count] {
            let number = event.data.u64() as usize;
            let Member { wire, unsent, .. } = &mut self.members[number];
            // TLS may hold more than the socket does, of which the kernel knows nothing.
            while wire.read(|packet, at| each(number, packet, at, unsent)) && wire.is_tls() {}
        }
        count > 0
    }

    /// The same, and a silence is a failure.
    pub(crate) fn turn(&mut self, each: impl FnMut(usize, Packet<'_>, Instant, &mut Vec<u8>)) {
        assert!(self.turn_until(Instant::now() + SILENCE, each), "nothing came for {SILENCE:?}");
    }

    /// Sends what is there to be sent, as far as the sockets take it.
    pub(crate) fn send(&mut self) {
        for (number, member) in self.members.iter_mut().enumerate() {
            if !member.unsent.is_empty() {
                let sent = member.wire.write_some(&member.unsent);
                member.unsent.drain(..sent);
            }
            let watched = !member.unsent.is_empty();
            if watched != member.watched {
                member.watched = watched;
                let flags = if watched { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
                epoll::modify(&self.epoll, member.wire.socket(), EventData::new_u64(number as u64), flags).unwrap();
            }
        }
    }
}
