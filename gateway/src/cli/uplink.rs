//! `stile uplink`: how remote brokers are, and one try of one of them.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::gateway::Gateway;
use super::text::{columns, visible};
use super::{ConfigFile, fail, runtime, say, wrong_settings};
use crate::clock::quality;
use crate::config::Takes;
use crate::message::Clock;
use crate::uplink::{Limits, Step, probe, test_client_id};

/// Show the remote brokers of a running gateway, or try one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile uplink status
  stile uplink status --json | jq '.uplinks[].queue'
  stile uplink test cloud")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How each remote is, what waits for it and what was lost
    #[command(after_help = "\
Examples:
  stile uplink status
  stile uplink status --json | jq '.uplinks[] | select(.state == \"offline\")'")]
    Status(Status),
    /// Try a remote: connect as the settings say, publish one message, say what the remote takes
    #[command(after_help = "\
Needs no running gateway, and disturbs none: it connects under another client id. Only to an Azure IoT hub it goes as the
device that it is, which takes the connection from a running gateway for a moment. The message goes to
stile/<gateway>/uplink/<name>/probe, which the remote must allow. Where the uplink has several paths, each is tried in
turn. Exit code: 0 when the remote has acknowledged the message, over each of them.

Examples:
  stile uplink test cloud
  stile uplink test cloud --client-id roof --config ./stile.toml")]
    Test(Test),
}

#[derive(Debug, clap::Args)]
struct Status {
    /// All that is known, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: Gateway,
}

#[derive(Debug, clap::Args)]
struct Test {
    /// The uplink's name in the settings
    #[arg(value_name = "NAME")]
    name: String,
    /// The client id to connect under; without it, that of the settings with `-test` behind it, or a hub's device
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.what {
        What::Status(status) => {
            match runtime().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(show(status))) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            }
        }
        What::Test(wanted) => test(wanted),
    }
}

fn test(wanted: &Test) -> ExitCode {
    let settings = match wanted.file.load() {
        Ok(loaded) => loaded.settings,
        Err(problems) => return wrong_settings(&problems),
    };
    let Some(mut uplink) = settings.uplink.iter().find(|uplink| uplink.name == wanted.name).cloned() else {
        let names: Vec<_> = settings.uplink.iter().map(|uplink| uplink.name.as_str()).collect();
        let known =
            if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
        return fail(&format!("the settings have no uplink {}; {known}", visible(&wanted.name)));
    };
    uplink.client_id = wanted.client_id.clone().unwrap_or_else(|| test_client_id(&uplink));
    say(&format!("{}: {} as {}", uplink.name, uplink.url, visible(&uplink.client_id)));
    if uplink.hub.is_some() {
        say("a hub lets each device in once: a running gateway loses its connection for a moment, and nothing else");
    }
    let clock = Clock::default();
    clock.set_quality(quality());
    let tried = runtime().map_err(|error| error.to_string());
    let tried = tried.and_then(|runtime| {
        runtime.block_on(probe(&uplink, &settings.gateway.id, clock.now(), |step| {
            step_lines(&step, &uplink.takes()).iter().for_each(|line| say(line));
        }))
    });
    match tried {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&visible(&error)),
    }
}

fn step_lines(step: &Step, takes: &Takes) -> Vec<String> {
    match step {
        Step::Path(name) => vec![format!("path {}", visible(name))],
        Step::Connected { to, from, proxy: None } => vec![format!("connected to {to} from {}", from.ip())],
        Step::Connected { to, from, proxy: Some(proxy) } => {
            vec![format!("connected to {to} from {}", from.ip()), format!("the proxy {proxy} has reached the remote")]
        }
        Step::Tls(agreed) => vec![
            format!("{} with {}", agreed.version, agreed.cipher),
            format!(
                "certificate {}, until {}",
                agreed.certificate,
                agreed.ends.as_deref().unwrap_or("an unknown time")
            ),
            format!("key {} (for `pin`, it outlives a renewal)", agreed.key),
        ],
        Step::WebSocket(at) => vec![format!("WebSocket at {at}, for the subprotocol mqtt")],
        Step::Joined(limits) => vec!["let in".to_owned(), limits_line(limits, takes)],
        Step::Acknowledged(topic, after) => {
            vec![format!("a message to {topic} was acknowledged after {} ms", after.as_millis())]
        }
    }
}

/// What the remote says, and what brokers of its kind take besides.
fn limits_line(limits: &Limits, takes: &Takes) -> String {
    let size = limits.maximum_packet_size.map_or("any size".to_owned(), |bytes| format!("{bytes} bytes"));
    let payload = takes.payload.map(|bytes| format!(" with payloads of {bytes} bytes")).unwrap_or_default();
    let retains = limits.retain_available && takes.retain;
    let retained = if retains { "retained messages" } else { "no retained messages" };
    let under_way = limits.receive_maximum.min(takes.in_flight.unwrap_or(u16::MAX));
    let qos = limits.maximum_qos.min(takes.qos as u8);
    format!(
        "takes: packets of {size}{payload}, QoS up to {qos}, {under_way} messages under way, {retained}; keep-alive {} s",
        limits.keep_alive
    )
}

