//! The hub's topics and what they are called here. Pure.
//!
//! Here all begin with `hub/<uplink>/`; `docs/forward-to-azure-iot-hub.md` has the table.

use std::time::Duration;

use super::bag;
use super::desk::Command;
use crate::config::{self, Receive};
use crate::message::{Message, Properties, QoS, Topic, TopicFilter};
use crate::uplink::dead::Misfit;
use crate::uplink::routes::{Outgoing, Sort};
use crate::uplink::stats::Dead;

/// What the hub answers on, of twins.
pub(super) const RESULTS: &str = "$iothub/twin/res/#";
/// The longest answer to a direct method, in bytes (Microsoft, "Understand and invoke direct methods from IoT Hub").
const ANSWER_MAX: usize = 128 * 1024;
/// The longest identifier of a request, in bytes; the hub's are short numbers.
const RID_MAX: usize = 64;

/// A hub, as one device sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::uplink) struct Hub {
    device: String,
    /// What its topics begin with here.
    local: String,
    receive: Vec<Receive>,
    pub(super) method_timeout: Duration,
}

/// What the hub says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// A cloud-to-device message.
    Message(Properties),
    /// A direct method is called.
    Call { method: String, rid: String },
    /// The desired properties change.
    Desired,
    /// What it makes of a question.
    Result { status: u16, rid: String, version: Option<u64> },
}

impl Hub {
    /// `None` where the remote is none.
    pub(in crate::uplink) fn new(uplink: &config::Uplink) -> Option<Self> {
        let hub = uplink.hub.as_ref()?;
        Some(Self {
            device: uplink.client_id.clone(),
            local: format!("hub/{}/", uplink.name),
            receive: hub.receive.clone(),
            method_timeout: hub.method_timeout,
        })
    }

    fn receives(&self, what: Receive) -> bool {
        self.receive.contains(&what)
    }

    /// What to ask it for: at most five filters may be.
    pub(in crate::uplink) fn subscriptions(&self) -> Vec<(TopicFilter, QoS)> {
        let messages = format!("devices/{}/messages/devicebound/#", self.device);
        let all = [
            (Receive::Messages, messages.as_str(), QoS::AtLeastOnce),
            (Receive::Methods, "$iothub/methods/POST/#", QoS::AtMostOnce),
            (Receive::Twin, RESULTS, QoS::AtMostOnce),
            (Receive::Twin, "$iothub/twin/PATCH/properties/desired/#", QoS::AtLeastOnce),
        ];
        let wanted = all.into_iter().filter(|(what, ..)| self.receives(*what));
        wanted.filter_map(|(_, filter, qos)| Some((TopicFilter::new(filter).ok()?, qos))).collect()
    }

    /// What stands behind the prefix in a topic that is the hub's here.
    fn rest<'t>(&self, topic: &'t str) -> Option<&'t str> {
        topic.strip_prefix(self.local.as_str())
    }

    /// Whether messages under this topic are for the hub itself, and not telemetry: `None` where the topic is not the hub's.
    pub(in crate::uplink) fn takes(&self, topic: &str) -> Option<bool> {
        Some(match self.rest(topic)? {
            "twin/reported" | "twin/get" => self.receives(Receive::Twin),
            rest => rest.starts_with("response/") && self.receives(Receive::Methods),
        })
    }

    /// Whether messages under this topic are worth nothing later, and so are not queued on disk.
    pub(in crate::uplink) fn is_command(&self, topic: &str) -> bool {
        self.rest(topic).is_some_and(|rest| rest == "twin/get" || rest.starts_with("response/"))
    }

    /// What such a message says; `None` for all others.
    pub(in crate::uplink) fn command(&self, message: &Message) -> Option<Result<Command, Misfit>> {
        match self.rest(message.topic.as_str())? {
            "twin/get" => Some(Ok(Command::Twin)),
            rest => Some(answer(rest.strip_prefix("response/")?, message)),
        }
    }

    /// The change of reported properties that a message is; `None` for all others.
    pub(in crate::uplink) fn reported(&self, message: &Message) -> Option<Result<Outgoing, Misfit>> {
        (self.rest(message.topic.as_str())? == "twin/reported").then(|| {
            let object: Result<serde_json::Map<String, serde_json::Value>, _> =
                serde_json::from_slice(&message.payload);
            object
                .map_err(|error| Misfit::new(Dead::BadPayload, format!("the hub takes a JSON object here: {error}")))?;
            let topic = format!("$iothub/twin/PATCH/properties/reported/?$rid={}", message.id);
            let topic = topic_of(&topic)?;
            // The hub's answer is what acknowledges it.
            Ok(Outgoing { topic, qos: QoS::AtMostOnce, retain: false, sort: Sort::Reported })
        })
    }

    /// A message that is called `topic` there, as telemetry.
    pub(in crate::uplink) fn telemetry(&self, message: &Message, topic: &str, qos: QoS) -> Result<Outgoing, Misfit> {
        let bag = bag::of(message, topic);
        let sort = Sort::Telemetry { bag: bag.len() };
        Ok(Outgoing { topic: self.events(&bag)?, qos, retain: message.retain, sort })
    }

    /// Where something goes that the gateway itself says, under this name.
    pub(in crate::uplink) fn said(&self, topic: &str) -> Result<Topic, Misfit> {
        self.events(&format!("$.ct=application%2Fjson&$.ce=utf-8&topic={}", bag::escape(topic)))
    }

    fn events(&self, bag: &str) -> Result<Topic, Misfit> {
        topic_of(&format!("devices/{}/messages/events/{bag}", self.device))
    }

    /// What the hub says under a topic; `None` for what is not its way.
    pub(super) fn heard(&self, topic: &str) -> Option<Heard> {
        if let Some(rest) = topic.strip_prefix("$iothub/methods/POST/") {
            let (method, query) = rest.rsplit_once("/?")?;
            let rid = value(query, "$rid").filter(|rid| is_rid(rid))?;
            return Some(Heard::Call { method: method.to_owned(), rid });
        }
        if let Some(rest) = topic.strip_prefix("$iothub/twin/res/") {
            let (status, query) = rest.split_once("/?")?;
            let version = value(query, "$version").and_then(|version| version.parse().ok());
            return Some(Heard::Result { status: status.parse().ok()?, rid: value(query, "$rid")?, version });
        }
        if topic.starts_with("$iothub/twin/PATCH/properties/desired/") {
            return Some(Heard::Desired);
        }
        let rest = topic.strip_prefix("devices/")?.strip_prefix(self.device.as_str())?;
        let bag = rest.strip_prefix("/messages/devicebound")?;
        let bag = if bag.is_empty() { bag } else { bag.strip_prefix('/')? };
        Some(Heard::Message(bag::properties(bag::pairs(bag)?)))
    }

    /// A topic of the hub here.
    pub(super) fn here(&self, rest: &str) -> Option<Topic> {
        Topic::new(&format!("{}{rest}", self.local)).ok()
    }
}

