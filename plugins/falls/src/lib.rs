//! Falls and calls for help: from radars, from buttons. One alert for each incident, held until somebody acknowledges
//! it, told again and raised as time goes by.
//!
//! `sensors.rs` knows which messages are whose, `frames.rs` with `fda1.rs` and `fda2.rs` reads radars, `button.rs`
//! reads buttons. `incident.rs` is what is kept of an incident and told of it, `ack.rs` judges acknowledgements,
//! `silence.rs` tells when a radar is not heard of any more.
//!
//! What is kept and what is published in one call come true together, but a stop may still take what was published on
//! its way behind this filter. So a new instance tells all open incidents again, with their old ids.

mod ack;
mod button;
mod fda1;
mod fda2;
mod frames;
mod incident;
mod sensors;
mod silence;

use std::collections::BTreeMap;
use std::time::Duration;

use stile_filter::{Deserialize, Draft, Error, Filter, Grant, Host, JsonSchema, Level, Message, Period, Time, Verdict};

use frames::Tails;
use incident::{Cause, Incident};
use sensors::{Heard, Report, Sensor};
use silence::Silence;

/// What the operator can set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
struct Settings {
    /// Which messages are whose: `{ topics = "serial/+/up", kind = "mr60fda2" }`. The first that fits a topic counts.
    sensors: Vec<Sensor>,
    /// Where a device is, such as `{ radar-3 = "flat-12" }`. One that is not named is a place of its own.
    #[serde(default)]
    places: BTreeMap<String, String>,
    /// How long after its beginning an incident that nobody has acknowledged rises by a level, in rising order.
    #[serde(default = "escalate")]
    escalate: Vec<Period>,
    /// How long after an alert was told it is told again.
    #[serde(default = "remind")]
    remind: Period,
    /// After an acknowledgement, for so long, a radar that still reports the same fall begins no other incident.
    #[serde(default = "rearm")]
    rearm: Period,
    /// Whether an incident that a radar began ends when the radar reports no fall any more.
    #[serde(default)]
    clear_on_recovery: bool,
    /// A radar of which nothing was heard for so long is told of.
    silent_after: Option<Period>,
    /// The first levels of the topics of alerts and acknowledgements.
    #[serde(default = "topic")]
    topic: String,
}

const fn minutes(count: u64) -> Period {
    Period(Duration::from_secs(60 * count))
}

fn escalate() -> Vec<Period> {
    vec![minutes(2), minutes(5)]
}

fn remind() -> Period {
    minutes(5)
}

fn rearm() -> Period {
    minutes(10)
}

fn topic() -> String {
    "falls".to_owned()
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.sensors.is_empty() {
            return Err("`sensors` names no sensor".to_owned());
        }
        for sensor in &self.sensors {
            sensor.check()?;
        }
        let level = |text: &str| !text.is_empty() && !text.contains(['/', '+', '#', '\0']);
        if let Some(place) = self.places.values().find(|place| !level(place)) {
            return Err(format!("`{place}` in `places` is no level of a topic"));
        }
        if !self.topic.split('/').all(level) {
            return Err("`topic` is no topic name, such as falls or care/falls".to_owned());
        }
        if self.escalate.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("`escalate` does not rise".to_owned());
        }
        let times = [Some(self.remind), Some(self.rearm), self.silent_after];
        if times.into_iter().flatten().any(|Period(time)| time < Duration::from_secs(1)) {
            return Err("`remind`, `rearm` and `silent-after` are at least 1s".to_owned());
        }
        Ok(())
    }

    /// Where a device is.
    fn place<'a>(&'a self, device: &'a str) -> &'a str {
        self.places.get(device).map_or(device, String::as_str)
    }
}

/// The longest between two calls, of which ticks are many.
const LEAP: Duration = Duration::from_secs(600);

struct Falls {
    settings: Settings,
    tails: Tails,
    silence: Silence,
    /// The time of the last call.
    now: Option<Time>,
    /// Since when this instance runs, by a clock that did not leap. What was told before, another told.
    begun: Time,
    /// Up to where ticks have looked at open incidents, in this round.
    looked_at: Option<String>,
}

