use std::time::{Instant, SystemTime};

use super::*;
use crate::message::ClockQuality;

const T0: u64 = 1_790_000_000;

/// So many seconds after the first moment, by both clocks.
struct Times(Instant);

impl Times {
    fn at(&self, seconds: u64, clock: ClockQuality) -> Received {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(T0 + seconds);
        Received { wall, monotonic: self.0 + Duration::from_secs(seconds), clock }
    }

    fn good(&self, seconds: u64) -> Received {
        self.at(seconds, ClockQuality::Synchronised)
    }
}

fn times() -> Times {
    Times(Instant::now())
}

fn fresh() -> (tempfile::TempDir, History, Times) {
    let (dir, times) = (tempfile::tempdir().unwrap(), times());
    let history = History::open(dir.path(), times.good(0));
    (dir, history, times)
}

fn level(name: &str, value: f64) -> [(String, Reading); 1] {
    [(name.to_owned(), Reading::Level(value))]
}

/// The last points of a series, gaps as -1.
fn last(history: &History, name: &str, span: Span, count: usize) -> Vec<f32> {
    let points = history.points(name, span).unwrap();
    assert_eq!(points.len(), span.points());
    points[points.len() - count..].iter().map(|point| if point.is_nan() { -1.0 } else { *point }).collect()
}

#[test]
fn counters_become_rates_and_levels_stay_what_they_are() {
    let (_dir, history, times) = fresh();
    for (second, count, sum, of) in
        [(0, 1000, 0.0, 0), (10, 1050, -180.0, 2), (20, 1050, -180.0, 2), (30, 30, -50.0, 1)]
    {
        let readings = [
            ("count".to_owned(), Reading::Count(count)),
            ("level".to_owned(), Reading::Level(count as f64)),
            ("mean".to_owned(), Reading::Mean { sum, count: of }),
        ];
        history.sample(times.good(second), readings);
    }
    assert_eq!(last(&history, "count", Span::Hour, 5), [-1.0, -1.0, 5.0, 0.0, 3.0], "one that went back began anew");
    assert_eq!(last(&history, "level", Span::Hour, 4), [1000.0, 1050.0, 1050.0, 30.0]);
    assert_eq!(last(&history, "mean", Span::Hour, 4), [-1.0, -90.0, -1.0, -50.0]);
    assert_eq!(history.counted("count", Span::Hour), 80.0);
    assert_eq!((history.points("no", Span::Hour), history.below("me")), (None, vec!["an".to_owned()]));
}

#[test]
fn what_appears_while_the_gateway_runs_has_counted_from_nothing() {
    let (_dir, history, times) = fresh();
    history.sample(times.good(0), level("x", 1.0));
    history.sample(times.good(10), [("dropped/frame-cut".to_owned(), Reading::Count(1))]);
    assert_eq!(last(&history, "dropped/frame-cut", Span::Hour, 2), [-1.0, 0.1]);
}

#[test]
fn a_sample_that_is_late_leaves_a_gap_and_one_too_many_is_let_go() {
    let (_dir, history, times) = fresh();
    for (second, value) in [(0, 1.0), (11, 2.0), (12, 99.0), (29, 3.0), (60, 4.0)] {
        history.sample(times.good(second), level("x", value));
    }
    assert_eq!(last(&history, "x", Span::Hour, 7), [1.0, 2.0, -1.0, 3.0, -1.0, -1.0, 4.0]);
    // Longer than anything is kept for.
    history.sample(times.good(30_000_000), level("x", 5.0));
    assert_eq!(last(&history, "x", Span::Hour, 2), [-1.0, 5.0]);
}

#[test]
fn a_wall_clock_that_steps_bends_nothing() {
    let (_dir, history, times) = fresh();
    history.sample(times.good(0), level("x", 1.0));
    let mut stepped = times.good(10);
    stepped.wall -= Duration::from_secs(400_000);
    history.sample(stepped, level("x", 2.0));
    history.sample(times.good(20), level("x", 3.0));
    assert_eq!(last(&history, "x", Span::Hour, 4), [-1.0, 1.0, 2.0, 3.0]);
}

#[test]
fn a_coarse_point_is_the_mean_of_what_is_known() {
    let (_dir, history, times) = fresh();
    // Ten minutes, every second sample missing in the first five.
    for step in (0..=60).filter(|step| *step > 30 || step % 2 == 0) {
        history.sample(times.good(step * 10), level("x", if step < 30 { 4.0 } else { 8.0 }));
    }
    assert_eq!(last(&history, "x", Span::TwoDays, 3), [-1.0, 4.0, 8.0]);
    assert_eq!(history.points("x", Span::Hour).unwrap().iter().filter(|point| !point.is_nan()).count(), 46);
}

