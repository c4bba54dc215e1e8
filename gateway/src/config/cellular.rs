//! Typed settings of a 4G or 5G modem, on a serial port or ModemManager's: `[[radio]]` with `kind = "cellular"`.

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
    /// By which way it is asked.
    #[serde(flatten)]
    pub via: Via,
    /// Time from one reading to the next.
    #[serde(with = "super::duration")]
    pub period: Duration,
    /// How messages are written.
    pub format: CellularFormat,
    /// The access point of its data connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apn: Option<String>,
    /// What the SIM card is unlocked with.
    #[serde(rename = "pin-file", skip_serializing_if = "Option::is_none")]
    pub pin: Option<InFile>,
}

/// By which way a modem is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "via")]
pub enum Via {
    /// By AT commands, on a port that nobody else has.
    At(AtPort),
    /// By ModemManager, which has the modem.
    ModemManager(Managed),
}

/// A modem's AT port.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AtPort {
    /// The port and its line.
    #[serde(flatten)]
    pub serial: Serial,
    /// What the modem speaks; `None` is written `"auto"`: it is asked who made it.
    #[serde(serialize_with = "auto_or_name")]
    pub dialect: Option<ModemDialect>,
    /// How long one command may take to leave the port.
    #[serde(with = "super::duration")]
    pub write_timeout: Duration,
}

/// A modem that ModemManager has.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Managed {
    /// Which: one of its ports, such as `cdc-wdm0`, or its path in sysfs. `None`: the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modem: Option<String>,
    /// Whether the gateway has ModemManager connect it, and disconnect it at its end.
    pub connect: bool,
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
    /// Its AT port, unless ModemManager has it.
    pub fn at_port(&self) -> Option<&AtPort> {
        match &self.via {
            Via::At(port) => Some(port),
            Via::ModemManager(_) => None,
        }
    }

    /// The radio on a port that it is to the rest of the gateway, unless ModemManager has it.
    pub fn on_port(&self) -> Option<SerialRadio> {
        let port = self.at_port()?;
        Some(SerialRadio {
            name: self.name.clone(),
            kind: RadioKind::Serial(port.serial.clone()),
            framing: Framing::Line { ending: LineEnding::Lf },
            envelope: Envelope::Json,
            max_frame: 1024,
            down_queue: 1,
            write_timeout: port.write_timeout,
            response_timeout: None,
            poll: Vec::new(),
        })
    }
}
