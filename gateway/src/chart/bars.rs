//! Bars: how many of each kind.

use std::fmt::Write;

use super::scale::Scale;
use super::{BOTTOM, HEIGHT, LEFT, RIGHT, Table, Unit, WORDS, begin, cut, escaped, nothing_known};

/// Bars that one chart shows.
const BARS_MAX: usize = 64;

/// Words below them, at most.
const WORDS_MAX: usize = 8;

/// Characters of such a word.
const WORD_MAX: usize = 9;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// The word below it; not all bars of many have theirs.
    pub label: String,
    /// What it is called in full.
    pub name: String,
    /// How high it is, from nothing.
    pub value: f64,
}

impl Bar {
    /// One with a short name.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        let name = name.into();
        Self { label: name.clone(), name, value }
    }

    /// One that counts what lies in a range, such as of signal strengths.
    pub fn of_range(from: Option<i32>, to: Option<i32>, unit: Unit, count: u64) -> Self {
        let word = |value: i32| unit.word(f64::from(value));
        let (label, name) = match (from, to) {
            (Some(from), Some(to)) => (from.to_string(), format!("{} to {}", word(from), word(to))),
            (Some(from), None) => (from.to_string(), format!("{} and more", word(from))),
            (None, Some(to)) => (format!("<{to}"), format!("below {}", word(to))),
            (None, None) => ("all".to_owned(), "all".to_owned()),
        };
        Self { label, name, value: count as f64 }
    }
}

/// Bars side by side.
#[derive(Debug, Clone, Copy)]
pub struct BarChart<'a> {
    /// Unlike any other on its page.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// What the bars are, for the table: `Spreading factor`.
    pub kind: &'a str,
    /// What their heights are, for the table: `Frames`.
    pub measure: &'a str,
    /// Of all values.
    pub unit: Unit,
    /// From left to right; the first 64 are shown.
    pub bars: &'a [Bar],
}

impl BarChart<'_> {
    fn shown(&self) -> &[Bar] {
        &self.bars[..self.bars.len().min(BARS_MAX)]
    }

    /// The picture.
    pub fn svg(&self) -> String {
        let bars = self.shown();
        let scale = Scale::of(self.unit, bars.iter().map(|bar| bar.value));
        let mut svg = begin(self.id, self.title, &self.description(), HEIGHT, &scale);
        let each = f64::from(RIGHT - LEFT) / bars.len().max(1) as f64;
        let width = (each * 0.72).round().max(2.0) as i32;
        let every = bars.len().div_ceil(WORDS_MAX).max(1);
        let mut path = String::new();
        for (at, bar) in bars.iter().enumerate() {
            let middle = LEFT + (each * (at as f64 + 0.5)).round() as i32;
            if at % every == 0 {
                let label = escaped(&cut(&bar.label, WORD_MAX));
                let _ = write!(svg, "<text class=\"x\" x=\"{middle}\" y=\"{WORDS}\">{label}</text>");
            }
            let top = if bar.value.is_finite() { scale.place(bar.value) } else { BOTTOM };
            // One of a million is still to be seen.
            let height = if bar.value > 0.0 { (BOTTOM - top).max(2) } else { 0 };
            if height > 0 {
                let _ = write!(path, "M{} {BOTTOM}v-{height}h{width}v{height}z", middle - width / 2);
            }
        }
        if path.is_empty() {
            svg.push_str(&nothing_known());
        } else {
            let _ = write!(svg, "<path class=\"bar\" d=\"{path}\"/>");
        }
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/></svg>");
        svg
    }

    fn description(&self) -> String {
        let all: f64 = self.shown().iter().map(|bar| bar.value).filter(|value| value.is_finite()).sum();
        let most = self.shown().iter().filter(|bar| bar.value > 0.0).max_by(|one, two| one.value.total_cmp(&two.value));
        match most {
            Some(most) => {
                format!("{} in all; most at {}: {}", self.unit.word(all), most.name, self.unit.word(most.value))
            }
            None => "Nothing yet".to_owned(),
        }
    }

    /// The same data.
    pub fn table(&self) -> Table {
        let rows = self.shown().iter().map(|bar| vec![bar.name.clone(), self.unit.word(bar.value)]);
        Table {
            title: self.title.to_owned(),
            head: vec![self.kind.to_owned(), self.measure.to_owned()],
            rows: rows.collect(),
        }
    }
}
