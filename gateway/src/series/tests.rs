//! Each form by examples, and whatever a message says comes back from a line.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::message::{ClockQuality, MessageId, Origin, Received, Topic};

fn at() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_795_000_000_500_000)
}

fn message(topic: &str, payload: &str) -> Message {
    let received = Received { wall: at(), monotonic: Instant::now(), clock: ClockQuality::Synchronised };
    let (id, topic) = (MessageId { run: 1, sequence: 1 }, Topic::new(topic).unwrap());
    Message::new(id, received, Origin::Gateway, topic, payload.to_owned())
}

const SIGNAL: &str = r#"{"time":"2026-11-18T09:46:40.500Z","clock":"synchronised",
    "timing":{"source":"chrony","offset_s":-0.0000123},
    "position":{"lat":51.5025123,"lon":-0.1347,"alt_m":5.25,"quality":"fix","sats":8,"source":"gps"},
    "radio":"wwan","seq":7,"technology":"nr-sa","nr":{"rsrp":-97,"rsrq":-10.5},"raw":["+QENG: 1"]}"#;

fn file(format: Format, messages: &[Message]) -> String {
    let mut writer = Writer::new(format, "roof", Vec::new());
    let mut out = writer.begin();
    messages.iter().for_each(|message| writer.write(message, &mut out));
    out + &writer.end()
}

#[test]
fn a_line_has_tags_of_whose_it_is_and_fields_whose_type_never_changes() {
    let cell =
        message("cellular/wwan/cell", r#"{"radio":"wwan","technology":"nr-sa","nr":{"cell":4955280,"pci":299}}"#);
    let lines = file(Format::Influx, &[cell, message("cellular/wwan/signal", SIGNAL)]);
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(
        lines[0],
        "cellular_cell,cell=4955280,gateway=roof,modem=wwan,technology=nr-sa nr_cell=4955280i,nr_pci=299i 1795000000500000000"
    );
    assert_eq!(
        lines[1],
        "cellular_signal,cell=4955280,gateway=roof,modem=wwan,technology=nr-sa clock=\"synchronised\",timing_source=\"chrony\",\
         timing_offset_s=-0.0000123,position_lat=51.5025123,position_lon=-0.1347,position_alt_m=5.25,position_quality=\"fix\",\
         position_sats=8i,position_source=\"gps\",seq=7i,nr_rsrp=-97,nr_rsrq=-10.5 1795000000500000000"
    );
}

/// The rules of the reference, one a case.
#[test]
fn what_separates_is_escaped() {
    let line = |topic: &str, object: Value| {
        let measurement = Measurement::of_object(at(), topic, object.as_object().unwrap());
        influx(&measurement, "a b,c=d\\e", None)
    };
    let cases = [
        ("a b/n,1=2/c,d", json!({"x":1.5}), "a\\ b_c\\,d,gateway=a\\ b\\,c\\=d/e,name=n\\,1\\=2 x=1.5"),
        ("a/b", json!({"k =,":true}), "a,gateway=a\\ b\\,c\\=d/e,name=b k\\ \\=\\,=true"),
        (
            "a/b",
            json!({"t":"say \"x\\y\", = ok\nnext"}),
            "a,gateway=a\\ b\\,c\\=d/e,name=b t=\"say \\\"x\\\\y\\\", = ok next\"",
        ),
        (
            "a/b",
            json!({"cell":1,"name":"n","radio":"r","path":"p","received":1.5,"sent":2}),
            "a,gateway=a\\ b\\,c\\=d/e,name=b cell=1,name=\"n\",radio=\"r\",path=\"p\",received=1.5,sent=2",
        ),
        ("probe/p/result", json!({"path":5}), "probe_result,gateway=a\\ b\\,c\\=d/e,probe=p path=5"),
        ("_a/b", json!({"__t":1}), "a,gateway=a\\ b\\,c\\=d/e,name=b t=1"),
        (
            "probe/p/result",
            json!({"kind":"stamp","sent":10,"probe":"p"}),
            "probe_result,gateway=a\\ b\\,c\\=d/e,kind=stamp,probe=p sent=10i",
        ),
    ];
    for (topic, object, expected) in cases {
        assert_eq!(line(topic, object).unwrap(), format!("{expected} 1795000000500000000"));
    }
    assert_eq!(line("a/b", json!({"x":null})), None, "a point without a field is none");
}

#[test]
fn a_row_has_the_columns_whatever_is_said_and_no_text_is_a_formula() {
    let evil = r#"{"operator":"=cmd|' /C calc'!A0","activity":"a, \"b\"\r\nc","strange":"+1","registration":"@x","nr":{"rsrp":-97}}"#;
    let text = file(Format::Csv, &[message("cellular/wwan/signal", SIGNAL), message("cellular/-b/signal", evil)]);
    assert!(text.starts_with("time,topic,name,clock,timing_source,"), "{text}");
    let mut reader = csv_rows(&text);
    let header = reader.remove(0);
    let value = |row: usize, name: &str| reader[row][header.iter().position(|column| column == name).unwrap()].clone();
    assert!(reader.iter().all(|row| row.len() == header.len()));
    assert_eq!(value(0, "time"), "2026-11-18T11:06:40.500000Z");
    assert_eq!([value(0, "nr_rsrp"), value(0, "position_lon"), value(0, "seq")], ["-97", "-0.1347", "7"]);
    assert_eq!((value(0, "lte_rsrp"), value(0, "other")), (String::new(), String::new()));
    assert_eq!(
        [value(1, "operator"), value(1, "name"), value(1, "registration")],
        ["'=cmd|' /C calc'!A0", "'-b", "'@x"]
    );
    assert_eq!((value(1, "activity"), value(1, "nr_rsrp")), ("a, \"b\"\r\nc".into(), "-97".into()));
    assert_eq!(value(1, "other"), r#"{"strange":"+1"}"#);
}

/// A reader as RFC 4180 has it.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {
                assert_eq!(characters.next(), Some('\n'));
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            character => cell.push(character),
        }
    }
    assert!(row.is_empty() && cell.is_empty() && !quoted);
    rows
}

