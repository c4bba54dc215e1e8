//! `stile clients`: who is connected, and sending a client away.

use std::process::ExitCode;

use clap::Subcommand;
use http_body_util::BodyExt;
use serde_json::Value;

use super::gateway::Gateway;
use super::text::{columns, escape, visible};
use super::{fail, runtime, say};

/// List a running gateway's MQTT clients, or send one away
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Clients that are away are listed as long as their sessions are kept.

Examples:
  stile clients
  stile clients --json | jq '.clients[] | select(.queue.messages > 0)'
  stile clients disconnect boiler-room
  stile clients disconnect boiler-room --forget")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// All that is known, as JSON: subscriptions and bytes as well
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: Gateway,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Disconnect a client; nothing keeps it from coming again
    Disconnect(Disconnect),
}

#[derive(Debug, clap::Args)]
struct Disconnect {
    /// Its client id
    #[arg(value_name = "ID")]
    id: String,
    /// End its session too, with its subscriptions and all that waits for it; also of a client that is away
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    gateway: Gateway,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = runtime().map_err(anyhow::Error::from).and_then(|runtime| match &arguments.what {
        None => runtime.block_on(list(arguments)),
        Some(What::Disconnect(disconnect)) => runtime.block_on(send_away(disconnect)),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn list(arguments: &Arguments) -> Result<(), anyhow::Error> {
    let all = arguments.gateway.json("/api/v1/clients").await?;
    say(&if arguments.json { serde_json::to_string_pretty(&all)? } else { table(&all) });
    Ok(())
}

async fn send_away(wanted: &Disconnect) -> Result<(), anyhow::Error> {
    let target = format!("/api/v1/clients/{}/disconnect?forget={}", escape(&wanted.id), wanted.forget);
    wanted.gateway.post(&target).await?.collect().await?;
    let done = if wanted.forget { "is sent away and its session ends" } else { "is sent away" };
    say(&format!("{} {done}", visible(&wanted.id)));
    Ok(())
}

const TITLES: [&str; 10] =
    ["client", "user", "address", "mqtt", "since", "filters", "queue", "in flight", "received", "sent"];

/// One line each, in columns as wide as they must be; what clients were last lost of behind them.
fn table(all: &Value) -> String {
    let clients: Vec<_> = all["clients"].as_array().into_iter().flatten().collect();
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(clients.iter().map(|client| row(client)));
    let mut lines = columns(&rows, 5);
    let there = clients.iter().filter(|client| client["connected"] == true).count();
    lines.push(format!("\n{there} connected, {} away", clients.len() - there));
    let errors = clients.iter().filter_map(|client| Some((text(client, "id"), client["last_error"].as_str()?)));
    lines.extend(errors.map(|(id, error)| format!("{id} was last lost: {}", visible(error))));
    lines.join("\n")
}

fn row(client: &Value) -> [String; 10] {
    let count = |pointer: &str| client.pointer(pointer).and_then(Value::as_u64).unwrap_or(0).to_string();
    let away = if client["connected"] == true { "" } else { "away " };
    // Without fractions of a second.
    let since = text(client, "since").split('.').next().unwrap_or_default().to_owned() + "Z";
    [
        text(client, "id"),
        text(client, "user"),
        text(client, "address"),
        format!("{} {}", text(client, "protocol"), text(client, "transport")),
        format!("{away}{since}"),
        client["subscriptions"].as_array().map_or(0, Vec::len).to_string(),
        count("/queue/messages"),
        count("/in_flight"),
        count("/received/messages"),
        count("/sent/messages"),
    ]
}

fn text(client: &Value, key: &str) -> String {
    visible(client[key].as_str().unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_client_and_no_text_of_theirs_steers_the_terminal() {
        let client = |id: &str, connected: bool| {
            serde_json::json!({
                "id": id, "connected": connected, "since": "2026-11-21T21:20:52.634107Z", "user": null,
                "address": "127.0.0.1:4711", "protocol": "5", "transport": "tls", "subscriptions": [{}, {}],
                "queue": {"messages": 3}, "in_flight": 1, "received": {"messages": 10}, "sent": {"messages": 20},
                "last_error": (!connected).then_some("gone\u{1b}"),
            })
        };
        let text = table(&serde_json::json!({ "clients": [client("a", true), client("b\u{1b}[2J", false)] }));
        let lines: Vec<_> = text.lines().collect();
        let words = ["a", "-", "127.0.0.1:4711", "5", "tls", "2026-11-21T21:20:52Z", "2", "3", "1", "10", "20"];
        assert!(lines[1].split_whitespace().eq(words), "{text}");
        assert!(lines[0].ends_with("sent") && lines[..3].iter().all(|line| line.len() == lines[0].len()), "{text}");
        assert!(lines[2].starts_with(r"b\u{1b}[2J  -") && lines[2].contains("away 2026"), "{text}");
        assert!(text.ends_with("\n1 connected, 1 away\nb\\u{1b}[2J was last lost: gone\\u{1b}"), "{text}");
    }
}
