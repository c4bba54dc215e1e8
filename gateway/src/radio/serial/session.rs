//! What happens while a port is open: reading, decoding, sending, polling. One loop, so one place decides.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::Instant;
use tokio_serial::{ClearBuffer, SerialPort, SerialStream};
use tokio_util::sync::CancellationToken;

use super::arrival::Arrivals;
use super::downlink::{Down, Downlink, Next};
use super::framing::{self, Decoded, Decoder, Reject};
use super::modbus::ModbusError;
use super::polls::Polls;
use super::presence::Presence;
use super::reports::{Frame, Reports};
use crate::config::{Framing, SerialRadio};
use crate::pipeline::DropReason;
use crate::radio::{RadioStats, Refused, SeenFrame};
use crate::wait::{Moved, read_or_write, sleep_until};

/// Bytes taken in one read. A port's kernel buffer holds 16 KiB at the most.
const READ_BYTES: usize = 4096;
/// Between two looks whether the driver has put everything on the wire.
const DRAIN_LOOK: Duration = Duration::from_millis(2);

/// Response time-outs after which the next question goes out though the line was never silent.
const LONGEST_REST: u32 = 4;

/// Why a session is over.
pub(in crate::radio) enum Ended {
    /// It was told to stop.
    Stopped,
    /// The device behind the port did not get ready, in words.
    NotReady(String),
    /// The port is gone, in words.
    Lost(String),
}

/// Whose frame is on the line.
enum Job {
    /// A client's.
    Down(Down),
    /// The poll with this index.
    Poll(usize),
}

/// Where the sending side stands.
enum Sending {
    /// Nothing to do.
    Idle,
    /// These bytes are still to be written.
    Writing { rest: Bytes, total: usize, job: Job, deadline: Instant },
    /// All is written; the driver may still hold some of it, which is looked at again at `look`.
    Draining { total: usize, job: Job, deadline: Instant, look: Instant },
    /// The line belongs to the device's answer.
    Awaiting { total: usize, job: Job, deadline: Instant },
    /// An answer may still come too late. Until `quiet`, which each byte puts off, or `limit` the line is kept free of the
    /// next question, which it would pass for the answer to.
    Resting { silence: Duration, quiet: Instant, limit: Instant },
}

