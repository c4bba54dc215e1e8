//! Takes out of messages what must not go further, or puts pseudonyms in its place: the same one each time, so that what
//! belongs together stays together.
//!
//! What it can't read ends here. To reject it would leave it to `on-failure`, and that may say `pass`.
//! `places.rs` finds places in a payload, `pseudonym.rs` makes pseudonyms, `round.rs` makes numbers coarse.

mod places;
mod pseudonym;
mod round;

use std::collections::BTreeMap;

use serde_json::Value;
use stile_filter::{Deserialize, Error, Filter, Host, JsonSchema, Message, Patch, Verdict};

use places::Place;
use pseudonym::Key;
use round::round;

/// What the operator can set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields, default, rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
#[derive(Default)]
struct Settings {
    /// Fields that are taken out, each as a JSON Pointer such as `/patient/name`; `*` stands for any one level.
    remove: Vec<String>,
    /// Fields that get a pseudonym.
    pseudonymise: Vec<String>,
    /// Numbers that are made coarse, and the decimals that are kept: 2 is about a kilometre for degrees.
    round: BTreeMap<String, u8>,
    /// Levels of the topic that get a pseudonym, from 0.
    topic_levels: Vec<usize>,
    /// User properties that are taken away.
    unset: Vec<String>,
    /// The secret that pseudonyms are made with, of at least 16 characters. Whoever has it can find out whom a pseudonym
    /// stands for; with another one, all pseudonyms change.
    #[schemars(extend("writeOnly" = true))]
    key: String,
}

/// The shortest secret, in bytes. A shorter one could be guessed by trying.
const SHORTEST_KEY: usize = 16;

/// The filter.
struct Redact {
    remove: Vec<Place>,
    pseudonymise: Vec<Place>,
    round: Vec<(Place, u8)>,
    topic_levels: Vec<usize>,
    unset: Vec<String>,
    key: Key,
}

impl Filter for Redact {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["#"];

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        Self::read(settings).map_err(Error::Invalid)
    }

    fn process(&mut self, message: &Message, _: &Host) -> Verdict {
        let mut patch = Patch { unset: self.unset.clone(), ..Patch::default() };
        if self.reads_payloads() && !message.payload.is_empty() {
            let Ok(mut payload) = serde_json::from_slice::<Value>(&message.payload) else {
                return Verdict::Drop("no JSON".into());
            };
            self.redact(&mut payload);
            // Held against what came, and not against what was read of it: of two fields with one name the first is not
            // read, and must not go on either.
            let written = payload.to_string().into_bytes();
            if written != message.payload {
                patch.payload = Some(written);
            }
        }
        if !self.topic_levels.is_empty() {
            patch.topic = Some(self.topic(&message.topic));
        }
        if patch == Patch::default() { Verdict::Pass } else { Verdict::Modify(patch) }
    }
}

impl Redact {
    fn read(settings: Settings) -> Result<Self, String> {
        let places = |texts: &[String]| texts.iter().map(|text| Place::read(text)).collect::<Result<Vec<_>, _>>();
        let pseudonyms = !settings.pseudonymise.is_empty() || !settings.topic_levels.is_empty();
        if pseudonyms && settings.key.len() < SHORTEST_KEY {
            return Err(format!("`key` is needed for pseudonyms, with at least {SHORTEST_KEY} characters"));
        }
        let round = settings.round.iter().map(|(text, decimals)| Ok((Place::read(text)?, *decimals)));
        let read = Self {
            remove: places(&settings.remove)?,
            pseudonymise: places(&settings.pseudonymise)?,
            round: round.collect::<Result<_, String>>()?,
            topic_levels: settings.topic_levels,
            unset: settings.unset,
            key: Key::new(&settings.key),
        };
        let idle = !read.reads_payloads() && read.topic_levels.is_empty() && read.unset.is_empty();
        if idle { Err("nothing is named that is to be redacted".to_owned()) } else { Ok(read) }
    }

    fn reads_payloads(&self) -> bool {
        !(self.remove.is_empty() && self.pseudonymise.is_empty() && self.round.is_empty())
    }

    fn redact(&self, payload: &mut Value) {
        for place in &self.remove {
            place.remove(payload);
        }
        for place in &self.pseudonymise {
            place.change(payload, &mut |value| {
                if !value.is_null() {
                    *value = Value::String(self.key.of_value(value));
                }
            });
        }
        for (place, decimals) in &self.round {
            place.change(payload, &mut |value| round(value, *decimals));
        }
    }

    fn topic(&self, topic: &str) -> String {
        let levels = topic.split('/').enumerate().map(|(place, level)| match self.topic_levels.contains(&place) {
            true => self.key.of_text(level),
            false => level.to_owned(),
        });
        levels.collect::<Vec<_>>().join("/")
    }
}

stile_filter::export!(Redact);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Redact>(env!("CARGO_MANIFEST_DIR"));
    }
}
