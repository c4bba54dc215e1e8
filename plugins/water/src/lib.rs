//! Water where none should be: sensors that get wet, and meters behind which the water never rests.
//!
//! `devices.rs` reads what is sent, `meter.rs` knows whether water rests, `alarm.rs` keeps alarms and tells them. What
//! is known is kept by the gateway, so that another instance raises nothing twice.

mod alarm;
mod devices;
mod meter;

use std::borrow::Cow;
use std::time::Duration;

use stile_filter::ngsi::Entity;
use stile_filter::senml::{self, Pack};
use stile_filter::uplink::Source;
use stile_filter::{Deserialize, Draft, Error, Filter, Grant, Host, JsonSchema, Message, Period, Qos, Time, Verdict};

use alarm::{Alarms, Kind};
use devices::{Device, Reading};
use meter::{Flow, Limits, Meter};

/// What the operator can set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
struct Settings {
    /// Where a message has what the device sent.
    #[serde(default)]
    source: Source,
    /// How devices write their readings.
    #[serde(default)]
    device: Device,
    /// For other devices: where the event (or, with `bytes`, the payload) says `true` for a leak, as a JSON Pointer such
    /// as `/object/leak`.
    #[serde(default)]
    leak: String,
    /// For other devices: where it has the reading of a meter.
    #[serde(default)]
    volume: String,
    /// The litres that a pulse, or one unit of `volume`, stands for.
    #[serde(default = "litres")]
    litres: f64,
    /// Water that flows for so long without a rest is a leak.
    #[serde(default = "flow_window")]
    flow_window: Period,
    /// What lies between two readings with more time between them is not known: the window begins anew.
    #[serde(default = "longest_interval")]
    longest_interval: Period,
    /// A flow of at most so many litres an hour is a rest.
    #[serde(default)]
    rest: f64,
    /// An alarm that lasts is told again after this time; `0s` for never.
    #[serde(default = "remind_every")]
    remind_every: Period,
    /// The first level of the topics that it tells on.
    #[serde(default = "topic")]
    topic: String,
}

fn litres() -> f64 {
    1.0
}

fn flow_window() -> Period {
    Period(Duration::from_secs(24 * 3600))
}

fn longest_interval() -> Period {
    Period(Duration::from_secs(2 * 3600))
}

fn remind_every() -> Period {
    Period(Duration::from_secs(6 * 3600))
}

fn topic() -> String {
    "water".to_owned()
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        for (setting, place) in [("leak", &self.leak), ("volume", &self.volume)] {
            if !place.is_empty() && !place.starts_with('/') {
                return Err(format!("`{setting}` is no JSON Pointer; write `/{place}`"));
            }
        }
        if !(self.litres > 0.0 && self.litres.is_finite()) {
            return Err("`litres` is not above 0".to_owned());
        }
        if !(self.rest >= 0.0 && self.rest.is_finite()) {
            return Err("`rest` is negative".to_owned());
        }
        if self.longest_interval.0.is_zero() || self.flow_window <= self.longest_interval {
            return Err("`flow-window` is not longer than `longest-interval`: one reading would be a leak".to_owned());
        }
        if self.topic.is_empty() || self.topic.contains(['+', '#', '\0']) {
            return Err("`topic` is no topic".to_owned());
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        let (Period(window), Period(longest_interval)) = (self.flow_window, self.longest_interval);
        Limits { window, longest_interval, rest: self.rest }
    }
}

struct Water {
    settings: Settings,
    /// The alarm that the last tick looked at last.
    after: String,
}

impl Filter for Water {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["application/+/device/+/event/up"];
    const GRANTS: &'static [Grant] = &[Grant::Kv];
    const TICK: Option<Duration> = Some(Duration::from_secs(60));

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        settings.check().map_err(Error::Invalid)?;
        Ok(Self { settings, after: String::new() })
    }

    fn process(&mut self, message: &Message, host: &Host) -> Verdict {
        self.judge(message, host).unwrap_or_else(Verdict::Reject)
    }

    fn tick(&mut self, now: Time, host: &Host) -> Result<Vec<Draft>, Error> {
        let mut after = std::mem::take(&mut self.after);
        let drafts = self.alarms(host).remind(now, self.settings.remind_every.0, &mut after);
        self.after = after;
        Ok(drafts)
    }
}

impl Water {
    fn alarms<'a>(&'a self, host: &'a Host) -> Alarms<'a> {
        Alarms { host, topic: &self.settings.topic }
    }

