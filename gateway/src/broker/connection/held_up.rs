//! A client that publishes what an uplink has no room for, where that uplink's policy is to let publishers wait.
//!
//! Its message is kept and nothing more is read from it: TCP slows it down. It goes on getting messages, and can be sent
//! away.

use tokio::io::{AsyncRead, AsyncWrite};

use super::Connection;
use crate::codec::Packet;
use crate::wait::Bell;

/// A PUBLISH that waits, and what rings when there may be room.
pub(super) struct HeldUp {
    pub(super) packet: Packet,
    room: Bell,
}

/// Waits until there may be room; for ever where nothing is held up.
pub(super) async fn room(held_up: &mut Option<Box<HeldUp>>) {
    match held_up {
        Some(held_up) => held_up.room.rings().await,
        None => std::future::pending().await,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The packet again, unless it has to wait: then it is kept.
    pub(super) fn unless_held_up(&mut self, packet: Packet) -> Option<Packet> {
        if !self.shared.pipeline.has_carriers() || !self.waits(&packet) {
            return Some(packet);
        }
        // Once more with the bell hung up: who has made room meanwhile did not ring it.
        let room = Bell::new(self.shared.pipeline.room());
        if !self.waits(&packet) {
            return Some(packet);
        }
        self.held_up = Some(Box::new(HeldUp { packet, room }));
        None
    }

    fn waits(&mut self, packet: &Packet) -> bool {
        let Packet::Publish(publish) = packet else { return false };
        // Of a topic that is none, its own turn tells.
        let topic = self.aliases.resolve(&publish.topic, publish.properties().topic_alias);
        topic.is_ok_and(|topic| self.shared.pipeline.holds_up(&topic))
    }
}