/// `<rid>/<status>`, what an answer's topic ends with.
fn answer(rest: &str, message: &Message) -> Result<Command, Misfit> {
    let parsed = rest.split_once('/').and_then(|(rid, status)| Some((rid, status.parse::<u16>().ok()?)));
    let Some((rid, status)) = parsed.filter(|(rid, _)| is_rid(rid)) else {
        return Err(Misfit::new(
            Dead::BadTopic,
            "answers go to `response/<request>/<status>`, and a status is a number",
        ));
    };
    let payload = message.payload.clone();
    if payload.len() > ANSWER_MAX {
        let detail = format!("the hub takes answers of {ANSWER_MAX} bytes, and this one has {}", payload.len());
        return Err(Misfit::new(Dead::TooLarge, detail));
    }
    if !payload.is_empty() {
        let json: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(&payload);
        json.map_err(|error| Misfit::new(Dead::BadPayload, format!("the hub takes JSON or nothing here: {error}")))?;
    }
    Ok(Command::Answer { rid: rid.to_owned(), status, payload })
}

/// Whether it can be one level of a topic.
fn is_rid(text: &str) -> bool {
    (1..=RID_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:=".contains(&b))
}

fn value(query: &str, name: &str) -> Option<String> {
    bag::pairs(query)?.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn topic_of(text: &str) -> Result<Topic, Misfit> {
    Topic::new(text)
        .map_err(|error| Misfit::new(Dead::TooLarge, format!("with its properties, its topic there {error}")))
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use super::*;
    use crate::config::{Uplink, Url};
    use crate::message::{ClockQuality, MessageId, Origin, Received};

    fn hub(receive: &[Receive]) -> Hub {
        let url = Url { tls: true, host: "roof.azure-devices.net".into(), port: 8883, websocket: None };
        let mut uplink = Uplink::new("cloud", url, Vec::new());
        uplink.client_id = "gw-1".into();
        uplink.hub = Some(config::Hub::new("roof.azure-devices.net"));
        uplink.hub.as_mut().unwrap().receive = receive.to_vec();
        Hub::new(&uplink).unwrap()
    }

    fn message(topic: &str, payload: &'static str) -> Message {
        let received =
            Received { wall: SystemTime::now(), monotonic: Instant::now(), clock: ClockQuality::Unsynchronised };
        let id = MessageId { run: 1, sequence: 2 };
        Message::new(id, received, Origin::Client("c".into()), Topic::new(topic).unwrap(), payload)
    }

    #[test]
    fn only_what_is_wanted_is_asked_for() {
        let filters = |receive: &[Receive]| {
            let all = hub(receive).subscriptions();
            all.iter().map(|(filter, _)| filter.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(filters(&Receive::ALL).len(), 4);
        assert_eq!(filters(&[Receive::Messages]), ["devices/gw-1/messages/devicebound/#"]);
        assert!(filters(&[]).is_empty());
    }

    #[test]
    fn answers_and_twins_have_topics_here_and_what_is_wrong_with_them_is_said() {
        let hub = hub(&Receive::ALL);
        let command = |topic, payload| hub.command(&message(topic, payload));
        let answer = Command::Answer { rid: "a1".into(), status: 200, payload: "{}".into() };
        assert_eq!(command("hub/cloud/response/a1/200", "{}"), Some(Ok(answer)));
        assert_eq!(command("hub/cloud/twin/get", ""), Some(Ok(Command::Twin)));
        for (topic, payload, why) in [
            ("hub/cloud/response/a1/ok", "", Dead::BadTopic),
            ("hub/cloud/response/a1", "", Dead::BadTopic),
            ("hub/cloud/response/a b/200", "", Dead::BadTopic),
            ("hub/cloud/response/a1/200", "no JSON", Dead::BadPayload),
        ] {
            assert_eq!(command(topic, payload).unwrap().unwrap_err().why, why, "{topic}");
        }
        assert_eq!((command("hub/other/twin/get", ""), command("hub/cloud/twin/reported", "{}")), (None, None));
        let reported = hub.reported(&message("hub/cloud/twin/reported", "{\"a\":1}")).unwrap().unwrap();
        assert_eq!(reported.topic.as_str(), "$iothub/twin/PATCH/properties/reported/?$rid=0000000000000001-2");
        let refused = hub.reported(&message("hub/cloud/twin/reported", "[1]")).unwrap();
        assert_eq!(refused.unwrap_err().why, Dead::BadPayload);
    }

    #[test]
    fn what_is_not_received_is_not_taken_either_and_what_the_hub_said_here_is_no_telemetry() {
        let takes = |hub: &Hub, topic| hub.takes(topic);
        let all = hub(&Receive::ALL);
        assert_eq!((takes(&all, "hub/cloud/twin/reported"), takes(&all, "hub/cloud/twin")), (Some(true), Some(false)));
        assert_eq!((takes(&all, "hub/cloud/request/1/m"), takes(&all, "serial/a")), (Some(false), None));
        let commands = ["hub/cloud/twin/get", "hub/cloud/response/1/200", "hub/cloud/twin/reported", "serial/a"];
        assert_eq!(commands.map(|topic| all.is_command(topic)), [true, true, false, false]);
        let few = hub(&[Receive::Messages]);
        assert_eq!(
            (takes(&few, "hub/cloud/twin/get"), takes(&few, "hub/cloud/response/1/200")),
            (Some(false), Some(false))
        );
    }

    #[test]
    fn what_the_hub_says_is_told_apart_by_its_topics() {
        let hub = hub(&Receive::ALL);
        let rid = || "1f".to_owned();
        let call = |method: &str| Some(Heard::Call { method: method.into(), rid: rid() });
        assert_eq!(hub.heard("$iothub/methods/POST/reboot/?$rid=1f"), call("reboot"));
        assert_eq!(hub.heard("$iothub/methods/POST/a/b?/?$rid=1f"), call("a/b?"));
        let result = |status, version| Some(Heard::Result { status, rid: rid(), version });
        assert_eq!(hub.heard("$iothub/twin/res/204/?$rid=1f&$version=6"), result(204, Some(6)));
        assert_eq!(hub.heard("$iothub/twin/res/200/?$rid=1f"), result(200, None));
        assert_eq!(hub.heard("$iothub/twin/PATCH/properties/desired/?$version=8"), Some(Heard::Desired));
        let said = |user: &[(&str, &str)]| {
            let user = user.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Some(Heard::Message(Properties { user, ..Properties::default() }))
        };
        assert_eq!(hub.heard("devices/gw-1/messages/devicebound/a=1"), said(&[("a", "1")]));
        assert_eq!(hub.heard("devices/gw-1/messages/devicebound/"), said(&[]));
        for strange in [
            "$iothub/methods/POST/reboot",
            "$iothub/methods/POST/reboot/?$rid=a/b",
            "$iothub/twin/res/all/?$rid=1",
            "devices/gw-2/messages/devicebound/",
            "devices/gw-1/messages/deviceboundary",
            "other",
        ] {
            assert_eq!(hub.heard(strange), None, "{strange}");
        }
    }

    #[test]
    fn telemetry_has_its_name_in_the_bag() {
        let out = hub(&[]).telemetry(&message("a", "x"), "site/a", QoS::AtLeastOnce).unwrap();
        assert!(
            out.topic.as_str().starts_with("devices/gw-1/messages/events/$.mid=0000000000000001-2&topic=site%2Fa&")
        );
        let said = hub(&[]).said("stile/gw/uplink/cloud/state").unwrap();
        assert!(said.as_str().ends_with("&topic=stile%2Fgw%2Fuplink%2Fcloud%2Fstate"));
    }
}
