//! Channels on which far more frames come with a wrong checksum than usual: a hint that somebody jams them.
//!
//! Pure: the time is handed in. The rule, for each channel of one gateway: time is cut into spans of 30 s, in each of which
//! frames with a wrong checksum are *bad* and all others *good*. What is usual is a running mean of about the last half
//! hour. So many bad frames are *expected* as are usual, at least one, and more in the measure in which more good ones come
//! than usual. A span is *loud* with at least ten bad frames that are four times what is expected, and *calm* with fewer
//! than ten or less than twice of it. Two loud spans in a row make a channel suspicious, four calm ones end that; a span
//! that is neither begins the counting anew. Nothing is learnt from loud spans and from suspicious channels, and nothing is
//! judged in a gateway's first five minutes. Spans in which it was away are none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::gw::CrcStatus;

/// How long one is.
const SPAN: Duration = Duration::from_secs(30);

/// Spans from which is learnt before any is judged.
const LEARN: u32 = 10;

/// Spans over which the mean runs.
const MEMORY: u32 = 60;

/// Fewer bad frames are never loud.
const BAD_MIN: u32 = 10;

/// So many times what is expected is loud.
const LOUD: f64 = 4.0;

/// Less than so many times is calm.
const CALM: f64 = 2.0;

/// Loud spans in a row that make a channel suspicious.
const BEGINS: u32 = 2;

/// Calm spans in a row that end it.
const ENDS: u32 = 4;

/// Channels that are watched; a gateway has 64 at most. Policy: those that come on top are not, until one is forgotten.
const CHANNELS_MAX: usize = 128;

/// Frames a span: a channel on which usually fewer come is forgotten.
const FORGOTTEN: f64 = 0.01;

/// One channel.
#[derive(Debug, Default)]
struct Channel {
    /// In this span.
    good: u32,
    bad: u32,
    /// In a usual one.
    usual_good: f64,
    usual_bad: f64,
    /// Spans in a row that speak for a turn.
    streak: u32,
    suspicious: bool,
}

/// A channel has become suspicious, or is so no more.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Turn {
    /// In Hz.
    pub(super) frequency: u32,
    /// Whether it has become so.
    pub(super) begins: bool,
    /// Bad frames in the last span.
    pub(super) bad: u32,
    /// In a usual one.
    pub(super) usual: f64,
}

/// The channels of one gateway.
#[derive(Debug)]
pub(super) struct Watch {
    /// When this span is over.
    end: Instant,
    /// Those that were.
    spans: u32,
    channels: BTreeMap<u32, Channel>,
}

impl Watch {
    /// Nothing was heard yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { end: now + SPAN, spans: 0, channels: BTreeMap::new() }
    }

    /// A frame came in this span, at a frequency in Hz.
    pub(super) fn heard(&mut self, frequency: u32, crc: CrcStatus) {
        let full = self.channels.len() >= CHANNELS_MAX;
        let channel = match self.channels.get_mut(&frequency) {
            Some(channel) => channel,
            None if full => return,
            None => self.channels.entry(frequency).or_default(),
        };
        let count = if crc == CrcStatus::BadCrc { &mut channel.bad } else { &mut channel.good };
        *count = count.saturating_add(1);
    }

    /// Judges the span if it is over. To be called whenever the gateway says anything, which it does each few seconds.
    pub(super) fn look(&mut self, now: Instant) -> Vec<Turn> {
        if now < self.end {
            return Vec::new();
        }
        let away = now >= self.end + SPAN;
        self.end = if away { now + SPAN } else { self.end + SPAN };
        if away {
            self.channels.values_mut().for_each(|channel| (channel.good, channel.bad) = (0, 0));
            return Vec::new();
        }
        let spans = self.spans;
        self.spans = spans.saturating_add(1);
        let judged = self.channels.iter_mut().filter_map(|(frequency, channel)| channel.judge(*frequency, spans));
        let turns = judged.collect();
        self.channels.retain(|_, channel| channel.is_known());
        turns
    }

    /// The gateway is gone: nothing can be said of its channels.
    pub(super) fn stop(&mut self) -> Vec<Turn> {
        let suspicious = self.channels.iter_mut().filter(|(_, channel)| channel.suspicious);
        suspicious.map(|(frequency, channel)| channel.turn(*frequency, false)).collect()
    }

    /// Those that are suspicious, in Hz.
    pub(super) fn suspicious(&self) -> impl Iterator<Item = u32> {
        self.channels.iter().filter(|(_, channel)| channel.suspicious).map(|(frequency, _)| *frequency)
    }
}

