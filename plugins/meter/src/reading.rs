//! What all formats come to: meters with their readings.

/// What a reading is, and so what is watched of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number that goes up and down.
    Gauge,
    /// A number that only grows: what was used since is told, and a step back is an alert.
    Counter,
    /// A number that stays: any change is an alert. Counts of power failures, positions of switches, error flags.
    Watched,
}

/// One reading.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub(crate) name: String,
    /// As in the registry of SenML units.
    pub(crate) unit: Option<&'static str>,
    pub(crate) value: f64,
    pub(crate) kind: Kind,
}

/// A meter, as one message shows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Meter {
    /// Which of the meters on the same line it is: an address or a channel. Empty where there can be only one.
    pub(crate) part: String,
    /// What it calls itself, such as its serial number.
    pub(crate) id: Option<String>,
    pub(crate) readings: Vec<Reading>,
}

impl Meter {
    /// The whole name of one of its readings.
    pub(crate) fn name(&self, name: &str) -> String {
        match self.part.as_str() {
            "" => name.to_owned(),
            part => format!("{part}/{name}"),
        }
    }

    /// Adds a reading. Where the name is taken, it gets a number behind it.
    pub(crate) fn add(&mut self, name: &str, unit: Option<&'static str>, value: f64, kind: Kind) {
        let taken = |name: &str| self.readings.iter().any(|reading| reading.name == name);
        let name = match taken(name) {
            false => name.to_owned(),
            true => (2..).map(|number| format!("{name}-{number}")).find(|name| !taken(name)).unwrap_or_default(),
        };
        self.readings.push(Reading { name, unit, value, kind });
    }
}

/// Decimal digits times a power of ten, rounded once: 1581.123 kWh are 1581123 Wh and not a bit more.
pub(crate) fn decimal(digits: impl std::fmt::Display, exponent: i32) -> Option<f64> {
    format!("{digits}e{exponent}").parse().ok().filter(|value: &f64| value.is_finite())
}

/// A unit as meters write it: that of the SenML registry (RFC 8428, RFC 8798), and the power of ten between them.
pub(crate) fn unit(text: &str) -> Option<(&'static str, i32)> {
    Some(match text {
        "Wh" => ("Wh", 0),
        "kWh" => ("Wh", 3),
        "MWh" => ("Wh", 6),
        "GJ" => ("J", 9),
        "MJ" => ("J", 6),
        "W" => ("W", 0),
        "kW" => ("W", 3),
        "var" => ("var", 0),
        "kvar" => ("var", 3),
        "varh" => ("varh", 0),
        "kvarh" => ("varh", 3),
        "VA" => ("VA", 0),
        "kVA" => ("VA", 3),
        "V" => ("V", 0),
        "A" => ("A", 0),
        "Hz" => ("Hz", 0),
        "m3" => ("m3", 0),
        _ => return None,
    })
}
