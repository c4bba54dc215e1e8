//! Buttons: the Milesight WS101, and any message that is to count as a press.

use serde_json::Value;

use crate::sensors::Report;

/// Milesight WS101: channel, type, value, again and again; `FF 2E` is the button. From Milesight's decoder `ws101.js`
/// for The Things Stack. What stands behind a channel that is unknown can't be read.
pub(crate) fn ws101(mut bytes: &[u8]) -> Report {
    loop {
        bytes = match bytes {
            // Short, long, double: whoever presses needs help.
            [0xff, 0x2e, _, ..] => return Report::Press,
            // The battery.
            [0x01, 0x75, _, rest @ ..] => rest,
            _ => return Report::Alive,
        };
    }
}

/// A message that is a press if `field` of its JSON is `equals`, or in any case where no field is named.
pub(crate) fn message(bytes: &[u8], field: Option<&str>, equals: &str) -> Result<Report, &'static str> {
    let Some(field) = field else { return Ok(Report::Press) };
    let payload: Value = serde_json::from_slice(bytes).map_err(|_| "the payload is no JSON")?;
    let text = payload.pointer(field).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    Ok(if text.as_deref() == Some(equals) { Report::Press } else { Report::Alive })
}
