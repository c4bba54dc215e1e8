//! Computes for ever at each message. No plugin: `make bench` builds it to see what that costs others.

use stile_filter::{Deserialize, Error, Filter, Host, JsonSchema, Message, Verdict};

/// There is nothing to set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde")]
#[schemars(crate = "stile_filter::schemars")]
struct Settings {}

struct Spin;

impl Filter for Spin {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["#"];

    fn new(_: Settings, _: &Host) -> Result<Self, Error> {
        Ok(Self)
    }

    fn process(&mut self, _: &Message, _: &Host) -> Verdict {
        let mut turns = 0_u64;
        loop {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
    }
}

stile_filter::export!(Spin);
