//! What the spool writes, how fast it takes and gives, and what it needs.
//!
//! Messages with 200 bytes of payload, as records, in a folder of `target/`. *Batch by batch* is a remote that acknowledges
//! each batch when it is on disk: so many are appended, their receipts waited for, handed out, acknowledged; also where fewer
//! come than a batch has. The *outage* is a remote that is not there while all are appended, a batch at a time, and then takes
//! all. Each record is compared on its way out. Bytes are `write_bytes` of /proc/self/io: pages that the process made dirty,
//! those of the cursor included.
//!
//! Prints rows of a Markdown table. An argument is the number of messages of the outage.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs, reason = "a benchmark may be loud")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stile::message::{Clock, Message, MessageId, Origin, Promise, Receipt, Topic};
use stile::spool::{Policy, Priority, Reader, Spool, SpoolSettings};
use tokio::sync::Notify;

const PAYLOAD: usize = 200;
const OUTAGE: u64 = 2_000_000;
const ONLINE: u64 = 50_000;
/// What a client may have under way by many libraries' defaults.
const UNDER_WAY: u64 = 20;
const IDLE_AND: f64 = 10.0;
const DRAIN: f64 = 5000.0;

fn main() {
    let outage = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(OUTAGE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (batch, at_once, most) in
            [(100, 100, Some(2.0)), (10, 10, Some(6.0)), (1, 1, None), (100, UNDER_WAY, Some(6.0))]
        {
            online(batch, at_once, ONLINE / 100 * at_once.min(20), most).await;
        }
        through_an_outage(outage).await;
    });
}

fn row(what: &str, measured: &str, target: &str, met: bool) {
    println!("| {what} | {measured} | {target} | {} |", if met { "met" } else { "**missed**" });
}

/// A figure without a target.
fn information(what: &str, measured: &str) {
    println!("| {what} | {measured} | | |");
}

struct Subject {
    spool: Spool,
    reader: Reader,
    folder: tempfile::TempDir,
    topic: Topic,
    clock: Arc<Clock>,
}

impl Subject {
    fn new(batch: u64) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let settings = SpoolSettings {
            batch: usize::try_from(batch).unwrap(),
            max_bytes: 4 << 30,
            policy: Policy::Block,
            ..SpoolSettings::default()
        };
        let clock = Arc::new(Clock::default());
        let own = Arc::clone(&clock);
        let (spool, _) = Spool::open(folder.path(), "bench", settings, Arc::new(move || own.now())).unwrap();
        let reader = spool.reader().unwrap();
        Self { spool, reader, folder, topic: Topic::new("devices/boiler-room/reading").unwrap(), clock }
    }

    fn record(&self, number: u64) -> Bytes {
        let mut payload = vec![b'x'; PAYLOAD];
        payload[..8].copy_from_slice(&number.to_be_bytes());
        let id = MessageId { run: 1, sequence: number };
        let origin = Origin::Client("boiler-room".into());
        Message::new(id, self.clock.now(), origin, self.topic.clone(), payload).to_record().into()
    }

    /// Appends a batch and waits until all of it is on disk.
    async fn append(&self, numbers: std::ops::Range<u64>) {
        let mut waiting = Vec::new();
        for number in numbers {
            let told = Arc::new(Notify::new());
            let (receipt, awaited) = Receipt::new(Arc::clone(&told), None);
            self.spool.append(self.record(number), Priority::Bulk, Some(receipt)).await.unwrap();
            waiting.push((told, awaited));
        }
        for (told, awaited) in waiting {
            while awaited.promise() != Promise::Kept {
                told.notified().await;
            }
        }
    }

    /// Takes and acknowledges records up to number `end`.
    async fn take(&mut self, next: &mut u64, end: u64) {
        while *next < end {
            for record in self.reader.next_batch(100, 1 << 20).await.unwrap() {
                let message = Message::from_record(&record.bytes).unwrap();
                assert_eq!(message.payload[..8], next.to_be_bytes(), "in order and none lost");
                assert!(self.reader.acknowledge(record.seq));
                *next += 1;
            }
        }
    }
}

/// The number behind a word in a file of /proc/self.
fn own(file: &str, word: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(word)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn written() -> f64 {
    own("io", "write_bytes:")
}

fn resident_mib() -> f64 {
    own("status", "VmRSS:") / 1024.0
}

/// Bytes of all files below.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

/// So many `at_once` are appended, waited for, taken.
async fn online(batch: u64, at_once: u64, messages: u64, most: Option<f64>) {
    let mut subject = Subject::new(batch);
    let (before, start, mut next) = (written(), Instant::now(), 0);
    for first in (0..messages).step_by(at_once as usize) {
        subject.append(first..first + at_once).await;
        subject.take(&mut next, first + at_once).await;
    }
    let rate = messages as f64 / start.elapsed().as_secs_f64();
    subject.spool.flush().await.unwrap();
    let figure = (written() - before) / (messages as f64 * PAYLOAD as f64);
    let how = if at_once < batch { format!(", {at_once} of them at once") } else { String::new() };
    let what = format!(
        "Bytes written for each of payload, batches of {batch}{how} ({rate:.0} messages/s, {messages} messages)"
    );
    match most {
        Some(most) => row(&what, &format!("{figure:.2}"), &format!("≤ {most:.0}"), figure <= most),
        None => information(&what, &format!("{figure:.2}")),
    }
}

async fn through_an_outage(messages: u64) {
    let mut subject = Subject::new(100);
    subject.append(0..100).await;
    let mut next = 0;
    subject.take(&mut next, 100).await;
    let (idle, before, start) = (resident_mib(), written(), Instant::now());
    let mut most = idle;
    for first in (100..messages).step_by(100) {
        subject.append(first..first + 100).await;
        most = most.max(resident_mib());
    }
    let took = messages as f64 / start.elapsed().as_secs_f64();
    let queued = size(subject.folder.path()) >> 20;
    eprintln!("   {messages} messages in {:.0} s, {queued} MiB", start.elapsed().as_secs_f64());
    let start = Instant::now();
    while next < messages {
        let end = (next + 1000).min(messages);
        subject.take(&mut next, end).await;
        most = most.max(resident_mib());
    }
    let drain = messages as f64 / start.elapsed().as_secs_f64();
    let figure = (written() - before) / (messages as f64 * PAYLOAD as f64);
    tokio::time::sleep(Duration::from_millis(100)).await;
    subject.spool.flush().await.unwrap();
    let left = size(subject.folder.path()) as f64 / 1e6;
    information(&format!("Appended in an outage, messages/s ({messages}, in batches of 100)"), &format!("{took:.0}"));
    row("Drained afterwards, in order, messages/s", &format!("{drain:.0}"), &format!("≥ {DRAIN:.0}"), drain >= DRAIN);
    row("Bytes written for each of payload, appended and drained", &format!("{figure:.2}"), "≤ 2", figure <= 2.0);
    let more = most - idle;
    row("Resident memory at the most, above idle, MiB", &format!("{more:.1}"), "≤ 10", more <= IDLE_AND);
    row("Files after the drain, MB", &format!("{left:.2}"), "≤ 1", left <= 1.0);
}
