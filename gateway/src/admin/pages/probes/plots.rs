//! Which charts each kind of probe has. Pure.

use crate::chart::Unit;

/// What several results of one step come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum How {
    Mean,
    Most,
}

/// What a line is called, the key of its values, and what several of them come to.
pub(super) type LineOf = (&'static str, &'static str, How);

/// A chart that there can be.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    /// Drawn only where there is something.
    pub(super) only_if_any: bool,
    pub(super) lines: &'static [LineOf],
}

impl Plot {
    const fn of(id: &'static str, title: &'static str, unit: Unit, lines: &'static [LineOf]) -> Self {
        Self { id, title, unit, only_if_any: false, lines }
    }

    const fn if_any(self) -> Self {
        Self { only_if_any: true, ..self }
    }

    /// From what results have, milliseconds and hundredths, to what the chart has.
    pub(super) fn scale(&self) -> f64 {
        if self.unit == Unit::Micros { 1e3 } else { 1.0 }
    }
}

const ROUND_TRIP: Plot = Plot::of(
    "c-rtt",
    "Round trip",
    Unit::Micros,
    &[("median", "rtt_ms_p50", How::Mean), ("slowest", "rtt_ms_max", How::Most)],
);
const LOSS: Plot = Plot::of("c-loss", "Loss", Unit::Percent, &[("lost", "loss_percent", How::Mean)]);
const JITTER: Plot = Plot::of("c-jitter", "Jitter", Unit::Micros, &[("jitter", "jitter_ms", How::Mean)]);
const ONE_WAY: Plot = Plot::of(
    "c-one-way",
    "One way, median",
    Unit::Micros,
    &[("there", "forward_ms_p50", How::Mean), ("back", "backward_ms_p50", How::Mean)],
)
.if_any();
const ACKNOWLEDGED: Plot = Plot::of(
    "c-acknowledged",
    "From a message to its acknowledgement",
    Unit::Micros,
    &[("acknowledged", "rtt_ms", How::Mean)],
);
const CONNECTED: Plot =
    Plot::of("c-connected", "Until connected, with TLS", Unit::Micros, &[("connected", "connect_ms", How::Mean)]);
const THROUGHPUT: Plot = Plot::of(
    "c-throughput",
    "Throughput in bit/s",
    Unit::BitsPerSecond,
    &[("throughput", "throughput_bit_s", How::Mean)],
);
const FAILED: Plot =
    Plot::of("c-failed", "Share of results that failed", Unit::Percent, &[("failed", "ok", How::Mean)]).if_any();

pub(super) fn plots(kind: &str) -> &'static [&'static Plot] {
    match kind {
        "stamp" => &[&ROUND_TRIP, &LOSS, &JITTER, &ONE_WAY, &FAILED],
        "dns" => &[&ROUND_TRIP, &LOSS, &FAILED],
        "mqtt" => &[&ACKNOWLEDGED, &CONNECTED, &FAILED],
        "tcp" => &[&THROUGHPUT, &FAILED],
        _ => &[&THROUGHPUT, &LOSS, &JITTER, &FAILED],
    }
}
