//! Acknowledgements: empty, or `{ "id": "...", "by": "..." }` with either or both.

use serde_json::{Map, Value, json};
use stile_filter::{Host, Level, Message, Verdict};

use crate::Settings;
use crate::incident::{self, Incident};

/// The longest text in an acknowledgement, in bytes.
const MOST_TEXT: usize = 200;

/// The place whose incident a topic acknowledges: `falls/PLACE/ack`.
pub(crate) fn place<'a>(base: &str, topic: &'a str) -> Option<&'a str> {
    let place = topic.strip_prefix(base)?.strip_prefix('/')?.strip_suffix("/ack")?;
    (!place.is_empty() && !place.contains('/')).then_some(place)
}

/// Judges one.
pub(crate) fn judge(settings: &Settings, place: &str, message: &Message, host: &Host) -> Verdict {
    let (id, by) = match read(&message.payload) {
        Ok(read) => read,
        Err(why) => return Verdict::Reject(why.into()),
    };
    let at = message.received;
    match Incident::at(place, host) {
        // Somebody answers to what was, and may not know of this one.
        Some(incident) if id.as_deref().is_some_and(|id| id != incident.id()) => {
            host.log(
                Level::Warn,
                format_args!("{place}: an acknowledgement is for another incident than the open one"),
            );
            return Verdict::Drop("another incident".into());
        }
        Some(incident) => {
            incident.end(settings, "acknowledged", by.as_deref(), at, host);
            incident::quiet(settings, place, host);
        }
        // A power cut may have taken what was kept of it, and left what was told.
        None => {
            let mut payload = json!({ "state": "acknowledged", "ended": at.to_string() });
            for (name, text) in [("id", id), ("by", by)] {
                if let Some(text) = text {
                    payload[name] = json!(text);
                }
            }
            incident::publish(incident::topic(settings, place), &payload, host);
        }
    }
    Verdict::Pass
}

type Read = (Option<String>, Option<String>);

fn read(payload: &[u8]) -> Result<Read, &'static str> {
    if payload.is_empty() {
        return Ok((None, None));
    }
    // What can't be read acknowledges nothing: it may have named another incident.
    let fields: Map<String, Value> =
        serde_json::from_slice(payload).map_err(|_| "an acknowledgement is empty or a JSON object")?;
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= MOST_TEXT => Ok(Some(text.clone())),
        Some(_) => Err("`id` or `by` of an acknowledgement is no short text"),
    };
    Ok((text("id")?, text("by")?))
}
