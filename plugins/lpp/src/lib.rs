//! Cayenne LPP, the Low Power Payload that many LoRa devices speak, to SenML (RFC 8428).
//!
//! `kinds.rs` is the table of data types, `source.rs` finds the bytes in a message.

mod kinds;
mod source;

use stile_filter::senml::{self, Pack};
use stile_filter::{Deserialize, Error, Filter, Host, JsonSchema, Message, Patch, Verdict};

use source::Encoding;

/// What the operator can set.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, default, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
struct Settings {
    /// How the bytes are written.
    encoding: Encoding,
    /// Where they stand in a JSON payload, as a JSON Pointer such as `/data`; empty where the payload is nothing else.
    field: String,
    /// What stands in front of each name; the message's topic and a `/` where nothing is said.
    base_name: String,
}

struct Lpp(Settings);

impl Filter for Lpp {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["lora/+/up"];

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        let invalid = |what: String| Err(Error::Invalid(what));
        if !settings.field.is_empty() && !settings.field.starts_with('/') {
            return invalid(format!("`field` is no JSON Pointer; write `/{}`", settings.field));
        }
        if settings.base_name != senml::name(&settings.base_name) {
            return invalid("`base-name` has letters, digits and -:./_ alone, a letter or digit first".to_owned());
        }
        Ok(Self(settings))
    }

    fn process(&mut self, message: &Message, _: &Host) -> Verdict {
        let pack = source::bytes(message, self.0.encoding, &self.0.field).and_then(|bytes| self.pack(message, &bytes));
        match pack {
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