impl Filter for Falls {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["serial/+/up", "application/+/device/+/event/up", "falls/+/ack"];
    const GRANTS: &'static [Grant] = &[Grant::Kv, Grant::Emit];
    const TICK: Option<Duration> = Some(Duration::from_secs(5));

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        settings.check().map_err(Error::Invalid)?;
        Ok(Self {
            settings,
            tails: Tails::default(),
            silence: Silence::default(),
            now: None,
            begun: Time(0),
            looked_at: None,
        })
    }

    fn process(&mut self, message: &Message, host: &Host) -> Verdict {
        self.begun_by(message.received);
        if let Some(place) = ack::place(&self.settings.topic, &message.topic) {
            return ack::judge(&self.settings, place, message, host);
        }
        let Some(sensor) = self.settings.sensors.iter().find(|sensor| sensor.wants(message)) else {
            return Verdict::Pass;
        };
        let heard = match sensor.read(message, &mut self.tails) {
            Ok(heard) => heard,
            Err(why) => return Verdict::Reject(why.into()),
        };
        if heard.refused.is_some() {
            host.count("frames_refused", 1);
        }
        if sensor.is_radar() && !heard.reports.is_empty() {
            self.silence.heard(&self.settings, &heard.device, message.received, host);
        }
        for report in &heard.reports {
            self.reported(&heard, *report, message.received, host);
        }
        match heard.refused {
            // What was good in it has counted.
            Some(why) if heard.reports.is_empty() => Verdict::Reject(why.into()),
            _ => Verdict::Pass,
        }
    }

    fn tick(&mut self, now: Time, host: &Host) -> Result<Vec<Draft>, Error> {
        let begun = self.begun_by(now);
        #[expect(clippy::cast_precision_loss, reason = "at most some thousands")]
        host.gauge("incidents_open", incident::count(host) as f64);
        for mut incident in incident::next(&mut self.looked_at, host) {
            let level = self.settings.level(&incident, now);
            if incident.told < begun || incident.is_due(level, self.settings.remind, now) {
                incident.level = level;
                incident.tell(&self.settings, now, host);
            }
        }
        if let Some(Period(after)) = self.settings.silent_after {
            self.silence.look(&self.settings, after, (begun, now), host);
        }
        Ok(Vec::new())
    }
}

impl Settings {
    /// The level of an incident: how many of the times of `escalate` have gone by. It never falls.
    fn level(&self, incident: &Incident, now: Time) -> usize {
        let gone = self.escalate.iter().filter(|Period(after)| now.since(incident.at) >= *after).count();
        gone.max(incident.level)
    }
}

impl Falls {
    /// Takes note of the time. A clock that leaps was set, or nothing ran for as long.
    fn begun_by(&mut self, now: Time) -> Time {
        if self.now.is_none_or(|then| now.since(then).max(then.since(now)) > LEAP) {
            self.begun = now;
        }
        self.now = Some(now);
        self.begun
    }

    fn reported(&self, heard: &Heard, report: Report, at: Time, host: &Host) {
        match report {
            Report::Alive => {}
            Report::Presence(present) => {
                let mut radar = sensors::Radar::of(&heard.device, host);
                if radar.present != Some(present) {
                    radar.present = Some(present);
                    radar.keep(&heard.device, host);
                }
            }
            Report::Fall(fallen) => self.fall(&heard.device, fallen, at, host),
            Report::Press => self.press(&heard.device, at, host),
        }
    }

    fn fall(&self, device: &str, fallen: bool, at: Time, host: &Host) {
        let place = self.settings.place(device);
        let mut radar = sensors::Radar::of(device, host);
        let before = radar.fallen;
        if before != fallen {
            radar.fallen = fallen;
            radar.keep(device, host);
        }
        match Incident::at(place, host) {
            Some(incident) if incident.fallen == fallen => {}
            Some(mut incident) if !fallen && self.settings.clear_on_recovery && incident.is_of(device) => {
                incident.fallen = false;
                incident.end(&self.settings, "recovered", None, at, host);
            }
            Some(mut incident) => {
                incident.fallen = fallen;
                incident.tell(&self.settings, at, host);
            }
            None if !fallen => {}
            // Some radars report a fall again and again as long as somebody lies there.
            None if before && incident::is_quiet(place, host) => host.count("falls_already_acknowledged", 1),
            None => self.begin(Incident::new(place, Cause::Fall, device, at), at, host),
        }
    }

    fn press(&self, device: &str, at: Time, host: &Host) {
        let place = self.settings.place(device);
        match Incident::at(place, host) {
            Some(incident) if incident.pressed => {}
            Some(mut incident) => {
                incident.pressed = true;
                incident.tell(&self.settings, at, host);
            }
            None => self.begin(Incident::new(place, Cause::Button, device, at), at, host),
        }
    }

    fn begin(&self, mut incident: Incident, at: Time, host: &Host) {
        host.count("incidents", 1);
        host.log(Level::Info, format_args!("{}: {}", incident.place, incident.cause.word()));
        incident.tell(&self.settings, at, host);
    }
}

stile_filter::export!(Falls, timed);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Falls>(env!("CARGO_MANIFEST_DIR"));
    }
}
