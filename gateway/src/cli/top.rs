//! `stile top`: the ledger of a running gateway, drawn again and again.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::gateway::Gateway;
use super::{fail, runtime, say};

/// Watch a running gateway's ledger, radios and units
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile top
  stile top --interval 500ms
  stile top --once                          print it once, for scripts and tickets")]
pub(super) struct Arguments {
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// Print it once and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    gateway: Gateway,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = runtime().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(watch(arguments)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn watch(arguments: &Arguments) -> Result<(), anyhow::Error> {
    const CLEAR: &str = "\x1b[H\x1b[2J";
    let mut last: Option<Value> = None;
    loop {
        let now = arguments.gateway.json("/api/v1/ledger").await?;
        let table = table(&now, last.as_ref(), arguments.interval);
        if arguments.once {
            say(table.trim_end());
            return Ok(());
        }
        say(&format!("{CLEAR}{table}"));
        last = Some(now);
        tokio::time::sleep(arguments.interval).await;
    }
}

/// The ledger as a table; rates where there is an earlier look.
fn table(now: &Value, last: Option<&Value>, interval: Duration) -> String {
    let mut out = String::new();
    let balance = if now["balances"] == true { "balances" } else { "DOES NOT BALANCE" };
    // Writing to a string can't fail, here and below.
    let _ = writeln!(out, "{}   {} clients   the ledger {balance}\n", plain(&now["gateway"]), now["clients"]);
    let _ = writeln!(out, "{:<28}{:>14}{:>12}", "messages", "total", "a second");
    for pointer in rows(now) {
        let total = now.pointer(&pointer).and_then(Value::as_u64).unwrap_or(0);
        let before = last.and_then(|last| last.pointer(&pointer)).and_then(Value::as_u64);
        let rate = before.map(|before| total.saturating_sub(before) as f64 / interval.as_secs_f64().max(0.001));
        let label = pointer.trim_start_matches("/ledger/").replace(['/', '_'], " ");
        let _ = writeln!(out, "  {label:<26}{total:>14}{:>12}", rate.map_or(String::new(), |r| format!("{r:.1}")));
    }
    let _ =
        writeln!(out, "\n{:<20}{:>8}{:>12}{:>12}{:>10}{:>10}", "radio", "", "frames in", "rejected", "sent", "refused");
    for (name, radio) in now["radios"].as_object().into_iter().flatten() {
        let state = if radio["online"] == true { "online" } else { "offline" };
        let count = |key: &str| radio[key].as_u64().unwrap_or(0);
        let (received, rejected) = (count("frames_received"), count("frames_rejected"));
        let (sent, refused) = (count("frames_sent"), count("refused"));
        let _ = writeln!(out, "  {name:<18}{state:>8}{received:>12}{rejected:>12}{sent:>10}{refused:>10}");
    }
    let failing = now["units"].as_object().into_iter().flatten().filter(|(_, unit)| unit["health"] != "running");
    for (name, unit) in failing {
        let _ = writeln!(out, "\n{name}: {} {}", plain(&unit["health"]), plain(&unit["last_error"]));
    }
    out
}

/// The ledger's numbers that are worth a line: all totals, and the reasons that have happened.
fn rows(now: &Value) -> Vec<String> {
    let mut rows = Vec::new();
    for part in ["received", "added", "filtered", "delivered", "dropped", "held", "in_flight"] {
        match &now["ledger"][part] {
            Value::Object(parts) => {
                let seen = parts.iter().filter(|(_, n)| part == "received" || n.as_u64() != Some(0));
                rows.extend(seen.map(|(name, _)| format!("/ledger/{part}/{name}")));
            }
            _ => rows.push(format!("/ledger/{part}")),
        }
    }
    rows
}

fn plain(value: &Value) -> String {
    value.as_str().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_totals_rates_and_what_fails() {
        let look = |delivered: u64| {
            serde_json::json!({
                "gateway": "roof", "clients": 2, "balances": true,
                "ledger": { "received": {"radio": 5}, "added": 0, "filtered": 0, "delivered": delivered,
                    "dropped": {"frame-noise": 0, "frame-checksum": 3}, "in_flight": 0 },
                "radios": { "meter": { "online": true, "frames_received": 5 } },
                "units": { "broker": { "health": "running" }, "radio x": { "health": "degraded", "last_error": "why" } },
            })
        };
        let text = table(&look(30), Some(&look(10)), Duration::from_secs(2));
        assert!(text.contains("roof   2 clients   the ledger balances"));
        assert!(text.lines().any(|l| l.split_whitespace().eq(["delivered", "30", "10.0"])), "{text}");
        assert!(text.contains("dropped frame-checksum") && !text.contains("frame-noise"));
        assert!(text.contains("radio x: degraded why") && !text.contains("broker:"));
    }
}
