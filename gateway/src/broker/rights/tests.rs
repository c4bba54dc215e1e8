//! Filters against matching of topics, and rights against what they should say.

use proptest::prelude::*;

use super::*;

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).unwrap()
}

fn patterns(texts: &[&str]) -> Patterns {
    Patterns::These(texts.iter().map(|text| Pattern { filter: filter(text), group: None }).collect())
}

fn may_subscribe(texts: &[&str]) -> Rights {
    Rights { publish: Allowed::These(Vec::new()), subscribe: patterns(texts).of(Some("anna"), Some("c1")) }
}

/// Few names and few levels, so that they meet often.
fn level() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "", "$x"])
}

/// What somebody may call himself, in good faith or not.
fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec!["a", "b", "x", "", "$x", "+", "#", "a/b", "b/#", "%u", "%c"]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

fn topic() -> impl Strategy<Value = String> {
    let topic = prop::collection::vec(level(), 1..5).prop_map(|levels| levels.join("/"));
    topic.prop_filter("not empty", |topic| !topic.is_empty())
}

fn any_filter() -> impl Strategy<Value = TopicFilter> {
    let level = prop_oneof![3 => level(), 2 => Just("+")];
    let pattern = (prop::collection::vec(level, 0..4), any::<bool>()).prop_map(|(mut levels, open)| {
        if open {
            levels.push("#");
        }
        levels.join("/")
    });
    pattern.prop_filter("not empty", |text| !text.is_empty()).prop_map(|text| filter(&text))
}

/// Every topic of up to five levels that can tell two such filters apart: one name more than filters have stands for
/// all others.
fn all_topics() -> Vec<String> {
    let names = ["a", "b", "", "$x", "z"];
    let mut all: Vec<String> = vec![];
    let mut last: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    for _ in 0..5 {
        all.extend(last.iter().filter(|topic| !topic.is_empty()).cloned());
        last = last.iter().flat_map(|topic| names.iter().map(move |name| format!("{topic}/{name}"))).collect();
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn covers_and_overlaps_say_what_matching_of_all_topics_says(a in any_filter(), b in any_filter()) {
        let topics = all_topics();
        let covered = topics.iter().all(|topic| !b.matches(topic) || a.matches(topic));
        let common = topics.iter().any(|topic| a.matches(topic) && b.matches(topic));
        prop_assert_eq!(a.covers(&b), covered, "{} covers {}", a, b);
        prop_assert_eq!(a.overlaps(&b), common, "{} overlaps {}", a, b);
        prop_assert_eq!(b.overlaps(&a), common, "{} overlaps {}", b, a);
    }

    #[test]
    fn what_a_scope_lets_through_is_what_the_rights_let_through(
        rights in prop::collection::vec(any_filter(), 0..4), wanted in any_filter(), topic in topic(),
    ) {
        let texts: Vec<_> = rights.iter().map(TopicFilter::as_str).collect();
        let all = may_subscribe(&texts);
        let scope = all.scope(&wanted);
        if scope != Scope::Nothing && wanted.matches(&topic) {
            prop_assert_eq!(scope.allows(&topic), all.may_get(&Topic::new(&topic).unwrap()));
        }
        if wanted.matches(&topic) {
            prop_assert_eq!(all.reach(&wanted).allows(&topic), all.may_get(&Topic::new(&topic).unwrap()));
        }
        if scope == Scope::Nothing {
            let wider = rights.iter().any(|right| wanted.covers(right));
            prop_assert!(wider || !rights.iter().any(|right| right.overlaps(&wanted)));
        }
    }

    #[test]
    fn no_name_widens_a_right(user in name(), client in name(), topic in topic()) {
        let rights = patterns(&["%u/x", "a/%c", "a/%u/#"]).of(Some(&user), Some(&client));
        if rights.matches(&topic) {
            let levels: Vec<_> = topic.split('/').collect();
            let own = levels[0] == user && levels.get(1) == Some(&"x") || levels[0] == "a";
            prop_assert!(own && !topic.starts_with('$'), "{topic} for {user:?} {client:?}");
            prop_assert!(levels[0] != "a" || levels.get(1).is_some_and(|l| *l == client || *l == user || user == "a"));
        }
    }
}

#[test]
fn a_covered_filter_is_whole_an_overlapping_one_is_cut_and_a_wider_or_a_disjoint_one_is_refused() {
    let rights = may_subscribe(&["devices/%u/#", "news/+", "$SYS/broker/uptime"]);
    let cut = |texts: &[&str]| Scope::Cut(texts.iter().map(|text| filter(text)).collect());
    let cases = [
        ("devices/anna/#", Scope::Whole),
        ("devices/anna", Scope::Whole),
        ("devices/anna/+/x", Scope::Whole),
        ("news/today", Scope::Whole),
        ("$SYS/broker/uptime", Scope::Whole),
        ("devices/+/temperature", cut(&["devices/anna/#"])),
        ("+/anna", cut(&["devices/anna/#", "news/+"])),
        ("#", Scope::Nothing),
        ("devices/#", Scope::Nothing),
        ("news/#", Scope::Nothing),
        ("$SYS/#", Scope::Nothing),
        ("devices/bert/#", Scope::Nothing),
        ("elsewhere", Scope::Nothing),
    ];
    for (wanted, expected) in cases {
        assert_eq!(rights.scope(&filter(wanted)), expected, "{wanted}");
    }
    assert_eq!(Rights::EVERYTHING.scope(&filter("$SYS/#")), Scope::Whole);
    assert_eq!(may_subscribe(&["#"]).scope(&filter("$SYS/#")), Scope::Nothing);
}

#[test]
fn names_are_filled_in_once_and_those_that_could_widen_a_right_give_none() {
    let all =
        |user: Option<&str>, client: Option<&str>| match patterns(&["u/%u", "c/%c/#", "%c", "100%"]).of(user, client) {
            Allowed::These(rights) => rights.iter().map(|right| right.filter.to_string()).collect::<Vec<_>>(),
            Allowed::Everything => panic!("not everything"),
        };
    assert_eq!(all(Some("anna"), Some("c1")), ["u/anna", "c/c1/#", "c1", "100%"]);
    assert_eq!(all(Some("%c"), Some("%u")), ["u/%c", "c/%u/#", "%u", "100%"]);
    assert_eq!(all(None, Some("$SYS")), ["c/$SYS/#", "100%"]);
    for wide in ["", "a/b", "+", "#", "a+"] {
        assert_eq!(all(Some(wide), Some(wide)), ["100%"], "{wide:?}");
    }
    assert_eq!(all(None, None), ["100%"]);
}
