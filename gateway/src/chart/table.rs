//! The data of a chart as a table.

use std::fmt::Write;

use super::lines::{Line, LineChart};
use super::{escaped, scale};

/// Rows of a table, at most.
const ROWS_MAX: usize = 60;

/// What a cell says where nothing is known.
const UNKNOWN: &str = "unknown";

/// Words in rows and columns; the first column names the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// One a column.
    pub head: Vec<String>,
    /// At most 60 of lines, 64 of bars.
    pub rows: Vec<Vec<String>>,
}

/// The newest row first.
pub(super) fn of_lines(chart: &LineChart<'_>, lines: &[Line<'_>], count: usize) -> Table {
    let each = count.div_ceil(ROWS_MAX).max(1);
    let step = chart.step * each as u32;
    let row = |number: usize| {
        let cells = lines.iter().map(|line| {
            let end = line.points.len().saturating_sub(number * each);
            let points = &line.points[end.saturating_sub(each)..end];
            let known: Vec<f64> = points.iter().filter(|p| p.is_finite()).map(|point| f64::from(*point)).collect();
            if known.is_empty() {
                return UNKNOWN.to_owned();
            }
            chart.unit.word(known.iter().sum::<f64>() / known.len() as f64)
        });
        std::iter::once(scale::ago(step * number as u32)).chain(cells).collect()
    };
    let first = match each {
        1 => "Time".to_owned(),
        _ => format!("Time (means of {})", scale::time(step.as_secs_f64())),
    };
    Table {
        title: chart.title.to_owned(),
        head: std::iter::once(first).chain(lines.iter().map(|line| line.name.to_owned())).collect(),
        rows: (0..count.div_ceil(each)).map(row).collect(),
    }
}

impl Table {
    /// As HTML.
    pub fn html(&self) -> String {
        let mut html = format!("<table class=\"data\"><caption>{}</caption><thead><tr>", escaped(&self.title));
        // Writing to a string can't fail, here and below.
        for name in &self.head {
            let _ = write!(html, "<th scope=\"col\">{}</th>", escaped(name));
        }
        html.push_str("</tr></thead><tbody>");
        for row in &self.rows {
            html.push_str("<tr>");
            for (at, cell) in row.iter().enumerate() {
                let (open, close) = if at == 0 { ("<th scope=\"row\">", "</th>") } else { ("<td>", "</td>") };
                let _ = write!(html, "{open}{}{close}", escaped(cell));
            }
            html.push_str("</tr>");
        }
        html.push_str("</tbody></table>");
        html
    }
}
