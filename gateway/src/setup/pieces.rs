//! What the first steps put into settings: pieces of TOML.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// The text of the main file with another name of the gateway; all else stays where it stands.
///
/// # Errors
/// When the text is no TOML, or `gateway` no table.
pub fn with_gateway_id(text: &str, id: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let gateway = document.entry("gateway").or_insert(Item::Table(Table::new()));
    let gateway = gateway.as_table_like_mut().ok_or("`gateway` is no table: write `[gateway]`")?;
    match gateway.get_mut("id").and_then(Item::as_value_mut) {
        Some(there) => {
            let around = there.decor().clone();
            *there = id.into();
            *there.decor_mut() = around;
        }
        None => drop(gateway.insert("id", value(id))),
    }
    Ok(document.to_string())
}

/// A file with one radio on a port. Without a port it is a sensor that is made up.
pub fn radio(name: &str, port: Option<&str>, baud: i64, framing: &str) -> String {
    let mut radio = Table::new();
    radio.insert("name", value(name));
    match port {
        Some(port) => {
            radio.insert("kind", value("serial"));
            radio.insert("device", value(port));
            radio.insert("baud", value(baud));
            radio.insert("framing", value(framing));
        }
        None => {
            radio.insert("kind", value("simulated"));
            radio.insert("device", value("line"));
        }
    }
    let mut radios = ArrayOfTables::new();
    radios.push(radio);
    let mut document = DocumentMut::new();
    document.insert("radio", Item::ArrayOfTables(radios));
    document.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_gateway_is_changed_where_it_stands() {
        let named = |text| with_gateway_id(text, "ro\"of").unwrap();
        assert_eq!(named(""), "[gateway]\nid = 'ro\"of'\n");
        let text = "# Ours.\n[gateway] # this one\nid = \"old\" # its name\ndata-dir = \"x\"\n[log]\n";
        assert_eq!(named(text), text.replace("\"old\"", "'ro\"of'"));
        assert_eq!(named("gateway = { id = 'a' }\n"), "gateway = { id = 'ro\"of' }\n");
        assert!(with_gateway_id("gateway = 3", "a").is_err() && with_gateway_id("[gateway", "a").is_err());
    }

    #[test]
    fn a_radio_is_what_anybody_would_write_and_its_texts_stay_texts() {
        let text = radio("a\"\n[admin]", Some("/dev/ttyUSB0"), 9600, "line");
        let read: DocumentMut = text.parse().unwrap();
        assert_eq!((read["radio"][0]["name"].as_str(), read.len()), (Some("a\"\n[admin]"), 1), "{text}");
        let plain =
            "[[radio]]\nname = \"a\"\nkind = \"serial\"\ndevice = \"/dev/ttyUSB0\"\nbaud = 9600\nframing = \"line\"\n";
        assert_eq!(radio("a", Some("/dev/ttyUSB0"), 9600, "line"), plain);
        assert_eq!(radio("a", None, 0, ""), "[[radio]]\nname = \"a\"\nkind = \"simulated\"\ndevice = \"line\"\n");
    }
}
