//! What a connection waits for: its client, whoever has something for it, and the clock.
//!
//! It waits again after each thing that it did, which must cost little: what can wait is registered once (`Bell`,
//! `Alarm`) and not with each step.

use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{Connection, End, not_stored};
use crate::broker::codec::ReasonCode;
use crate::broker::registry::Hold;
use crate::broker::stats::{Refusal, Stats};
use crate::wait::{Moved, read_or_write, try_write};

/// Bytes taken in one read.
const READ_BYTES: usize = 8 * 1024;
/// A client that lets this much wait is not read from: its answers would pile up.
const TOO_MUCH: usize = 256 * 1024;
/// How long a client may take nothing of what waits for it.
const STUCK: Duration = Duration::from_secs(30);
/// How long a client that is sent away may take to get what waits for it.
const LEAVE: Duration = Duration::from_secs(2);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Waits for one thing and does what it asks for.
    pub(super) async fn step(&mut self, hold: &mut Hold) -> Result<(), End> {
        if self.write_now().await? {
            // There may be more to write by now.
            return Ok(());
        }
        if self.out.is_empty() {
            self.unsent_since = None;
        } else {
            self.unsent_since.get_or_insert_with(Instant::now);
        }
        let may_read = self.out.len() < TOO_MUCH && self.answers.have_room();
        if !may_read {
            // A client that is not listened to is not silent.
            self.last_heard = Instant::now();
        }
        let more = std::mem::take(&mut self.more);
        self.alarm.set(self.deadlines().into_iter().flatten().min());
        let buffer = may_read.then_some((&mut self.inbox, READ_BYTES));
        tokio::select! {
            moved = read_or_write(&mut self.stream, buffer, &self.out) => match moved {
                Ok(Moved::Read(0)) => Err(End::Lost("closed without DISCONNECT".to_owned())),
                Ok(Moved::Read(n)) => {
                    Stats::add(&self.shared.stats.bytes_received, n as u64);
                    self.session.card.bytes_received(n);
                    self.handle_inbox().await
                }
                Ok(Moved::Wrote(n)) => self.wrote(n),
                Err(error) => Err(End::Lost(error.to_string())),
            },
            () = std::future::ready(()), if more => self.handle_inbox().await,
            () = self.bell.rings() => Ok(()),
            () = self.alarm.goes_off() => self.overdue(Instant::now()),
            () = self.standing.changed() => Ok(()),
            kick = &mut hold.kick => Err(kick.map_or(End::Stopping, End::TakenOver)),
            order = &mut self.orders, if !self.orders.is_terminated() => order.map_or(Ok(()), |o| Err(End::Ordered(o))),
            () = &mut self.stopped, if self.leave_by.is_none() => {
                // What waits for the client is still handed over, as far as it acknowledges it soon.
                self.leave_by = Some(Instant::now() + LEAVE);
                Ok(())
            }
        }
    }

    /// Writes what the client takes at once: it waits for that, and not for a look at all else that could have come. Says
    /// whether it took something.
    async fn write_now(&mut self) -> Result<bool, End> {
        if self.out.is_empty() {
            return Ok(false);
        }
        match try_write(&mut self.stream, &self.out).await {
            Some(Ok(n)) => self.wrote(n).map(|()| true),
            Some(Err(error)) => Err(End::Lost(error.to_string())),
            None => Ok(false),
        }
    }

    /// The client has taken so many bytes.
    fn wrote(&mut self, n: usize) -> Result<(), End> {
        if n == 0 {
            return Err(End::Lost("closed".to_owned()));
        }
        Stats::add(&self.shared.stats.bytes_sent, n as u64);
        self.session.card.bytes_sent(n);
        self.out.advance(n);
        self.unsent_since = None;
        Ok(())
    }

    /// When the store has taken too long, the client has had its time to leave, has been silent or has taken nothing for
    /// too long.
    fn deadlines(&self) -> [Option<Instant>; 4] {
        let silent_at = (!self.agreed.keep_alive.is_zero()).then(|| self.last_heard + self.agreed.keep_alive * 3 / 2);
        let stuck_at = self.unsent_since.map(|since| since + STUCK);
        [self.answers.overdue_at(), self.leave_by, silent_at, stuck_at]
    }

    /// Ends the connection if one of the deadlines has come.
    fn overdue(&mut self, now: Instant) -> Result<(), End> {
        let [unstored, left, silent, stuck] = self.deadlines().map(|at| at.is_some_and(|at| at <= now));
        if unstored && self.answers.wait_for_stages() {
            Ok(())
        } else if unstored {
            Err(not_stored())
        } else if left {
            Err(End::Stopping)
        } else if silent {
            Err(End::Fault(Refusal::KeepAlive, ReasonCode::KeepAliveTimeout, "nothing heard".to_owned()))
        } else if stuck {
            let what = format!("took nothing for {STUCK:?}");
            Err(End::Fault(Refusal::Stuck, ReasonCode::UnspecifiedError, what))
        } else {
            Ok(())
        }
    }
}
