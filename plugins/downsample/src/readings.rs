//! The numbers of a payload.

use std::collections::BTreeMap;

use serde_json::Value;
use stile_filter::Message;

/// The readings of one message, by their place in the payload. Those that are not there are left out.
pub(crate) type Readings = BTreeMap<String, f64>;

/// Finds them. The error says why the payload can't be judged.
pub(crate) fn read(message: &Message, fields: &BTreeMap<String, f64>) -> Result<Readings, &'static str> {
    let payload: Value = serde_json::from_slice(&message.payload).map_err(|_| "the payload is no JSON")?;
    let mut readings = Readings::new();
    for field in fields.keys() {
        match payload.pointer(field) {
            None | Some(Value::Null) => {}
            Some(value) => {
                let number = value.as_f64().ok_or("a field is no number")?;
                readings.insert(field.clone(), number);
            }
        }
    }
    Ok(readings)
}
