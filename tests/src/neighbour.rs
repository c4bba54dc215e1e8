//! The innocent bystander.

use crate::packet::{V5, ack, publish};
use crate::{RawClient, Stile};

/// A client that minds its own business, for tests in which others don't.
#[derive(Debug)]
pub struct Neighbour {
    client: RawClient,
    count: u32,
}

impl Neighbour {
    /// Connects it.
    #[track_caller]
    pub fn of(stile: &Stile) -> Self {
        let mut client = RawClient::connect(stile.mqtt, V5, "neighbour");
        client.subscribe(&[("neighbour", 1)], &[]);
        Self { client, count: 0 }
    }

    /// What it publishes comes back to it, exactly once, and nothing else does.
    #[track_caller]
    pub fn is_well(&mut self) {
        for _ in 0..3 {
            self.count += 1;
            let text = self.count.to_string();
            self.client.send(&publish(V5, 2, "neighbour", 9, &[], &text));
            let (mut acked, mut came) = (false, false);
            while !(acked && came) {
                let packet = self.client.packet();
                match packet.kind() {
                    4 => acked = true,
                    _ => {
                        let message = packet.publish(V5);
                        assert_eq!(message.text, text);
                        self.client.send(&ack(0x40, message.id));
                        came = true;
                    }
                }
            }
        }
        self.client.expect_nothing();
    }
}