#[test]
fn other_columns_may_be_wanted() {
    let columns = ["time_ns", "nr_rsrp", "nothing"].map(str::to_owned).to_vec();
    let mut writer = Writer::new(Format::Csv, "roof", columns);
    let mut out = writer.begin();
    writer.write(&message("cellular/wwan/signal", SIGNAL), &mut out);
    assert_eq!(out, "time_ns,nr_rsrp,nothing\r\n1795000000500000000,-97,\r\n");
}

#[test]
fn points_are_where_messages_were_and_the_others_are_counted() {
    let nowhere = message("cellular/wwan/signal", r#"{"position":{"lat":200,"lon":1},"seq":1}"#);
    let signal = message("cellular/wwan/signal", SIGNAL);
    let text = file(Format::Geojson, &[nowhere, signal.clone(), signal]);
    let collection: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&collection["type"], &collection["without_position"]), (&json!("FeatureCollection"), &json!(1)));
    assert_eq!(collection["features"].as_array().unwrap().len(), 2);
    let feature = &collection["features"][0];
    assert_eq!(feature["geometry"], json!({"type":"Point","coordinates":[-0.1347,51.5025123,5.25]}));
    assert_eq!(feature["properties"]["nr_rsrp"], json!(-97));
    let empty: Value = serde_json::from_str(&file(Format::Geojson, &[])).unwrap();
    assert_eq!(empty["features"], json!([]));
}

