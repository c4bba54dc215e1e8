//! Readings of what ModemManager says of the network. Pure.
//!
//! Source: ModemManager 1.20, D-Bus reference: Modem, Modem3gpp, Signal, Location; libmm-glib, MMCellInfoLte and MMCellInfoNr5g.

use std::time::Instant;

use serde_json::Value;

use super::super::about::About;
use super::super::scale::Scale;
use super::super::values::{Key, Layer, Reading, Registration, Side, Technology};
use super::super::veil::{ELSEWHERE, IN_ANSWERS, Veil};
use super::object::{MODEM, Object, SIGNAL, THREE_GPP};

/// Cells that are looked at, serving ones and neighbours.
const CELLS_MAX: usize = 32;

/// MMCellType.
const LTE: i64 = 5;
const NR: i64 = 6;

/// MMServingCellType: one that only adds to another's bandwidth.
const SECONDARY: i64 = 2;

/// Bits of MMModemAccessTechnology.
const TECHNOLOGIES: [(i64, Technology); 5] = [
    (1 << 15, Technology::NrSa),
    (1 << 17, Technology::NbIot),
    (1 << 14 | 1 << 16, Technology::Lte),
    (0b11_1110_0000, Technology::Umts),
    (0b1_1110, Technology::Gsm),
];

/// What was asked for besides the properties.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// What GetCellInfo says.
    pub(super) cells: Value,
    /// What GetLocation says.
    pub(super) location: Value,
    /// What it said no to.
    pub(super) errors: Vec<String>,
}

/// What the modem says of the network at this time.
pub(super) fn read(object: &Object, asked: &Asked, veil: &Veil, at: Instant) -> Reading {
    let mut reading = Reading::new(at);
    reading.activity = Some(object.state_word().to_owned());
    reading.errors = asked.errors.iter().map(|error| veil.hide(error, ELSEWHERE)).collect();
    let stat = object.whole(THREE_GPP, "RegistrationState").and_then(|stat| u32::try_from(stat).ok());
    // MMModem3gppRegistrationState has the numbers of <stat>.
    reading.registration = stat.and_then(Registration::of_stat);
    let operator = object.text(THREE_GPP, "OperatorName").or_else(|| object.text(THREE_GPP, "OperatorCode"));
    reading.operator = operator.map(|operator| short(&veil.hide(operator, IN_ANSWERS)));
    let technologies = object.whole(MODEM, "AccessTechnologies");
    if reading.has_service() || reading.registration.is_none() {
        reading.technology = technologies.map_or(Technology::None, technology);
    }
    note(&mut reading, veil, "AccessTechnologies", object.get(MODEM, "AccessTechnologies"));
    for (property, side) in [("Lte", Side::Lte), ("Nr5g", Side::Nr)] {
        let signal = object.get(SIGNAL, property);
        for (name, key) in [("rsrp", Key::Rsrp), ("rsrq", Key::Rsrq), ("rssi", Key::Rssi), ("snr", Key::Sinr)] {
            put(reading.layer(side), side, key, signal.get(name).and_then(Value::as_f64));
        }
        note(&mut reading, veil, property, signal);
    }
    for cell in asked.cells.as_array().into_iter().flatten().take(CELLS_MAX) {
        take_cell(&mut reading, cell, veil);
    }
    take_location(&mut reading, asked.location.get("1").and_then(Value::as_str), veil);
    if let Some(code) = object.text(THREE_GPP, "OperatorCode").filter(|_| reading.has_service()) {
        let main = if reading.technology == Technology::NrSa { Side::Nr } else { Side::Lte };
        plmn(reading.layer(main), code);
    }
    reading.finish(None);
    reading
}

/// What it says of itself, for `learn`.
pub(super) fn about(object: &Object, sim: &Value) -> Vec<(About, String)> {
    let of_modem = [
        (About::Manufacturer, "Manufacturer"),
        (About::Model, "Model"),
        (About::Firmware, "Revision"),
        (About::Imei, "EquipmentIdentifier"),
    ];
    let of_modem = of_modem.map(|(about, property)| (about, object.text(MODEM, property)));
    let of_card = [(About::Imsi, "Imsi"), (About::Iccid, "SimIdentifier")];
    let of_card = of_card.map(|(about, property)| (about, sim.get(property).and_then(Value::as_str)));
    let number = object.get(MODEM, "OwnNumbers").get(0).and_then(Value::as_str);
    let digits = number.map(|number| number.chars().filter(char::is_ascii_digit).collect::<String>());
    let known = of_modem.into_iter().chain(of_card).filter_map(|(about, text)| Some((about, about.read(text?)?)));
    known.chain(digits.filter(|digits| !digits.is_empty()).map(|digits| (About::Number, digits))).collect()
}

fn technology(bits: i64) -> Technology {
    let has = |bit: i64| bits & bit != 0;
    if has(1 << 15) && has(1 << 14) {
        return Technology::EnDc;
    }
    TECHNOLOGIES.into_iter().find(|(bit, _)| has(*bit)).map_or(Technology::None, |(_, technology)| technology)
}

