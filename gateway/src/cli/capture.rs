//! `stile capture`: what a LoRa radio hears, as a pcap stream.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::gateway::{Gateway, Lines};
use super::text::visible;
use super::{complain, fail, runtime};
use crate::message::Message;
use crate::radio::lora::heard;
use crate::radio::lora::tap::{self, Heard, Version};

/// Write what a LoRa radio of the running gateway hears to a file that Wireshark opens
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It goes on until it is interrupted. A LoRa modem's frames are there with `envelope = \"json\"`, its default.

Examples:
  stile capture --radio roof --pcap frames.pcap
  stile capture --radio roof --pcap - | wireshark -k -i -
  stile capture --radio roof --loratap 0 --pcap - | tshark -r -      Wireshark up to 4.0")]
pub(super) struct Arguments {
    /// The radio's name in the settings
    #[arg(long, value_name = "NAME")]
    radio: String,
    /// Where to write; - is standard output
    #[arg(long, value_name = "FILE")]
    pcap: PathBuf,
    /// The LoRaTap header's version: 1 has the gateway and the checksum, 0 is what Wireshark up to 4.0 reads
    #[arg(long, value_name = "VERSION", default_value = "1", value_parser = clap::value_parser!(u8).range(0..=1))]
    loratap: u8,
    /// Stop after this many frames
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    gateway: Gateway,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = runtime().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(capture(arguments)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn capture(arguments: &Arguments) -> Result<(), anyhow::Error> {
    is_there(arguments).await?;
    let mut lines = Lines::of(arguments.gateway.get("/api/v1/tap").await?);
    let mut out = Out::open(arguments)?;
    let version = if arguments.loratap == 0 { Version::V0 } else { Version::V1 };
    let (mut left, origin) = (arguments.count.unwrap_or(u64::MAX), format!("radio:{}", arguments.radio));
    let mut record = tap::header();
    // The header at once, so that whoever reads a pipe sees that it is one.
    while out.write(&record)? {
        record.clear();
        if left == 0 {
            break;
        }
        let Some(heard) = next(&mut lines, &origin).await? else { break };
        tap::record(&heard, version, &mut record);
        left -= 1;
    }
    Ok(())
}

/// A name that no radio has would wait for ever.
async fn is_there(arguments: &Arguments) -> Result<(), anyhow::Error> {
    let ledger = arguments.gateway.json("/api/v1/ledger").await?;
    let Some(radios) = ledger["radios"].as_object().filter(|radios| !radios.contains_key(&arguments.radio)) else {
        return Ok(());
    };
    let names: Vec<&str> = radios.keys().map(String::as_str).collect();
    let there = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
    anyhow::bail!("the gateway has no radio `{}`; {there}", visible(&arguments.radio))
}

/// The next frame that the radio heard; `None` when the gateway has ended.
async fn next(lines: &mut Lines, origin: &str) -> Result<Option<Heard>, anyhow::Error> {
    while let Some(line) = lines.next().await? {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        if let Some(missed) = message["missed"].as_u64() {
            complain(&format!("stile: {missed} messages missed: this reader is too slow"));
        }
        if message["origin"] == *origin
            && let Some(heard) = heard(&message)
        {
            return Ok(Some(heard));
        }
    }
    Ok(None)
}

fn heard(message: &Value) -> Option<Heard> {
    let text = |key: &str| message[key].as_str();
    let payload = Message::read_payload(text("encoding")?, text("payload")?.to_owned())?;
    heard::of_message(text("topic")?, &payload, humantime::parse_rfc3339(text("time")?).ok()?)
}

/// Where it goes.
enum Out {
    Standard,
    File(File),
}

impl Out {
    fn open(arguments: &Arguments) -> Result<Self, anyhow::Error> {
        let path = &arguments.pcap;
        if path.as_os_str() == "-" {
            return Ok(Self::Standard);
        }
        let file = File::create(path).map_err(|error| {
            anyhow::anyhow!("can't write {}: {error}; name a file in a folder that you may write", path.display())
        })?;
        Ok(Self::File(file))
    }

    /// Writes it through. False when nobody reads any more, as after `| head`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let mut standard = io::stdout().lock();
        let written = match self {
            Self::Standard => standard.write_all(bytes).and_then(|()| standard.flush()),
            Self::File(file) => file.write_all(bytes),
        };
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error),
        }
    }
}