#[test]
fn a_restart_goes_on_behind_a_gap_as_long_as_the_gateway_was_off() {
    let (dir, history, times) = fresh();
    for step in 0..40 {
        history.sample(times.good(step * 10), level("x", 1.0));
    }
    history.save(times.good(400)).unwrap();
    let again = History::open(dir.path(), times.good(450));
    again.sample(times.good(450), level("x", 2.0));
    assert_eq!(last(&again, "x", Span::Hour, 8), [1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 2.0]);
    // The five minutes that were under way are not lost.
    assert_eq!(last(&again, "x", Span::TwoDays, 4), [-1.0, 1.0, 1.0, -1.0]);
    // A day later nothing is left of the hour, and of the two days a half.
    let late = History::open(dir.path(), times.good(400 + 86_400));
    late.sample(times.good(400 + 86_400), level("y", 2.0));
    assert!(late.points("x", Span::Hour).unwrap().iter().all(|point| point.is_nan()));
    let old = late.points("x", Span::TwoDays).unwrap();
    assert_eq!(old.iter().rposition(|point| !point.is_nan()), Some(576 - 288 - 1));
}

#[test]
fn how_long_it_was_off_is_learnt_when_the_clock_is_set() {
    let (dir, history, times) = fresh();
    (0..3).for_each(|step| history.sample(times.good(step * 10), level("x", 1.0)));
    history.save(times.good(30)).unwrap();
    // No battery: the clock stands in 1970 until the network sets it.
    let unset = |seconds| Received { wall: SystemTime::UNIX_EPOCH, ..times.at(seconds, ClockQuality::Unsynchronised) };
    let again = History::open(dir.path(), unset(100));
    again.sample(unset(100), level("x", 2.0));
    again.sample(unset(110), level("x", 3.0));
    assert_eq!(last(&again, "x", Span::Hour, 5), [1.0, 1.0, -1.0, 2.0, 3.0]);
    again.sample(times.good(120), level("x", 4.0));
    let now = last(&again, "x", Span::Hour, 12);
    assert_eq!(now, [1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 2.0, 3.0, 4.0], "70 s off");
    // Saved at a time that nobody trusted, it stays one step; and so where the clock says that it was saved later.
    history.save(times.at(30, ClockQuality::Unknown)).unwrap();
    let again = History::open(dir.path(), times.good(9000));
    again.sample(times.good(9000), level("x", 2.0));
    assert_eq!(last(&again, "x", Span::Hour, 3), [1.0, -1.0, 2.0]);
    history.save(times.good(9000)).unwrap();
    let again = History::open(dir.path(), times.good(50));
    again.sample(times.good(50), level("x", 2.0));
    assert_eq!(last(&again, "x", Span::Hour, 3), [1.0, -1.0, 2.0]);
}

#[test]
fn a_damaged_file_is_set_aside_wherever_it_is_hit() {
    let (dir, history, times) = fresh();
    (0..3).for_each(|step| history.sample(times.good(step * 10), level("x", 1.0)));
    history.save(times.good(30)).unwrap();
    let path = dir.path().join(FILE);
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(file::decode(&bad).is_err(), "byte {at}");
        assert!(file::decode(&good[..at]).is_err(), "cut at {at}");
    }
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    let again = History::open(dir.path(), times.good(40));
    assert_eq!(again.names(), Vec::<String>::new());
    assert!(!path.exists() && dir.path().join(DAMAGED).exists());
    again.save(times.good(50)).unwrap();
    std::fs::write(&path, vec![b'x'; 2 << 20]).unwrap();
    assert!(History::open(dir.path(), times.good(60)).names().is_empty());
}

#[test]
fn names_are_bounded_and_what_is_over_makes_room() {
    let (_dir, history, times) = fresh();
    history.sample(times.good(0), (0..1000).map(|n| (format!("s{n:04}"), Reading::Level(1.0))));
    assert_eq!(history.names().len(), SERIES_MAX);
    history.sample(times.good(10), [("x".repeat(NAME_MAX_BYTES + 1), Reading::Level(1.0))]);
    // Two days and five minutes later all of them are forgotten.
    for step in 2..=576 * 30 + 60 {
        history.sample(times.good(step * 10), level("s0000", 1.0));
    }
    assert_eq!(history.names(), ["s0000"]);
    history.sample(times.good(200_000), level("new", 1.0));
    assert_eq!(history.names(), ["new", "s0000"]);
}

#[test]
fn a_full_history_weighs_less_than_a_megabyte_in_memory_and_on_disk() {
    let (dir, history, times) = fresh();
    let name = |n| format!("{n:0>width$}", width = NAME_MAX_BYTES);
    history.sample(times.good(0), (0..SERIES_MAX).map(|n| (name(n), Reading::Level(1.0))));
    history.sample(times.good(400_000), (0..SERIES_MAX).map(|n| (name(n), Reading::Level(1.0))));
    let ring = history.ring();
    let series = ring.series.iter().map(|(name, series)| {
        let points = series.fine.capacity() + series.coarse.capacity();
        name.capacity() + size_of_val(series) + points * size_of::<f32>()
    });
    assert!(series.sum::<usize>() < 1_000_000);
    drop(ring);
    history.save(times.good(400_010)).unwrap();
    assert!(std::fs::metadata(dir.path().join(FILE)).unwrap().len() < 1_000_000);
    assert_eq!(History::open(dir.path(), times.good(400_020)).names().len(), SERIES_MAX);
}
