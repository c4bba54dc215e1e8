//! What is kept of a probe's results: read, put together by time, and drawn.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime};

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::plots::{How, LineOf, Plot, plots};
use crate::admin::Sources;
use crate::admin::pages::charts::Drawn;
use crate::admin::probes::Probe;
use crate::admin::problem::Problem;
use crate::chart::{Line, LineChart, Unit};
use crate::measurements::{Range, Reading};
use crate::message::{Message, TopicFilter};

/// How long the results of one page may be read.
const PATIENCE: Duration = Duration::from_secs(8);
/// Points of a line, at most.
const POINTS: u32 = 180;
/// Results that are shown.
const RESULTS: usize = 20;
/// The longest result that is read, in bytes; the gateway's own are far shorter.
const LONGEST: usize = 16 * 1024;
/// Lines of one chart: paths of an uplink.
const LINES: usize = 6;

/// What was read.
#[derive(Debug)]
pub(super) struct Kept {
    step: Duration,
    series: Vec<(&'static Plot, Vec<Points>)>,
    /// The oldest first.
    pub(super) results: VecDeque<Value>,
    /// It took too long: not all was read.
    pub(super) cut: bool,
}

/// A line.
#[derive(Debug)]
struct Points {
    name: String,
    how: How,
    /// The oldest first: what the values come to, and how many there are.
    steps: Vec<(f64, u32)>,
}

impl Points {
    fn new(name: String, how: How, count: usize) -> Self {
        Self { name, how, steps: vec![(0.0, 0); count] }
    }

    fn add(&mut self, at: usize, value: f64) {
        let Some((all, count)) = self.steps.get_mut(at) else { return };
        *all = if self.how == How::Mean { *all + value } else { all.max(value) };
        *count += 1;
    }

    /// Nothing at all where nothing is known.
    fn points(&self) -> Vec<f32> {
        if self.steps.iter().all(|(_, count)| *count == 0) {
            return Vec::new();
        }
        let point = |&(all, count): &(f64, u32)| match (self.how, count) {
            (_, 0) => f32::NAN,
            (How::Mean, count) => (all / f64::from(count)) as f32,
            (How::Most, _) => all as f32,
        };
        self.steps.iter().map(point).collect()
    }

    fn has_any(&self) -> bool {
        self.steps.iter().any(|(all, count)| *count > 0 && *all > 0.0)
    }
}

/// What a result has under a key. Whether it failed is a number too: 0 or 100 %.
fn number(result: &Value, key: &str) -> Option<f64> {
    if key == "ok" {
        return result["ok"].as_bool().map(|well| if well { 0.0 } else { 100.0 });
    }
    result[key].as_f64().filter(|number| number.is_finite() && *number >= 0.0)
}

impl Kept {
    /// Nothing yet. A step is no shorter than the schedule, or lines would have a gap at every other.
    fn new(kind: &str, back: Duration, interval: Option<Duration>) -> Self {
        let step = (back / POINTS).max(interval.unwrap_or_default().mul_f64(1.25)).max(Duration::from_secs(1));
        let count = (back.as_secs_f64() / step.as_secs_f64()).ceil() as usize;
        let line = |(name, _, how): &LineOf| Points::new((*name).to_owned(), *how, count);
        let series = plots(kind).iter().map(|plot| (*plot, plot.lines.iter().map(line).collect())).collect();
        Self { step, series, results: VecDeque::new(), cut: false }
    }

    fn add(&mut self, message: &Message, now: SystemTime) {
        let result = (message.payload.len() <= LONGEST).then(|| serde_json::from_slice::<Value>(&message.payload).ok());
        let Some(result) = result.flatten().filter(Value::is_object) else { return };
        // What was received after the page was asked for is of now.
        let ago = now.duration_since(message.received.wall).unwrap_or_default();
        let steps_ago = (ago.as_secs_f64() / self.step.as_secs_f64()) as usize;
        for (plot, lines) in &mut self.series {
            for (number_of, (name, key, how)) in plot.lines.iter().enumerate() {
                let Some(value) = number(&result, key) else { continue };
                let Some(line) = line_of(lines, number_of, result["path"].as_str(), name, *how) else { continue };
                if let Some(at) = line.steps.len().checked_sub(1 + steps_ago) {
                    line.add(at, value * plot.scale());
                }
            }
        }
        self.results.push_back(result);
        if self.results.len() > RESULTS {
            self.results.pop_front();
        }
    }

