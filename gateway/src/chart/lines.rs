//! Lines over time, with gaps where nothing is known.

use std::fmt::Write;
use std::time::Duration;

use super::scale::{self, Scale};
use super::{BOTTOM, HEIGHT, LEFT, RIGHT, Table, Unit, WORDS, begin, cut, escaped, nothing_known, table};

/// Lines that one chart shows; more can't be told apart.
pub(super) const LINES_MAX: usize = 6;

/// Points that a line shows, the newest ones.
const POINTS_MAX: usize = 1000;

/// What the axis of time is divided into, at most.
const PARTS: f64 = 6.0;

/// The legend: height of a row, width of a sample and of a character where they are large, the longest name.
const ROW: i32 = 48;
const SAMPLE: i32 = 64;
const CHARACTER: i32 = 20;
const NAME_MAX: usize = 24;

/// One line.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Oldest first, the last one now; a gap is NaN.
    pub points: &'a [f32],
}

/// Lines over the same time.
#[derive(Debug, Clone, Copy)]
pub struct LineChart<'a> {
    /// Unlike any other on its page.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// Of all values.
    pub unit: Unit,
    /// Between two points.
    pub step: Duration,
    /// The first six are shown; those that are left out are named.
    pub lines: &'a [Line<'a>],
}

impl LineChart<'_> {
    fn shown(&self) -> &[Line<'_>] {
        &self.lines[..self.lines.len().min(LINES_MAX)]
    }

    /// Points of the longest line.
    fn count(&self) -> usize {
        self.shown().iter().map(|line| line.points.len()).max().unwrap_or(0).min(POINTS_MAX)
    }

    /// The picture. One line of 360 points has less than 6 kB.
    pub fn svg(&self) -> String {
        let values = self.shown().iter().flat_map(|line| newest(line.points)).map(|point| f64::from(*point));
        let scale = Scale::of(self.unit, values);
        let legend = self.legend();
        let height = HEIGHT + legend.as_ref().map_or(0, |(rows, _)| rows * ROW);
        let mut svg = begin(self.id, self.title, &self.description(), height, &scale);
        self.times(&mut svg);
        let count = self.count();
        if !self.shown().iter().any(|line| newest(line.points).iter().any(|point| point.is_finite())) {
            svg.push_str(&nothing_known());
        }
        for (number, line) in self.shown().iter().enumerate() {
            let path = path(newest(line.points), count, &scale);
            if !path.is_empty() {
                let _ = write!(svg, "<path class=\"line s{}\" d=\"{path}\"/>", number + 1);
            }
        }
        if let Some((_, legend)) = legend {
            svg.push_str(&legend);
        }
        svg.push_str("</svg>");
        svg
    }

    /// What is below the plot: how long ago.
    fn times(&self, svg: &mut String) {
        let whole = self.step.as_secs_f64() * self.count() as f64;
        if whole <= 0.0 {
            return;
        }
        let step = scale::time_step(whole, PARTS);
        let mut marks = String::new();
        let mut back = 0.0;
        while back <= whole + 0.001 {
            let x = RIGHT - (back / whole * f64::from(RIGHT - LEFT)).round() as i32;
            let _ = write!(marks, "M{x} {BOTTOM}v10");
            let word = if back == 0.0 { "now".to_owned() } else { format!("-{}", scale::time(back)) };
            let class = if back == 0.0 { "x last" } else { "x" };
            let _ = write!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{WORDS}\">{word}</text>");
            back += step;
        }
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{RIGHT}{marks}\"/>");
    }

    /// Its rows, and the text. None where there is one line, which the title names.
    fn legend(&self) -> Option<(i32, String)> {
        if self.lines.len() < 2 {
            return None;
        }
        let (mut x, mut y, mut rows) = (LEFT, HEIGHT + 24, 1);
        let mut text = String::new();
        let left_out = self.lines.len() - self.shown().len();
        let more = (left_out > 0).then(|| format!("and {left_out} more"));
        let names = self.shown().iter().enumerate().map(|(at, line)| (Some(at + 1), cut(line.name, NAME_MAX)));
        for (number, name) in names.chain(more.map(|more| (None, more))) {
            let width = SAMPLE + 60 + CHARACTER * name.chars().count() as i32;
            if x + width > RIGHT && x > LEFT {
                (x, y, rows) = (LEFT, y + ROW, rows + 1);
            }
            if let Some(number) = number {
                let _ = write!(text, "<path class=\"line s{number}\" d=\"M{x} {}h{SAMPLE}\"/>", y - 8);
            }
            let _ = write!(text, "<text class=\"name\" x=\"{}\" y=\"{y}\">{}</text>", x + SAMPLE + 14, escaped(&name));
            x += width;
        }
        Some((rows, text))
    }

    /// The same in words.
    fn description(&self) -> String {
        let whole = self.step.as_secs_f64() * self.count() as f64;
        let lines = self.shown().iter().map(|line| {
            let known: Vec<f64> =
                newest(line.points).iter().filter(|point| point.is_finite()).map(|point| f64::from(*point)).collect();
            let Some(last) = known.last() else { return format!("{}: nothing is known", line.name) };
            let (low, high) =
                known.iter().fold((*last, *last), |(low, high), value| (low.min(*value), high.max(*value)));
            let word = |value: f64| self.unit.word(value);
            let gaps = self.count() - known.len();
            let gaps = match gaps {
                0 => String::new(),
                gaps => format!("; unknown for {}", scale::time(self.step.as_secs_f64() * gaps as f64)),
            };
            format!("{}: from {} to {}, last {}{gaps}", line.name, word(low), word(high), word(*last))
        });
        let lines: Vec<_> = lines.collect();
        format!("The last {}. {}", scale::time(whole), lines.join(". "))
    }

    /// The same data. Of many points each row is the mean of several.
    pub fn table(&self) -> Table {
        table::of_lines(self, self.shown(), self.count())
    }
}

