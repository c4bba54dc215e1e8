//! The models of thermostats, and what they have in common.

use stile_filter::senml::Value;
use stile_filter::{Deserialize, JsonSchema};

use crate::{vicki, wt101};

/// What a thermostat is.
#[derive(Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(crate = "stile_filter::serde", rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) enum Model {
    /// MClimate Vicki.
    Vicki,
    /// Milesight WT101.
    Wt101,
}

/// A reading: its name, unit and value.
pub(crate) type Reading = (&'static str, Option<&'static str>, Value);

/// What a thermostat said.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Report {
    pub(crate) readings: Vec<Reading>,
    /// The temperature that it is set to, in °C. It is among the readings only once the whole report is read.
    pub(crate) target: Option<f64>,
}

impl Report {
    pub(crate) fn number(&mut self, name: &'static str, unit: &'static str, value: f64) {
        self.readings.push((name, Some(unit), Value::Number(value)));
    }

    pub(crate) fn count(&mut self, name: &'static str, value: u16) {
        self.readings.push((name, None, Value::Number(value.into())));
    }

    pub(crate) fn flag(&mut self, name: &'static str, value: bool) {
        self.readings.push((name, None, Value::Flag(value)));
    }
}

impl Model {
    /// Reads the payload of a frame. The error says why it can't be read.
    pub(crate) fn read(self, bytes: &[u8]) -> Result<Report, &'static str> {
        let mut report = match self {
            Self::Vicki => vicki::read(bytes),
            Self::Wt101 => wt101::read(bytes),
        };
        if let Some(target) = report.target {
            report.number("target", "Cel", target);
        }
        if report.readings.is_empty() { Err("there is no reading of this model in it") } else { Ok(report) }
    }

    /// The temperatures that it can be set to, in °C.
    pub(crate) fn range(self) -> (f64, f64) {
        match self {
            Self::Vicki => (5.0, 30.0),
            Self::Wt101 => (5.0, 35.0),
        }
    }

    /// The least difference between two of them.
    pub(crate) fn step(self) -> f64 {
        match self {
            Self::Vicki => 0.1,
            Self::Wt101 => 1.0,
        }
    }

    /// The LoRaWAN port that it listens on.
    pub(crate) fn port(self) -> u8 {
        match self {
            Self::Vicki => 1,
            Self::Wt101 => 85,
        }
    }

    /// The command that sets it to a temperature within its range, given in tenths of a degree. `tolerance` is for
    /// models whose command has one, in tenths too.
    pub(crate) fn command(self, tenths: u16, tolerance: u16) -> Vec<u8> {
        match self {
            Self::Vicki => vicki::command(tenths),
            Self::Wt101 => wt101::command(tenths, tolerance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            for model in [Model::Vicki, Model::Wt101] {
                let _ = model.read(&bytes);
            }
        }
    }

    #[test]
    fn commands_are_those_of_the_makers() {
        // MClimate's documentation of the Vicki, "Control target temperature"; the examples of Milesight's encoder.
        assert_eq!(Model::Vicki.command(220, 0), [0x0e, 0x16]);
        assert_eq!(Model::Vicki.command(258, 0), [0x51, 0x01, 0x02]);
        assert_eq!(Model::Wt101.command(100, 1), [0xff, 0xb1, 10, 1, 0]);
        assert_eq!(Model::Wt101.command(280, 50), [0xff, 0xb1, 28, 50, 0]);
    }
}