    fn drawn(&self) -> impl Iterator<Item = &(&'static Plot, Vec<Points>)> {
        self.series.iter().filter(|(plot, lines)| !plot.only_if_any || lines.iter().any(Points::has_any))
    }

    pub(super) fn draw(&self) -> Vec<Drawn> {
        let draw = |(plot, lines): &(&'static Plot, Vec<Points>)| {
            let points: Vec<_> = lines.iter().map(|line| (line.name.as_str(), line.points())).collect();
            let lines: Vec<_> = points.iter().map(|(name, points)| Line { name, points }).collect();
            Drawn::from(&LineChart { id: plot.id, title: plot.title, unit: plot.unit, step: self.step, lines: &lines })
        };
        self.drawn().map(draw).collect()
    }

    pub(super) fn figures(&self) -> Figures {
        let line = |line: &Points| Series {
            name: line.name.clone(),
            points: line.points().into_iter().map(|point| point.is_finite().then_some(point)).collect(),
        };
        let chart = |(plot, lines): &(&'static Plot, Vec<Points>)| Chart {
            title: plot.title,
            unit: unit(plot.unit),
            lines: lines.iter().map(line).collect(),
        };
        Figures { step_seconds: self.step.as_secs_f64(), charts: self.drawn().map(chart).collect() }
    }
}

/// The line that a value belongs to. Results of an uplink's paths have one each, in the place of the first.
fn line_of<'a>(
    lines: &'a mut Vec<Points>,
    number: usize,
    path: Option<&str>,
    name: &str,
    how: How,
) -> Option<&'a mut Points> {
    let Some(path) = path else { return lines.get_mut(number) };
    if let Some(at) = lines.iter().position(|line| line.name == path) {
        return lines.get_mut(at);
    }
    if let Some(at) = lines.iter().position(|line| line.name == name && line.steps.iter().all(|(_, count)| *count == 0))
    {
        lines[at].name = path.to_owned();
        return lines.get_mut(at);
    }
    let count = lines.first()?.steps.len();
    if lines.len() < LINES {
        lines.push(Points::new(path.to_owned(), how, count));
        return lines.last_mut();
    }
    None
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Percent => "%",
        Unit::BitsPerSecond => "bit/s",
        _ => "µs",
    }
}

/// What the figures of a probe were.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeFigures)]
pub(in crate::admin) struct Figures {
    /// Between two points.
    step_seconds: f64,
    charts: Vec<Chart>,
}

/// Lines of one unit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeChart)]
struct Chart {
    title: &'static str,
    /// `µs`, `%` or `bit/s`.
    unit: &'static str,
    lines: Vec<Series>,
}

/// One line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeSeries)]
struct Series {
    name: String,
    /// The oldest first, the last one now; null where nothing is known. None at all where nothing is.
    points: Vec<Option<f32>>,
}

/// Reads what is kept of a probe, as far back as this.
pub(super) async fn read(sources: &Sources, probe: &Probe, back: Duration) -> Result<Kept, Problem> {
    let now = sources.pipeline.clock().now().wall;
    let topic = TopicFilter::new(&topic_of(probe)).map_err(|error| Problem::failed(error.to_string()))?;
    let range = Range { from: now.checked_sub(back), to: None, topics: vec![topic] };
    let reading = sources.measurements.read(range).await;
    let reading = reading.map_err(|busy| Problem::new(StatusCode::SERVICE_UNAVAILABLE, busy.to_string()))?;
    let interval = probe.interval_seconds.map(Duration::from_secs_f64);
    let kept = Kept::new(probe.kind, back, interval);
    let gathered = tokio::task::spawn_blocking(move || gather(reading, kept, now)).await;
    let gathered = gathered.map_err(|panic| Problem::failed(panic.to_string()))?;
    gathered.map_err(|error| Problem::failed(format!("measurements can't be read: {error}")))
}

/// Where its results are.
fn topic_of(probe: &Probe) -> String {
    format!("probe/{}/result", probe.name)
}