impl Channel {
    fn is_known(&self) -> bool {
        self.suspicious || self.streak > 0 || self.usual_good + self.usual_bad > FORGOTTEN
    }

    fn expected(&self) -> f64 {
        let growth = (f64::from(self.good) + 1.0) / (self.usual_good + 1.0);
        self.usual_bad.max(1.0) * growth.max(1.0)
    }

    /// The span is over, which so many were before.
    fn judge(&mut self, frequency: u32, spans: u32) -> Option<Turn> {
        let (bad, expected) = (f64::from(self.bad), self.expected());
        let enough = self.bad >= BAD_MIN && spans >= LEARN;
        let (loud, calm) = (enough && bad >= LOUD * expected, !enough || bad < CALM * expected);
        let (speaks, needed) = if self.suspicious { (calm, ENDS) } else { (loud, BEGINS) };
        self.streak = if speaks { self.streak + 1 } else { 0 };
        if !loud && !self.suspicious {
            self.learn(spans);
        }
        let turns = (self.streak >= needed).then(|| self.turn(frequency, !self.suspicious));
        (self.good, self.bad) = (0, 0);
        turns
    }

    fn learn(&mut self, spans: u32) {
        let weight = 1.0 / f64::from(spans.saturating_add(1).min(MEMORY));
        self.usual_good += weight * (f64::from(self.good) - self.usual_good);
        self.usual_bad += weight * (f64::from(self.bad) - self.usual_bad);
    }

    fn turn(&mut self, frequency: u32, begins: bool) -> Turn {
        (self.suspicious, self.streak) = (begins, 0);
        Turn { frequency, begins, bad: self.bad, usual: self.usual_bad }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FREQUENCY: u32 = 868_100_000;

    struct Bench {
        watch: Watch,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Self { watch: Watch::new(now), now }
        }

        /// A span with so many frames, and whether the channel turned.
        fn span(&mut self, good: u32, bad: u32) -> Option<bool> {
            (0..good).for_each(|_| self.watch.heard(FREQUENCY, CrcStatus::CrcOk));
            (0..bad).for_each(|_| self.watch.heard(FREQUENCY, CrcStatus::BadCrc));
            self.now += SPAN;
            let turns = self.watch.look(self.now);
            assert!(turns.len() <= 1 && turns.iter().all(|turn| turn.frequency == FREQUENCY));
            turns.first().map(|turn| turn.begins)
        }

        /// When the first of these spans turned, as what.
        fn spans(&mut self, count: u32, good: u32, bad: u32) -> Option<(u32, bool)> {
            (1..=count).find_map(|number| Some((number, self.span(good, bad)?)))
        }

        /// One that has learnt so much.
        fn after(good: u32, bad: u32) -> Self {
            let mut bench = Self::new();
            assert_eq!(bench.spans(100, good, bad), None);
            bench
        }
    }

    #[test]
    fn a_channel_is_suspicious_after_a_minute_and_no_more_after_two() {
        let mut bench = Bench::after(20, 1);
        assert_eq!(bench.spans(5, 5, 40), Some((2, true)));
        assert_eq!(bench.watch.suspicious().collect::<Vec<_>>(), [FREQUENCY]);
        assert_eq!(bench.spans(100, 5, 40), None, "told once, however long it lasts");
        assert_eq!(bench.spans(9, 20, 1), Some((4, false)));
        assert_eq!(bench.watch.suspicious().count(), 0);
        assert_eq!(bench.spans(5, 5, 40), Some((2, true)), "nothing was learnt of the jammer");
    }

