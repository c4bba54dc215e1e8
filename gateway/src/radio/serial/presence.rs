//! What is said of a port: in the log, on the `state` topic, in the gauge. Each thing once.
//!
//! A port may open and fail at once, twice a second and for ever. So one that did is taken for open again only when it
//! has held for [`SETTLED`], or when a byte has come. Never touches the port.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::reports::Reports;
use crate::config::SerialRadio;
use crate::radio::RadioStats;

/// A port that has been open for so long did not fail at once. With the pause between two tries it stays within the two
/// seconds in which a replugged port is to be back.
const SETTLED: Duration = Duration::from_secs(1);

/// What was said, and what is to be said.
pub(in crate::radio) struct Presence {
    name: String,
    /// Of the line, where there is one.
    baud: Option<u32>,
    stats: Arc<RadioStats>,
    path: PathBuf,
    said_open: bool,
    /// Why it is not open, as was said last.
    trouble: String,
    /// It failed at once the last time.
    doubtful: bool,
    /// When it will have held for long enough; `None` once it has, and while it is not open.
    settles_at: Option<Instant>,
}

impl Presence {
    pub(in crate::radio) fn new(radio: &SerialRadio, stats: &Arc<RadioStats>) -> Self {
        Self { baud: Some(radio.kind.line().baud), ..Self::without_port(&radio.name, stats) }
    }

    /// Of a device that others have the port of.
    pub(in crate::radio) fn without_port(name: &str, stats: &Arc<RadioStats>) -> Self {
        Self {
            name: name.to_owned(),
            baud: None,
            stats: Arc::clone(stats),
            path: PathBuf::new(),
            said_open: false,
            trouble: String::new(),
            doubtful: false,
            settles_at: None,
        }
    }

    /// The port is open, under this path.
    pub(in crate::radio) async fn opened(&mut self, path: PathBuf, reports: &Reports) {
        RadioStats::add(&self.stats.opened, 1);
        self.stats.seen.opened(&path);
        self.path = path;
        self.settles_at = Some(Instant::now() + SETTLED);
        if !self.doubtful {
            self.say_open(reports).await;
        }
    }

    /// When [`settled`](Self::settled) is to be called.
    pub(in crate::radio) fn settles_at(&self) -> Option<Instant> {
        self.settles_at
    }

    /// A byte has come, or it is time: the port did not fail at once.
    pub(in crate::radio) async fn settled(&mut self, reports: &Reports) {
        if self.settles_at.take().is_some() && !self.said_open {
            self.say_open(reports).await;
        }
    }

    /// The port was open and is gone.
    pub(in crate::radio) async fn lost(&mut self, reason: String, reports: &Reports) {
        self.stats.online.store(false, Ordering::Relaxed);
        self.doubtful = self.settles_at.take().is_some();
        if std::mem::take(&mut self.said_open) || reason != self.trouble {
            log::warn!(radio = self.name.as_str(), device:% = self.path.display(), error = reason.as_str();
                "port lost; it is opened again when it is back");
            self.say_closed(reason, reports).await;
        }
    }

    /// The port would not open.
    pub(in crate::radio) async fn not_opened(&mut self, trouble: String, reports: &Reports) {
        self.doubtful = false;
        if trouble != self.trouble {
            log::warn!(radio = self.name.as_str(), error = trouble.as_str();
                "port not open; tried again until it is");
            self.say_closed(trouble, reports).await;
        }
    }

    /// The radio has stopped.
    pub(in crate::radio) async fn stopped(&mut self, reports: &Reports) {
        self.stats.online.store(false, Ordering::Relaxed);
        reports.state(None, "the radio was stopped").await;
    }

    async fn say_open(&mut self, reports: &Reports) {
        let (radio, device) = (self.name.as_str(), self.path.display());
        match self.baud {
            Some(baud) => log::info!(radio = radio, device:% = device, baud = baud; "port open"),
            None => log::info!(radio = radio, device:% = device; "device found"),
        }
        (self.said_open, self.trouble) = (true, String::new());
        self.stats.online.store(true, Ordering::Relaxed);
        reports.state(Some(&self.path), "open").await;
    }

    async fn say_closed(&mut self, reason: String, reports: &Reports) {
        self.stats.seen.failed(reason.as_str());
        reports.state(None, &reason).await;
        self.trouble = reason;
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::config::SimulatedDevice;
    use crate::pipeline::Pipeline;
    use crate::radio::Topics;

    struct Bench {
        delivered: crate::pipeline::Intake,
        stats: Arc<RadioStats>,
        reports: Reports,
        presence: Presence,
    }

    fn bench() -> Bench {
        let (pipeline, delivered) = Pipeline::new(1);
        let radio = Arc::new(SerialRadio::simulated("a", SimulatedDevice::Line, 1));
        let stats = Arc::default();
        let reports = Reports::new(&radio, Topics::new("a").unwrap(), pipeline, Arc::clone(&stats));
        Bench { delivered, presence: Presence::new(&radio, &stats), stats, reports }
    }

    impl Bench {
        async fn open(&mut self) {
            self.presence.opened("/dev/x".into(), &self.reports).await;
        }

        async fn lose(&mut self, reason: &str) {
            self.presence.lost(reason.into(), &self.reports).await;
        }

        async fn settle(&mut self) {
            self.presence.settled(&self.reports).await;
            assert_eq!(self.presence.settles_at(), None);
        }

        /// What was said since the last time: `online`, or the reason. The gauge must agree with the last.
        fn said(&mut self) -> Vec<String> {
            let mut said = Vec::new();
            while let Ok(crate::pipeline::Delivered { message, .. }) = self.delivered.try_recv() {
                let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                said.push(body["reason"].as_str().unwrap_or("online").to_owned());
            }
            if let Some(last) = said.last() {
                assert_eq!(self.stats.online.load(Ordering::Relaxed), last == "online");
            }
            said
        }
    }

    #[tokio::test]
    async fn a_port_that_fails_at_once_again_and_again_is_said_to_be_gone_once_and_open_when_it_holds() {
        let mut bench = bench();
        for _ in 0..5 {
            bench.open().await;
            bench.lose("hung up").await;
        }
        assert_eq!(bench.said(), ["online", "hung up"]);
        bench.open().await;
        assert_eq!(bench.said(), [""; 0], "nobody knows yet");
        bench.settle().await;
        assert_eq!(bench.said(), ["online"]);
        bench.lose("hung up").await;
        bench.open().await;
        assert_eq!(bench.said(), ["hung up", "online"], "it had held, so it is believed at once");
    }

    #[tokio::test]
    async fn another_reason_is_said_and_a_port_that_was_away_meanwhile_is_believed() {
        let mut bench = bench();
        for reason in ["hung up", "hung up", "out of order", "out of order"] {
            bench.open().await;
            bench.lose(reason).await;
        }
        assert_eq!(bench.said(), ["online", "hung up", "out of order"]);
        for _ in 0..2 {
            bench.presence.not_opened("not there".into(), &bench.reports).await;
        }
        bench.open().await;
        assert_eq!(bench.said(), ["not there", "online"]);
        bench.presence.stopped(&bench.reports).await;
        assert_eq!(bench.said(), ["the radio was stopped"]);
    }
}