    fn judge(&self, message: &Message, host: &Host) -> Result<Verdict, Cow<'static, str>> {
        let (uplink, at) = (self.settings.source.read(message)?, message.received);
        let reading = match (self.settings.leak.as_str(), self.settings.volume.as_str()) {
            ("", "") => self.settings.device.read(uplink.port, &uplink.bytes)?,
            (leak, volume) => devices::json(&uplink, leak, volume)?,
        };
        let alarms = self.alarms(host);
        // What is urgent goes first.
        let mut drafts = Vec::new();
        drafts.extend(reading.wet.and_then(|wet| match wet {
            true => alarms.raise(Kind::Leak, &uplink.device, at, None),
            false => alarms.clear(Kind::Leak, &uplink.device, at),
        }));
        if let Some(count) = reading.count {
            drafts.extend(self.metered(&uplink.device, count * self.settings.litres, at, &alarms)?);
        }
        drafts.extend(self.sensed(&uplink.device, &reading, at));
        Ok(if drafts.is_empty() { Verdict::Drop("no reading".into()) } else { Verdict::Replace(drafts) })
    }

    /// What a meter's reading comes to: an alarm or its end, if it is one, and the reading.
    fn metered(&self, device: &str, litres: f64, at: Time, alarms: &Alarms<'_>) -> Result<Vec<Draft>, String> {
        if !litres.is_finite() || litres < 0.0 {
            return Err("the meter's reading is negative".to_owned());
        }
        let limits = self.settings.limits();
        let (meter, flow) = Meter::read(Meter::kept(device, alarms.host), litres, at, limits);
        meter.keep(device, alarms.host)?;
        let alert = match flow {
            Flow::Steady(time) if time >= limits.window => alarms.raise(Kind::Flow, device, at, Some(meter.least)),
            Flow::Rest => alarms.clear(Kind::Flow, device, at),
            _ => None,
        };
        let alarm = alarms.is_on(Kind::Flow, device);
        Ok(alert.into_iter().chain([self.observed(device, litres, flow, alarm, at)]).collect())
    }

    /// A `WaterConsumptionObserved` of the Smart Data Models (dataModel.WaterConsumption), on `TOPIC/meter/DEVICE`.
    fn observed(&self, device: &str, litres: f64, flow: Flow, alarm: bool, at: Time) -> Draft {
        const CONTEXT: &str =
            "https://raw.githubusercontent.com/smart-data-models/dataModel.WaterConsumption/master/context.jsonld";
        let persistence = if alarm { "In progress persistence" } else { "Nothing to report" };
        let mut entity = Entity::new("WaterConsumptionObserved", device)
            .measured("waterConsumption", litres / 1000.0, "MTQ", at)
            .property("alarmFlowPersistence", persistence, at)
            .property("alarmInProgress", u8::from(alarm), at);
        if let Flow::Steady(time) = flow {
            entity = entity.property("persistenceFlowDuration", duration(time), at);
        }
        self.draft("meter", device, "application/ld+json", entity.json(Some(CONTEXT)))
    }

    /// The rest of a reading in SenML, on `TOPIC/sensor/DEVICE`.
    fn sensed(&self, device: &str, reading: &Reading, at: Time) -> Option<Draft> {
        let mut pack = Pack::new(&senml::name(&format!("{device}:")), at);
        if let Some(wet) = reading.wet {
            pack = pack.flag("leak", wet);
        }
        for (name, unit, value) in [
            ("battery", "%EL", reading.battery),
            ("voltage", "V", reading.volts),
            ("temperature", "Cel", reading.temperature),
            ("humidity", "%RH", reading.humidity),
        ] {
            pack = value.into_iter().fold(pack, |pack, value| pack.number(name, unit, value));
        }
        (!pack.is_empty()).then(|| self.draft("sensor", device, "application/senml+json", pack.json()))
    }

    fn draft(&self, kind: &str, device: &str, content_type: &str, payload: Vec<u8>) -> Draft {
        Draft {
            qos: Qos::AtLeastOnce,
            content_type: Some(content_type.to_owned()),
            ..Draft::new(format!("{}/{kind}/{device}", self.settings.topic), payload)
        }
    }
}

/// How long water has flowed, in the words of the model.
fn duration(time: Duration) -> &'static str {
    const WORDS: [(u64, &str); 12] = [
        (1, "15m < 60m"),
        (3, "60m < 3h"),
        (6, "3h < 6h"),
        (12, "6h < 12h"),
        (24, "12h < 24h"),
        (2 * 24, "24h < 2d"),
        (4 * 24, "2d < 4d"),
        (8 * 24, "4d < 8d"),
        (15 * 24, "8d < 15d"),
        (30 * 24, "15d < 30d"),
        (90 * 24, "30d < 90d"),
        (180 * 24, "90d < 180d"),
    ];
    let hours = time.as_secs() / 3600;
    WORDS.iter().find(|(below, _)| hours < *below).map_or("> 180d", |(_, words)| words)
}

stile_filter::export!(Water, timed);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Water>(env!("CARGO_MANIFEST_DIR"));
    }
}
