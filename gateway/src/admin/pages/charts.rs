//! Charts of the history, each with its table, for any page. `charts.html` shows them.

use serde::Deserialize;

use crate::chart::{BarChart, Line, LineChart, Unit};
use crate::history::{History, Span};

/// How far back, in a query: `?span=hour` or `?span=two-days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) enum Back {
    /// In steps of 10 seconds.
    #[default]
    Hour,
    /// In steps of 5 minutes.
    TwoDays,
}

impl Back {
    pub(super) fn is_hour(self) -> bool {
        self == Self::Hour
    }

    pub(super) fn span(self) -> Span {
        match self {
            Self::Hour => Span::Hour,
            Self::TwoDays => Span::TwoDays,
        }
    }
}

/// One chart, drawn: safe to be put into a page as it is.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) title: String,
    pub(super) svg: String,
    pub(super) table: String,
}

impl From<&LineChart<'_>> for Drawn {
    fn from(chart: &LineChart<'_>) -> Self {
        Self { title: chart.title.to_owned(), svg: chart.svg(), table: chart.table().html() }
    }
}

impl From<&BarChart<'_>> for Drawn {
    fn from(chart: &BarChart<'_>) -> Self {
        Self { title: chart.title.to_owned(), svg: chart.svg(), table: chart.table().html() }
    }
}

/// Draws series of the history, each by what it is called and its name there. One that is not there yet is an empty line.
pub(super) fn drawn(
    history: &History,
    back: Back,
    (id, title, unit): (&str, &str, Unit),
    series: &[(&str, String)],
) -> Drawn {
    let span = back.span();
    let points: Vec<_> = series.iter().map(|(_, name)| history.points(name, span).unwrap_or_default()).collect();
    let lines: Vec<_> = series.iter().zip(&points).map(|((called, _), points)| Line { name: called, points }).collect();
    Drawn::from(&LineChart { id, title, unit, step: span.step(), lines: &lines })
}
