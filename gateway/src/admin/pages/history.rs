//! Charts of the overview: messages, drops and what waits, out of the history; and the history itself for programs.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::charts::{Back, Drawn};
use crate::admin::Sources;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::chart::{Line, LineChart, Unit};
use crate::history::History;
use crate::people::Role;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get("/api/v1/history", Access::Role(Role::Viewer), get_history)
}

/// Points of the history that a chart draws as one: the first page has its bound, and a phone has fewer pixels.
fn together(back: Back) -> usize {
    if back.is_hour() { 2 } else { 4 }
}

/// Those of the overview.
pub(super) fn of_overview(history: &History, back: Back) -> Vec<Drawn> {
    let series = |name: &str| history.points(name, back.span()).unwrap_or_default();
    let all = |names: &[String]| sum(names.iter().map(|name| series(name)));
    let named = |prefix: &str, ending: &str| {
        let names = history.names().into_iter();
        names.filter(|name| name.starts_with(prefix) && name.ends_with(ending)).collect::<Vec<_>>()
    };
    let inside = ["messages/in-flight", "messages/held"].map(str::to_owned);
    let messages = [("received", series("messages/received")), ("delivered", series("messages/delivered"))];
    let drops = [("dropped", all(&named("dropped/", "")))];
    let waiting = [("in the gateway", all(&inside)), ("for uplinks", all(&named("uplink/", "/messages")))];
    vec![
        chart("messages", "Messages in and out", Unit::PerSecond, back, &messages),
        chart("drops", "Messages dropped", Unit::PerSecond, back, &drops),
        chart("waiting", "Messages that wait", Unit::Count, back, &waiting),
    ]
}

fn chart(id: &str, title: &'static str, unit: Unit, back: Back, series: &[(&'static str, Vec<f32>)]) -> Drawn {
    let together = together(back);
    let thin: Vec<_> = series.iter().map(|(name, points)| (*name, means(points, together))).collect();
    let known = thin.iter().filter(|(_, points)| !points.is_empty());
    let lines: Vec<_> = known.map(|(name, points)| Line { name, points }).collect();
    let step = back.span().step() * u32::try_from(together).unwrap_or(1);
    let id = format!("chart-{id}");
    Drawn::from(&LineChart { id: &id, title, unit, step, lines: &lines })
}

/// Each point the mean of several, counted from the newest; of those that are unknown nothing is known.
fn means(points: &[f32], together: usize) -> Vec<f32> {
    let mean = |some: &[f32]| {
        let known: Vec<f32> = some.iter().copied().filter(|point| point.is_finite()).collect();
        if known.is_empty() { f32::NAN } else { known.iter().sum::<f32>() / known.len() as f32 }
    };
    points.rchunks(together).rev().map(mean).collect()
}

/// Series that end at the same time, added up. What is unknown of one counts for nothing, as long as something is known.
fn sum(series: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    series.fold(Vec::new(), |all, one| {
        let (mut long, short) = if all.len() >= one.len() { (all, one) } else { (one, all) };
        let from = long.len() - short.len();
        for (sum, point) in long.iter_mut().skip(from).zip(short).filter(|(_, point)| point.is_finite()) {
            *sum = if sum.is_finite() { *sum + point } else { point };
        }
        long
    })
}

/// Which series.
#[derive(Deserialize)]
pub(in crate::admin) struct Wanted {
    /// A name; without it, all names are given.
    name: Option<String>,
    /// `hour` or `two-days`.
    #[serde(default)]
    span: Back,
}

/// A series, or the names of all.
#[derive(Serialize, ToSchema)]
pub(in crate::admin) struct Series {
    /// All names, where none was asked for.
    names: Vec<String>,
    /// Between two points.
    step_seconds: u64,
    /// The oldest first, the last one now; null where nothing is known.
    points: Vec<Option<f32>>,
}

/// What a figure was: an hour in steps of 10 seconds, or two days in steps of 5 minutes.
#[utoipa::path(get, path = "/api/v1/history", tag = "overview", params(
    ("name" = Option<String>, Query, description = "a series; without one, all names are given"),
    ("span" = Option<String>, Query, description = "`hour` or `two-days`; else `hour`")),
    responses((status = 200, body = Series), (status = 404, body = Problem)))]
pub(in crate::admin) async fn get_history(
    State(sources): State<Arc<Sources>>,
    Query(Wanted { name, span }): Query<Wanted>,
) -> Result<Json<Series>, Problem> {
    let step: Duration = span.span().step();
    let (names, points) = match name {
        None => (sources.history.names(), Vec::new()),
        Some(name) => {
            let points = sources.history.points(&name, span.span());
            (
                Vec::new(),
                points.ok_or_else(|| Problem::not_found("there is no such series; without a name, all are listed"))?,
            )
        }
    };
    let points = points.into_iter().map(|point| point.is_finite().then_some(point)).collect();
    Ok(Json(Series { names, step_seconds: step.as_secs(), points }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &[f32], right: &[f32]) -> bool {
        let equal = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
        left.len() == right.len() && left.iter().zip(right).all(equal)
    }

    #[test]
    fn points_are_put_together_from_the_newest_on_and_gaps_stay_gaps() {
        let gap = f32::NAN;
        assert!(same(&means(&[9.0, 1.0, 3.0, gap, gap, gap, 5.0], 2), &[9.0, 2.0, gap, 5.0]));
        assert!(means(&[], 2).is_empty());
    }

    #[test]
    fn series_add_up_where_anything_is_known() {
        let gap = f32::NAN;
        let all = sum([vec![1.0, gap], vec![5.0, gap, 2.0, gap], vec![gap, 4.0, gap, gap]].into_iter());
        assert!(same(&all, &[5.0, 4.0, 3.0, gap]), "{all:?}");
        assert!(sum(std::iter::empty()).is_empty());
    }

    #[test]
    fn the_charts_of_a_busy_gateway_leave_room_for_the_rest_of_the_first_page() {
        let points: Vec<f32> = (0..360).map(|at| ((at * 7919) % 997) as f32).collect();
        let series = [("received", points.clone()), ("delivered", points)];
        let drawn = chart("messages", "Messages in and out", Unit::PerSecond, Back::Hour, &series);
        let bytes = drawn.svg.len() + drawn.table.len();
        assert!(bytes < 12_000, "{bytes}");
        assert!(!drawn.svg.contains("http"), "a page's own pictures name no other host");
    }
}
