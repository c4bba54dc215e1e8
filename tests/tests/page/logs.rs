//! The log: as a list, as a file, and as it comes.

use std::io::BufReader;

use stile_tests::{Stile, Visitor, mosquitto_pub, within};

use crate::live::event;

fn publish(stile: &Stile) {
    let arguments = ["-i", "kitchen", "-t", "a/b", "-m", "a payload that is nobody's business"];
    assert!(mosquitto_pub(stile.mqtt, "mqttv5", &arguments).status.success());
}

#[test]
fn it_is_found_by_part_level_and_words_and_has_no_payload() {
    let stile =
        Stile::start("[[radio]]\nname = \"a\"\nkind = \"serial\"\ndevice = \"/dev/stile-no\"\nframing = \"line\"\n");
    let mut anna = Visitor::first(&stile);
    publish(&stile);
    let found = |anna: &mut Visitor, query: &str| {
        let logs = anna.get(&format!("/api/v1/logs?{query}")).json();
        assert_eq!(logs["logged"], "debug");
        logs["lines"].as_array().unwrap().clone()
    };
    // The broker tells of the client when it has gone, which may be after the publisher has ended.
    within("a line about the client", || (!found(&mut anna, "part=broker&search=KITCHEN").is_empty()).then_some(()));
    assert!(found(&mut anna, "part=radio&search=kitchen").is_empty());
    let all = found(&mut anna, "limit=2000");
    assert!(all[0]["number"].as_u64() > all[1]["number"].as_u64(), "the newest first: {all:?}");
    let parts: Vec<_> = all.iter().map(|line| line["part"].as_str().unwrap()).collect();
    assert!(["gateway", "broker", "admin", "radio"].iter().all(|part| parts.contains(part)), "{parts:?}");
    let bad = found(&mut anna, "level=warn");
    assert!(bad.iter().all(|line| line["level"] == "warn" || line["level"] == "error"), "{bad:?}");
    assert_eq!(found(&mut anna, "limit=1").len(), 1);
    let page = anna.get("/logs?part=broker&search=kitchen").text();
    assert!(page.contains("/logs/download?part=broker&#38;level=&#38;search=kitchen"), "{page}");
    let file = anna.get("/logs/download?");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"stile-log.txt\"");
    let text = file.text();
    assert!(text.lines().count() >= all.len() && text.contains(" INFO  ready version="), "{text}");
    assert!(!text.contains("nobody's business") && !format!("{all:?}").contains("nobody's business"));
    for (odd, status) in [("part=kitchen", 422), ("level=loud", 422), ("limit=many", 400)] {
        let answer = anna.get(&format!("/api/v1/logs?{odd}"));
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{odd}");
    }
}

#[test]
fn lines_come_as_they_are_logged_and_nothing_is_lost_between_a_page_and_its_stream() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let next = anna.get("/api/v1/logs").json()["next"].as_u64().unwrap();
    // Logged before the stream is open.
    publish(&stile);
    let client = "part=broker&search=kitchen";
    let mut stream = BufReader::new(anna.send("GET", &format!("/api/v1/logs/live?{client}&from={next}"), &[], ""));
    let come = event(&mut stream, "lines");
    assert_eq!(come["missed"], 0);
    let line = &come["lines"][0];
    assert!(line["number"].as_u64().unwrap() >= next && line["part"] == "broker", "{line}");
    publish(&stile);
    assert!(event(&mut stream, "lines")["lines"][0]["number"].as_u64() > line["number"].as_u64());
    // A number of another run stands for the beginning of this one: a browser that comes back after a restart.
    let mut stream = BufReader::new(anna.send("GET", "/api/v1/logs/live", &[("Last-Event-ID", "7")], ""));
    let come = event(&mut stream, "lines");
    assert!(come["lines"].as_array().unwrap().iter().any(|line| line["text"] == "ready"), "{come}");
}
