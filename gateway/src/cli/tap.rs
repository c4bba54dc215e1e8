//! `stile tap`: live messages of a running gateway.

use std::process::ExitCode;

use serde_json::Value;

use super::gateway::{Gateway, Lines};
use super::text::{escape, visible};
use super::{fail, runtime, say};

/// Print a running gateway's messages as they come, one line each
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A slow reader misses messages and is told how many.

Examples:
  stile tap
  stile tap 'serial/+/up'
  stile tap --json 'serial/meter/#' | jq .payload
  stile tap --url https://gateway.example:8443 --token-file token --ca ca.pem")]
pub(super) struct Arguments {
    /// Topic filter, in quotes for the shell's sake
    #[arg(value_name = "FILTER", default_value = "#")]
    filter: String,
    /// One JSON object a line, with id, origin, times and payload
    #[arg(long)]
    json: bool,
    /// Stop after this many messages
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    gateway: Gateway,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = runtime().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(tap(arguments)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn tap(arguments: &Arguments) -> Result<(), anyhow::Error> {
    let body = arguments.gateway.get(&format!("/api/v1/tap?filter={}", escape(&arguments.filter))).await?;
    let (mut lines, mut left) = (Lines::of(body), arguments.count.unwrap_or(u64::MAX));
    while let Some(line) = lines.next().await? {
        say(&if arguments.json { line.trim_end().to_owned() } else { readable(&line) });
        left -= 1;
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// `time topic payload`, in which no byte steers the terminal.
fn readable(line: &str) -> String {
    let Ok(message) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    if let Some(missed) = message["missed"].as_u64() {
        return format!("... {missed} messages missed: this reader is too slow");
    }
    let text = |key: &str| visible(message[key].as_str().unwrap_or_default());
    let marker = if text("encoding") == "base64" { " (base64)" } else { "" };
    format!("{} {}{marker} {}", text("time"), text("topic"), text("payload"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_payload_nor_topic_can_steer_the_terminal() {
        let line = r#"{"time":"T","topic":"a\u001b/b","encoding":"text","payload":"x\u001b[2J\ny"}"#;
        assert_eq!(readable(line), r"T a\u{1b}/b x\u{1b}[2J\ny");
        assert!(readable(r#"{"missed":3}"#).contains("3 messages missed"));
    }
}