#[test]
fn what_others_say_replaces_nothing_and_is_not_lost() {
    let payload = r#"{"name":"n","topic":"t","radio":"r","other":1,"received":1.5,"position":{"lat":1,"lon":2}}"#;
    let foreign = message("serial/a/up", payload);
    let rows = csv_rows(&file(Format::Csv, std::slice::from_ref(&foreign)));
    let value = |name: &str| rows[1][rows[0].iter().position(|column| column == name).unwrap()].as_str();
    assert_eq!([value("topic"), value("name"), value("received")], ["serial/a/up", "a", "1.5"]);
    assert_eq!(value("other"), r#"{"name":"n","topic":"t","radio":"r","other":1}"#);
    let line = message("serial/a/up", r#"a time=5,topic="t",position_lat=1,position_lon=2"#);
    let points: Value = serde_json::from_str(&file(Format::Geojson, &[foreign, line])).unwrap();
    let said = |at: usize| &points["features"][at]["properties"];
    for at in [0, 1] {
        assert_eq!(
            (&said(at)["topic"], &said(at)["time"]),
            (&json!("serial/a/up"), &json!("2026-11-18T11:06:40.500000Z"))
        );
    }
    assert_eq!((&said(0)["name"], &said(0)["other"]), (&json!("n"), &json!({"topic":"t","other":1})));
    assert_eq!(said(1)["other"], json!({"time":5,"topic":"t"}));
}

#[test]
fn a_long_key_is_not_repeated_for_each_of_its_values() {
    let payload = json!({ "a".repeat(10_000): vec![0; 10_000], "b": 1 }).to_string();
    for format in [Format::Csv, Format::Influx, Format::Senml, Format::Geojson] {
        let text = file(format, &[message("cellular/wwan/signal", &payload)]);
        assert!(text.len() < 2000, "{format:?}: {}", text.len());
    }
}

#[test]
fn a_foreign_pack_changes_nothing_behind_it() {
    let foreign = message("cellular/wwan/signal", r#"[{"bn":"x/","bt":1,"bu":"V","n":"a","v":1},{"n":"b","v":2}]"#);
    let text = file(Format::Senml, &[foreign, message("cellular/wwan/signal", "[1]")]);
    let pack: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(!pack.is_empty() && pack.iter().all(|record| record.is_object() && record["bu"].is_null()), "{text}");
}

#[test]
fn a_pack_has_units_and_a_pack_that_is_one_already_says_the_same() {
    let pack: Value = serde_json::from_str(&file(Format::Senml, &[message("cellular/wwan/signal", SIGNAL)])).unwrap();
    assert_eq!(pack[0], json!({"bn":"cellular/wwan/","bt":1_795_000_000.5,"n":"clock","vs":"synchronised"}));
    for record in [
        json!({"n":"position/lat","u":"lat","v":51.502_512_3}),
        json!({"n":"nr/rsrp","u":"dBW","v":-127}),
        json!({"n":"timing/offset_s","u":"s","v":-0.000_012_3}),
    ] {
        assert!(pack.as_array().unwrap().contains(&record), "{pack}");
    }
    let (as_pack, as_object) =
        (message("cellular/wwan/signal", &pack.to_string()), message("cellular/wwan/signal", SIGNAL));
    let mut expected = Measurement::of(&as_object).unwrap();
    expected.fields.retain(|(name, _)| name != "radio");
    assert_eq!(Measurement::of(&as_pack).unwrap(), expected);
    let line = influx(&expected, "roof", None).unwrap();
    let again = Measurement::of(&message("cellular/wwan/signal", &line)).unwrap();
    assert_eq!((again.number("nr_rsrp"), again.text("technology")), (Some(-97.0), Some("nr-sa")));
    assert_eq!(again.fields.len(), expected.fields.len());
    let pack: Value = serde_json::from_str(&file(Format::Senml, &[message("cellular/wwan/signal", &line)])).unwrap();
    assert!(pack.as_array().unwrap().contains(&json!({"n":"nr/rsrp","u":"dBW","v":-127})), "{pack}");
}

#[test]
fn json_is_what_the_tap_prints_and_what_is_no_measurement_is_left_out_elsewhere() {
    let odd = [message("a/b", "no measurement"), message("a/b", "\u{0}"), message("a/b", "{"), message("a/b", "[1]")];
    assert_eq!(file(Format::Json, &odd).lines().count(), 4);
    assert_eq!(file(Format::Influx, &odd), "");
    let first: Value = serde_json::from_str(file(Format::Json, &odd).lines().next().unwrap()).unwrap();
    assert_eq!(first["payload"], "no measurement");
}

fn field() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| json!(number)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<String>().prop_map(|text| json!(text)),
        "[-=+@,\"\\\\ ]{0,8}".prop_map(|text| json!(text)),
    ]
}

proptest! {
    #[test]
    fn whatever_is_said_comes_back_from_its_line(
        topic in "[a-z ,=\\\\]{1,8}/[a-z ,=]{1,6}/[a-z]{1,4}", gateway in "[a-z ,=]{1,5}",
        object in proptest::collection::btree_map("[a-z,= \\\\\"]{1,6}", field(), 1..6),
    ) {
        let object: Map<String, Value> = object.into_iter().collect();
        let measurement = Measurement::of_object(at(), &topic, &object);
        let Some(line) = influx(&measurement, &gateway, None) else { return Ok(()) };
        prop_assert!(!line.contains(['\n', '\r']));
        let read = influx::parse(&line).expect("it is a line");
        prop_assert_eq!(read.time, Some(1_795_000_000_500_000_000));
        let has_gateway = read.tags.iter().any(|(name, value)| name == "gateway" && *value == gateway);
        prop_assert!(has_gateway, "{}", line);
        for (name, field) in &read.fields {
            let plain = |text: &str| text.replace(|character: char| character.is_control(), " ");
            let said = measurement.fields.iter().find(|(said, _)| said.replace('\\', "/") == *name);
            let (_, said) = said.expect("nothing comes that was not said");
            match (said, field) {
                (Field::Text(said), Field::Text(read)) => prop_assert_eq!(plain(said), read.clone()),
                (said, read) => prop_assert_eq!(said, read),
            }
        }
    }

    #[test]
    fn any_text_is_looked_at_and_written_in_each_form(text in any::<String>(), topic in "[a-z/ ,]{1,12}") {
        for payload in [text.clone(), format!("{{\"a\":{}}}", json!(text)), format!("a,b={text} c=1 2"), format!("[{{\"n\":{}}}]", json!(text))] {
            let message = message(&topic, &payload);
            for format in Format::ALL {
                let out = file(format, std::slice::from_ref(&message));
                if format == Format::Csv {
                    prop_assert!(csv_rows(&out).iter().all(|row| row.len() == COLUMNS.len()));
                }
            }
        }
    }
}
