//! Smart meters to SenML (RFC 8428), with what was used since the reading before, and alerts where somebody may have
//! had a hand in it.
//!
//! `formats/` reads telegrams, `reading.rs` is what they all come to, `settings.rs` what the operator can set,
//! `watch.rs` compares with before and `alert.rs` tells.

mod alert;
mod formats;
mod reading;
mod settings;
mod watch;

use stile_filter::senml::{self, Pack, Value};
use stile_filter::{Error, Filter, Grant, Host, Message, Patch, Verdict};

use reading::Meter;
use settings::Settings;
use watch::{Delta, Watch};

struct Meters(Settings);

impl Filter for Meters {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["serial/+/up"];
    const GRANTS: &'static [Grant] = &[Grant::Kv, Grant::Emit];

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        settings.check().map_err(Error::Invalid)?;
        Ok(Self(settings))
    }

    fn process(&mut self, message: &Message, host: &Host) -> Verdict {
        let telegram = self.0.source.bytes(message);
        match telegram.and_then(|telegram| formats::read(self.0.format, self.0.first_register, &telegram)) {
            Ok(meters) => self.judge(&meters, message, host),
            Err(why) => Verdict::Reject(why.into()),
        }
    }
}

impl Meters {
    fn judge(&self, meters: &[Meter], message: &Message, host: &Host) -> Verdict {
        let mut pack = Pack::new(&self.base_name(message), message.received);
        let (mut counters, mut due) = (false, false);
        for meter in meters {
            let watch = Watch::new(&self.0, meter, message, host);
            watch.identity();
            if let Some(id) = &meter.id {
                pack = pack.text(&meter.name("meter"), id);
            }
            for reading in &meter.readings {
                let name = meter.name(&reading.name);
                pack = pack.record(&name, reading.unit, Value::Number(reading.value));
                let news = watch.reading(reading);
                counters |= news.is_some();
                due |= news.as_ref().is_some_and(|news| !matches!(news, Delta::Later));
                if let Some(Delta::Since { used, seconds }) = news {
                    pack = pack.record(&format!("{name}-delta"), reading.unit, Value::Number(used));
                    pack = pack.number(&format!("{name}-delta-time"), "s", seconds);
                }
            }
        }
        if self.0.only_deltas && counters && !due {
            return Verdict::Drop("between deltas".into());
        }
        let content_type = Some("application/senml+json".to_owned());
        Verdict::Modify(Patch { content_type, ..Patch::payload(pack.json()) })
    }

    fn base_name(&self, message: &Message) -> String {
        match self.0.base_name.as_str() {
            "" => senml::name(&format!("{}/", message.topic)),
            name => name.to_owned(),
        }
    }
}

stile_filter::export!(Meters);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Meters>(env!("CARGO_MANIFEST_DIR"));
    }
}
