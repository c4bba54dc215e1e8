//! Writes NGSI-LD entities (ETSI GS CIM 009) in JSON: what a context broker keeps of a thing.

use serde_json::{Map, Value, json};

use crate::Time;

/// An entity under way: `Entity::new("ParkingSpot", "street-7").property("status", "free", time).json()`.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity(Map<String, Value>);

impl Entity {
    /// One of this type; its id is `urn:ngsi-ld:TYPE:NAME`. What may not stand in a URN is written with `%` (RFC 8141).
    #[must_use]
    pub fn new(kind: &str, name: &str) -> Self {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), urn(kind, name));
        fields.insert("type".to_owned(), json!(kind));
        Self(fields)
    }

    /// A property that was observed then.
    #[must_use]
    pub fn property(self, name: &str, value: impl Into<Value>, observed: Time) -> Self {
        let value: Value = value.into();
        self.attribute(name, json!({ "type": "Property", "value": value, "observedAt": observed.to_string() }))
    }

    /// A property with a unit by its UN/CEFACT code, such as `CEL`.
    #[must_use]
    pub fn measured(self, name: &str, value: f64, unit: &str, observed: Time) -> Self {
        let observed = observed.to_string();
        self.attribute(name, json!({ "type": "Property", "value": value, "unitCode": unit, "observedAt": observed }))
    }

    /// Another entity that this one stands in a relation to.
    #[must_use]
    pub fn relationship(self, name: &str, kind: &str, other: &str) -> Self {
        self.attribute(name, json!({ "type": "Relationship", "object": urn(kind, other) }))
    }

    /// Where it is, in degrees.
    #[must_use]
    pub fn location(self, longitude: f64, latitude: f64) -> Self {
        let point = json!({ "type": "Point", "coordinates": [longitude, latitude] });
        self.attribute("location", json!({ "type": "GeoProperty", "value": point }))
    }

    /// The entity as JSON-LD, `application/ld+json`, with the core context and that of the given address.
    #[must_use]
    pub fn json(mut self, context: Option<&str>) -> Vec<u8> {
        const CORE: &str = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld";
        let contexts: Vec<_> = context.into_iter().chain([CORE]).collect();
        self.0.insert("@context".to_owned(), json!(contexts));
        Value::Object(self.0).to_string().into_bytes()
    }

    fn attribute(mut self, name: &str, attribute: Value) -> Self {
        self.0.insert(name.to_owned(), attribute);
        self
    }
}

fn urn(kind: &str, name: &str) -> Value {
    use std::fmt::Write as _;

    let mut urn = format!("urn:ngsi-ld:{kind}:");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            urn.push(char::from(byte));
        } else {
            let _ = write!(urn, "%{byte:02X}");
        }
    }
    Value::String(urn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_has_its_attributes_and_the_core_context_last() {
        let entity = Entity::new("ParkingSpot", "7")
            .property("status", "free", Time::EXAMPLE)
            .measured("temperature", 21.5, "CEL", Time::EXAMPLE)
            .relationship("refParkingSite", "OffStreetParking", "north")
            .location(13.4, 52.5);
        let wanted = json!({
            "id": "urn:ngsi-ld:ParkingSpot:7",
            "type": "ParkingSpot",
            "status": { "type": "Property", "value": "free", "observedAt": "2026-01-01T00:00:00.000Z" },
            "temperature":
                { "type": "Property", "value": 21.5, "unitCode": "CEL", "observedAt": "2026-01-01T00:00:00.000Z" },
            "refParkingSite": { "type": "Relationship", "object": "urn:ngsi-ld:OffStreetParking:north" },
            "location": { "type": "GeoProperty", "value": { "type": "Point", "coordinates": [13.4, 52.5] } },
            "@context": ["https://example.org/c.jsonld", "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld"],
        });
        let json = entity.json(Some("https://example.org/c.jsonld"));
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), wanted);
    }

    #[test]
    fn an_id_has_nothing_that_a_urn_must_not_have() {
        assert_eq!(urn("Street", "St. John's/\u{e4}"), json!("urn:ngsi-ld:Street:St.%20John%27s%2F%C3%A4"));
    }
}
