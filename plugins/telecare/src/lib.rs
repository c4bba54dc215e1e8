//! Homes in which nobody moves although at that time somebody always does, and homes that are cold or damp, from
//! sensors of Elsys and Milesight. The readings go on as SenML.
//!
//! `elsys.rs` and `milesight.rs` decode, `reading.rs` is what they give. `motion.rs` and `climate.rs` judge, and are
//! pure. `kept.rs` keeps what they remember, `alerts.rs` tells what they found, `settings.rs` is what the operator
//! says.

mod alerts;
mod climate;
mod elsys;
mod kept;
mod milesight;
mod motion;
mod reading;
mod settings;
#[cfg(test)]
mod weeks;

use std::time::Duration;

use stile_filter::{Draft, Error, Filter, Grant, Host, Message, Patch, Period, Time, Verdict};

use alerts::Kind;
use kept::{Kept, Sensor};
use reading::Readings;
use settings::Settings;

struct Telecare {
    settings: Settings,
    /// The time of the last call.
    now: Option<Time>,
    /// Since when this instance has heard what comes, by a clock that did not leap. What was silent before may not have
    /// been the sensor.
    begun: Time,
    /// Up to where ticks have looked at what is kept, in this round. In the first they tell all alerts again.
    looked_at: Option<String>,
    first_round: bool,
}

impl Filter for Telecare {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["application/+/device/+/event/up"];
    const GRANTS: &'static [Grant] = &[Grant::Kv, Grant::Emit];
    const TICK: Option<Duration> = Some(Duration::from_secs(10));

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        settings.check().map_err(Error::Invalid)?;
        Ok(Self { settings, now: None, begun: Time(0), looked_at: None, first_round: true })
    }

    fn process(&mut self, message: &Message, host: &Host) -> Verdict {
        self.begun_by(message.received);
        let (sensor, readings) = match self.settings.read(message) {
            Ok(Some(read)) => read,
            Ok(None) => return Verdict::Pass,
            Err(why) => return Verdict::Reject(why.into()),
        };
        match readings.stopped {
            Some(why) if readings.all.is_empty() => return Verdict::Reject(why.into()),
            Some(_) => host.count("cut_short", 1),
            None => {}
        }
        self.judge(&sensor, &readings, message.received, host);
        if readings.all.is_empty() {
            return Verdict::Pass;
        }
        let content_type = Some("application/senml+json".to_owned());
        let senml = readings.senml(&sensor.home, &sensor.device, message.received);
        Verdict::Modify(Patch { content_type, ..Patch::payload(senml) })
    }

    fn tick(&mut self, now: Time, host: &Host) -> Result<Vec<Draft>, Error> {
        let begun = self.begun_by(now);
        for kept in kept::next(&mut self.looked_at, host) {
            match kept {
                Kept::Sensor(sensor) => self.look(&sensor, begun, now, host),
                Kept::Home(home) if self.first_round => {
                    let motion = kept::motion(&home, host);
                    if motion.missing {
                        alerts::missing(&self.settings, &home, &motion, host);
                    }
                }
                Kept::Home(_) => {}
            }
        }
        self.first_round &= self.looked_at.is_some();
        Ok(Vec::new())
    }
}

impl Telecare {
    /// Takes note of the time. A clock that leaps was set, or nothing ran for as long.
    fn begun_by(&mut self, now: Time) -> Time {
        if self.now.is_none_or(|then| now.since(then).max(then.since(now)) > LEAP) {
            self.begun = now;
        }
        self.now = Some(now);
        self.begun
    }

    fn judge(&self, sensor: &Sensor, readings: &Readings, at: Time, host: &Host) {
        let minute = minutes(at);
        let mut climate = kept::climate(sensor, host);
        let mut changed = Vec::new();
        if let Some(degrees) = readings.get("temperature") {
            let rule = self.settings.climate();
            changed.extend(climate.temperature(minute, degrees, rule).then_some(Kind::Cold));
            if let Some(percent) = readings.get("humidity") {
                changed.extend(climate.humidity(minute, percent, degrees, rule).then_some(Kind::Damp));
            }
        }
        changed.extend(std::mem::take(&mut climate.silent).then_some(Kind::Silent));
        climate.last = minute;
        for kind in changed {
            alerts::of_sensor(&self.settings, kind, sensor, &climate, host);
        }
        kept::keep_climate(sensor, &climate, host);
        if let Some(moved) = readings.motion() {
            let mut motion = kept::motion(&sensor.home, host);
            if motion.heard(minute, moved, self.settings.motion()) {
                alerts::missing(&self.settings, &sensor.home, &motion, host);
            }
            kept::keep_motion(&sensor.home, &motion, host);
        }
    }

    /// Whether a sensor is silent; in the first round, tells its alerts again: a stop may have taken them on their way.
    fn look(&self, sensor: &Sensor, begun: Time, now: Time, host: &Host) {
        let mut climate = kept::climate(sensor, host);
        let told = [(Kind::Cold, climate.cold), (Kind::Damp, climate.damp), (Kind::Silent, climate.silent)];
        for (kind, _) in told.iter().filter(|(_, open)| *open && self.first_round) {
            alerts::of_sensor(&self.settings, *kind, sensor, &climate, host);
        }
        let Period(after) = self.settings.silent_after;
        let last = alerts::time(climate.last).max(begun);
        if !climate.silent && now.since(last) >= after {
            climate.silent = true;
            alerts::of_sensor(&self.settings, Kind::Silent, sensor, &climate, host);
            kept::keep_climate(sensor, &climate, host);
        }
    }
}

/// The longest between two calls, of which ticks are many.
const LEAP: Duration = Duration::from_secs(3600);

/// Minutes since 1970, until the year 10136.
fn minutes(time: Time) -> u32 {
    u32::try_from(time.0 / 60_000_000).unwrap_or(u32::MAX)
}

stile_filter::export!(Telecare, timed);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Telecare>(env!("CARGO_MANIFEST_DIR"));
    }
}
