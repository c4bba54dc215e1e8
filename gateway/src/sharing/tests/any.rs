//! Any document under any rule: what may not leave is in no form in what leaves, and what may is unchanged.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::config::Step;

/// Few names, so that rules and documents meet.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "a/b", "m~n", "é\"", "0", ""]).prop_map(str::to_owned)
}

/// A document in which each value is another one and is found as a text: `v17x`, or a number with its digits.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!("?")), Just(json!(0)), Just(Value::Null), Just(json!(true))];
    let value = leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(name(), inner, 0..5)
                .prop_map(|map: BTreeMap<_, _>| { Value::Object(map.into_iter().collect::<Map<_, _>>()) }),
        ]
    });
    value.prop_map(|mut value| {
        number(&mut value, &mut 0);
        value
    })
}

fn number(value: &mut Value, count: &mut u64) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| number(item, count)),
        Value::Object(members) => members.values_mut().for_each(|member| number(member, count)),
        Value::String(text) => {
            *count += 1;
            *text = format!("v{count}x");
        }
        Value::Number(number) => {
            *count += 1;
            *number = (7_000_000_000_000_000_000 + *count).into();
        }
        _ => {}
    }
}

fn pointer() -> impl Strategy<Value = Field> {
    let step =
        prop_oneof![3 => name().prop_map(|name| name.replace('~', "~0").replace('/', "~1")), 1 => Just("*".to_owned())];
    prop::collection::vec(step, 1..4).prop_map(|steps| field(&format!("/{}", steps.join("/"))))
}

fn pointers(most: usize) -> impl Strategy<Value = Vec<Field>> {
    prop::collection::vec(pointer(), 0..most)
}

/// All single values with the names and places that lead there.
fn leaves(value: &Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
    let mut below = |name: String, value: &Value| {
        path.push(name);
        leaves(value, path, found);
        path.pop();
    };
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(place, item)| below(place.to_string(), item)),
        Value::Object(members) => members.iter().for_each(|(name, member)| below(name.clone(), member)),
        _ => found.push((path.clone(), value.clone())),
    }
}

/// Whether one of the fields is at the place or above it.
fn within(fields: &[Field], path: &[String]) -> bool {
    let is = |step: &Step, name: &String| *step == Step::Any || *step == Step::Named(name.clone());
    fields.iter().any(|field| {
        field.steps().len() <= path.len() && field.steps().iter().zip(path).all(|(step, name)| is(step, name))
    })
}

/// Whether the text of a value, which no other has, is in what leaves.
fn is_in(value: &Value, text: &str) -> bool {
    matches!(value, Value::String(_) | Value::Number(_)) && text.contains(&value.to_string().replace('"', ""))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_not_named_is_in_no_form_in_what_leaves_and_what_is_named_is_all_there(
        document in document(), allowed in pointers(4), hidden in pointers(3), pretty in any::<bool>(),
    ) {
        let share = Share { fields: Some(allowed.clone()), pseudonyms: hidden.clone(), ..everything() };
        let text = if pretty { format!("{document:#}") } else { document.to_string() };
        let out = becomes(share.clone(), &text);
        let mut all = Vec::new();
        leaves(&document, &mut Vec::new(), &mut all);
        for (path, value) in &all {
            let (allowed, hidden) = (within(&allowed, path), within(&hidden, path));
            if !allowed || hidden {
                prop_assert!(!is_in(value, &out), "{path:?} {value} in {out}");
            } else if !value.is_null() && !value.is_boolean() {
                prop_assert!(is_in(value, &out), "{path:?} {value} not in {out}");
            }
        }
        prop_assert_eq!(&becomes(share, &text), &out, "each time the same");
        if let (Ok(left), true) = (serde_json::from_str::<Value>(&out), hidden.is_empty()) {
            prop_assert!(leaf_texts(&left).is_subset(&leaf_texts(&document)), "nothing is made up");
        }
    }

    #[test]
    fn without_fields_all_is_there_but_for_what_gets_a_pseudonym(document in document(), hidden in pointers(4)) {
        prop_assume!(!hidden.is_empty());
        let out = becomes(Share { pseudonyms: hidden.clone(), ..everything() }, &document.to_string());
        let mut all = Vec::new();
        leaves(&document, &mut Vec::new(), &mut all);
        for (path, value) in all.iter().filter(|(_, value)| value.is_string() || value.is_number()) {
            prop_assert_eq!(is_in(value, &out), !within(&hidden, path), "{:?} {} in {}", path, value, out);
        }
    }

    #[test]
    fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[\\[\\]{}:,\"0-9a-c ]{0,60}") {
        let coarse = vec![
            Coarse::Position { position: field(""), metres: 1000 },
            Coarse::Number { number: field("/*"), decimals: 1 },
            Coarse::Time { time: field("/*/*"), to: Duration::from_secs(60) },
        ];
        let policy = policy(Share { pseudonyms: fields(&["/a"]), coarse, ..everything() });
        for payload in [bytes, text.into_bytes()] {
            let explained = policy.explain(&message("a", payload.clone()), &Key::example());
            let shaped = policy.shape(&message("a", payload), Some(&Key::example()));
            let outcome = explained.outcome.map(|shaped| shaped.payload);
            prop_assert_eq!(outcome, shaped.map(|shaped| shaped.payload), "explained is what is done");
        }
    }
}

fn leaf_texts(value: &Value) -> std::collections::BTreeSet<String> {
    let mut all = Vec::new();
    leaves(value, &mut Vec::new(), &mut all);
    all.into_iter().map(|(_, value)| value.to_string()).collect()
}
