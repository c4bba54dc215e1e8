//! The rings themselves: pure, and told the time.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use super::{NAME_MAX_BYTES, Reading, SERIES_MAX, STEP, Span};
use crate::message::Received;

/// Fine steps in a coarse one.
pub(super) const COARSE: u32 = 30;

/// More steps than anything is kept for.
const STEPS_MAX: u64 = 576 * COARSE as u64 + 360;

/// One series. Its newest points are at the ends, in step with those of all others; what it lacks at the front is a gap.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) fine: VecDeque<f32>,
    pub(super) coarse: VecDeque<f32>,
    /// Of the points of the coarse step that has begun.
    sum: f64,
    count: u32,
    /// What a counter said last.
    last: Option<Reading>,
}

impl Series {
    pub(super) fn new(fine: impl IntoIterator<Item = f32>, coarse: impl IntoIterator<Item = f32>) -> Self {
        let mut series = Self {
            // What is promised of the memory holds only with no more room than is needed.
            fine: VecDeque::with_capacity(Span::Hour.points()),
            coarse: VecDeque::with_capacity(Span::TwoDays.points()),
            sum: 0.0,
            count: 0,
            last: None,
        };
        fine.into_iter().for_each(|point| push(&mut series.fine, Span::Hour, point));
        coarse.into_iter().for_each(|point| push(&mut series.coarse, Span::TwoDays, point));
        series
    }

    /// The coarse step's mean so far.
    pub(super) fn mean(&self) -> f32 {
        if self.count == 0 { f32::NAN } else { (self.sum / f64::from(self.count)) as f32 }
    }

    fn close_coarse(&mut self) {
        let mean = self.mean();
        push(&mut self.coarse, Span::TwoDays, mean);
        (self.sum, self.count) = (0.0, 0);
    }

    fn set(&mut self, value: f64) {
        let Some(newest) = self.fine.back_mut().filter(|_| value.is_finite()) else { return };
        *newest = value as f32;
        self.sum += value;
        self.count += 1;
    }

    /// What a reading says of the time since the one before; `None` where that can't be told.
    fn value(&mut self, reading: Reading, seconds: f64) -> Option<f64> {
        let before = self.last.replace(reading);
        match (reading, before) {
            (Reading::Level(level), _) => Some(level),
            // One that went back began anew, so all that it says is new.
            (Reading::Count(now), Some(Reading::Count(then))) => {
                Some(now.checked_sub(then).unwrap_or(now) as f64 / seconds)
            }
            (Reading::Mean { sum, count }, Some(Reading::Mean { sum: old, count: then })) => {
                let (sum, count) = if count < then { (sum, count) } else { (sum - old, count - then) };
                (count > 0).then(|| sum / count as f64)
            }
            _ => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.count == 0 && self.fine.iter().chain(&self.coarse).all(|point| point.is_nan())
    }
}

fn push(points: &mut VecDeque<f32>, span: Span, point: f32) {
    if points.len() >= span.points() {
        points.pop_front();
    }
    points.push_back(point);
}

/// Puts a gap before the last `own` points.
fn open_gap(points: &mut VecDeque<f32>, span: Span, own: u64, steps: u64) {
    let own = usize::try_from(own).unwrap_or(usize::MAX).min(points.len());
    let newer = points.split_off(points.len() - own);
    (0..steps.min(span.points() as u64)).for_each(|_| push(points, span, f32::NAN));
    newer.into_iter().for_each(|point| push(points, span, point));
}

/// What was read from a file.
#[derive(Debug)]
pub(super) struct Saved {
    /// When, if the clock could be trusted.
    pub(super) at: Option<SystemTime>,
    pub(super) series: BTreeMap<String, Series>,
}

/// When this run's points began.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: Instant,
    /// The number of the newest step.
    step: u64,
    /// When it was sampled.
    sampled: Instant,
}

/// All series.
#[derive(Debug, Default)]
pub(super) struct Ring {
    pub(super) series: BTreeMap<String, Series>,
    run: Option<Run>,
    /// Fine steps in the coarse one that has begun.
    begun: u32,
    /// Coarse steps of this run.
    coarse_steps: u64,
    /// When what was restored had been saved, as long as it is not known how long ago that is.
    saved: Option<SystemTime>,
    /// Some names found no room.
    full: bool,
}

