//! Charts as SVG, and the same as tables for those who can't see them.
//!
//! Pure: points in, text out, to stand within a page. Nothing is styled where it stands, since a page's rules forbid that; [`CSS`] has colours for
//! light and dark, and lines differ in their dashes as well. `scale.rs` finds round ticks and words for values, `lines.rs`
//! and `bars.rs` draw, `table.rs` is the tables. `map.rs` draws values by place, which `grid.rs` gathers.

mod bars;
mod grid;
mod lines;
mod map;
mod scale;
mod table;
#[cfg(test)]
mod tests;

use std::fmt::Write;

pub use self::bars::{Bar, BarChart};
pub use self::grid::{Grid, Spot};
pub use self::lines::{Line, LineChart};
pub use self::map::{MapChart, Metric};
pub use self::scale::Unit;
pub use self::table::Table;

/// The style sheet of all charts. Their words grow where the box is narrow, if a chart stands in one: `<div
/// class="chart-box">`.
pub const CSS: &str = include_str!("chart.css");

/// Width of a chart in its own units. On a wide page two are about a pixel.
const WIDTH: i32 = 1440;
/// Where the plot begins and ends.
const LEFT: i32 = 190;
const RIGHT: i32 = WIDTH - 30;
const TOP: i32 = 50;
const BOTTOM: i32 = 370;
/// Where the words below it stand.
const WORDS: i32 = BOTTOM + 46;
/// Height without a legend.
const HEIGHT: i32 = WORDS + 14;

/// What is at the same place in every chart: the head, what it says to those who can't see it, and the scale.
fn begin(id: &str, title: &str, description: &str, height: i32, scale: &scale::Scale) -> String {
    let (id, title, description) = (escaped(id), escaped(title), escaped(description));
    let mut svg = format!(
        "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {WIDTH} {height}\" \
         aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}</desc>"
    );
    let mut grid = String::new();
    for tick in scale.ticks() {
        let y = scale.place(tick);
        // Writing to a string can't fail, here and below.
        let _ = write!(grid, "M{LEFT} {y}H{RIGHT}");
        let _ = write!(svg, "<text class=\"y\" x=\"{}\" y=\"{}\">{}</text>", LEFT - 14, y + 9, scale.word(tick));
    }
    let _ = write!(svg, "<path class=\"grid\" d=\"{grid}\"/>");
    svg
}

/// What stands in an empty plot.
fn nothing_known() -> String {
    format!("<text class=\"x\" x=\"{}\" y=\"{}\">nothing yet</text>", (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2)
}

/// Text for XML and HTML. Characters that neither may have are left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {}
            character => safe.push(character),
        }
    }
    safe
}

/// At most so many characters of a name.
fn cut(name: &str, most: usize) -> String {
    match name.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}
