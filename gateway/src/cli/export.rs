//! `stile export`: what a running gateway has kept of measurements, as a file.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::gateway::Gateway;
use super::text::escape;
use super::{complain, fail, runtime};
use crate::series::Format;

/// How often it is said how far it is.
const PROGRESS: Duration = Duration::from_secs(1);

/// Write what a running gateway has kept of measurements to a file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Times are RFC 3339, a date and time of UTC, or how long ago. What is kept, and how long, is set in [measurements].

Examples:
  stile export --from 1h --topic 'cellular/+/signal' --output signal.csv
  stile export --from 2026-11-27T09:00:00Z --to 2026-11-27T10:00:00Z --format influx
  stile export --format geojson --output drive.geojson
  stile export --columns time,position_lat,position_lon,nr_rsrp --topic 'cellular/wwan/signal'
  stile export --url https://gateway.example:8443 --token-file token --ca ca.pem --output all.csv")]
pub(super) struct Arguments {
    /// Nothing before this
    #[arg(long, value_name = "TIME", default_value = "")]
    from: String,
    /// Nothing from this on
    #[arg(long, value_name = "TIME", default_value = "")]
    to: String,
    /// Only under this topic filter, in quotes for the shell's sake; may be repeated
    #[arg(long, value_name = "FILTER")]
    topic: Vec<String>,
    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = Format::ALL.map(Format::as_str))]
    format: String,
    /// The columns of CSV, with commas in between; without it, the usual ones
    #[arg(long, value_name = "NAMES", default_value = "")]
    columns: String,
    /// Where to write; without it, standard output
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    gateway: Gateway,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = runtime().map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(export(arguments)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn export(arguments: &Arguments) -> Result<(), anyhow::Error> {
    // One may have a blank.
    let topics: String = arguments.topic.iter().map(|filter| format!("{filter}\n")).collect();
    let wanted = [
        ("from", arguments.from.as_str()),
        ("to", &arguments.to),
        ("topic", &topics),
        ("format", &arguments.format),
        ("columns", &arguments.columns),
    ];
    let query: Vec<_> = wanted.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
    let body = arguments.gateway.get(&format!("/api/v1/measurements?{}", query.join("&"))).await?;
    let Some(path) = &arguments.output else {
        let cannot = |error: &io::Error| anyhow::anyhow!("can't write to standard output: {error}");
        copy(body, &mut io::stdout().lock(), cannot).await?;
        return Ok(());
    };
    // Whole or not at all: half a file would pass for all there is.
    let partial = PathBuf::from(format!("{}.part", path.display()));
    let file = File::create(&partial).map_err(|error| cannot_write(&partial, &error))?;
    let written = copy(body, &mut &file, |error| cannot_write(&partial, error)).await;
    let kept = written.and_then(|written| {
        // The name may outlast a power cut before the bytes do.
        file.sync_all().map_err(|error| cannot_write(&partial, &error))?;
        std::fs::rename(&partial, path).map_err(|error| cannot_write(path, &error))?;
        Ok(written)
    });
    if kept.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    let written = kept?;
    complain(&format!("{written} bytes written to {}", path.display()));
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there, or name a file elsewhere",
        _ => "name a file in a folder that you may write",
    };
    anyhow::anyhow!("can't write {}: {error}; {remedy}", path.display())
}

/// Writes a body as it comes, and says now and then how far it is. Ends where nobody reads any more, as after `| head`.
/// What else keeps it from writing is told by `cannot`.
async fn copy(
    mut body: Incoming,
    out: &mut impl Write,
    cannot: impl Fn(&io::Error) -> anyhow::Error,
) -> Result<u64, anyhow::Error> {
    let (mut written, mut told) = (0_u64, Instant::now());
    let watched = io::stderr().is_terminal();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            anyhow::anyhow!("the gateway broke off after {written} bytes: {error}; its log says why")
        })?;
        let Ok(data) = frame.into_data() else { continue };
        match out.write_all(&data) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(written),
            done => done.map_err(|error| cannot(&error))?,
        }
        written += data.len() as u64;
        if watched && told.elapsed() >= PROGRESS {
            complain(&format!("{written} bytes"));
            told = Instant::now();
        }
    }
    match out.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(written),
        done => done.map(|()| written).map_err(|error| cannot(&error)),
    }
}
