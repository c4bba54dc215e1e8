//! `tests/CONFORMANCE.md`: made from the lists of statements and the source of the suite, and held against both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const HEAD: &str = "# Conformance

Which statements of MQTT 3.1.1 and 5.0 are tested, by their numbers in the OASIS texts. What they say is told in our own
words. Each row with a test is a test of that name in `tests/tests/conformance/`, which speaks raw packets to the daemon;
CI fails when one no longer holds. Statements without a test say why: some bind the client, some are true by the form of
the wire, some wait for what is not built yet.

`make conformance` runs the suite and writes this page; a test fails when it is out of date.
";

/// Version and number: `("v5", "3.1.0-1")`.
type Key = (String, String);

/// What the suite says of a statement.
struct Test {
    name: String,
    file: String,
    ignored: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// The statements of one version in their order: number, what it says, why it has no test.
fn statements(version: &str) -> Vec<(String, String, Option<String>)> {
    let text = std::fs::read_to_string(folder().join(format!("{version}.txt"))).unwrap();
    let line = |line: &str| {
        let (number, rest) = line.split_once(' ').unwrap();
        let (gist, why) = rest.split_once(" :: ").map_or((rest, None), |(gist, why)| (gist, Some(why.to_owned())));
        (number.to_owned(), gist.to_owned(), why)
    };
    text.lines().map(line).collect()
}

/// `mqtt_3_1_0_1_another_first_packet` is of statement 3.1.0-1.
fn number(name: &str) -> String {
    let parts: Vec<_> = name.trim_start_matches("mqtt_").split('_').take(4).collect();
    assert!(parts.iter().all(|part| part.parse::<u8>().is_ok()), "{name}: a test begins with its statement's number");
    format!("{}-{}", parts[..3].join("."), parts[3])
}

/// The tests of one source file: the lines inside `statements!`.
fn tests_in(file: &str, source: &str, found: &mut BTreeMap<Key, Test>) {
    let (mut version, mut ignored) = (None, None);
    for line in source.lines().map(str::trim) {
        match line {
            "v311 {" | "v5 {" => version = line.split(' ').next(),
            _ if line.starts_with("#[ignore = ") => ignored = line.split('"').nth(1).map(str::to_owned),
            _ if line.starts_with("mqtt_") => {
                let name = line.split(' ').next().unwrap().to_owned();
                let key = (version.expect("a version around the test").to_owned(), number(&name));
                let test = Test { name, file: file.to_owned(), ignored: ignored.take() };
                let twice = found.insert(key.clone(), test);
                assert!(twice.is_none(), "{key:?} has two tests");
            }
            _ => {}
        }
    }
}

fn tests() -> BTreeMap<Key, Test> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_some_and(|extension| extension == "rs") && file != "table" {
            tests_in(file, &std::fs::read_to_string(&path).unwrap(), &mut found);
        }
    }
    found
}

/// The page, and what is wrong with the lists.
fn page() -> (String, Vec<String>) {
    let (mut tests, mut page, mut wrong) = (tests(), HEAD.to_owned(), Vec::new());
    for (version, title) in [("v311", "MQTT 3.1.1"), ("v5", "MQTT 5.0")] {
        let (mut rows, mut covered, mut waiting) = (String::new(), 0, 0);
        let all = statements(version);
        for (number, gist, why) in &all {
            let test = tests.remove(&(version.to_owned(), number.clone()));
            let (place, result) = match (test, why) {
                (Some(test), None) => {
                    let place = format!("`{}::{version}::{}`", test.file, test.name);
                    (place, test.ignored.unwrap_or_else(|| "holds".to_owned()))
                }
                (None, Some(why)) => ("–".to_owned(), why.clone()),
                (Some(test), Some(_)) => {
                    wrong.push(format!("{version} {number} has the test {} and a reason to have none", test.name));
                    continue;
                }
                (None, None) => {
                    wrong.push(format!("{version} {number} has neither a test nor a reason"));
                    continue;
                }
            };
            covered += usize::from(result == "holds");
            waiting += usize::from(result.starts_with("not yet"));
            rows += &format!("| MQTT-{number} | {gist} | {place} | {result} |\n");
        }
        page += &format!(
            "\n## {title}\n\n{} statements: {covered} tested and held, {waiting} not yet, {} without a test.\n\n\
             | Statement | In our words | Covered by | Result |\n|---|---|---|---|\n{rows}",
            all.len(),
            all.len() - covered - waiting,
        );
    }
    wrong.extend(tests.into_keys().map(|(version, number)| format!("{version} {number} has a test and is in no list")));
    (page, wrong)
}

#[test]
fn the_table_of_conformance_is_what_the_suite_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONFORMANCE.md");
    let (page, wrong) = page();
    assert!(wrong.is_empty(), "{wrong:#?}");
    if std::env::var_os("WRITE_CONFORMANCE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(page.lines()).find(|(there, expected)| there != expected);
    assert!(written == page, "tests/CONFORMANCE.md is out of date (make conformance): {differs:?}");
}

#[test]
fn a_statement_without_test_or_reason_and_a_test_without_statement_are_found() {
    let mut found = BTreeMap::new();
    let source = "statements! {\n    v5 {\n        mqtt_3_1_0_1_x => f();\n        #[ignore = \"not yet: y\"]\n        \
                  mqtt_3_12_4_1_z => g();\n    }\n}\n";
    tests_in("file", source, &mut found);
    let key = |number: &str| ("v5".to_owned(), number.to_owned());
    assert_eq!(found[&key("3.1.0-1")].name, "mqtt_3_1_0_1_x");
    assert_eq!(found[&key("3.12.4-1")].ignored.as_deref(), Some("not yet: y"));
    assert_eq!(found.len(), 2);
}