    #[test]
    fn a_channel_that_is_always_noisy_is_as_usual() {
        let mut bench = Bench::after(5, 60);
        assert_eq!(bench.spans(100, 5, 100), None);
        assert_eq!(Bench::after(5, 60).spans(9, 5, 400), Some((2, true)));
    }

    #[test]
    fn where_more_devices_speak_more_frames_collide() {
        assert_eq!(Bench::after(20, 2).spans(100, 200, 20), None);
        assert_eq!(Bench::after(20, 2).spans(100, 200, 100), Some((2, true)));
    }

    #[test]
    fn one_burst_is_no_jammer_and_a_pause_of_a_jammer_is_no_end() {
        let mut bench = Bench::after(20, 1);
        for _ in 0..50 {
            assert_eq!((bench.span(20, 80), bench.span(20, 1)), (None, None));
        }
        bench.spans(2, 20, 80);
        for _ in 0..50 {
            assert_eq!((bench.spans(3, 20, 1), bench.span(20, 80)), (None, None));
        }
    }

    #[test]
    fn what_lies_between_loud_and_calm_changes_nothing() {
        let mut bench = Bench::after(20, 4);
        // Three times what is expected.
        assert_eq!((bench.span(20, 80), bench.span(20, 12), bench.span(20, 80)), (None, None, None));
        let mut bench = Bench::after(20, 4);
        bench.spans(2, 20, 80);
        assert_eq!(bench.spans(100, 20, 12), None);
    }

    #[test]
    fn the_first_minutes_and_those_in_which_the_gateway_was_away_say_nothing() {
        let mut bench = Bench::new();
        assert_eq!(bench.spans(LEARN, 0, 100), None);
        let mut bench = Bench::after(20, 1);
        bench.span(20, 80);
        bench.now += SPAN;
        assert_eq!((bench.span(0, 80), bench.watch.suspicious().count()), (None, 0), "that span was a minute long");
        bench.spans(3, 20, 80);
        bench.now += 100 * SPAN;
        assert_eq!((bench.span(0, 0), bench.watch.suspicious().count()), (None, 1));
        let stopped = bench.watch.stop();
        assert_eq!((stopped.len(), stopped[0].begins, bench.watch.suspicious().count()), (1, false, 0));
        assert!(bench.watch.stop().is_empty());
    }

    #[test]
    fn a_channel_on_which_nothing_was_ever_heard_is_judged_at_once() {
        let mut bench = Bench::after(0, 0);
        assert_eq!(bench.spans(9, 0, 10), Some((2, true)));
    }

    #[test]
    fn channels_are_bounded_and_those_that_fall_silent_make_room() {
        let (mut watch, mut now) = (Watch::new(Instant::now()), Instant::now());
        (0..1000).for_each(|frequency| watch.heard(frequency, CrcStatus::CrcOk));
        assert_eq!(watch.channels.len(), CHANNELS_MAX);
        for _ in 0..1000 {
            now += SPAN;
            watch.look(now);
        }
        assert!(watch.channels.is_empty());
    }

    proptest! {
        #[test]
        fn turns_alternate_and_have_their_reason(spans in prop::collection::vec((0..60_u32, 0..120_u32), 0..200)) {
            let mut bench = Bench::new();
            let (mut suspicious, mut since) = (false, 0);
            for (good, bad) in spans {
                since += 1;
                if let Some(begins) = bench.span(good, bad) {
                    prop_assert_eq!(begins, !suspicious);
                    let least = if begins { BEGINS } else { ENDS };
                    prop_assert!(since >= least);
                    prop_assert!(!begins || bad >= BAD_MIN);
                    (suspicious, since) = (begins, 0);
                }
                prop_assert_eq!(bench.watch.suspicious().count() == 1, suspicious);
            }
        }
    }
}