fn gather(reading: Reading, mut kept: Kept, now: SystemTime) -> std::io::Result<Kept> {
    let began = Instant::now();
    let in_time = || began.elapsed() <= PATIENCE;
    let read = reading.run(in_time, |message| {
        kept.add(&message, now);
        if in_time() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    kept.cut = read.is_break();
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::{ClockQuality, Origin, Received, Topic};
    use crate::pipeline::Pipeline;

    const HOUR: Duration = Duration::from_secs(3600);

    /// What is kept of results that are so many seconds old.
    fn kept(kind: &str, interval: Option<u64>, results: &[(u64, Value)]) -> Kept {
        let mut kept = Kept::new(kind, HOUR, interval.map(Duration::from_secs));
        let (pipeline, now) = (Pipeline::new(1).0, SystemTime::now());
        for (ago, result) in results {
            let wall = now - Duration::from_secs(*ago);
            let received = Received { wall, monotonic: Instant::now(), clock: ClockQuality::Unknown };
            let topic = Topic::new("probe/p/result").unwrap();
            kept.add(&pipeline.message(received, Origin::Gateway, topic, result.to_string()), now);
        }
        kept
    }

    fn lines(kept: &Kept, chart: usize) -> Vec<(String, Vec<f32>)> {
        let figures = kept.figures();
        let known = |line: &Series| (line.name.clone(), line.points.iter().flatten().copied().collect());
        figures.charts[chart].lines.iter().map(known).collect()
    }

    #[test]
    fn results_of_one_step_are_put_together_and_what_is_older_is_left_out() {
        let result = |median: f64, slowest: f64| json!({ "ok": true, "rtt_ms_p50": median, "rtt_ms_max": slowest });
        let kept = kept(
            "dns",
            None,
            &[(4000, result(9.0, 9.0)), (65, result(1.0, 5.0)), (61, result(3.0, 4.0)), (1, json!("no"))],
        );
        assert_eq!(lines(&kept, 0), [("median".to_owned(), vec![2000.0]), ("slowest".to_owned(), vec![5000.0])]);
        let charts: Vec<_> = kept.figures().charts.iter().map(|chart| chart.title).collect();
        assert_eq!(charts, ["Round trip", "Loss"], "nothing failed");
        assert_eq!(
            (kept.step, kept.results.len(), lines(&kept, 1)),
            (Duration::from_secs(20), 3, vec![("lost".to_owned(), vec![])])
        );
        let svg = &kept.draw()[0].svg;
        assert!(svg.contains("median: from 2 ms to 2 ms"), "{svg}");
    }

    #[test]
    fn a_step_is_no_shorter_than_the_schedule_and_only_the_last_results_are_kept() {
        let failed = |ago| (ago, json!({ "ok": ago % 120 == 0, "throughput_bit_s": 1e6 }));
        let kept = kept("tcp", Some(60), &(0..60).rev().map(|minute| failed(minute * 60)).collect::<Vec<_>>());
        assert_eq!((kept.step, kept.results.len()), (Duration::from_secs(75), RESULTS));
        let points = lines(&kept, 0).remove(0).1;
        assert!(points.len() == 48 && points.iter().all(|point| *point == 1e6), "no gap: {points:?}");
        assert!(lines(&kept, 1)[0].1.contains(&100.0));
    }

    #[test]
    fn each_path_of_an_uplink_has_a_line() {
        let over = |path: &str, rtt: f64| json!({ "ok": true, "path": path, "rtt_ms": rtt });
        let results: Vec<_> = ["cable", "modem", "cable"].into_iter().map(|path| (1, over(path, 2.0))).collect();
        assert_eq!(
            lines(&kept("mqtt", None, &results), 0),
            [("cable".to_owned(), vec![2000.0]), ("modem".to_owned(), vec![2000.0])]
        );
        let many: Vec<_> = (0..20).map(|path| (1, over(&path.to_string(), 1.0))).collect();
        assert_eq!(lines(&kept("mqtt", None, &many), 0).len(), LINES);
        let alone = kept("mqtt", None, &[(1, json!({ "ok": true, "rtt_ms": 1.0 }))]);
        assert_eq!(lines(&alone, 0), [("acknowledged".to_owned(), vec![1000.0])]);
    }
}
