//! Cayenne LPP, the Low Power Payload that many LoRa devices speak, to SenML (RFC 8428).
//!
//! `kinds.rs` is the table of data types.

mod kinds;

use stile_filter::senml::{self, Pack};
use stile_filter::uplink::{Format, Source};
use stile_filter::{Deserialize, Error, Filter, Host, JsonSchema, Message, Patch, Verdict};

/// What the operator can set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
struct Settings {
    /// Where a message has the bytes.
    #[serde(default = "bytes")]
    source: Source,
    /// What stands in front of each name; the message's topic and a `/` where nothing is said.
    #[serde(default)]
    base_name: String,
}

fn bytes() -> Source {
    Source::of(Format::Bytes)
}

struct Lpp(Settings);

impl Filter for Lpp {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["lora/+/up"];

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        if settings.base_name != senml::name(&settings.base_name) {
            let what = "`base-name` has letters, digits and -:./_ alone, a letter or digit first";
            return Err(Error::Invalid(what.to_owned()));
        }
        Ok(Self(settings))
    }

    fn process(&mut self, message: &Message, _: &Host) -> Verdict {
        match self.0.source.bytes(message).and_then(|bytes| self.pack(message, &bytes)) {
            Ok(pack) => {
                let content_type = Some("application/senml+json".to_owned());
                Verdict::Modify(Patch { content_type, ..Patch::payload(pack.json()) })
            }
            Err(why) => Verdict::Reject(why.into()),
        }
    }
}

impl Lpp {
    fn pack(&self, message: &Message, mut bytes: &[u8]) -> Result<Pack, &'static str> {
        let base_name = match self.0.base_name.as_str() {
            "" => senml::name(&format!("{}/", message.topic)),
            name => name.to_owned(),
        };
        let mut pack = Pack::new(&base_name, message.received);
        while let [channel, code, rest @ ..] = bytes {
            bytes = rest;
            // The length of what follows is not known, so that nothing behind it can be read either.
            let kind = kinds::kind(*code).ok_or("a data type is unknown")?;
            for (suffix, unit, value) in kind.read(&mut bytes).ok_or("it ends in the middle of a reading")? {
                pack = pack.record(&format!("{}{suffix}-{channel}", kind.name), unit, value);
            }
        }
        match bytes {
            [] if pack.is_empty() => Err("there is no reading in it"),
            [] => Ok(pack),
            _ => Err("it ends in the middle of a reading"),
        }
    }
}

stile_filter::export!(Lpp);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Lpp>(env!("CARGO_MANIFEST_DIR"));
    }
}
