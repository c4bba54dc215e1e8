//! When each byte that a made-up device sends has left its line. Pure: knows instants, never waits or writes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Bytes that may wait for the line. What does not fit is refused as a whole: the newest is dropped.
pub(super) const LONGEST_QUEUE: usize = 64 * 1024;
/// Time on the line of the bytes that are handed over together. Long enough that the timer rests at 921600 baud; short
/// enough that up to 4800 the pause between two chunks is clear of the 3.5 characters that end a Modbus frame.
const CHUNK_TIME: Duration = Duration::from_millis(4);
/// Most bytes handed over together, whatever the line claims.
const LONGEST_CHUNK: usize = 4096;

/// What waits for the line, and when the next chunk of it has gone through.
///
/// A chunk is due when its last bit has left. The next one starts from that instant and not from when somebody woke
/// up, so a late timer does not slow the line down.
pub(super) struct Outgoing {
    queue: VecDeque<u8>,
    character: Duration,
    chunk: usize,
    /// Bytes of the queue that are on the line now.
    sending: usize,
    /// When they have left; with an empty queue, since when the line is free.
    due: Instant,
}

impl Outgoing {
    /// A line that is free from `now` on and takes `character` for each byte.
    pub(super) fn new(character: Duration, now: Instant) -> Self {
        let chunk = CHUNK_TIME.as_nanos() / character.as_nanos().max(1);
        let chunk = usize::try_from(chunk).unwrap_or(LONGEST_CHUNK).clamp(1, LONGEST_CHUNK);
        Self { queue: VecDeque::new(), character, chunk, sending: 0, due: now }
    }

    /// Appends all of `bytes`, or none when they do not fit. Returns whether they were taken.
    #[must_use]
    pub(super) fn push(&mut self, bytes: &[u8], now: Instant) -> bool {
        if self.queue.len().saturating_add(bytes.len()) > LONGEST_QUEUE {
            return false;
        }
        let idle = self.queue.is_empty();
        self.queue.extend(bytes);
        if idle {
            self.start(now.max(self.due));
        }
        true
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// When `ready` may be handed over. Without meaning when the queue is empty.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The bytes that may be handed over at `due`: the chunk on the line, or the first part of it.
    pub(super) fn ready(&self) -> &[u8] {
        let (front, _) = self.queue.as_slices();
        front.get(..self.sending).unwrap_or(front)
    }

    /// Notes that the first `count` bytes of `ready` were handed over.
    pub(super) fn sent(&mut self, count: usize) {
        let count = count.min(self.sending);
        self.queue.drain(..count);
        self.sending -= count;
        if self.sending == 0 {
            self.start(self.due);
        }
    }

    /// Nobody takes `ready` at present: it is offered again at `until`.
    pub(super) fn hold(&mut self, until: Instant) {
        self.due = until;
    }

    /// Drops all that waits. Returns how many bytes that were.
    pub(super) fn clear(&mut self) -> usize {
        let dropped = self.queue.len();
        self.queue.clear();
        self.sending = 0;
        dropped
    }

    fn start(&mut self, from: Instant) {
        self.sending = self.queue.len().min(self.chunk);
        let count = u32::try_from(self.sending).expect("a chunk is at most LONGEST_CHUNK bytes");
        self.due = from + self.character * count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands everything over, each chunk `late` after it was due. Returns the chunks' sizes and the last due time.
    fn drain(outgoing: &mut Outgoing, late: Duration) -> (Vec<usize>, Instant) {
        let mut sizes = Vec::new();
        let mut last = outgoing.due();
        let mut now = last;
        while !outgoing.is_empty() {
            last = outgoing.due();
            now = now.max(last) + late;
            sizes.push(outgoing.ready().len());
            outgoing.sent(outgoing.ready().len());
        }
        (sizes, last)
    }

    fn line(baud: u64) -> Duration {
        Duration::from_nanos(10 * 1_000_000_000 / baud)
    }

    #[test]
    fn a_telegram_takes_exactly_its_time_on_the_line_however_late_the_timer_is() {
        for baud in [300, 2400, 9600, 115_200, 921_600] {
            for late in [Duration::ZERO, Duration::from_micros(900)] {
                let start = Instant::now();
                let mut outgoing = Outgoing::new(line(baud), start);
                assert!(outgoing.push(&[0x55; 870], start));
                let (sizes, last) = drain(&mut outgoing, late);
                assert_eq!(sizes.iter().sum::<usize>(), 870);
                assert_eq!(last - start, line(baud) * 870);
                let most = sizes.iter().max().copied().unwrap();
                assert!(most == 1 || line(baud) * u32::try_from(most).unwrap() <= CHUNK_TIME);
            }
        }
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let start = Instant::now();
        let mut outgoing = Outgoing::new(line(9600), start);
        assert!(outgoing.push(b"abc", start));
        drain(&mut outgoing, Duration::ZERO);
        let later = start + Duration::from_secs(5);
        assert!(outgoing.push(b"abc", later));
        assert_eq!(outgoing.due(), later + line(9600) * 3);
    }

    #[test]
    fn what_comes_while_the_line_is_busy_waits_its_turn() {
        let start = Instant::now();
        let mut outgoing = Outgoing::new(line(9600), start);
        assert!(outgoing.push(b"ab", start));
        assert!(outgoing.push(b"cd", start));
        assert_eq!((outgoing.ready(), outgoing.due()), (&b"ab"[..], start + line(9600) * 2));
        outgoing.sent(1);
        assert_eq!((outgoing.ready(), outgoing.due()), (&b"b"[..], start + line(9600) * 2));
        outgoing.sent(1);
        assert_eq!((outgoing.ready(), outgoing.due()), (&b"cd"[..], start + line(9600) * 4));
    }

    #[test]
    fn the_queue_is_bounded_and_takes_all_or_nothing() {
        let now = Instant::now();
        let mut outgoing = Outgoing::new(line(9600), now);
        assert!(outgoing.push(&vec![0; LONGEST_QUEUE - 1], now));
        assert!(!outgoing.push(b"ab", now));
        assert!(outgoing.push(b"a", now));
        assert_eq!(outgoing.clear(), LONGEST_QUEUE);
        assert!(outgoing.is_empty());
    }

    #[test]
    fn absurd_line_speeds_still_move() {
        let now = Instant::now();
        for character in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(12)] {
            let mut outgoing = Outgoing::new(character, now);
            assert!(outgoing.push(&[1; 5000], now));
            assert!((1..=LONGEST_CHUNK).contains(&outgoing.ready().len()));
        }
    }
}