/// A cell that serves the modem; of several the first that does not only add to another.
fn take_cell(reading: &mut Reading, cell: &Value, veil: &Veil) {
    let whole = |name: &str| cell.get(name).and_then(Value::as_i64);
    let side = match whole("cell-type") {
        Some(LTE) => Side::Lte,
        Some(NR) => Side::Nr,
        _ => return,
    };
    if cell.get("serving") != Some(&Value::Bool(true)) || whole("serving-cell-type") == Some(SECONDARY) {
        return;
    }
    note(reading, veil, "cell", cell);
    let layer = reading.layer(side);
    if layer.numbers.contains_key(&Key::Pci) {
        return;
    }
    for (name, key) in [("tac", Key::Tac), ("ci", Key::Cell), ("physical-ci", Key::Pci)] {
        let number = cell.get(name).and_then(Value::as_str).and_then(|text| Scale::Hex.read(text).ok().flatten());
        put(layer, side, key, number);
    }
    let channel = if side == Side::Lte { "earfcn" } else { "nrarfcn" };
    for (name, key) in [
        (channel, Key::Arfcn),
        ("timing-advance", Key::TimingAdvance),
        ("rsrp", Key::Rsrp),
        ("rsrq", Key::Rsrq),
        ("sinr", Key::Sinr),
    ] {
        // What Signal says is newer.
        if !layer.numbers.contains_key(&key) {
            put(layer, side, key, cell.get(name).and_then(Value::as_f64));
        }
    }
    if let Some(code) = cell.get("operator-id").and_then(Value::as_str) {
        plmn(layer, code);
    }
}

/// `MCC,MNC,LAC,CI,TAC`, the last three in hexadecimal digits. It is of the cell that the modem is registered in.
fn take_location(reading: &mut Reading, text: Option<&str>, veil: &Veil) {
    let Some(text) = text else { return };
    note(reading, veil, "3gpp-lac-ci", &Value::from(text));
    let side = match reading.technology {
        Technology::Lte | Technology::EnDc | Technology::NbIot => Side::Lte,
        Technology::NrSa => Side::Nr,
        _ => return,
    };
    let parts: Vec<&str> = text.split(',').collect();
    let [mcc, mnc, _lac, cell, tac] = parts[..] else { return };
    let layer = reading.layer(side);
    plmn(layer, &format!("{mcc}{mnc}"));
    for (key, text) in [(Key::Cell, cell), (Key::Tac, tac)] {
        if !layer.numbers.contains_key(&key) {
            // 0 is how one writes that there is none.
            put(layer, side, key, Scale::Hex.read(text).ok().flatten().filter(|number| *number > 0.0));
        }
    }
}

/// Country and network, `26201`, where nobody has said it yet.
fn plmn(layer: &mut Layer, code: &str) {
    let is_code = matches!(code.len(), 5 | 6) && code.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((mcc, mnc)) = code.split_at_checked(3).filter(|_| is_code && layer.mcc.is_none()) {
        (layer.mcc, layer.mnc) = (Some(mcc.to_owned()), Some(mnc.to_owned()));
    }
}

/// What is beyond its bounds is not known.
fn put(layer: &mut Layer, side: Side, key: Key, value: Option<f64>) {
    let (least, most) = key.bounds(side);
    layer.numbers.extend(value.filter(|value| (least..=most).contains(value)).map(|value| (key, value)));
}

/// Keeps what was said in the record, as far as it says anything.
fn note(reading: &mut Reading, veil: &Veil, name: &str, value: &Value) {
    let is_empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    if !is_empty {
        reading.raw.push(short(&veil.hide(&format!("{name}: {value}"), IN_ANSWERS)));
    }
}

