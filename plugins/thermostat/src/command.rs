//! Reads what a thermostat is to be set to, and says whether it may be.

use serde_json::Value;

use crate::model::Model;
use crate::settings::Settings;

/// `{ "target": 21 }`, or `21` alone.
pub(crate) fn target(payload: &[u8]) -> Option<f64> {
    let payload: Value = serde_json::from_slice(payload).ok()?;
    payload.get("target").unwrap_or(&payload).as_f64()
}

/// A temperature in tenths of a degree. The error says why it can't be set.
pub(crate) fn tenths(asked: f64, model: Model, settings: &Settings) -> Result<u16, String> {
    let (lowest, highest) = model.range();
    let (min, max) = (lowest.max(settings.min), highest.min(settings.max));
    if !(min..=max).contains(&asked) {
        return Err(format!("{asked} °C is not between {min} and {max} °C"));
    }
    let steps = asked / model.step();
    if (steps - steps.round()).abs() > 1e-6 {
        return Err(format!("{asked} °C is between two steps of {} °C", model.step()));
    }
    Ok(whole(asked * 10.0))
}

/// The tolerance in tenths of a degree.
pub(crate) fn tolerance(settings: &Settings) -> u16 {
    whole(settings.tolerance * 10.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: between 0 and 500")]
fn whole(number: f64) -> u16 {
    number.round() as u16
}
