//! Asks chronyd how far the clock is off, on its command port: one datagram there and one back.
//!
//! Source: chrony's candm.h, version 6 of the protocol, request and reply TRACKING. Whatever is not exactly that is no answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::message::{ClockQuality, TimeSource, Timing};

/// How long chronyd may take. It is on this machine.
const PATIENCE: Duration = Duration::from_millis(500);

/// Bytes of the reply, and so of the request: chronyd answers none that is shorter than its reply.
pub(super) const LENGTH: usize = 104;

const VERSION: u8 = 6;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// REQ_TRACKING and RPY_TRACKING.
const ASK_TRACKING: u16 = 33;
const SAY_TRACKING: u16 = 5;
/// LEAP_Unsynchronised.
const UNSYNCHRONISED: u16 = 3;
/// Who the clock is set by: nobody, or itself, by the directive `local`. Then its error is said to be none, and nobody knows it.
const NOBODY: [u32; 2] = [0, 0x7f7f_0101];

/// A clock that is off by more seconds than this is no figure.
pub(super) const SECONDS_MAX: f64 = 1e9;

/// What chronyd says of the clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tracking {
    synchronised: bool,
    /// Seconds that the clock is still to be put on by.
    correction: f64,
    /// Seconds to the first source and back, and what has gathered on the way.
    root_delay: f64,
    root_dispersion: f64,
}

impl Tracking {
    /// The same in the gateway's words. The error is chrony's bound on the clock's: half the way, and what has gathered on it.
    pub(super) fn said(self) -> (ClockQuality, Timing) {
        if !self.synchronised {
            return (ClockQuality::Unsynchronised, Timing::default());
        }
        let error = self.root_dispersion + self.root_delay / 2.0;
        let timing = Timing { source: TimeSource::Chrony, offset: Some(-self.correction), error: Some(error) };
        (ClockQuality::Synchronised, timing)
    }
}

/// What chronyd says; `None` where none answers.
pub(super) async fn ask(address: SocketAddr) -> Option<Tracking> {
    let sequence = getrandom::u32().ok()?;
    match tokio::time::timeout(PATIENCE, exchange(address, sequence)).await {
        Ok(Ok(tracking)) => Some(tracking),
        Ok(Err(error)) => {
            log::trace!(address:% = address, error:% = error; "chronyd does not answer");
            None
        }
        Err(_elapsed) => None,
    }
}

async fn exchange(address: SocketAddr, sequence: u32) -> io::Result<Tracking> {
    let any = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(any).await?;
    // Nobody else is heard then.
    socket.connect(address).await?;
    socket.send(&request(sequence)).await?;
    let mut reply = [0; 2 * LENGTH];
    loop {
        let length = socket.recv(&mut reply).await?;
        // What answers another question is passed over.
        if let Some(tracking) = read(reply.get(..length).unwrap_or_default(), sequence) {
            return Ok(tracking);
        }
    }
}

fn request(sequence: u32) -> [u8; LENGTH] {
    let mut request = [0; LENGTH];
    request[0] = VERSION;
    request[1] = REQUEST;
    request[4..6].copy_from_slice(&ASK_TRACKING.to_be_bytes());
    request[8..12].copy_from_slice(&sequence.to_be_bytes());
    request
}

/// What a reply to this question begins with.
#[cfg(any(test, fuzzing))]
pub(super) fn head_of_reply(sequence: u32) -> [u8; 20] {
    let mut head = [0; 20];
    head[..2].copy_from_slice(&[VERSION, REPLY]);
    head[4..6].copy_from_slice(&ASK_TRACKING.to_be_bytes());
    head[6..8].copy_from_slice(&SAY_TRACKING.to_be_bytes());
    head[16..].copy_from_slice(&sequence.to_be_bytes());
    head
}