fn newest(points: &[f32]) -> &[f32] {
    &points[points.len().saturating_sub(POINTS_MAX)..]
}

/// The line of `points`, whose last one is at the right end of `count` places. Steps are relative, which is short.
fn path(points: &[f32], count: usize, scale: &Scale) -> String {
    let missing = count - points.len().min(count);
    let x = |at: usize| LEFT + ((at + missing + 1) as f64 / count as f64 * f64::from(RIGHT - LEFT)).round() as i32;
    let mut path = String::new();
    let mut from: Option<(i32, i32)> = None;
    // How far it goes level, what was written last, and whether it has gone anywhere since it began.
    let (mut level, mut letter, mut alone) = (0, ' ', false);
    let flush = |path: &mut String, level: &mut i32, letter: &mut char| {
        if *level > 0 {
            let _ = write!(path, "h{level}");
            (*level, *letter) = (0, 'h');
        }
    };
    for (at, point) in points.iter().enumerate() {
        if !point.is_finite() {
            flush(&mut path, &mut level, &mut letter);
            if alone {
                path.push_str("h0");
            }
            (from, alone) = (None, false);
            continue;
        }
        let to = (x(at), scale.place(f64::from(*point)));
        match from {
            None => {
                let _ = write!(path, "M{} {}", to.0, to.1);
                (letter, alone) = ('M', true);
            }
            Some(from) if from.1 == to.1 => (level, alone) = (level + to.0 - from.0, false),
            Some(from) => {
                flush(&mut path, &mut level, &mut letter);
                let (dx, dy) = (to.0 - from.0, to.1 - from.1);
                let lead = if letter == 'l' { " " } else { "l" };
                let _ = write!(path, "{lead}{dx}{}{dy}", if dy < 0 { "" } else { " " });
                (letter, alone) = ('l', false);
            }
        }
        from = Some(to);
    }
    flush(&mut path, &mut level, &mut letter);
    if alone {
        path.push_str("h0");
    }
    path
}
