//! `stile probe`: a measurement now, and how all of them are.

use std::process::ExitCode;

use serde_json::Value;

use super::gateway::Gateway;
use super::text::{columns, visible};
use super::{fail, runtime, say};

/// The name that stands for all of them.
const LIST: &str = "list";

/// Run a probe of a running gateway now, or list them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The result goes to probe/NAME/result as well, like those of the schedule. Exit code: 0 when the probe has found what it
measures, 1 when it has not.

Examples:
  stile probe list
  stile probe core
  stile probe core --json | jq '.[].rtt_ms_p50'")]
pub(super) struct Arguments {
    /// The probe's name in the settings, or `list`
    #[arg(value_name = "NAME", default_value = LIST)]
    name: String,
    /// All that is known, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: Gateway,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let asked = runtime().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(ask(arguments)));
    match asked {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

/// Says whether all is well.
async fn ask(arguments: &Arguments) -> Result<bool, anyhow::Error> {
    if arguments.name == LIST {
        let all = arguments.gateway.json("/api/v1/probes").await?;
        say(&if arguments.json { format!("{all:#}") } else { table(&all) });
        return Ok(true);
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    anyhow::ensure!(arguments.name.chars().all(fits), "{} is no name of a probe", visible(&arguments.name));
    let results = arguments.gateway.post_json(&format!("/api/v1/probes/{}/run", arguments.name)).await?;
    let all: Vec<_> = results.as_array().into_iter().flatten().collect();
    if arguments.json {
        say(&format!("{results:#}"));
    } else {
        all.iter().for_each(|result| say(&lines(result)));
    }
    Ok(all.iter().all(|result| result["ok"] == true))
}

/// A result, one value a line; what is said of every run stands on the first.
fn lines(result: &Value) -> String {
    const FIRST: [&str; 9] = ["probe", "kind", "sequence", "time", "trigger", "ok", "target", "address", "clock"];
    let text = |key: &str| result[key].as_str().map(visible).unwrap_or_default();
    let address = Some(text("address")).filter(|address| *address != text("target") && !address.is_empty());
    let address = address.map(|address| format!(" ({address})")).unwrap_or_default();
    let head = format!("{}: {} to {}{address} at {}", text("probe"), text("kind"), text("target"), text("time"));
    let rest = result.as_object().into_iter().flatten().filter(|(key, _)| !FIRST.contains(&key.as_str()));
    let rows: Vec<_> = rest.map(|(key, value)| [format!("  {}", visible(key)), shown(value)]).collect();
    std::iter::once(head).chain(columns(&rows, 2)).collect::<Vec<_>>().join("\n")
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), visible)
}

const TITLES: [&str; 8] = ["probe", "kind", "target", "every", "runs", "failed", "this month", "last"];

/// One line each, in columns as wide as they must be.
fn table(all: &Value) -> String {
    let probes: Vec<_> = all["probes"].as_array().into_iter().flatten().collect();
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(probes.iter().map(|probe| row(probe)));
    let mut lines = columns(&rows, 3);
    if probes.is_empty() {
        lines = vec!["the settings have no [[probe]]".to_owned()];
    }
    if let Some(refused) = all["reflector"]["refused"].as_object() {
        lines.push(format!("reflector: {} answered", all["reflector"]["answered"]));
        let refused = refused.iter().filter(|(_, count)| count.as_u64() != Some(0));
        lines.extend(refused.map(|(reason, count)| format!("reflector, refused as {}: {count}", visible(reason))));
    }
    lines.join("\n")
}

fn row(probe: &Value) -> [String; 8] {
    let text = |key: &str| probe[key].as_str().map(visible).unwrap_or_default();
    let every = probe["interval_seconds"].as_f64().map_or("on demand".to_owned(), |seconds| format!("{seconds} s"));
    let budget = &probe["budget"];
    let most = budget["month_most"].as_u64().map(|most| format!(" of {}", bytes(most))).unwrap_or_default();
    let spent = format!("{}{most}", bytes(budget["month_spent"].as_u64().unwrap_or(0)));
    let last = probe["last"].as_array().and_then(|last| last.first());
    let last = last.map_or("-".to_owned(), brief);
    let count = |key: &str| probe[key].as_u64().unwrap_or(0).to_string();
    [text("name"), text("kind"), text("target"), every, count("runs"), count("failures"), spent, last]
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

/// A result in a few words.
fn brief(result: &Value) -> String {
    if let Some(error) = result["error"].as_str() {
        return visible(error);
    }
    let number = |key: &str| result[key].as_f64();
    let rate = number("throughput_bit_s").map(|bits| format!("{:.2} Mbit/s", bits / 1e6));
    let round = number("rtt_ms_p50").or_else(|| number("rtt_ms")).map(|millis| format!("{millis:.3} ms"));
    let loss = number("loss_percent").map(|percent| format!("{percent} % lost"));
    [rate, round, loss].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_a_line_and_a_result_a_value_a_line() {
        let result = serde_json::json!({ "probe": "core", "kind": "stamp", "sequence": 1, "time": "T", "ok": true,
            "target": "host:862", "address": "192.0.2.1:862", "rtt_ms_p50": 1.25, "loss_percent": 10.0, "clock": {} });
        let all = serde_json::json!({ "probes": [{ "name": "core", "kind": "stamp", "target": "host:862\u{1b}",
            "interval_seconds": 10.0, "runs": 3, "failures": 1, "last": [result],
            "budget": { "month_spent": 2_500_000, "month_most": 1_000_000_000 } }],
            "reflector": { "answered": 7, "refused": { "short": 2, "long": 0 } } });
        let table = table(&all);
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[1].starts_with("core") && !table.contains('\u{1b}'), "{table}");
        assert!(
            lines[1].ends_with("2.5 MB of 1.0 GB  1.250 ms, 10 % lost") || lines[1].contains("1.250 ms, 10.0 % lost"),
            "{table}"
        );
        assert_eq!(lines[2..], ["reflector: 7 answered", "reflector, refused as short: 2"]);
        let shown = super::lines(&result);
        let shown: Vec<_> = shown.lines().collect();
        assert_eq!(shown[0], "core: stamp to host:862 (192.0.2.1:862) at T");
        assert!(shown[1].split_whitespace().eq(["rtt_ms_p50", "1.25"]) && shown.len() == 3, "{shown:?}");
    }
}