/// Reads a reply; `None` where it is none to this question, says no, or has figures that can't be.
pub(super) fn read(reply: &[u8], sequence: u32) -> Option<Tracking> {
    let short = |at: usize| Some(u16::from_be_bytes(reply.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u32::from_be_bytes(reply.get(at..at + 4)?.try_into().ok()?));
    let head = (*reply.first()?, *reply.get(1)?, short(4)?, short(6)?, short(8)?, long(16)?);
    let is_answer = head == (VERSION, REPLY, ASK_TRACKING, SAY_TRACKING, 0, sequence) && reply.len() == LENGTH;
    let seconds = |at: usize| long(at).map(float).filter(|seconds| seconds.abs() <= SECONDS_MAX);
    let least = |at: usize| seconds(at).filter(|seconds| *seconds >= 0.0);
    let tracking = Tracking {
        synchronised: !NOBODY.contains(&long(28)?) && short(54)? < UNSYNCHRONISED,
        correction: seconds(68)?,
        // The way there and back is negative for a source that is on the machine itself, by some nanoseconds.
        root_delay: seconds(92)?.max(0.0),
        root_dispersion: least(96)?,
    };
    is_answer.then_some(tracking)
}

/// Seven bits of exponent and 25 of coefficient, both with a sign: 2^(exponent - 25) times the coefficient.
fn float(bits: u32) -> f64 {
    let exponent = (bits as i32) >> 25;
    let coefficient = ((bits << 7) as i32) >> 7;
    f64::from(coefficient) * 2_f64.powi(exponent - 25)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of chronyd 4.3: stratum 3, 12 microseconds slow, 20 milliseconds of way, 0.5 of dispersion.
    fn reply() -> Vec<u8> {
        let mut reply = vec![0; LENGTH];
        reply[..20].copy_from_slice(&head_of_reply(7));
        reply[28..32].copy_from_slice(&[192, 0, 2, 1]);
        reply[52..56].copy_from_slice(&[0, 3, 0, 0]);
        for (at, seconds) in [(68, 0.000_012), (92, 0.02), (96, 0.000_5)] {
            reply[at..at + 4].copy_from_slice(&bits(seconds).to_be_bytes());
        }
        reply
    }

    /// The way back of [`float`], for what is not tiny.
    fn bits(value: f64) -> u32 {
        let exponent = value.abs().log2().ceil() as i32 + 1;
        let coefficient = (value * 2_f64.powi(25 - exponent)) as i32;
        ((exponent as u32) << 25) | (coefficient as u32 & 0x01ff_ffff)
    }

    #[test]
    fn an_answer_is_what_chronyd_says_in_the_gateways_words() {
        let (quality, timing) = read(&reply(), 7).unwrap().said();
        let about = |seconds: Option<f64>, wanted: f64| (seconds.unwrap() - wanted).abs() < 1e-9;
        assert_eq!((quality, timing.source), (ClockQuality::Synchronised, TimeSource::Chrony));
        assert!(about(timing.offset, -0.000_012) && about(timing.error, 0.010_5), "{timing:?}");
        let mut alone = reply();
        alone[55] = 3;
        let mut by_itself = reply();
        by_itself[28..32].copy_from_slice(&[127, 127, 1, 1]);
        for nobody in [alone, by_itself] {
            assert_eq!(read(&nobody, 7).unwrap().said(), (ClockQuality::Unsynchronised, Timing::default()));
        }
    }

    #[test]
    fn what_is_no_answer_to_this_question_is_none() {
        assert_eq!(read(&reply(), 8), None);
        assert_eq!(read(&reply()[..LENGTH - 1], 7), None);
        assert_eq!(read(&[reply(), vec![0]].concat(), 7), None);
        // Version, kind, command, reply, status.
        for at in [0, 1, 5, 7, 9] {
            let mut other = reply();
            other[at] ^= 1;
            assert_eq!(read(&other, 7), None, "byte {at}");
        }
        let mut negative = reply();
        negative[96..100].copy_from_slice(&bits(-1.0).to_be_bytes());
        assert_eq!(read(&negative, 7), None);
    }

    /// candm.h: the coefficient is 24 bits behind its sign, the exponent 6.
    #[test]
    fn numbers_are_as_candm_h_has_them() {
        for (bits, value) in
            [(0, 0.0), (0x0480_0000, 1.0), (0x0580_0000, -1.0), (0x0280_0000, 0.5), (0xfe80_0000, 0.125)]
        {
            assert_eq!(float(bits), value, "{bits:08x}");
        }
        assert!((float(bits(-0.000_012)) + 0.000_012).abs() < 1e-11);
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_not_and_figures_are_such_as_there_can_be(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..120), fits in any::<bool>()
        ) {
            if fits && bytes.len() >= LENGTH {
                bytes.truncate(LENGTH);
                bytes[..20].copy_from_slice(&reply()[..20]);
            }
            if let Some(tracking) = read(&bytes, 7) {
                let (_, timing) = tracking.said();
                prop_assert!(timing.error.is_none_or(|error| (0.0..=2e9).contains(&error)));
                prop_assert!(timing.offset.is_none_or(|offset| offset.abs() <= SECONDS_MAX));
            }
        }
    }
}