/// One open port.
pub(super) struct Session<'a> {
    port: SerialStream,
    radio: &'a SerialRadio,
    reports: &'a Reports,
    stats: &'a RadioStats,
    downlink: &'a mut Downlink,
    presence: &'a mut Presence,
    decoder: Box<dyn Decoder>,
    arrivals: Arrivals,
    sending: Sending,
    polls: Polls<'a>,
    /// When the line will have been silent for long enough to end a frame.
    silent_at: Option<Instant>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        port: SerialStream,
        radio: &'a SerialRadio,
        reports: &'a Reports,
        stats: &'a RadioStats,
        downlink: &'a mut Downlink,
        presence: &'a mut Presence,
    ) -> Self {
        Self {
            port,
            radio,
            reports,
            stats,
            downlink,
            presence,
            decoder: framing::decoder(&radio.framing, radio.max_frame),
            arrivals: Arrivals::default(),
            sending: Sending::Idle,
            polls: Polls::new(radio),
            silent_at: None,
        }
    }

    /// Serves the port until it is lost or `stop` is given.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Ended {
        let ended = self.serve(stop).await;
        self.cut().await;
        // What the driver still holds would make closing wait for a stuck peer.
        let _ = self.port.clear(ClearBuffer::Output);
        let (why, unanswered) = match ended {
            Ended::Stopped => (Refused::ShuttingDown, "sent, but the radio was stopped before the answer"),
            Ended::Lost(_) | Ended::NotReady(_) => {
                (Refused::PortClosed, "sent, but the port was lost before the answer")
            }
        };
        match std::mem::replace(&mut self.sending, Sending::Idle) {
            Sending::Idle | Sending::Resting { .. } => {}
            Sending::Writing { job, .. } | Sending::Draining { job, .. } => {
                self.failed(job, why, "the frame was cut").await;
            }
            Sending::Awaiting { job, .. } => self.failed(job, why, unanswered).await,
        }
        ended
    }

    async fn serve(&mut self, stop: &CancellationToken) -> Ended {
        let mut buffer = BytesMut::new();
        loop {
            let idle = matches!(self.sending, Sending::Idle);
            let timer = self.next_timer();
            let unsent = match &self.sending {
                Sending::Writing { rest, .. } => rest.clone(),
                _ => Bytes::new(),
            };
            tokio::select! {
                () = stop.cancelled() => return Ended::Stopped,
                moved = read_or_write(&mut self.port, Some((&mut buffer, READ_BYTES)), &unsent) => match moved {
                    Ok(Moved::Read(0)) => return Ended::Lost("unplugged: the port has ended".to_owned()),
                    Ok(Moved::Read(_)) => {
                        self.read(&buffer).await;
                        buffer.clear();
                    }
                    Ok(Moved::Wrote(n)) => self.wrote(n),
                    Err(error) => return Ended::Lost(lost(&error)),
                },
                next = self.downlink.next(idle) => match next {
                    Next::Frame(down) => self.begin_down(down).await,
                    Next::TurnedAway(down) => self.reports.refused(&down, Refused::QueueFull, "").await,
                },
                () = sleep_until(timer) => self.timer().await,
            }
        }
    }

    /// The earliest of: silence, the port having held, the sending side's next step, the next poll.
    fn next_timer(&self) -> Option<Instant> {
        let sending = match &self.sending {
            Sending::Idle => self.polls.next_due(),
            Sending::Writing { deadline, .. } | Sending::Awaiting { deadline, .. } => Some(*deadline),
            // A fixed moment: a device that never stops talking must not put it off.
            Sending::Draining { deadline, look, .. } => Some((*deadline).min(*look)),
            Sending::Resting { quiet, limit, .. } => Some((*quiet).min(*limit)),
        };
        [self.silent_at, self.presence.settles_at(), sending].into_iter().flatten().min()
    }

    async fn timer(&mut self) {
        let now = Instant::now();
        if self.silent_at.is_some_and(|at| at <= now) {
            self.silent_at = None;
            let mut found = Vec::new();
            self.decoder.idle(&mut |decoded| found.push(decoded));
            self.take(found).await;
        }
        if self.presence.settles_at().is_some_and(|at| at <= now) {
            self.presence.settled(self.reports).await;
        }
        match std::mem::replace(&mut self.sending, Sending::Idle) {
            Sending::Idle => self.begin_due_poll(now).await,
            Sending::Writing { job, deadline, .. } | Sending::Draining { job, deadline, .. } if deadline <= now => {
                // The rest must not come out in front of the next frame.
                let _ = self.port.clear(ClearBuffer::Output);
                self.failed(job, Refused::WriteTimeout, "the port took nothing; check flow control and cable").await;
            }
            Sending::Awaiting { job, deadline, .. } if deadline <= now => {
                self.failed(job, Refused::NoResponse, "").await;
                self.sending = self.rest(now);
            }
            Sending::Resting { quiet, limit, .. } if quiet.min(limit) <= now => self.cut().await,
            Sending::Draining { total, job, deadline, look } if look <= now => self.drained(total, job, deadline).await,
            going_on => self.sending = going_on,
        }
    }

    /// What follows an answer that did not come. A Modbus answer does not say which question it is to.
    fn rest(&self, now: Instant) -> Sending {
        match self.radio.response_timeout {
            Some(silence) if self.radio.framing == Framing::ModbusRtu => {
                Sending::Resting { silence, quiet: now + silence, limit: now + silence.saturating_mul(LONGEST_REST) }
            }
            _ => Sending::Idle,
        }
    }

    /// What has come so far has nothing to do with what comes next.
    async fn cut(&mut self) {
        let mut found = Vec::new();
        self.decoder.reset(&mut |decoded| found.push(decoded));
        self.take(found).await;
    }

    async fn read(&mut self, bytes: &[u8]) {
        RadioStats::add(&self.stats.bytes_received, bytes.len());
        let now = self.reports.now();
        self.stats.seen.read(bytes, now.monotonic);
        self.arrivals.note(bytes.len(), now);
        self.presence.settled(self.reports).await;
        // A quick device answers before the next look at the driver's queue; its answer must find the line kept for it.
        match std::mem::replace(&mut self.sending, Sending::Idle) {
            Sending::Draining { total, job, deadline, .. } => self.drained(total, job, deadline).await,
            Sending::Resting { silence, limit, .. } => {
                self.sending = Sending::Resting { silence, quiet: Instant::now() + silence, limit };
            }
            other => self.sending = other,
        }
        let mut found = Vec::new();
        self.decoder.decode(bytes, &mut |decoded| found.push(decoded));
        self.silent_at = self.decoder.idle_after().map(|gap| Instant::now() + gap);
        self.take(found).await;
    }

    /// Sends decoded frames on, in their order.
    async fn take(&mut self, found: Vec<Decoded>) {
        for decoded in found {
            match decoded {
                Decoded::Frame { start, payload } => self.frame(start, payload).await,
                Decoded::Rejected { reason, length, .. } => self.reports.rejected(drop_reason(reason), length),
            }
        }
    }

    async fn frame(&mut self, start: u64, payload: Bytes) {
        let received = self.arrivals.of(start).unwrap_or_else(|| self.reports.now());
        let mut seen = SeenFrame::new(received, &payload);
        let mut frame = Frame { payload, received, poll: None, correlation: None, heard: Vec::new() };
        match std::mem::replace(&mut self.sending, Sending::Idle) {
            Sending::Awaiting { job: Job::Poll(index), .. } => {
                frame.poll = self.polls.name(index);
                match self.polls.answer(index, &frame.payload) {
                    Ok(payload) => {
                        seen.reading = Some(payload.clone());
                        frame.payload = payload;
                    }
                    Err(error) => return self.bad_answer(index, &error, frame.payload.len()),
                }
            }
            Sending::Awaiting { job: Job::Down(down), total, .. } => {
                self.reports.sent(&down, "answered", total).await;
                frame.correlation = down.correlation;
            }
            busy_or_idle => {
                self.sending = busy_or_idle;
                if self.radio.framing == Framing::ModbusRtu {
                    // A slave never speaks unasked, so this is no answer to anything.
                    return self.reports.rejected(DropReason::FrameNoise, frame.payload.len());
                }
            }
        }
        self.stats.seen.frame(seen);
        self.reports.up(frame).await;
    }

    fn bad_answer(&self, index: usize, error: &ModbusError, length: usize) {
        RadioStats::add(&self.stats.polls_failed, 1);
        let poll = self.polls.name_or_none(index);
        self.stats.seen.failed(format!("poll {poll}: {error}"));
        log::warn!(radio = self.radio.name.as_str(), poll = poll, error:% = error; "poll failed");
        self.reports.rejected(DropReason::FrameMalformed, length);
    }

    async fn begin_down(&mut self, down: Down) {
        let payload = down.payload.clone();
        self.begin(Job::Down(down), &payload).await;
    }

    async fn begin_due_poll(&mut self, now: Instant) {
        if let Some((index, question)) = self.polls.take_due(now) {
            self.begin(Job::Poll(index), &question).await;
        }
    }

    async fn begin(&mut self, job: Job, payload: &[u8]) {
        let mut out = BytesMut::new();
        match framing::encode(&self.radio.framing, self.radio.max_frame, payload, &mut out) {
            Ok(()) => {
                let deadline = Instant::now() + self.radio.write_timeout;
                self.sending = Sending::Writing { total: out.len(), rest: out.freeze(), job, deadline };
            }
            Err(error) => self.failed(job, Refused::NotEncodable, &error.to_string()).await,
        }
    }

    fn wrote(&mut self, n: usize) {
        RadioStats::add(&self.stats.bytes_sent, n);
        self.sending = match std::mem::replace(&mut self.sending, Sending::Idle) {
            Sending::Writing { mut rest, total, job, deadline } => {
                rest.advance(n.min(rest.len()));
                if rest.is_empty() {
                    Sending::Draining { total, job, deadline, look: Instant::now() }
                } else {
                    Sending::Writing { rest, total, job, deadline }
                }
            }
            other => other,
        };
    }

    /// Looks whether the driver has put the frame on the wire, and ends it or begins to wait for its answer.
    async fn drained(&mut self, total: usize, job: Job, deadline: Instant) {
        // A driver that can't tell has nothing to be waited for.
        if self.port.bytes_to_write().unwrap_or(0) > 0 {
            self.sending = Sending::Draining { total, job, deadline, look: Instant::now() + DRAIN_LOOK };
            return;
        }
        RadioStats::add(&self.stats.frames_sent, 1);
        if let Some(patience) = self.radio.response_timeout {
            self.sending = Sending::Awaiting { total, job, deadline: Instant::now() + patience };
        } else if let Job::Down(down) = &job {
            self.reports.sent(down, "sent", total).await;
        }
    }

    async fn failed(&self, job: Job, why: Refused, detail: &str) {
        match job {
            Job::Down(down) => self.downlink.refuse(&down, why, detail, self.reports).await,
            Job::Poll(index) => {
                RadioStats::add(&self.stats.polls_failed, 1);
                let poll = self.polls.name_or_none(index);
                self.stats.seen.failed(format!("poll {poll}: {}", why.as_str()));
                log::debug!(radio = self.radio.name.as_str(), poll = poll, error = why.as_str(); "poll failed");
            }
        }
    }
}

/// The ledger's word for a reject.
pub(super) fn drop_reason(reject: Reject) -> DropReason {
    match reject {
        Reject::TooLong => DropReason::FrameTooLong,
        Reject::Checksum => DropReason::FrameChecksum,
        Reject::Malformed => DropReason::FrameMalformed,
        Reject::Incomplete => DropReason::FrameCut,
        Reject::Noise => DropReason::FrameNoise,
    }
}

/// Why a port is gone, in words.
pub(super) fn lost(error: &io::Error) -> String {
    // EIO is what the kernel says of a device that has been pulled out.
    if error.raw_os_error() == Some(libc::EIO) { "unplugged".to_owned() } else { format!("the port failed: {error}") }
}
