//! CSV (RFC 4180): a header, one line a message, CRLF.
//!
//! Which columns there are does not depend on the data. What has none is in `other`, as a JSON object. A text that a
//! spreadsheet would take for a formula, as it begins with `=`, `+`, `-`, `@`, a tab or a carriage return, gets an
//! apostrophe before it (OWASP, CSV Injection); numbers stay numbers.

use serde_json::{Map, Value, json};

use super::{Field, Measurement};

/// The columns that a file has unless others are wanted.
pub const COLUMNS: &[&str] = &[
    "time",
    "topic",
    "name",
    "clock",
    "timing_source",
    "timing_offset_s",
    "timing_error_s",
    "position_lat",
    "position_lon",
    "position_alt_m",
    "position_age_s",
    "position_quality",
    "position_hdop",
    "position_sats",
    "position_error_m",
    "position_source",
    "seq",
    "technology",
    "registration",
    "activity",
    "operator",
    "lte_rsrp",
    "lte_rsrq",
    "lte_rssi",
    "lte_sinr",
    "lte_cqi",
    "lte_tx_power",
    "lte_timing_advance",
    "lte_plmn",
    "lte_cell",
    "lte_pci",
    "lte_tac",
    "lte_arfcn",
    "lte_band",
    "lte_bandwidth",
    "nr_rsrp",
    "nr_rsrq",
    "nr_rssi",
    "nr_sinr",
    "nr_cqi",
    "nr_tx_power",
    "nr_timing_advance",
    "nr_plmn",
    "nr_cell",
    "nr_pci",
    "nr_tac",
    "nr_arfcn",
    "nr_band",
    "nr_bandwidth",
    "event",
    "took_seconds",
    "kind",
    "ok",
    "error",
    "target",
    "address",
    "interface",
    "path",
    "direction",
    "sent",
    "received",
    "lost",
    "duplicates",
    "reordered",
    "loss_percent",
    "rtt_ms",
    "rtt_ms_min",
    "rtt_ms_mean",
    "rtt_ms_p50",
    "rtt_ms_p90",
    "rtt_ms_p99",
    "rtt_ms_max",
    "jitter_ms",
    "ipdv_ms_mean",
    "ipdv_ms_max",
    "one_way_valid",
    "forward_ms_p50",
    "backward_ms_p50",
    "one_way_error_ms",
    "throughput_bit_s",
    "bytes",
    "seconds",
    "data_bytes",
    "other",
];

/// The line of names.
pub(super) fn header(columns: &[String]) -> String {
    let names: Vec<_> = columns.iter().map(|name| cell(name)).collect();
    format!("{}\r\n", names.join(","))
}

/// The line of a message.
pub(super) fn row(measurement: &Measurement, columns: &[String]) -> String {
    let cells: Vec<_> = columns.iter().map(|column| value(measurement, column, columns)).collect();
    format!("{}\r\n", cells.join(","))
}

fn value(measurement: &Measurement, column: &str, columns: &[String]) -> String {
    match column {
        "time" => measurement.rfc3339(),
        "time_ns" => measurement.nanos().to_string(),
        "topic" => cell(&measurement.topic),
        "name" => cell(measurement.kind().1.unwrap_or_default()),
        "other" => other(measurement, columns),
        column => match measurement.field(column) {
            Some(Field::Number(number)) => number.to_string(),
            Some(Field::Bool(value)) => value.to_string(),
            Some(Field::Text(text)) => cell(text),
            None => String::new(),
        },
    }
}

/// What no column has, but for what the topic says.
fn other(measurement: &Measurement, columns: &[String]) -> String {
    let said = if measurement.whose() == "name" { &[][..] } else { &["radio", "probe"] };
    // Their columns say something else.
    let is_taken = |name: &str| matches!(name, "time" | "time_ns" | "topic" | "name" | "other");
    let has = |name: &str| said.contains(&name) || (!is_taken(name) && columns.iter().any(|column| column == name));
    let rest = measurement.fields.iter().filter(|(name, _)| !has(name));
    let rest: Map<String, Value> = rest.map(|(name, field)| (name.clone(), json_of(field))).collect();
    if rest.is_empty() { String::new() } else { cell(&Value::Object(rest).to_string()) }
}

pub(super) fn json_of(field: &Field) -> Value {
    match field {
        Field::Text(text) => json!(text),
        Field::Bool(value) => json!(value),
        // Without a point where there is nothing behind it.
        Field::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => json!(*number as i64),
        Field::Number(number) => json!(number),
    }
}

/// A text as a cell.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
