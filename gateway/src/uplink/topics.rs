//! Which messages go which way, and under what name: the rules of Mosquitto's bridges, both directions. Pure.
//!
//! A rule has a filter and two prefixes. What is called `<local-prefix><topic>` here is called `<remote-prefix><topic>`
//! there, for each topic that the filter matches. The first rule that fits decides. Topics that begin with `$` are each
//! broker's own: none leaves, and none comes in.

use crate::config;
use crate::message::{QoS, Topic, TopicFilter};

/// What becomes of a message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapped {
    /// Its topic on the other side.
    pub(super) topic: Topic,
    /// What the rule says of its quality of service.
    pub(super) qos: QoS,
}

/// One side of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Side {
    prefix: String,
    /// Prefix and filter.
    whole: TopicFilter,
}

impl Side {
    /// `None` where the two make no filter; such settings are refused.
    fn new(prefix: &str, filter: &TopicFilter) -> Option<Self> {
        Some(Self { prefix: prefix.to_owned(), whole: TopicFilter::new(&format!("{prefix}{filter}")).ok()? })
    }

    /// What stands behind the prefix in a topic that is meant.
    fn rest<'t>(&self, topic: &'t str) -> Option<&'t str> {
        topic.strip_prefix(self.prefix.as_str()).filter(|_| self.whole.matches(topic))
    }

    /// What a topic that is meant is called on the other side.
    fn renamed(&self, topic: &str, to: &Self) -> Option<Topic> {
        let rest = self.rest(topic)?;
        Topic::new(&format!("{}{rest}", to.prefix)).ok()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    local: Side,
    remote: Side,
    direction: config::Direction,
    qos: QoS,
}

