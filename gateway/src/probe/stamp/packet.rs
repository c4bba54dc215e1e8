//! STAMP's test packets as bytes, and back (RFC 8762, sections 4.2 and 4.3; TLVs of RFC 8972, section 4). Pure.
//!
//! Unauthenticated mode alone. A reflected packet is as long as the one that it answers, whatever is in that.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a packet without anything behind it, of either side.
pub(crate) const BASE: usize = 44;

/// From NTP's epoch, 1900, to that of Unix, in seconds.
const UNIX_OF_NTP: u64 = 2_208_988_800;

/// Bytes of a TLV's head.
const TLV_HEAD: usize = 4;
/// The TLV that is padding (RFC 8972, section 4.1).
const EXTRA_PADDING: u8 = 1;
/// Flags of a TLV: not understood, and malformed.
const UNRECOGNISED: u8 = 0x80;
const MALFORMED: u8 = 0x40;

/// A time in NTP's 64-bit format (RFC 5905, section 6): units of 2^-32 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ntp(pub(crate) u64);

impl Ntp {
    /// That of a wall clock. What is before 1970 stands for 1970.
    pub(crate) fn of(wall: SystemTime) -> Self {
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self::of_parts(since.as_secs().wrapping_add(UNIX_OF_NTP), since.subsec_nanos())
    }

    fn of_parts(seconds: u64, nanos: u32) -> Self {
        let fraction = (u64::from(nanos) << 32) / 1_000_000_000;
        // Eras of NTP are 2^32 s; differences stand over their borders.
        Self((seconds << 32) | fraction.min(u64::from(u32::MAX)))
    }

    /// Seconds from `earlier` to this; negative where it is the other way round.
    pub(crate) fn since(self, earlier: Self) -> f64 {
        self.0.wrapping_sub(earlier.0).cast_signed() as f64 / 4_294_967_296.0
    }
}

/// An error estimate (RFC 4656, section 4.1.2; Z of RFC 8186).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ErrorEstimate(pub(crate) u16);

impl ErrorEstimate {
    const SYNCHRONISED: u16 = 0x8000;
    const PTP: u16 = 0x4000;
    /// The most that can be said.
    const UNKNOWN: u16 = 0x3fff;

    /// Of a clock that is synchronised to UTC with at most this error, or of one of which nothing is known.
    pub(crate) fn of(error: Option<Duration>) -> Self {
        let Some(error) = error else { return Self(Self::UNKNOWN) };
        let units = (error.as_nanos() << 32).div_ceil(1_000_000_000).max(1);
        let scale = (0..64).find(|scale| units.div_ceil(1 << scale) <= 0xff).unwrap_or(63);
        let multiplier = u16::try_from(units.div_ceil(1 << scale)).unwrap_or(0xff).min(0xff);
        Self(Self::SYNCHRONISED | scale << 8 | multiplier)
    }

    /// The error in seconds where the clock is synchronised to UTC; a multiplier of 0 says nothing.
    pub(crate) fn seconds(self) -> Option<f64> {
        let multiplier = f64::from(self.0 & 0xff);
        let scale = i32::from(self.0 >> 8 & 0x3f);
        (self.0 & Self::SYNCHRONISED != 0 && multiplier > 0.0).then(|| multiplier * 2f64.powi(scale - 32))
    }

    /// Whether timestamps beside it are in PTP's format and not in NTP's.
    pub(crate) fn is_ptp(self) -> bool {
        self.0 & Self::PTP != 0
    }

    /// What a timestamp beside it means. PTP's truncated format is seconds and nanoseconds.
    fn timestamp(self, raw: u64) -> Ntp {
        if self.is_ptp() { Ntp::of_parts(raw >> 32, raw as u32) } else { Ntp(raw) }
    }
}

/// A sender's packet of `size` bytes, from [`BASE`] on, of the session `ssid` (RFC 8972, section 3). Padding is a TLV where
/// one fits.
pub(crate) fn request(sequence: u32, ssid: u16, sent: Ntp, error: ErrorEstimate, size: usize) -> Vec<u8> {
    let mut packet = vec![0; size.max(BASE)];
    put(&mut packet, 0, &sequence.to_be_bytes());
    put(&mut packet, 4, &sent.0.to_be_bytes());
    put(&mut packet, 12, &error.0.to_be_bytes());
    put(&mut packet, 14, &ssid.to_be_bytes());
    let padding = packet.len() - BASE;
    if let Some(length) = padding.checked_sub(TLV_HEAD).and_then(|length| u16::try_from(length).ok()) {
        let [high, low] = length.to_be_bytes();
        put(&mut packet, BASE, &[UNRECOGNISED, EXTRA_PADDING, high, low]);
    }
    packet
}

