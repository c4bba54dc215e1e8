//! The end of a connection: the last words, the session left to whom it belongs, the will.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{Connection, End, violation};
use crate::broker::inventory::SessionAfter;
use crate::broker::registry::{Hold, Left};
use crate::codec::{Disconnect, Packet, ReasonCode, Version};
use crate::wait::Bell;

/// How long the last packet to a client may take.
const FAREWELL: Duration = Duration::from_secs(1);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn disconnect(&mut self, disconnect: &Disconnect) -> End {
        if let Some(seconds) = disconnect.session_expiry {
            // Section 3.14.2.2.2: a session that was to end can't be kept after all.
            if self.agreed.expiry.is_zero() && seconds > 0 {
                return violation(ReasonCode::ProtocolError, "a session expiry after none was asked for");
            }
            let limit = self.settings.session_expiry_max;
            self.agreed.expiry = Duration::from_secs(seconds.into()).min(limit);
        }
        // Only a normal disconnection takes the will back (section 3.14.4).
        End::Disconnect { with_will: disconnect.reason != ReasonCode::Success }
    }

    /// Says goodbye where the version has words for it, leaves the session, publishes the will.
    pub(super) async fn finish(mut self: Box<Self>, end: End, hold: Hold) {
        // Nothing waits at the session's bell any more: what it rings for is its next connection's.
        self.bell = Bell::new(&Arc::default());
        let client = Arc::clone(&self.agreed.client);
        let mut will = self.agreed.will.take();
        let mut farewell = None;
        let mut expiry = self.agreed.expiry;
        match end {
            End::Disconnect { with_will } => {
                will = will.filter(|_| with_will);
                log::debug!(client:% = client; "client disconnected");
            }
            End::Lost(error) => {
                self.session.card.failed(&error);
                log::debug!(client:% = client, error = error.as_str(); "client lost");
            }
            End::Fault(refusal, reason, what) => {
                self.shared.stats.refused(refusal);
                self.session.card.failed(&format!("{reason}: {what}"));
                log::info!(client:% = client, reason:% = reason, error = what.as_str(); "client disconnected for a fault");
                farewell = Some(reason);
            }
            End::TakenOver(newcomer) => {
                log::debug!(client:% = client; "client's session taken over");
                self.farewell(ReasonCode::SessionTakenOver).await;
                let Left { will, shared } = newcomer.take_over(self.session, expiry, will);
                self.shared.redistribute(shared).await;
                return self.shared.publish_will(will).await;
            }
            End::Ordered(session) => {
                if session == SessionAfter::Ended {
                    expiry = Duration::ZERO;
                }
                self.session.card.failed("sent away by an operator");
                log::info!(client:% = client, session:? = session; "client sent away by an operator");
                farewell = Some(ReasonCode::AdministrativeAction);
            }
            End::Stopping => {
                farewell = Some(ReasonCode::ServerShuttingDown);
                // It is not the client that is lost when the whole gateway stops.
                will = will.filter(|_| !self.shared.closing.is_cancelled());
            }
        }
        match farewell {
            Some(reason) => self.farewell(reason).await,
            None => self.flush().await,
        }
        let mut parcels = self.session.take_shared(expiry.is_zero());
        self.session.card.left(self.shared.pipeline.clock().now(), expiry);
        let Left { will, shared } = self.shared.registry.leave(hold, self.session, expiry, will);
        parcels.extend(shared);
        self.shared.redistribute(parcels).await;
        self.shared.publish_will(will).await;
    }

    pub(super) async fn farewell(&mut self, reason: ReasonCode) {
        // Not before CONNACK (MQTT 5.0, section 3.14).
        if self.agreed.terms.version == Version::V5 && self.welcomed {
            let _ = self.write(&Packet::Disconnect(Disconnect::new(reason)));
        }
        self.flush().await;
    }

    /// Sends what waits, as far as the client takes it soon.
    pub(super) async fn flush(&mut self) {
        let last = async {
            self.stream.write_all(&self.out).await?;
            self.stream.shutdown().await
        };
        let _ = tokio::time::timeout(FAREWELL, last).await;
    }
}
