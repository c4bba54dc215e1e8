//! Typed settings of a 4G or 5G modem on a serial port: `[[radio]]` with `kind = "cellular"`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::radio::{Envelope, Framing, LineEnding, RadioKind, Serial, SerialRadio};
use super::uplink::InFile;

/// A modem that is asked how it hears the network. Its topics are `cellular/<name>/...`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", rename = "cellular")]
pub struct Cellular {
    /// 1 to 64 of `a-z A-Z 0-9 - _`, unique among radios.
    pub name: String,
    /// Its AT port and line.
    #[serde(flatten)]
    pub serial: Serial,
    /// What it speaks; `None` is written `"auto"`: it is asked who made it.
    #[serde(serialize_with = "auto_or_name")]
    pub dialect: Option<ModemDialect>,
    /// Time from one reading to the next.
    #[serde(with = "super::duration")]
    pub period: Duration,
    /// How messages are written.
    pub format: CellularFormat,
    /// What the SIM card is unlocked with.
    #[serde(rename = "pin-file", skip_serializing_if = "Option::is_none")]
    pub pin: Option<InFile>,
    /// How long one command may take to leave the port.
    #[serde(with = "super::duration")]
    pub write_timeout: Duration,
}

/// The dialects that are known. Each has a file in `radio/cellular/dialects/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModemDialect {
    /// Quectel RG50x, RM5xx.
    Quectel,
    /// SIMCom SIM8200 and its like.
    Simcom,
    /// Sierra Wireless and Semtech.
    Sierra,
    /// Any: what 3GPP TS 27.007 has.
    #[serde(rename = "3gpp")]
    ThreeGpp,
}

impl ModemDialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Quectel, Self::Simcom, Self::Sierra, Self::ThreeGpp];

    /// As in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quectel => "quectel",
            Self::Simcom => "simcom",
            Self::Sierra => "sierra",
            Self::ThreeGpp => "3gpp",
        }
    }
}

/// How messages of a modem are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellularFormat {
    /// JSON objects.
    #[default]
    Json,
    /// SenML packs in JSON (RFC 8428).
    Senml,
    /// Lines of InfluxDB's line protocol.
    Influx,
}

fn auto_or_name<S: serde::Serializer>(dialect: &Option<ModemDialect>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(dialect.map_or("auto", ModemDialect::as_str))
}

impl Cellular {
    /// The radio on a port that it is to the rest of the gateway.
    pub fn on_port(&self) -> SerialRadio {
        SerialRadio {
            name: self.name.clone(),
            kind: RadioKind::Serial(self.serial.clone()),
            framing: Framing::Line { ending: LineEnding::Lf },
            envelope: Envelope::Json,
            max_frame: 1024,
            down_queue: 1,
            write_timeout: self.write_timeout,
            response_timeout: None,
            poll: Vec::new(),
        }
    }
}
