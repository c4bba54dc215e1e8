//! What a connection waits for: its client, whoever has something for it, and the clock.
//!
//! It waits again after each thing that it did, which must cost little: what can wait is registered once (`Bell`,
//! `Alarm`) and not with each step, and what hardly ever comes is not asked each time (`Seldom`).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{Connection, End, held_up, not_stored};
use crate::broker::access::Standing;
use crate::broker::inventory::SessionAfter;
use crate::broker::registry::Hold;
use crate::broker::stats::{Refusal, Stats};
use crate::codec::ReasonCode;
use crate::wait::{Moved, read_or_write, try_write};

/// Bytes taken in one read.
const READ_BYTES: usize = 8 * 1024;
/// A client that lets this much wait is not read from: its answers would pile up.
const TOO_MUCH: usize = 256 * 1024;
/// How long a client may take nothing of what waits for it.
const STUCK: Duration = Duration::from_secs(30);
/// How long a client that is sent away may take to get what waits for it.
const LEAVE: Duration = Duration::from_secs(2);

/// What does not come from the client, and hardly ever comes.
enum News {
    /// The connection is over.
    Ends(End),
    /// The gateway is stopping.
    Stop,
    /// What the client may do has changed.
    Accounts,
}

fn poll_news(
    hold: &mut Hold,
    orders: &mut oneshot::Receiver<SessionAfter>,
    standing: &mut Standing,
    stopped: Option<&mut Pin<&mut WaitForCancellationFutureOwned>>,
    cx: &mut Context<'_>,
) -> Poll<News> {
    if let Poll::Ready(kick) = Pin::new(&mut hold.kick).poll(cx) {
        return Poll::Ready(News::Ends(kick.map_or(End::Stopping, End::TakenOver)));
    }
    if !orders.is_terminated()
        && let Poll::Ready(Ok(order)) = Pin::new(orders).poll(cx)
    {
        return Poll::Ready(News::Ends(End::Ordered(order)));
    }
    if stopped.is_some_and(|stopped| stopped.as_mut().poll(cx).is_ready()) {
        return Poll::Ready(News::Stop);
    }
    standing.poll_changed(cx).map(|()| News::Accounts)
}

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
        let may_read = self.out.len() < TOO_MUCH && self.answers.have_room() && self.held_up.is_none();
        if !may_read {
            // A client that is not listened to is not silent.
            self.last_heard = Instant::now();
        }
        let more = std::mem::take(&mut self.more);
        self.alarm.set(self.deadlines().into_iter().flatten().min());
        let buffer = may_read.then_some((&mut self.inbox, READ_BYTES));
        let mut stopped = self.leave_by.is_none().then_some(self.stopped.as_mut());
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
            () = held_up::room(&mut self.held_up) => self.handle_inbox().await,
            () = self.bell.rings() => Ok(()),
            () = self.alarm.goes_off() => self.overdue(Instant::now()),
            news = self.seldom.happens(|cx| poll_news(hold, &mut self.orders, &mut self.standing, stopped.as_mut(), cx)) => {
                match news {
                    News::Ends(end) => return Err(end),
                    // What waits for the client is still handed over, as far as it acknowledges it soon.
                    News::Stop => self.leave_by = Some(Instant::now() + LEAVE),
                    News::Accounts => {}
                }
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
