//! Ending in order, and in time. Part of the wiring.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::supervisor::Rank;
use crate::{Gateway, admin};

/// How long the whole gateway may take to stop. systemd's own limit in `stile.service` is longer.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// How long, of that, the way to the clients may take to run empty.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

impl Gateway {
    /// Writes what nobody waited for, too. Says whether it is on disk.
    async fn write_store(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, self.store.flush()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                log::error!(error:% = error; "the last changes could not be stored");
                false
            }
            Err(_elapsed) => {
                log::error!("the last changes could not be stored in time");
                false
            }
        }
    }

    /// Stops everything in order: radios, clients, uplinks, the path between them, pages. Says whether all of it ended by itself.
    pub async fn stop(self) -> bool {
        self.sources.serving.store(false, Ordering::Relaxed);
        let deadline = Instant::now() + STOP_PATIENCE;
        // What is held may be for a radio, and is judged at the next start.
        self.sources.pipeline.keep_shelves();
        let mut clean = self.supervisor.stop_rank(Rank::Radio, Instant::now() + STOP_PATIENCE / 3).await;
        // What the radios said last reaches the clients' queues before the clients are sent away.
        clean &= self.broker.close(DRAIN_PATIENCE).await;
        for rank in [Rank::Clients, Rank::Uplinks, Rank::Core, Rank::Admin] {
            // A share each, so that one deaf unit does not leave the others without any.
            let share = deadline.min(Instant::now() + STOP_PATIENCE / 3);
            clean &= self.supervisor.stop_rank(rank, share).await;
            if rank == Rank::Clients {
                // Nobody brings messages any more. What the clients' wills left in the stages still reaches the broker.
                let judged = self.sources.pipeline.stop(DRAIN_PATIENCE).await;
                if !judged {
                    log::warn!("what waited for plugins could not be judged in time and was dropped");
                }
                clean &= judged;
            }
            if rank == Rank::Uplinks {
                let left = deadline.saturating_duration_since(Instant::now());
                let closing = async { self.uplinks.close().await & self.sources.measurements.close().await };
                clean &= tokio::time::timeout(left, closing).await.unwrap_or(false);
            }
            if rank == Rank::Core {
                clean &= self.write_store(share).await;
            }
        }
        let ledger = self.sources.pipeline.ledger().snapshot();
        log::info!(
            received = ledger.received_total(), delivered = ledger.delivered, filtered = ledger.filtered,
            dropped = ledger.dropped_total(), held = ledger.held, in_flight = ledger.in_flight, balances = ledger.balances();
            "stopped"
        );
        // The next start would remove it too.
        let _ = std::fs::remove_file(admin::socket_path(&self.settings.gateway.data_dir));
        clean
    }
}
