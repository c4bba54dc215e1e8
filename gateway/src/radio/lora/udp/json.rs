//! Fields of the protocol's JSON objects. Whole numbers may be written as `1.0`, and a field that is null is not there.

use serde_json::{Map, Value};

use crate::radio::lora::Refusal;

/// One object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object<'v>(pub(super) &'v Map<String, Value>);

impl<'v> Object<'v> {
    /// The object that a value is.
    pub(super) fn of(value: &'v Value) -> Result<Self, Refusal> {
        value.as_object().map(Self).ok_or(Refusal::Json)
    }

    /// The value of a field that is there.
    pub(super) fn get(&self, key: &str) -> Option<&'v Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// A whole number that fits into the type.
    pub(super) fn integer<T: TryFrom<i64>>(&self, key: &str) -> Result<Option<T>, Refusal> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let whole = value.as_i64().or_else(|| {
            let number = value.as_f64()?;
            // Beyond this, not every whole number is one of f64.
            #[allow(clippy::cast_possible_truncation, reason = "it is whole and in range")]
            (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
        });
        whole.and_then(|whole| T::try_from(whole).ok()).map(Some).ok_or(Refusal::Field)
    }

    /// Any finite number.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, Refusal> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_f64().filter(|number| number.is_finite()).map(Some).ok_or(Refusal::Field)
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'v str>, Refusal> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or(Refusal::Field)
    }
}

/// Reads the object that a datagram carries. Some forwarders end it with zero bytes.
pub(super) fn parse(json: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let end = json.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match serde_json::from_slice(json.get(..end).unwrap_or_default()) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Refusal::Json),
    }
}
