//! Makes numbers coarse.

use serde_json::Value;

/// Keeps so many decimals of a number, of one in a text as well. What is no number goes: it can't be made coarse.
pub(crate) fn round(value: &mut Value, decimals: u8) {
    let number = match &*value {
        Value::Null => return,
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    let factor = 10_f64.powi(i32::from(decimals));
    // A whole number with so many digits that the factor overflows is as it was.
    let rounded =
        number.map(|number| if (number * factor).is_finite() { (number * factor).round() / factor } else { number });
    *value = rounded.map_or(Value::Null, Value::from);
}
