//! Reads lists of texts and of topic filters, which several sections have.

use crate::config::notes::Spot;
use crate::config::problem::plain;
use crate::config::section::Section;
use crate::config::tree::{Kind, Node, Value};
use crate::message::TopicFilter;

/// More items in one list than this are refused: each may be tried for each message.
const ITEMS_MAX: usize = 100;

/// The filters at `key`, without those that are none; `None` if that leaves none. `example` shows what one looks like there.
pub(super) fn filters(section: &mut Section<'_>, key: &'static str, example: &str) -> Option<Vec<TopicFilter>> {
    let texts = texts(section, key, "a topic filter")?;
    let (mut good, empty) = (Vec::new(), texts.is_empty());
    for text in texts {
        match filter(&text) {
            Ok(filter) => good.push(filter),
            Err(is) => {
                let is = format!("has `{}`, which {is}", plain(&text));
                section.refuse(key, is, format!("write a topic filter such as \"{example}\""));
            }
        }
    }
    (empty || !good.is_empty()).then_some(good)
}

/// The filter that `text` is, or why it is none.
pub(in crate::config) fn filter(text: &str) -> Result<TopicFilter, String> {
    if text.starts_with("$share/") {
        return Err("is a shared subscription; write the filter behind the group".to_owned());
    }
    TopicFilter::new(text).map_err(|error| error.to_string())
}

/// The texts at `key`, without items that are none; `None` if that leaves none. `what` says what they should be.
pub(super) fn texts(section: &mut Section<'_>, key: &'static str, what: &str) -> Option<Vec<String>> {
    Some(placed_texts(section, key, what)?.into_iter().map(|(text, _)| text).collect())
}

/// The same, each with its place.
pub(super) fn placed_texts(section: &mut Section<'_>, key: &'static str, what: &str) -> Option<Vec<(String, Spot)>> {
    let items = section.list(key, ITEMS_MAX)?;
    let (mut good, empty) = (Vec::new(), items.is_empty());
    for item in items {
        match item.resolve(&[Kind::Text]) {
            Node { spot, value: Value::Text(text) } => good.push((text, spot)),
            Node { spot, value } => {
                let kind = Node { spot: spot.clone(), value }.kind();
                let said = format!("`{key}` in {} has {kind}, which is not {what}", section.title());
                section.notes.error(&spot, said, "write a text in quotes");
            }
        }
    }
    (empty || !good.is_empty()).then_some(good)
}