async fn show(status: &Status) -> Result<(), anyhow::Error> {
    let all = status.gateway.json("/api/v1/uplinks").await?;
    say(&if status.json { serde_json::to_string_pretty(&all)? } else { table(&all) });
    Ok(())
}

const TITLES: [&str; 9] =
    ["uplink", "remote", "state", "since", "queue", "oldest", "drained in", "delivered", "dropped"];

/// One line each, in columns as wide as they must be; what went wrong last behind them.
fn table(all: &Value) -> String {
    let uplinks: Vec<_> = all["uplinks"].as_array().into_iter().flatten().collect();
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(uplinks.iter().map(|uplink| row(uplink)));
    let mut lines = columns(&rows, 4);
    for uplink in uplinks {
        let name = text(uplink, "name");
        let errors = [(&uplink["last_error"], "last error"), (&uplink["queue"]["last_error"], "its disk")];
        let errors = errors.into_iter().filter_map(|(error, what)| Some((what, error.as_str()?)));
        lines.extend(errors.map(|(what, error)| format!("{name}, {what}: {}", visible(error))));
        lines.extend(paths(uplink).map(|line| format!("{name}, {line}")));
        for what in ["dropped", "withheld"] {
            let counts = uplink[what].as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0));
            lines.extend(counts.map(|(reason, count)| format!("{name}, {what} as {reason}: {count}")));
        }
    }
    lines.join("\n")
}

/// What is known of an uplink's paths, a line each.
fn paths(uplink: &Value) -> impl Iterator<Item = String> {
    let gap = uplink["path_gap_seconds"].as_f64();
    let gap = gap.map(|gap| format!(", the change to it took {gap:.1} s")).unwrap_or_default();
    let all = uplink["paths"].as_array().into_iter().flatten();
    all.map(move |path| {
        let used = if path["current"] == true { format!("in use{gap}") } else { "not in use".to_owned() };
        let failed =
            path["failed"].as_u64().filter(|failed| *failed > 0).map(|failed| format!("; failed {failed} times"));
        let error = path["last_error"].as_str().map(|error| format!(", last: {}", visible(error)));
        format!("path {}: {used}{}{}", text(path, "name"), failed.unwrap_or_default(), error.unwrap_or_default())
    })
}

fn row(uplink: &Value) -> [String; 9] {
    let count = |value: &Value| value.as_u64().map_or("-".to_owned(), |count| count.to_string());
    let seconds = |value: &Value| value.as_f64().map_or("-".to_owned(), |seconds| format!("{seconds:.0} s"));
    let dropped =
        uplink["dropped"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum::<u64>();
    // Without fractions of a second.
    let since = text(uplink, "since").split('.').next().unwrap_or_default().to_owned();
    [
        text(uplink, "name"),
        text(uplink, "url"),
        text(uplink, "state"),
        since,
        count(&uplink["queue"]["messages"]),
        seconds(&uplink["queue"]["oldest_seconds"]),
        seconds(&uplink["seconds_to_drain"]),
        count(&uplink["delivered"]),
        dropped.to_string(),
    ]
}

fn text(uplink: &Value, key: &str) -> String {
    visible(uplink[key].as_str().unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_uplink_and_says_what_went_wrong() {
        let uplink = serde_json::json!({
            "name": "cloud", "url": "mqtt://host:1883", "state": "offline", "since": "2026-11-21T21:20:52.634107Z",
            "queue": { "messages": 3, "oldest_seconds": 61.4, "last_error": null }, "seconds_to_drain": null,
            "delivered": 7, "dropped": { "too-large": 2, "refused": 0 }, "withheld": { "topic": 5, "not-json": 0 },
            "last_error": "lost\u{1b}",
            "path_gap_seconds": 3.21, "paths": [
                { "name": "wwan0", "current": false, "failed": 2, "last_error": "gone" }, { "name": "b", "current": true },
            ],
        });
        let text = table(&serde_json::json!({ "uplinks": [uplink] }));
        let lines: Vec<_> = text.lines().collect();
        let words = ["cloud", "mqtt://host:1883", "offline", "2026-11-21T21:20:52", "3", "61", "s", "-", "7", "2"];
        assert!(lines[1].split_whitespace().eq(words), "{text}");
        let more = [
            "cloud, last error: lost\\u{1b}",
            "cloud, path wwan0: not in use; failed 2 times, last: gone",
            "cloud, path b: in use, the change to it took 3.2 s",
            "cloud, dropped as too-large: 2",
            "cloud, withheld as topic: 5",
        ];
        assert_eq!(lines[2..], more);
    }
}