/// What a reflector adds to what it got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reflection {
    /// The reflector's number; `None`: the sender's own, as one without a memory says it.
    pub(crate) sequence: Option<u32>,
    /// When the request came.
    pub(crate) received: Ntp,
    /// Of the reflector's clock.
    pub(crate) error: ErrorEstimate,
    /// TTL or hop limit with which the request came; 255 where it is not known.
    pub(crate) ttl: u8,
}

/// The session that a request is of, beside its addresses (RFC 8972, section 3); `None` where it is too short for one.
pub(crate) fn session(request: &[u8]) -> Option<u16> {
    (request.len() >= BASE).then(|| u16::from_be_bytes([request[14], request[15]]))
}

/// The answer to a request, as long as that, without its time of sending, which [`stamp`] adds last. `None` for what is too
/// short: the answer would be longer.
pub(crate) fn reflect(request: &[u8], reflection: Reflection) -> Option<Vec<u8>> {
    let base = request.get(..BASE)?;
    let mut packet = request.to_vec();
    packet[..BASE].fill(0);
    match reflection.sequence {
        Some(sequence) => put(&mut packet, 0, &sequence.to_be_bytes()),
        None => put(&mut packet, 0, &base[..4]),
    }
    put(&mut packet, 12, &reflection.error.0.to_be_bytes());
    // The session's identifier, where RFC 8762 alone has zeros, as the sender then has.
    put(&mut packet, 14, &base[14..16]);
    put(&mut packet, 16, &reflection.received.0.to_be_bytes());
    // Sequence number, timestamp and error estimate of the sender.
    put(&mut packet, 24, &base[..14]);
    put(&mut packet, 40, &[reflection.ttl]);
    mark(&mut packet[BASE..]);
    Some(packet)
}

/// Writes the time of sending into an answer.
pub(crate) fn stamp(answer: &mut [u8], sent: Ntp) {
    put(answer, 4, &sent.0.to_be_bytes());
}

/// Says of each TLV whether it was understood. Padding alone is. A sender has to have set the flag of the first one; what has
/// not is the padding of RFC 8762 and TWAMP, and left as it is.
fn mark(mut rest: &mut [u8]) {
    if rest.first().is_none_or(|flags| flags & UNRECOGNISED == 0) {
        return;
    }
    while let Some((head, behind)) = rest.split_at_mut_checked(TLV_HEAD) {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if head[1] == EXTRA_PADDING {
            head[0] &= !UNRECOGNISED;
        } else {
            head[0] |= UNRECOGNISED;
        }
        let Some((_, next)) = behind.split_at_mut_checked(length) else {
            head[0] |= MALFORMED;
            return;
        };
        head[0] &= !MALFORMED;
        rest = next;
    }
}

/// What a reflector said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The reflector's number.
    pub(crate) sequence: u32,
    /// When it was sent there.
    pub(crate) sent: Ntp,
    /// When the request came there.
    pub(crate) received: Ntp,
    /// Of the reflector's clock.
    pub(crate) error: ErrorEstimate,
    /// The sender's number.
    pub(crate) of: u32,
    /// The sender's time, as it wrote it.
    pub(crate) of_sent: Ntp,
}

impl Reply {
    /// Reads one; `None` for what is too short.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let (packet, _) = packet.split_first_chunk::<BASE>()?;
        let four = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| packet[at + i]));
        let eight = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| packet[at + i]));
        let error = ErrorEstimate(u16::from_be_bytes([packet[12], packet[13]]));
        Some(Self {
            sequence: four(0),
            sent: error.timestamp(eight(4)),
            received: error.timestamp(eight(16)),
            error,
            of: four(24),
            of_sent: Ntp(eight(28)),
        })
    }
}

