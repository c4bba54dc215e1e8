//! Records for the journal. What `journalctl` shows is the message with its key-values, as a text line has them; each key-value
//! is a field too, `STILE_RADIO` for `radio`, and what the catalogue explains has its `MESSAGE_ID`.

use std::fmt;

use log::kv::{Error, Key, Source, Value, VisitSource};
use log::{Log, Metadata, Record};

use super::{catalogue, words};

/// A logger of the journal's protocol, told what Stile's fields are called.
pub(super) struct Journal<L>(pub(super) L);

impl<L: Log> Log for Journal<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let (words, fields) = (words(record), Fields::of(record));
        self.0.log(&record.to_builder().args(format_args!("{words}")).key_values(&fields).build());
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// The fields of a record.
struct Fields<'a> {
    id: Option<Id>,
    named: Vec<(String, Value<'a>)>,
}

impl<'a> Fields<'a> {
    fn of(record: &'a Record<'_>) -> Self {
        let mut fields = Self { id: record.args().as_str().and_then(catalogue::id).map(Id), named: Vec::new() };
        // Visiting a list can't fail.
        let _ = record.key_values().visit(&mut fields);
        fields
    }
}

impl<'a> VisitSource<'a> for Fields<'a> {
    /// With the prefix no field can pass for one of the journal's own, such as `UNIT` or `CODE_FILE`.
    fn visit_pair(&mut self, key: Key<'a>, value: Value<'a>) -> Result<(), Error> {
        self.named.push((format!("stile_{key}"), value));
        Ok(())
    }
}

impl Source for Fields<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        if let Some(id) = &self.id {
            visitor.visit_pair(Key::from_str("message_id"), Value::from_display(id))?;
        }
        self.named.visit(visitor)
    }
}

/// 32 hex digits.
struct Id(u128);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use log::Level;

    use super::*;

    type Fields = BTreeMap<String, String>;

    /// What a record becomes.
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<(String, Fields)>>>);

    impl Log for Heard {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            struct Into(BTreeMap<String, String>);
            impl<'kvs> VisitSource<'kvs> for Into {
                fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
                    self.0.insert(key.to_string(), value.to_string());
                    Ok(())
                }
            }
            let mut fields = Into(BTreeMap::new());
            record.key_values().visit(&mut fields).unwrap();
            self.0.lock().unwrap().push((record.args().to_string(), fields.0));
        }

        fn flush(&self) {}
    }

    fn heard(message: fmt::Arguments<'_>) -> Vec<(String, BTreeMap<String, String>)> {
        let pairs: &[(&str, Value<'_>)] = &[("radio", Value::from("meter")), ("error", Value::from("it is not there"))];
        let heard = Heard::default();
        let record = Record::builder().args(message).level(Level::Info).key_values(&pairs).build();
        Journal(heard.clone()).log(&record);
        heard.0.lock().unwrap().clone()
    }

    #[test]
    fn a_line_has_its_key_values_in_words_and_as_fields_and_its_id_from_the_catalogue() {
        let lines = heard(format_args!("port not open; tried again until it is"));
        assert_eq!(lines.len(), 1);
        let (words, fields) = &lines[0];
        assert_eq!(words, "port not open; tried again until it is radio=meter error=\"it is not there\"");
        let expected = [
            ("message_id", "cc87d5d2f38b4e7ce6bc6f9d3c4ee9e1"),
            ("stile_error", "it is not there"),
            ("stile_radio", "meter"),
        ];
        assert_eq!(*fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_line_that_the_catalogue_does_not_know_has_no_id() {
        let lines = heard(format_args!("frame {}", "dropped"));
        assert!(lines[0].0.starts_with("frame dropped radio=meter") && !lines[0].1.contains_key("message_id"));
    }
}