impl Ring {
    /// Goes on with what was saved, behind a gap as long as the gateway was off, or of one step where nobody can tell yet.
    pub(super) fn restored(saved: Saved, now: Received) -> Self {
        let mut ring = Self { series: saved.series, saved: saved.at, ..Self::default() };
        for series in ring.series.values_mut() {
            push(&mut series.fine, Span::Hour, f32::NAN);
            push(&mut series.coarse, Span::TwoDays, f32::NAN);
        }
        ring.learn_gap(now);
        ring
    }

    /// Makes the gap as long as the gateway was off, as soon as the wall clock can be trusted.
    fn learn_gap(&mut self, now: Received) {
        let Some(saved) = self.saved else { return };
        let Some(wall) = now.trusted() else { return };
        self.saved = None;
        let ran = self.run.map_or(Duration::ZERO, |run| now.monotonic.saturating_duration_since(run.first));
        // A clock that was wrong then, or is now, says that it was saved later: the one step stays.
        let away = wall.duration_since(saved).unwrap_or_default().saturating_sub(ran);
        let steps = |span: Span| (away.as_secs() / span.step().as_secs()).saturating_sub(1);
        let own = self.run.map_or(0, |run| run.step + 1);
        for series in self.series.values_mut() {
            open_gap(&mut series.fine, Span::Hour, own, steps(Span::Hour));
            open_gap(&mut series.coarse, Span::TwoDays, self.coarse_steps, steps(Span::TwoDays));
        }
    }

    /// Says whether names were left out for the first time.
    pub(super) fn sample(&mut self, now: Received, readings: impl IntoIterator<Item = (String, Reading)>) -> bool {
        self.learn_gap(now);
        let (steps, seconds) = match &mut self.run {
            None => {
                self.run = Some(Run { first: now.monotonic, step: 0, sampled: now.monotonic });
                (1, None)
            }
            Some(run) => {
                let since = now.monotonic.saturating_duration_since(run.first);
                let step = (since + STEP / 2).as_millis() as u64 / STEP.as_millis() as u64;
                let seconds = now.monotonic.saturating_duration_since(run.sampled).as_secs_f64();
                let steps = step.saturating_sub(run.step);
                if steps == 0 || seconds <= 0.0 {
                    return false;
                }
                (run.step, run.sampled) = (step, now.monotonic);
                (steps, Some(seconds))
            }
        };
        (0..steps.min(STEPS_MAX)).for_each(|_| self.step());
        let was_full = self.full;
        for (name, reading) in readings {
            self.take(name, reading, seconds);
        }
        self.full && !was_full
    }

    /// Begins a step: a gap, until something is known of it.
    fn step(&mut self) {
        if self.begun == COARSE {
            self.begun = 0;
            self.coarse_steps += 1;
            self.series.values_mut().for_each(Series::close_coarse);
            self.series.retain(|_, series| !series.is_empty());
        }
        self.begun += 1;
        self.series.values_mut().for_each(|series| push(&mut series.fine, Span::Hour, f32::NAN));
    }

    fn take(&mut self, name: String, reading: Reading, seconds: Option<f64>) {
        let series = if let Some(series) = self.series.get_mut(&name) {
            series
        } else {
            if self.series.len() >= SERIES_MAX || name.len() > NAME_MAX_BYTES {
                self.full = true;
                return;
            }
            let mut series = Series::new([f32::NAN], []);
            // What appears while the gateway runs has counted from nothing; but not what found no room before.
            if seconds.is_some() && !self.full {
                series.last = match reading {
                    Reading::Count(_) => Some(Reading::Count(0)),
                    Reading::Mean { .. } => Some(Reading::Mean { sum: 0.0, count: 0 }),
                    Reading::Level(_) => None,
                };
            }
            self.series.entry(name).or_insert(series)
        };
        // The first sample of a run has nothing to be held against, but for levels.
        if let Some(value) = series.value(reading, seconds.unwrap_or(1.0)) {
            series.set(value);
        }
    }

    pub(super) fn points(&self, name: &str, span: Span) -> Option<Vec<f32>> {
        let series = self.series.get(name)?;
        let known = match span {
            Span::Hour => &series.fine,
            Span::TwoDays => &series.coarse,
        };
        let missing = std::iter::repeat_n(f32::NAN, span.points() - known.len());
        Some(missing.chain(known.iter().copied()).collect())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.series.keys().cloned().collect()
    }
}
