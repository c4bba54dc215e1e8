//! Lets every message pass: the least that a filter can be, for measuring what the way there and back costs.

use stile_filter::{Deserialize, Error, Filter, Host, JsonSchema, Message, Verdict};

/// There is nothing to set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", deny_unknown_fields)]
#[schemars(crate = "stile_filter::schemars")]
struct Settings {}

struct Pass;

impl Filter for Pass {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["#"];

    /// Without a reader of JSON, which would weigh more than all the rest.
    fn settings(json: &str) -> Result<Settings, Error> {
        match json {
            "{}" => Ok(Settings {}),
            _ => Err(Error::Invalid("there is nothing to set".to_owned())),
        }
    }

    fn new(_: Settings, _: &Host) -> Result<Self, Error> {
        Ok(Self)
    }

    fn process(&mut self, _: &Message, _: &Host) -> Verdict {
        Verdict::Pass
    }
}

stile_filter::export!(Pass);

#[cfg(test)]
mod tests {
    #[test]
    fn its_cases_go_as_they_say() {
        stile_filter::cases::play::<super::Pass>(env!("CARGO_MANIFEST_DIR"));
    }
}
