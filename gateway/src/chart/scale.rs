//! Round ticks, and words for values.

use std::time::Duration;

use super::{BOTTOM, TOP};

/// What a value is. Says how it is written, and whether the scale begins at nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Things a second.
    PerSecond,
    /// Bytes, by powers of 1024.
    Bytes,
    /// A time.
    Seconds,
    /// A short time.
    Micros,
    /// Degrees Celsius.
    Celsius,
    /// Strength of a signal.
    Dbm,
    /// Ratio of signal to noise.
    Decibel,
    /// A share, in hundredths.
    Percent,
    /// How much a line carries.
    BitsPerSecond,
}

impl Unit {
    fn begins_at_nothing(self) -> bool {
        !matches!(self, Self::Celsius | Self::Dbm | Self::Decibel)
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::PerSecond => "/s",
            Self::Bytes => "B",
            Self::Seconds | Self::Micros => "s",
            Self::Celsius => "°C",
            Self::Dbm => "dBm",
            Self::Decibel => "dB",
            Self::Percent => "%",
            Self::BitsPerSecond => "bit/s",
        }
    }

    /// A value with its unit, rounded to what is worth reading: `1.5 k/s`, `12 KiB`, `5 min`, `-97 dBm`.
    pub fn word(self, value: f64) -> String {
        let exact = match value.abs() {
            size if size >= 100.0 || size == 0.0 => 1.0,
            size if size >= 10.0 => 0.1,
            size if size >= 1.0 => 0.01,
            size => 10f64.powf(size.log10().floor() - 1.0),
        };
        self.write(value, exact)
    }

    /// With as many digits as steps of `step` need.
    fn write(self, value: f64, step: f64) -> String {
        match self {
            Self::Seconds => time(value),
            Self::Micros => scaled(value, step, 1000.0, &["µ", "m", ""], "s"),
            Self::Bytes => scaled(value, step, 1024.0, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"], "B"),
            Self::Count | Self::PerSecond | Self::BitsPerSecond => {
                scaled(value, step, 1000.0, &["", "k", "M", "G", "T", "P", "E"], self.suffix())
            }
            Self::Celsius | Self::Dbm | Self::Decibel | Self::Percent => {
                format!("{} {}", digits(value, step), self.suffix())
            }
        }
    }
}

fn scaled(value: f64, step: f64, base: f64, prefixes: &[&str], suffix: &str) -> String {
    let (mut value, mut step, mut prefix) = (value, step, prefixes.iter());
    let mut name = prefix.next().copied().unwrap_or_default();
    while value.abs() >= base {
        let Some(next) = prefix.next() else { break };
        (value, step, name) = (value / base, step / base, next);
    }
    // Of what was divided three digits are enough.
    let step = if name.is_empty() { step } else { step.max(if value.abs() >= 100.0 { 1.0 } else { 0.1 }) };
    let unit = format!("{name}{suffix}");
    let space = if unit.is_empty() || unit == "/s" { "" } else { " " };
    format!("{}{space}{unit}", digits(value, step))
}

fn digits(value: f64, step: f64) -> String {
    if value.abs() >= 1e7 {
        return format!("{value:.1e}");
    }
    let decimals = if step > 0.0 { (-step.log10()).ceil().clamp(0.0, 6.0) as usize } else { 0 };
    let text = format!("{value:.decimals$}");
    // No digits that say nothing, and no minus before nothing.
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A time in its largest fitting unit.
pub(super) fn time(seconds: f64) -> String {
    let (value, unit) = match seconds.abs() {
        size if size < 120.0 => (seconds, "s"),
        size if size < 7200.0 => (seconds / 60.0, "min"),
        size if size < 172_801.0 => (seconds / 3600.0, "h"),
        _ => (seconds / 86_400.0, "d"),
    };
    format!("{} {unit}", digits(value, if value.abs() >= 10.0 || value.fract() == 0.0 { 1.0 } else { 0.1 }))
}

const TIME_STEPS: [f64; 19] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0,
    43_200.0, 86_400.0, 172_800.0,
];

/// A round step by which `span` has no more than `most` parts.
pub(super) fn time_step(span: f64, most: f64) -> f64 {
    TIME_STEPS.into_iter().find(|step| span / step <= most).unwrap_or_else(|| round_step(span / most))
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * 0.999_999)
        .unwrap_or(least)
}

/// Parts of a scale, at most.
const PARTS: f64 = 5.0;

/// From values to places, with round ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    unit: Unit,
    low: f64,
    step: f64,
    parts: u32,
}

impl Scale {
    /// One in which all finite values have a place. Without any it goes from nothing to one.
    pub(super) fn of(unit: Unit, values: impl Iterator<Item = f64>) -> Self {
        let ends = values.filter(|value| value.is_finite()).fold(None, |ends: Option<(f64, f64)>, value| {
            Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        let (mut low, mut high) = ends.unwrap_or((0.0, 1.0));
        if unit.begins_at_nothing() {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if high <= low {
            // All the same: it stands in the middle, or on top of nothing. Of large numbers, one more is the same number.
            let around = (low.abs() / 1e6).max(1.0);
            (low, high) = if unit.begins_at_nothing() { (0.0, 1.0) } else { (low - around, high + around) };
        }
        let step = Self::step(unit, high - low);
        let low = (low / step).floor() * step;
        let parts = ((high - low) / step - 1e-6).ceil().clamp(1.0, PARTS + 2.0) as u32;
        Self { unit, low, step, parts }
    }

    fn step(unit: Unit, span: f64) -> f64 {
        let least = span / PARTS;
        match unit {
            Unit::Seconds if span >= 1.0 => time_step(span, PARTS),
            Unit::Bytes if least >= 1.0 => {
                let base = 1024f64.powf((least.ln() / 1024f64.ln()).floor());
                // Powers of two up to the next unit.
                (0..=10).map(|power| base * f64::from(1 << power)).find(|step| *step >= least).unwrap_or(least)
            }
            // Nobody has half a thing.
            Unit::Count | Unit::Bytes => round_step(least).max(1.0),
            _ => round_step(least),
        }
    }

    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> {
        let scale = *self;
        (0..=self.parts).map(move |part| scale.low + f64::from(part) * scale.step)
    }

    /// What stands at a tick. Units that are written out stand at the uppermost alone: there is not much room.
    pub(super) fn word(&self, tick: f64) -> String {
        let uppermost = tick > self.low + (f64::from(self.parts) - 0.5) * self.step;
        match self.unit {
            Unit::Celsius | Unit::Dbm | Unit::Decibel if !uppermost => digits(tick, self.step),
            // There is no room for it at any; the chart's title has it.
            Unit::BitsPerSecond => Unit::Count.write(tick, self.step),
            unit => unit.write(tick, self.step),
        }
    }

    /// Where a value stands, from the top.
    pub(super) fn place(&self, value: f64) -> i32 {
        let part = (value - self.low) / (self.step * f64::from(self.parts));
        BOTTOM - (part.clamp(0.0, 1.0) * f64::from(BOTTOM - TOP)).round() as i32
    }
}

/// How long ago, in words.
pub(super) fn ago(time_ago: Duration) -> String {
    if time_ago.is_zero() { "now".to_owned() } else { format!("{} ago", time(time_ago.as_secs_f64())) }
}
