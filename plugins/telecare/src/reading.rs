//! What a sensor has measured.

use stile_filter::Time;
use stile_filter::senml::{self, Pack, Value};

/// One reading. The unit is one of SenML's, or empty.
pub(crate) struct Reading {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
}

/// Those of one message.
#[derive(Default)]
pub(crate) struct Readings {
    pub(crate) all: Vec<Reading>,
    /// Why there is more that can't be read.
    pub(crate) stopped: Option<&'static str>,
}

impl Readings {
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.all.iter().find(|reading| reading.name == name).map(|reading| reading.value)
    }

    /// Whether somebody has moved since the message before; none if the sensor does not say.
    pub(crate) fn motion(&self) -> Option<bool> {
        let mut said = ["motion", "occupancy"].into_iter().filter_map(|name| self.get(name)).peekable();
        said.peek()?;
        Some(said.any(|count| count > 0.0))
    }

    /// As SenML, with `HOME/DEVICE/` in front of each name.
    pub(crate) fn senml(&self, home: &str, device: &str, time: Time) -> Vec<u8> {
        let base = if home == device { format!("{device}/") } else { format!("{home}/{device}/") };
        let pack = self.all.iter().fold(Pack::new(&senml::name(&base), time), |pack, reading| {
            let unit = Some(reading.unit).filter(|unit| !unit.is_empty());
            pack.record(reading.name, unit, Value::Number(reading.value))
        });
        pack.json()
    }
}

/// A whole number of at most four bytes, the highest first.
pub(crate) fn number(bytes: &[u8], signed: bool) -> f64 {
    let raw = bytes.iter().fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    let negative = signed && bytes.first().is_some_and(|byte| *byte >= 0x80);
    let number = if negative { raw - (1 << (8 * bytes.len())) } else { raw };
    #[expect(clippy::cast_precision_loss, reason = "at most 32 bits")]
    let number = number as f64;
    number
}