/// Callers know that there is room: packets have at least [`BASE`] bytes, and a TLV's head.
fn put(packet: &mut [u8], at: usize, bytes: &[u8]) {
    packet[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::bytes_of_hex;

    fn hex(text: &str) -> Vec<u8> {
        bytes_of_hex(text).unwrap()
    }

    const REFLECTION: Reflection =
        Reflection { sequence: Some(9), received: Ntp(0xeb00_0001_4000_0000), error: ErrorEstimate(0x8a10), ttl: 63 };

    /// Request, and what is answered to it by the layout of RFC 8762, figures 2 and 5, and RFC 8972, section 4.
    #[test]
    fn packets_are_reflected_byte_for_byte_as_the_rfcs_say() {
        let sender = "00000007 eb000000 80000000 8f01";
        let answer =
            "00000009 eb000002 00000000 8a10 SSID eb000001 40000000 00000007 eb000000 80000000 8f01 0000 3f 000000";
        let thirty = "00".repeat(28);
        for (what, ssid, behind, reflected) in [
            ("a stock packet", "0000", "", ""),
            ("with a session's identifier", "beef", "", ""),
            ("with padding of TWAMP", "0000", "00000000 0102", "00000000 0102"),
            ("with padding as a TLV", "0000", "80010002 0102", "00010002 0102"),
            ("with one that is not known", "0000", "80fe0001 07 80010000", "80fe0001 07 00010000"),
            ("with one whose flag was cleared", "0000", "80010000 00fe0000", "00010000 80fe0000"),
            ("with one that goes beyond the end", "0000", "80010000 80020009 01", "00010000 c0020009 01"),
            ("with half of a head", "0000", "80010000 8001", "00010000 8001"),
        ] {
            let request = hex(&format!("{sender} {ssid} {thirty} {behind}"));
            let expected = hex(&format!("{} {reflected}", answer.replace("SSID", ssid)));
            let mut packet = reflect(&request, REFLECTION).unwrap();
            stamp(&mut packet, Ntp(0xeb00_0002_0000_0000));
            assert_eq!(packet, expected, "{what}");
            assert_eq!(packet.len(), request.len(), "{what}");
            assert_eq!(session(&request), Some(u16::from_str_radix(ssid, 16).unwrap()));
        }
    }

    #[test]
    fn one_without_a_memory_says_the_senders_number_and_what_is_short_is_not_answered() {
        let request = request(7, 0, Ntp(1), ErrorEstimate(0x8001), BASE);
        let stateless = reflect(&request, Reflection { sequence: None, ..REFLECTION }).unwrap();
        assert_eq!(stateless[..4], [0, 0, 0, 7]);
        assert_eq!(reflect(&request[..BASE - 1], REFLECTION), None);
        assert_eq!((session(&request[..BASE - 1]), Reply::parse(&request[..BASE - 1])), (None, None));
    }

    #[test]
    fn a_request_is_laid_out_as_figure_2_says_and_its_padding_is_a_tlv() {
        let of = |size| request(7, 0xbeef, Ntp(0xeb00_0000_8000_0000), ErrorEstimate(0x8f01), size);
        let base = format!("00000007 eb000000 80000000 8f01 beef {}", "00".repeat(28));
        assert_eq!(of(44), hex(&base));
        assert_eq!(of(47), hex(&format!("{base} 000000")));
        assert_eq!(of(50), hex(&format!("{base} 80010002 0000")));
    }

    #[test]
    fn a_reply_is_read_in_the_format_that_it_has() {
        let mut packet = reflect(&request(7, 0, Ntp(5), ErrorEstimate(0x8001), BASE), REFLECTION).unwrap();
        stamp(&mut packet, Ntp(0xeb00_0002_0000_0000));
        let reply = Reply::parse(&packet).unwrap();
        assert_eq!((reply.sequence, reply.of, reply.of_sent), (9, 7, Ntp(5)));
        assert_eq!(reply.sent.since(reply.received), 0.75);
        // The same in PTP's format: 250 ms and 1 s.
        put(&mut packet, 12, &[0xca, 0x10]);
        put(&mut packet, 16, &hex("eb000001 0ee6b280"));
        let reply = Reply::parse(&packet).unwrap();
        assert!(reply.error.is_ptp() && (reply.sent.since(reply.received) - 0.75).abs() < 1e-9, "{reply:?}");
    }

    #[test]
    fn times_have_the_epoch_of_1900_and_differ_across_an_era() {
        assert_eq!(Ntp::of(UNIX_EPOCH), Ntp(2_208_988_800 << 32));
        assert_eq!(Ntp::of(UNIX_EPOCH + Duration::from_millis(500)).0 as u32, 0x8000_0000);
        assert_eq!(Ntp::of(UNIX_EPOCH - Duration::from_secs(1)), Ntp::of(UNIX_EPOCH));
        let border = UNIX_EPOCH + Duration::from_secs((1 << 32) - UNIX_OF_NTP);
        let (before, after) = (border - Duration::from_millis(250), border + Duration::from_millis(250));
        assert_eq!((Ntp::of(border), Ntp::of(after).since(Ntp::of(before))), (Ntp(0), 0.5));
        assert_eq!(Ntp::of(before).since(Ntp::of(after)), -0.5);
    }

    #[test]
    fn an_error_is_never_made_smaller() {
        for (error, written) in [
            (Duration::ZERO, 0x8001),
            (Duration::from_nanos(1), 0x8005),
            (Duration::from_micros(1), 0x8587),
            (Duration::from_secs(1), 0x9980),
            (Duration::from_secs(u64::MAX), 0xbfff),
        ] {
            let estimate = ErrorEstimate::of(Some(error));
            assert_eq!(estimate.0, written, "{error:?}: {:04x}", estimate.0);
            let seconds = estimate.seconds().unwrap();
            assert!(seconds >= error.as_secs_f64() || error.as_secs() == u64::MAX, "{error:?} {seconds}");
            assert!(seconds <= error.as_secs_f64() * 1.02 + 1e-9, "{error:?} {seconds}");
        }
        assert_eq!(ErrorEstimate::of(None).seconds(), None);
        assert_eq!(ErrorEstimate(0x8000).seconds(), None, "a multiplier of 0");
    }
}