/// The rules of one uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub(super) fn new(rules: &[config::Rule]) -> Self {
        let rules = rules.iter().filter_map(|rule| {
            let local = Side::new(&rule.local_prefix, &rule.filter)?;
            let remote = Side::new(&rule.remote_prefix, &rule.filter)?;
            Some(Rule { local, remote, direction: rule.direction, qos: rule.qos })
        });
        Self(rules.collect())
    }

    /// Whether a message that has this topic here goes out.
    pub(super) fn sends(&self, topic: &str) -> bool {
        let mut rules = self.0.iter().filter(|rule| rule.direction.is_out() && !topic.starts_with('$'));
        rules.any(|rule| rule.local.rest(topic).is_some_and(|rest| !(rest.is_empty() && rule.remote.prefix.is_empty())))
    }

    /// Where a message goes that has this topic here; `None` where no rule sends it, or its topic there would be none.
    pub(super) fn outward(&self, topic: &str) -> Option<Mapped> {
        let mut rules = self.0.iter().filter(|rule| rule.direction.is_out() && !topic.starts_with('$'));
        rules.find_map(|rule| Some(Mapped { topic: rule.local.renamed(topic, &rule.remote)?, qos: rule.qos }))
    }

    /// Under what name a message of the remote comes in; `None` where no rule wants it.
    pub(super) fn inward(&self, topic: &str) -> Option<Mapped> {
        let mut rules = self.0.iter().filter(|rule| rule.direction.is_in());
        let mapped =
            rules.find_map(|rule| Some(Mapped { topic: rule.remote.renamed(topic, &rule.local)?, qos: rule.qos }));
        mapped.filter(|mapped| !mapped.topic.as_str().starts_with('$'))
    }

    /// What to ask the remote for: each filter once, with the highest quality that a rule wants.
    pub(super) fn subscriptions(&self) -> Vec<(TopicFilter, QoS)> {
        let mut wanted: Vec<(TopicFilter, QoS)> = Vec::new();
        for rule in self.0.iter().filter(|rule| rule.direction.is_in()) {
            match wanted.iter_mut().find(|(filter, _)| *filter == rule.remote.whole) {
                Some((_, qos)) => *qos = rule.qos.max(*qos),
                None => wanted.push((rule.remote.whole.clone(), rule.qos)),
            }
        }
        wanted
    }

    /// Whether some rule sends what is to be acknowledged.
    pub(super) fn sends_with_acknowledgement(&self) -> bool {
        self.0.iter().any(|rule| rule.direction.is_out() && rule.qos != QoS::AtMostOnce)
    }

    /// Whether some rule sends with a quality of service of 2.
    pub(super) fn sends_exactly_once(&self) -> bool {
        self.0.iter().any(|rule| rule.direction.is_out() && rule.qos == QoS::ExactlyOnce)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Direction;

    fn rule(filter: &str, direction: Direction, local: &str, remote: &str) -> config::Rule {
        config::Rule {
            filter: TopicFilter::new(filter).unwrap(),
            direction,
            qos: QoS::AtLeastOnce,
            local_prefix: local.into(),
            remote_prefix: remote.into(),
        }
    }

    fn out(rules: &[config::Rule], topic: &str) -> Option<String> {
        let rules = Rules::new(rules);
        let mapped = rules.outward(topic).map(|mapped| mapped.topic.to_string());
        assert_eq!(rules.sends(topic), mapped.is_some());
        mapped
    }

    fn into(rules: &[config::Rule], topic: &str) -> Option<String> {
        Rules::new(rules).inward(topic).map(|mapped| mapped.topic.to_string())
    }

    #[test]
    fn prefixes_are_put_in_the_place_of_each_other_as_mosquitto_does() {
        // The examples of mosquitto.conf(5), "topic".
        let rules = [rule("#", Direction::Both, "L/topic/", "R/topic/")];
        assert_eq!(out(&rules, "L/topic/one").as_deref(), Some("R/topic/one"));
        assert_eq!(into(&rules, "R/topic/one").as_deref(), Some("L/topic/one"));
        let rules = [rule("temperature/#", Direction::Out, "", "site/roof/")];
        assert_eq!(out(&rules, "temperature/1").as_deref(), Some("site/roof/temperature/1"));
        assert_eq!(out(&rules, "temperature").as_deref(), Some("site/roof/temperature"));
        assert_eq!(out(&rules, "humidity/1"), None);
        assert_eq!(into(&rules, "site/roof/temperature/1"), None, "it goes out only");
    }

    #[test]
    fn a_prefix_must_be_there_whole_and_leave_a_topic() {
        let rules = [rule("#", Direction::Both, "a/", "")];
        assert_eq!(out(&rules, "a/b").as_deref(), Some("b"));
        for topic in ["a", "a/", "b/a", "$SYS/a"] {
            assert_eq!(out(&rules, topic), None, "{topic}");
        }
        let rules = [rule("x/+", Direction::Both, "a", "")];
        assert_eq!(out(&rules, "ax/1").as_deref(), Some("x/1"), "a prefix need not end a level");
    }

    #[test]
    fn topics_with_a_dollar_stay_where_they_are_on_both_sides() {
        assert_eq!(out(&[rule("$SYS/#", Direction::Out, "", "")], "$SYS/uptime"), None);
        assert_eq!(into(&[rule("#", Direction::In, "$SYS/", "")], "a"), None);
        assert_eq!(into(&[rule("#", Direction::In, "cloud/", "$cloud/")], "$cloud/a").as_deref(), Some("cloud/a"));
        assert_eq!(into(&[rule("#", Direction::In, "", "")], "$SYS/uptime"), None);
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let mut rules = [rule("a/#", Direction::Out, "", "one/"), rule("#", Direction::Out, "", "two/")];
        rules[0].qos = QoS::ExactlyOnce;
        let mapped = Rules::new(&rules).outward("a/b").unwrap();
        assert_eq!((mapped.topic.as_str(), mapped.qos), ("one/a/b", QoS::ExactlyOnce));
        assert_eq!(out(&rules, "b").as_deref(), Some("two/b"));
        assert!(Rules::new(&rules).sends_exactly_once() && !Rules::new(&rules[1..]).sends_exactly_once());
    }

    #[test]
    fn each_filter_is_asked_for_once_with_the_highest_quality() {
        let mut rules = [
            rule("a/#", Direction::In, "x/", "r/"),
            rule("r/a/#", Direction::Both, "y/", ""),
            rule("b", Direction::Out, "", ""),
            rule("+", Direction::In, "", ""),
        ];
        rules[1].qos = QoS::ExactlyOnce;
        let asked = Rules::new(&rules).subscriptions();
        let asked: Vec<_> = asked.iter().map(|(filter, qos)| (filter.as_str(), *qos as u8)).collect();
        assert_eq!(asked, [("r/a/#", 2), ("+", 1)]);
    }

    proptest! {
        #[test]
        fn what_goes_out_by_a_rule_of_both_directions_comes_back_under_its_own_name(
            topic in "[a-c/]{1,8}", filter in prop::sample::select(vec!["#", "+", "+/#", "a/#", "a"]),
            local in prop::sample::select(vec!["", "a/", "b/a/", "c"]), remote in prop::sample::select(vec!["", "x/", "x/y/"]),
        ) {
            prop_assume!(TopicFilter::new(&format!("{local}{filter}")).is_ok());
            let rules = [rule(filter, Direction::Both, local, remote)];
            if let Some(there) = out(&rules, &topic) {
                prop_assert!(there.starts_with(remote));
                prop_assert_eq!(into(&rules, &there), Some(topic));
            }
        }
    }
}
