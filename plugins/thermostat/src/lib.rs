//! Radiator thermostats on LoRaWAN: what they say to SenML (RFC 8428), and what they are to be set to down to them.
//!
//! `vicki.rs` and `wt101.rs` know the bytes of one model each, `model.rs` what they have in common. `command.rs`
//! reads what is asked for, `downlink.rs` writes it for the network server, `state.rs` knows what was asked and what
//! came of it.

mod command;
mod downlink;
mod model;
mod settings;
mod state;
mod vicki;
mod wt101;

use stile_filter::senml::{self, Pack};
use stile_filter::{Error, Filter, Grant, Host, Message, Patch, Verdict};

use settings::{Settings, Thermostat};
use state::State;

struct Thermostats(Settings);

impl Filter for Thermostats {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["application/+/device/+/event/up", "thermostat/+/set"];
    const GRANTS: &'static [Grant] = &[Grant::Kv, Grant::Emit];

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        settings.checked().map(Self).map_err(Error::Invalid)
    }

    fn process(&mut self, message: &Message, host: &Host) -> Verdict {
        let below = message.topic.strip_prefix(&self.0.prefix).and_then(|rest| rest.strip_prefix('/'));
        match below.and_then(|rest| rest.strip_suffix("/set")) {
            Some(name) => self.set(name, message, host),
            None => self.read(message, host),
        }
    }
}

impl Thermostats {
    /// A thermostat is to be set.
    fn set(&self, name: &str, message: &Message, host: &Host) -> Verdict {
        let Some(thermostat) = self.0.thermostats.get(name) else {
            return Verdict::Reject("the topic names no thermostat of the settings".into());
        };
        let state = State::new(&self.0.prefix, name, message, host);
        let asked = command::target(&message.payload);
        let command = match (asked, &self.0.downlink) {
            (None, _) => Err("the payload is no JSON with a number `target`".to_owned()),
            (_, None) => Err("the settings have no `downlink`".to_owned()),
            (Some(asked), Some(downlink)) => {
                command::tenths(asked, thermostat.model, &self.0).map(|tenths| (asked, downlink, tenths))
            }
        };
        match command {
            Ok((asked, downlink, tenths)) => {
                let bytes = thermostat.model.command(tenths, command::tolerance(&self.0));
                let down = downlink::draft(downlink, name, thermostat, &bytes, message.qos);
                Verdict::Replace(vec![down, state.asked(asked)])
            }
            Err(why) => {
                state.refused(asked, &why);
                Verdict::Drop("refused".into())
            }
        }
    }

    /// A device said something.
    fn read(&self, message: &Message, host: &Host) -> Verdict {
        let uplink = match self.0.source.read(message) {
            Ok(uplink) => uplink,
            Err(why) => return Verdict::Reject(why.into()),
        };
        let Some((name, thermostat)) = self.of(&uplink.device) else { return Verdict::Pass };
        if uplink.bytes.is_empty() {
            return Verdict::Drop("no payload".into());
        }
        let report = match thermostat.model.read(&uplink.bytes) {
            Ok(report) => report,
            Err(why) => return Verdict::Reject(why.into()),
        };
        let mut pack = Pack::new(&senml::name(&format!("{}/{name}/", self.0.prefix)), message.received);
        for (reading, unit, value) in report.readings {
            pack = pack.record(reading, unit, value);
        }
        if let Some(target) = report.target {
            State::new(&self.0.prefix, name, message, host).reported(target, self.0.patience.0);
        }
        Verdict::Modify(Patch {
            topic: Some(format!("{}/{name}/up", self.0.prefix)),
            content_type: Some("application/senml+json".to_owned()),
            ..Patch::payload(pack.json())
        })
    }

    /// The thermostat of a device, if it is one.
    fn of(&self, device: &str) -> Option<(&String, &Thermostat)> {
        self.0.thermostats.iter().find(|(_, thermostat)| thermostat.device.eq_ignore_ascii_case(device))
    }
}

stile_filter::export!(Thermostats);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Thermostats>(env!("CARGO_MANIFEST_DIR"));
    }
}
