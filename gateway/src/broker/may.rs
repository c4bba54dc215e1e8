//! Whether a user may do something, and by which right: the same judgement as for clients, put into words.

use std::fmt;
use std::sync::Arc;

use super::access::Who;
use super::accounts::{MoreUsers, Roster};
use super::rights::{Allowed, Right, Rights, Scope};
use super::{fits, may_publish, share};
use crate::config::{self, FileUser};
use crate::message::{Topic, TopicFilter};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Publish to a topic.
    Publish,
    /// Subscribe to a filter, which may be shared.
    Subscribe,
}

/// A question about rights.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The client id; without it, rights with `%c` do not count.
    pub client: Option<&'a str>,
    /// What is wanted.
    pub operation: Operation,
    /// Where.
    pub topic: &'a str,
}

/// What is to be said to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it is allowed, at least in part.
    pub yes: bool,
    /// By which right, or for want of which.
    pub why: String,
}

/// Answers by the settings and the users of `users.toml`, as a gateway with both would.
///
/// # Errors
/// When there is no such user, or the topic is none.
pub fn may(settings: &config::Broker, users: Option<Vec<FileUser>>, question: &Question<'_>) -> Result<Answer, String> {
    let more = users.map_or(MoreUsers::None, MoreUsers::Good);
    judge(&Roster::new(settings, &more), settings, question)
}

/// The same by a roster that is there.
pub(super) fn judge(roster: &Roster, settings: &config::Broker, question: &Question<'_>) -> Result<Answer, String> {
    if roster.user(question.user).is_none() {
        return Err(format!("there is no user `{}`", question.user));
    }
    let rights = roster.rights(&Who::User(Arc::from(question.user)), question.client);
    let wrong = |error: &dyn fmt::Display| format!("`{}` {error}", question.topic);
    match question.operation {
        Operation::Publish => {
            let topic = Topic::new(question.topic).map_err(|error| wrong(&error))?;
            Ok(publish(&rights, settings, &topic))
        }
        Operation::Subscribe => {
            let shared = share::parse(question.topic).map_err(|error| wrong(&error))?;
            let plain = || TopicFilter::new(question.topic).map_err(|error| wrong(&error));
            Ok(subscribe(&rights, settings, &shared.map_or_else(plain, |shared| Ok(shared.filter))?))
        }
    }
}

fn yes(why: impl Into<String>) -> Answer {
    Answer { yes: true, why: why.into() }
}

fn no(why: impl Into<String>) -> Answer {
    Answer { yes: false, why: why.into() }
}

fn publish(rights: &Rights, settings: &config::Broker, topic: &Topic) -> Answer {
    if !may_publish(topic, settings) {
        return no("no client publishes under $SYS, or with more levels than `max-topic-levels`");
    }
    let Allowed::These(list) = &rights.publish else { return yes("the user may do everything") };
    match list.iter().find(|right| right.filter.matches(topic.as_str())) {
        Some(right) => yes(named(right)),
        None => no("no right to publish covers it"),
    }
}

fn subscribe(rights: &Rights, settings: &config::Broker, filter: &TopicFilter) -> Answer {
    if !fits(filter.as_str(), settings) {
        return no(
            "no client subscribes with more levels than `max-topic-levels` or more bytes than `max-topic-bytes`",
        );
    }
    let Allowed::These(list) = &rights.subscribe else { return yes("the user may do everything") };
    let first = |fits: &dyn Fn(&Right) -> bool| list.iter().find(|right| fits(right));
    match rights.scope(filter) {
        Scope::Whole => yes(first(&|right| right.filter.covers(filter)).map(named).unwrap_or_default()),
        Scope::Cut(_) => {
            let parts: Vec<_> = list.iter().filter(|right| right.filter.overlaps(filter)).map(named).collect();
            yes(format!("in part: what falls under {}", parts.join(", ")))
        }
        Scope::Nothing => match first(&|right| filter.covers(&right.filter)) {
            Some(right) => no(format!("it is wider than {}", named(right))),
            None => no("no right to subscribe has anything in common with it"),
        },
    }
}

/// A right as the settings write it, and where it is from.
fn named(right: &Right) -> String {
    let pattern = &right.pattern;
    match &pattern.group {
        Some(group) => format!("the right `{}` of the group `{group}`", pattern.filter),
        None => format!("the right `{}`", pattern.filter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Group, User};

    #[test]
    fn an_answer_names_the_right() {
        let filters = |texts: &[&str]| texts.iter().map(|text| TopicFilter::new(text).unwrap()).collect::<Vec<_>>();
        let group = Group { name: "g".into(), publish: filters(&["d/%u/#"]), subscribe: filters(&["d/%u/#", "c/%c"]) };
        let allowed = config::Allowed { groups: vec!["g".into()], publish: filters(&["x"]), subscribe: vec![] };
        let dev = User { allowed: Some(allowed), ..User::plain("dev", "p") };
        let settings =
            config::Broker { user: vec![dev, User::plain("ops", "p")], group: vec![group], ..Default::default() };
        let ask = |user, operation, topic, client| may(&settings, None, &Question { user, client, operation, topic });
        let (publish, subscribe) = (Operation::Publish, Operation::Subscribe);
        for (user, operation, topic, client, expected, said) in [
            ("dev", publish, "d/dev/x", None, true, "the right `d/%u/#` of the group `g`"),
            ("dev", publish, "x", None, true, "the right `x`"),
            ("dev", publish, "y", None, false, "no right"),
            ("ops", publish, "y", None, true, "everything"),
            ("ops", publish, "$SYS/y", None, false, "$SYS"),
            ("dev", subscribe, "$share/w/d/dev/#", None, true, "the right `d/%u/#` of the group `g`"),
            ("dev", subscribe, "d/+/x", None, true, "in part: what falls under the right `d/%u/#`"),
            ("dev", subscribe, "d/#", None, false, "wider than the right `d/%u/#`"),
            ("dev", subscribe, "c/1", None, false, "anything in common"),
            ("dev", subscribe, "c/1", Some("1"), true, "the right `c/%c`"),
            ("ops", subscribe, "$SYS/#", None, true, "everything"),
        ] {
            let answer = ask(user, operation, topic, client).unwrap();
            assert!(answer.yes == expected && answer.why.contains(said), "{user} {topic}: {answer:?}");
        }
        let deep = "x/".repeat(settings.max_topic_levels);
        let answer = ask("ops", subscribe, &deep, None).unwrap();
        assert!(!answer.yes && answer.why.contains("max-topic-levels"), "{answer:?}");
        assert!(ask("nobody", publish, "x", None).is_err());
        assert!(ask("dev", publish, "a/+", None).unwrap_err().contains("wildcard"));
        assert!(ask("dev", subscribe, "a/#/b", None).is_err() && ask("dev", subscribe, "$share/g", None).is_err());
    }
}