/// No more than a line of a modem may have.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(super::super::session::LINE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::pseudonym::Key as Secret;

    fn object(technologies: i64, stat: i64) -> Object {
        let objects = json!({ "/org/freedesktop/ModemManager1/Modem/0": {
            MODEM: { "State": 8, "AccessTechnologies": technologies, "Manufacturer": "Quectel", "Model": "RM520N-GL",
                "Revision": "RM520NGLAAR03A03M4G", "EquipmentIdentifier": "860123045678901", "OwnNumbers": ["+491701234567"] },
            THREE_GPP: { "RegistrationState": stat, "OperatorName": "Made-up Mobile", "OperatorCode": "26201" },
            SIGNAL: { "Rate": 1, "Lte": { "rsrp": -95.0, "rsrq": -11.0, "rssi": -63.0, "snr": 12.0 },
                "Nr5g": { "rsrp": -101.0, "rsrq": -11.0, "snr": -32768.0 } },
        } });
        Object::all(&objects).remove(0)
    }

    fn cells() -> Value {
        json!([
            { "cell-type": 5, "serving": true, "operator-id": "26201", "tac": "4E21", "ci": "1A2B303", "physical-ci": "D4",
              "earfcn": 1300, "rsrp": -94.0, "timing-advance": 3 },
            { "cell-type": 5, "serving": true, "serving-cell-type": 2, "physical-ci": "D5", "earfcn": 2850 },
            { "cell-type": 5, "serving": false, "physical-ci": "D6" },
            { "cell-type": 6, "serving": true, "serving-cell-type": 3, "physical-ci": "1F4", "nrarfcn": 640_704, "sinr": 15.0 },
        ])
    }

    fn reading(object: &Object, asked: &Asked) -> Reading {
        read(object, asked, &Veil::new(Secret::example()), Instant::now())
    }

    #[test]
    fn en_dc_has_both_cells_and_how_each_is_heard() {
        let asked = Asked { cells: cells(), ..Asked::default() };
        let reading = reading(&object(1 << 14 | 1 << 15, 1), &asked);
        assert_eq!((reading.technology, reading.registration), (Technology::EnDc, Some(Registration::Home)));
        assert_eq!(reading.operator.as_deref(), Some("Made-up Mobile"));
        let heard = json!({ "lte": { "rsrp": -95, "rsrq": -11, "rssi": -63, "sinr": 12, "timing_advance": 3 },
            "nr": { "rsrp": -101, "rsrq": -11, "sinr": 15 } });
        let place = json!({ "lte": { "plmn": "26201", "cell": 27_439_875, "pci": 212, "tac": 20_001, "arfcn": 1300 },
            "nr": { "pci": 500, "arfcn": 640_704 } });
        assert_eq!((Value::Object(reading.sides(false)), Value::Object(reading.sides(true))), (heard, place));
        assert!(reading.is_whole() && reading.raw.iter().any(|line| line.starts_with("Nr5g: {")), "{:?}", reading.raw);
    }

    #[test]
    fn without_cells_the_location_says_which_cell_it_is_and_without_service_there_is_none() {
        let location = json!({ "1": "262,01,0,1A2B303,4E21", "2": 7 });
        let found = reading(&object(1 << 14, 5), &Asked { location: location.clone(), ..Asked::default() });
        let place = json!({ "lte": { "plmn": "26201", "cell": 27_439_875, "tac": 20_001 } });
        // NR is still heard beside it.
        assert_eq!((found.technology, Value::Object(found.sides(true))), (Technology::EnDc, place));
        let lost = reading(&object(0, 2), &Asked::default());
        assert_eq!((lost.technology, lost.has_service()), (Technology::None, false));
        assert_eq!(reading(&object(1 << 15, 1), &Asked::default()).technology, Technology::NrSa);
        let words = [0, 1 << 3, 1 << 6, 1 << 17, 1 << 16, 1 << 40, -1].map(|bits| technology(bits).as_str());
        assert_eq!(words, ["none", "gsm", "umts", "nb-iot", "lte", "none", "en-dc"]);
    }

    #[test]
    fn numbers_of_people_leave_under_other_names_only() {
        let sim = json!({ "Imsi": "262011234567890", "SimIdentifier": "8949020000123456789" });
        let mut veil = Veil::new(Secret::example());
        let known = about(&object(1 << 14, 1), &sim);
        assert_eq!(known.len(), 7);
        let names: Vec<String> = known
            .iter()
            .map(|(about, text)| if about.is_personal() { veil.learn(about.name(), text) } else { text.clone() })
            .collect();
        let asked = Asked { errors: vec!["IMEI 860123045678901 is barred".to_owned()], ..Asked::default() };
        let reading = read(&object(1 << 14, 1), &asked, &veil, Instant::now());
        let all = format!("{names:?} {:?} {:?}", reading.raw, reading.errors);
        for number in ["860123045678901", "262011234567890", "8949020000123456789", "491701234567"] {
            assert!(!all.contains(number), "{all}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[0-9A-F,]{0,24}".prop_map(Value::from),
        ];
        let name = prop_oneof![
            Just("rsrp"),
            Just("cell-type"),
            Just("serving"),
            Just("ci"),
            Just("1"),
            Just("State"),
            Just("Lte"),
            Just("RegistrationState"),
            Just("AccessTechnologies"),
            Just("OwnNumbers"),
            Just(MODEM),
            Just(SIGNAL),
            Just(THREE_GPP)
        ];
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_its_types_are_a_reading_has_numbers_such_as_there_can_be(
            modem in any_json(), cells in any_json(), location in any_json()
        ) {
            let objects = json!({ "/a": { MODEM: modem, SIGNAL: cells, THREE_GPP: location } });
            for object in Object::all(&objects) {
                let asked = Asked { cells: Value::Array(vec![cells.clone()]), location: location.clone(), errors: Vec::new() };
                let reading = reading(&object, &asked);
                let _ = (about(&object, &location), object.sim(), object.has_port("a"), object.place());
                for (side, layer) in [(Side::Lte, &reading.lte), (Side::Nr, &reading.nr)] {
                    for (key, value) in &layer.numbers {
                        let (least, most) = key.bounds(side);
                        prop_assert!((least..=most).contains(value));
                    }
                }
            }
        }
    }
}
