//! For the fuzz targets `lora_udp`, `lora_station` and `lora_modem`, and for the tests that play their corpora: what must hold
//! for anything that comes from outside.
//!
//! Built for these alone. An input is a script (`tests/fuzz/src/script.rs`): bytes with marks between them.

#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "tests of several rooms share it, and no room may import another's")]
#[path = "../../../../tests/fuzz/src/corpus.rs"]
pub(in crate::radio) mod corpus;
#[path = "../../../../tests/fuzz/src/script.rs"]
pub(in crate::radio) mod script;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Runtime;

use super::LoraStats;
use super::gw::{self, GatewayStats, UplinkFrame};
use crate::config::{CrcFilter, LoraFilter, LoraFormat, LoraKind, LoraRadio};
use crate::message::Message;
use crate::pipeline::{Delivered, Intake, Pipeline};
use crate::radio::RadioStats;
use crate::radio::serial::framing::{Decoded, Decoder};

pub use super::modem::fuzzed::play as modem;
pub use super::station::fuzzed::play as station;
pub use super::udp::fuzzed::play as udp;

/// Messages that are taken out of the pipeline at once.
const BATCH: usize = 64;

thread_local! {
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the system has room for one");
}

/// The lines that bytes off a port complete.
pub(in crate::radio) fn lines(decoder: &mut dyn Decoder, bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    decoder.decode(bytes, &mut |decoded| {
        if let Decoded::Frame { payload, .. } = decoded {
            lines.push(String::from_utf8_lossy(&payload).into_owned());
        }
    });
    lines
}

/// Runs what needs a runtime.
pub(super) fn run<F: Future>(future: F) -> F::Output {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// A radio that lets all frames pass, and in which way its events are written.
pub(super) fn radio(kind: LoraKind, format: LoraFormat) -> LoraRadio {
    let filter = LoraFilter { crc: CrcFilter::Any, ..LoraFilter::default() };
    LoraRadio { kind, format, filter, ..LoraRadio::usual("fuzzed") }
}

/// What comes out of the pipeline while `work` is done.
pub(super) async fn while_doing<F: Future>(intake: &mut Intake, work: F) -> (F::Output, Vec<Arc<Message>>) {
    let (mut messages, mut batch) = (Vec::new(), Vec::new());
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                while !intake.is_empty() {
                    take(intake, &mut batch, &mut messages).await;
                }
                return (done, messages);
            }
            () = take(intake, &mut batch, &mut messages) => {}
        }
    }
}

async fn take(intake: &mut Intake, batch: &mut Vec<Delivered>, messages: &mut Vec<Arc<Message>>) {
    intake.take(batch, BATCH).await;
    messages.extend(batch.drain(..).map(|delivered| delivered.message));
    intake.done();
}

/// How often something was refused. Each refusal is counted under one reason, in the radio's counters and in the ledger's.
pub(super) fn refused(stats: &RadioStats, pipeline: &Pipeline) -> u64 {
    let by_reason = stats.lora.as_ref().map_or(0, |lora: &LoraStats| lora.refusals().map(|(_, count)| count).sum());
    let ledger = pipeline.ledger().snapshot();
    assert!(ledger.balances());
    assert_eq!(stats.frames_rejected.load(Ordering::Relaxed), by_reason);
    assert_eq!(ledger.dropped_total(), by_reason);
    by_reason
}

/// A frame's message can be read again, says the same in both forms, and its numbers are such as there can be.
pub(super) fn check_frame(payload: &[u8]) {
    let frame: UplinkFrame = gw::decode(payload).expect("a frame's message can be read");
    for format in [LoraFormat::Json, LoraFormat::Protobuf] {
        assert_eq!(gw::decode::<UplinkFrame>(&gw::encode(&frame, format)).as_ref(), Ok(&frame), "{format:?}");
    }
    let (sent, heard) = (frame.tx_info.expect("how it was sent"), frame.rx_info.expect("how it was heard"));
    assert!(frame.phy_payload.len() <= super::airtime::PHY_MAX);
    assert!((100_000_000..2_500_000_000).contains(&sent.frequency), "{} Hz", sent.frequency);
    assert!(heard.snr.is_finite() && heard.snr.abs() <= 1000.0);
    let modulation = sent.modulation.expect("a modulation");
    let kinds = [modulation.lora.is_some(), modulation.fsk.is_some(), modulation.lr_fhss.is_some()];
    assert_eq!(kinds.iter().filter(|is| **is).count(), 1);
    if let Some(lora) = modulation.lora {
        assert!((5..=12).contains(&lora.spreading_factor) && [125_000, 250_000, 500_000].contains(&lora.bandwidth));
    }
}

/// The same of statistics.
pub(super) fn check_stats(payload: &[u8]) {
    let stats: GatewayStats = gw::decode(payload).expect("statistics can be read");
    for format in [LoraFormat::Json, LoraFormat::Protobuf] {
        assert_eq!(gw::decode::<GatewayStats>(&gw::encode(&stats, format)).as_ref(), Ok(&stats), "{format:?}");
    }
    if let Some(place) = stats.location {
        assert!(place.latitude.abs() <= 90.0 && place.longitude.abs() <= 180.0 && place.altitude.is_finite());
    }
}

#[cfg(test)]
mod tests {
    use super::corpus::{corpus, play_changed};
    use super::*;

    /// How often each input is changed.
    const CHANGES: usize = 100;

    fn play(target: &str, play: fn(&[u8])) {
        corpus(target).iter().for_each(|input| play(input));
        play_changed(target, CHANGES, play);
    }

    #[test]
    fn each_datagram_of_the_corpus_is_taken_or_refused_once() {
        play("lora_udp", udp);
    }

    #[test]
    fn each_message_of_stations_in_the_corpus_is_taken_or_refused_once() {
        play("lora_station", station);
    }

    #[test]
    fn each_line_of_modems_in_the_corpus_is_taken_or_dropped_once() {
        play("lora_modem", modem);
    }
}
