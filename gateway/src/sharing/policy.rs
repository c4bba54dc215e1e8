//! What becomes of a message: the first rule that names its topic says it, and what no rule names is not shared.

use bytes::Bytes;

use super::properties::Said;
use super::trace::{Fate, Trace};
use super::tree::Tree;
use super::{document, shape};
use crate::config::{self, Coarse};
use crate::message::{Message, Topic, TopicFilter};
use crate::pseudonym::Key;

/// Why a message is not shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Withheld {
    /// No rule names its topic.
    Topic,
    /// It is no JSON, and fields of it are to be looked at.
    NotJson,
    /// It is longer than what is looked at.
    TooLarge,
    /// It has more levels than are looked at.
    TooDeep,
    /// An object in it has two members with one name.
    DuplicateKey,
    /// No field of it may leave.
    Nothing,
    /// With its pseudonyms its topic would be too long.
    LongTopic,
    /// The secret behind its pseudonyms can't be read or kept.
    NoSecret,
}

impl Withheld {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Topic,
        Self::NotJson,
        Self::TooLarge,
        Self::TooDeep,
        Self::DuplicateKey,
        Self::Nothing,
        Self::LongTopic,
        Self::NoSecret,
    ];

    /// The word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::NotJson => "not-json",
            Self::TooLarge => "too-large",
            Self::TooDeep => "too-deep",
            Self::DuplicateKey => "duplicate-key",
            Self::Nothing => "nothing-left",
            Self::LongTopic => "topic-too-long",
            Self::NoSecret => "no-secret",
        }
    }

    /// The same as a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Topic => "no [[uplink.share]] names its topic",
            Self::NotJson => "it is no JSON, and the rule is about fields",
            Self::TooLarge => "it is longer than 256 KiB, and the rule is about fields",
            Self::TooDeep => "it is JSON of more than 32 levels",
            Self::DuplicateKey => "an object in it has two members with one name",
            Self::Nothing => "no field of it may leave",
            Self::LongTopic => "with pseudonyms its topic would be longer than 65535 bytes",
            Self::NoSecret => "the secret behind its pseudonyms can't be read or kept; the log says why",
        }
    }
}

/// One rule, ready to use.
struct Rule {
    topics: Vec<TopicFilter>,
    /// What is said of the payload's fields; `None` where the payload goes as it is.
    fields: Option<Tree>,
    /// Fields of which nothing is said go as they are.
    keep: bool,
    topic_levels: Vec<usize>,
    properties: Said,
    needs_secret: bool,
}

impl Rule {
    fn of(share: &config::Share) -> Self {
        let about_fields = share.coarse.iter().any(|coarse| !matches!(coarse, Coarse::Received { .. }));
        let reads = share.fields.is_some() || !share.pseudonyms.is_empty() || about_fields;
        Self {
            topics: share.topics.clone(),
            fields: reads.then(|| Tree::of(share)),
            keep: share.fields.is_none(),
            topic_levels: share.topic_levels.clone(),
            properties: Said::of(share),
            needs_secret: share.has_pseudonyms(),
        }
    }

    fn shape(&self, message: &Message, key: &Key, trace: &mut Trace) -> Result<Message, Withheld> {
        let topic = self.topic(&message.topic, key)?;
        let payload = self.payload(&message.payload, key, trace)?;
        let mut shaped = self.properties.shape(message);
        (shaped.topic, shaped.payload) = (topic, payload);
        Ok(shaped)
    }

    fn topic(&self, topic: &Topic, key: &Key) -> Result<Topic, Withheld> {
        if self.topic_levels.is_empty() {
            return Ok(topic.clone());
        }
        let levels = topic.as_str().split('/').enumerate().map(|(place, level)| {
            if self.topic_levels.contains(&place) { key.pseudonym(level) } else { level.to_owned() }
        });
        Topic::new(&levels.collect::<Vec<_>>().join("/")).map_err(|_| Withheld::LongTopic)
    }

    /// An empty payload clears what was retained, and has no field.
    fn payload(&self, payload: &Bytes, key: &Key, trace: &mut Trace) -> Result<Bytes, Withheld> {
        let Some(tree) = self.fields.as_ref().filter(|_| !payload.is_empty()) else { return Ok(payload.clone()) };
        let text = document::check(payload)?;
        let shaped = shape::shape(text, tree, self.keep, key, trace);
        shaped.map(Bytes::from).ok_or(Withheld::Nothing)
    }
}

/// The rules of one uplink.
pub struct Policy {
    rules: Vec<Rule>,
    /// For rules without pseudonyms.
    no_secret: Key,
}

/// What would become of a message, and why.
pub struct Explained {
    /// The place of the rule that decides, from 0.
    pub rule: Option<usize>,
    /// The message as it would leave, or why it would not.
    pub outcome: Result<Message, Withheld>,
    /// Its fields.
    pub fates: Vec<Fate>,
}

impl Policy {
    /// `None` without rules: then all is shared, as it is.
    pub fn of(share: &[config::Share]) -> Option<Self> {
        let rules = || share.iter().map(Rule::of).collect();
        (!share.is_empty()).then(|| Self { rules: rules(), no_secret: Key::example() })
    }

    fn rule(&self, topic: &str) -> Option<(usize, &Rule)> {
        self.rules.iter().enumerate().find(|(_, rule)| rule.topics.iter().any(|filter| filter.matches(topic)))
    }

    /// Whether something is shared under this topic.
    pub fn names(&self, topic: &str) -> bool {
        self.rule(topic).is_some()
    }

    /// The message as it may leave. `key` is the secret behind pseudonyms.
    ///
    /// # Errors
    /// Why it may not.
    pub fn shape(&self, message: &Message, key: Option<&Key>) -> Result<Message, Withheld> {
        let (_, rule) = self.rule(message.topic.as_str()).ok_or(Withheld::Topic)?;
        let key = key.or((!rule.needs_secret).then_some(&self.no_secret)).ok_or(Withheld::NoSecret)?;
        rule.shape(message, key, &mut Trace::off())
    }

    /// The same, with reasons.
    pub fn explain(&self, message: &Message, key: &Key) -> Explained {
        let Some((place, rule)) = self.rule(message.topic.as_str()) else {
            return Explained { rule: None, outcome: Err(Withheld::Topic), fates: Vec::new() };
        };
        let mut trace = Trace::on();
        let outcome = rule.shape(message, key, &mut trace);
        Explained { rule: Some(place), outcome, fates: trace.fates() }
    }
}
