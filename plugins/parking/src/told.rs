//! What is told of bays and streets: entities of the Smart Data Models (dataModel.Parking), in NGSI-LD.

use stile_filter::ngsi::Entity;
use stile_filter::{Draft, Qos, Time};

use crate::shard::Entry;
use crate::streets::Counts;

const CONTEXT: &str = "https://raw.githubusercontent.com/smart-data-models/dataModel.Parking/master/context.jsonld";

/// Where and how it is told.
pub(crate) struct Teller {
    pub(crate) topic: String,
    pub(crate) retain: bool,
}

impl Teller {
    /// A `ParkingSpot`, on `TOPIC/spot/DEVICE`.
    pub(crate) fn bay(&self, entry: &Entry<'_>, temperature: Option<i8>, at: Time) -> Draft {
        let mut spot = Entity::new("ParkingSpot", entry.device).property("status", entry.bay.told.name(), at);
        if let Some(temperature) = temperature {
            spot = spot.measured("temperature", temperature.into(), "CEL", at);
        }
        if !entry.street.is_empty() {
            spot = spot.relationship("refParkingSite", "OnStreetParking", entry.street);
        }
        self.draft("spot", entry.device, spot)
    }

    /// An `OnStreetParking`, on `TOPIC/street/STREET`.
    pub(crate) fn street(&self, name: &str, counts: Counts, at: Time) -> Draft {
        let Counts { free, occupied, unknown } = counts;
        let street = Entity::new("OnStreetParking", name)
            .property("name", name, at)
            .property("totalSpotNumber", free + occupied + unknown, at)
            .property("availableSpotNumber", free, at)
            .property("occupiedSpotNumber", occupied, at)
            .property("unknownSpotNumber", unknown, at);
        self.draft("street", name, street)
    }

    fn draft(&self, kind: &str, name: &str, entity: Entity) -> Draft {
        // A street's name may be any text.
        let level = name.replace(['/', '+', '#', '\0'], "_");
        Draft {
            qos: Qos::AtLeastOnce,
            retain: self.retain,
            content_type: Some("application/ld+json".to_owned()),
            ..Draft::new(format!("{}/{kind}/{level}", self.topic), entity.json(Some(CONTEXT)))
        }
    }
}
