//! `stile status`: how a running gateway is, on one screen.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::gateway::Gateway;
use super::text::{columns, visible};
use super::{fail, runtime, say};

/// The exit code when it can be told and something is wrong.
const PROBLEM: u8 = 3;

/// Show how a running gateway is: what needs attention, where messages come from and go
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code: 0 when nothing is wrong, 3 when there is a problem, 1 when it can't be told.

Examples:
  stile status
  stile status --json | jq .attention
  stile status --url https://gateway.example:8443 --token-file token --ca ca.pem")]
pub(super) struct Arguments {
    /// All that is known, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: Gateway,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let asked = runtime().map_err(anyhow::Error::from);
    let asked = asked.and_then(|runtime| runtime.block_on(arguments.gateway.json("/api/v1/overview")));
    match asked {
        Ok(overview) => {
            say(&if arguments.json { format!("{overview:#}") } else { screen(&overview) });
            let problems = items(&overview, "attention").any(|item| item["severity"] == "problem");
            if problems { ExitCode::from(PROBLEM) } else { ExitCode::SUCCESS }
        }
        Err(error) => fail(&error),
    }
}

fn items<'a>(overview: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    overview[key].as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    visible(value[key].as_str().unwrap_or("-"))
}

/// All of it: a headline, what needs attention, and a table of places.
fn screen(overview: &Value) -> String {
    let up = humantime::format_duration(Duration::from_secs(overview["up_seconds"].as_u64().unwrap_or(0)));
    let balance = if overview["ledger"]["balances"] == true { "balances" } else { "DOES NOT BALANCE" };
    let (gateway, version) = (text(overview, "gateway"), text(overview, "version"));
    let mut lines = vec![format!("{gateway}   Stile {version}   up {up}   the ledger {balance}\n")];
    let before = lines.len();
    for item in items(overview, "attention") {
        let detail = Some(text(item, "detail")).filter(|detail| !detail.is_empty());
        let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        lines.push(format!("{}: {}{detail}", text(item, "severity"), text(item, "what")));
    }
    if lines.len() == before {
        lines.push("nothing needs attention".to_owned());
    }
    lines.push(String::new());
    let mut rows = vec![["", "", "state", "messages", "a second", "dropped"].map(str::to_owned)];
    for (way, key) in [("in", "sources"), ("plugin", "stages"), ("out", "outputs")] {
        rows.extend(items(overview, key).map(|station| row(way, station)));
    }
    lines.extend(columns(&rows, 3));
    lines.join("\n")
}

fn row(way: &str, station: &Value) -> [String; 6] {
    let count = |key: &str| station[key].as_u64().unwrap_or(0).to_string();
    let rate = station["per_second"].as_f64().map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    let (name, state) = (text(station, "name"), text(station, "state"));
    [way.to_owned(), name, state, count("messages"), rate, count("dropped")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_says_what_is_wrong_first_and_no_text_steers_the_terminal() {
        let station = |name: &str| serde_json::json!({ "name": name, "state": "online", "messages": 12, "per_second": 0.25, "dropped": 1 });
        let overview = serde_json::json!({
            "gateway": "roof", "version": "1.2.3", "up_seconds": 3700, "ledger": { "balances": true },
            "attention": [{ "severity": "problem", "what": "The radio a\u{1b} is offline", "detail": "plug it in" },
                { "severity": "notice", "what": "hot", "detail": "" }],
            "sources": [station("a")], "stages": [], "outputs": [station("cloud")],
        });
        let screen = screen(&overview);
        let lines: Vec<_> = screen.lines().collect();
        assert_eq!(lines[0], "roof   Stile 1.2.3   up 1h 1m 40s   the ledger balances");
        assert_eq!(lines[2..4], ["problem: The radio a\\u{1b} is offline: plug it in", "notice: hot"]);
        assert!(lines[6].split_whitespace().eq(["in", "a", "online", "12", "0.2", "1"]), "{screen}");
        assert!(lines[7].starts_with("out  cloud  online"), "{screen}");
    }
}
