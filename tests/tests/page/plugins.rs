//! Plugins by the page's forms and by the API. The components are those that `make plugins` left in target/plugins.

use std::path::{Path, PathBuf};

use rumqttc::QoS;
use serde_json::{Value, json};
use stile_tests::{Answer, Client, PASSWORD, Stile, Visitor, check};

pub(crate) fn built(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(format!("target/plugins/{name}.wasm"));
    assert!(path.exists(), "{} is not there; make plugins", path.display());
    path
}

fn component(name: &str) -> Vec<u8> {
    std::fs::read(built(name)).unwrap()
}

/// Other bytes that run alike: one more custom section.
fn newer(component: &[u8]) -> Vec<u8> {
    [component, &[0, 2, 1, b'x']].concat()
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Somebody who has signed in, with what his forms carry.
struct Admin {
    visitor: Visitor,
    csrf: String,
}

impl Admin {
    fn of(stile: &Stile) -> Self {
        let mut visitor = Visitor::first(stile);
        let csrf = visitor.get("/account").csrf();
        Self { visitor, csrf }
    }

    fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.visitor.post(path, &[&[("csrf", self.csrf.as_str())], fields].concat())
    }

    /// Sends the page's form with a file, as a browser does.
    fn upload(&mut self, name: &str, component: &[u8]) -> Answer {
        let part = |head: &str| format!("--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        let name = format!("{}{name}\r\n", part("name=\"name\""));
        let file = part("name=\"component\"; filename=\"x.wasm\"\r\nContent-Type: application/wasm");
        let body = [name.as_bytes(), file.as_bytes(), component, b"\r\n--edge--\r\n"].concat();
        let headers = [("Accept", "text/html"), ("Content-Type", "multipart/form-data; boundary=edge")];
        let path = format!("/plugins?csrf={}", self.csrf);
        self.visitor.ask("POST", &path, &headers, &body)
    }

    /// Asks the API as a page's script does.
    fn api(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        let csrf = self.csrf.clone();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.visitor.ask(method, &format!("/api/v1/plugins{path}"), &[("X-CSRF-Token", &csrf), JSON], &body)
    }

    /// The component as it is.
    fn send(&mut self, path: &str, more: &[(&str, &str)], component: &[u8]) -> Answer {
        let csrf = self.csrf.clone();
        let headers = [&[("X-CSRF-Token", csrf.as_str()), ("Content-Type", "application/wasm")], more].concat();
        self.visitor.ask("POST", &format!("/api/v1/plugins{path}"), &headers, component)
    }

    fn plugin(&mut self, name: &str) -> Value {
        self.visitor.get(&format!("/api/v1/plugins/{name}")).json()
    }

    fn names(&mut self) -> Vec<String> {
        let all = self.visitor.get("/api/v1/plugins").json();
        all["plugins"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Publishes these readings in turn, and an end; what came before the end.
fn through(client: &Client, readings: &[&str]) -> Vec<String> {
    readings.iter().for_each(|reading| client.publish("serial/a/up", QoS::AtLeastOnce, false, *reading));
    client.publish("end", QoS::AtLeastOnce, false, "");
    let seen = std::iter::repeat_with(|| client.next());
    seen.take_while(|message| message.topic != "end").map(|message| message.text().to_owned()).collect()
}

#[test]
fn a_plugin_is_uploaded_set_tried_out_enabled_and_disabled_by_forms() {
    let stile = Stile::start("");
    let client = Client::connect(stile.mqtt, "c");
    client.subscribe("serial/#", QoS::AtLeastOnce);
    client.subscribe("end", QoS::AtLeastOnce);
    let mut anna = Admin::of(&stile);
    assert!(anna.visitor.get("/plugins").text().contains("None: messages go on as they are"));
    assert_eq!(anna.upload("", &component("downsample")).leads_to(), "/plugins/downsample");
    let page = anna.visitor.get("/plugins/downsample").text();
    assert!(page.contains("It does not start yet") && page.contains("messages go past it"), "{page}");
    let refused = anna.form("/plugins/downsample/enabled", &[("enabled", "true")]);
    assert!(refused.status == 422 && refused.text().contains("it does not start"), "{}", refused.text());

    let set = anna.form("/plugins/downsample/settings", &[("s/fields", "{ \"\": 0.5 }"), ("s/window", "")]);
    assert_eq!(set.leads_to(), "/plugins/downsample");
    assert_eq!(anna.plugin("downsample")["settings"], json!({ "fields": { "": 0.5 } }));
    let page = anna.form("/plugins/downsample/try", &[("topic", "serial/a/up"), ("payload", "21.5")]);
    assert!(page.status == 200 && page.text().contains("<span class=\"state good\">passed</span>"), "{}", page.text());
    assert_eq!(through(&client, &["1", "1.1"]), ["1", "1.1"], "it is not on the messages' way");

    let enabled = anna.form("/plugins/downsample/enabled", &[("enabled", "true")]);
    assert_eq!(enabled.leads_to(), "/plugins/downsample");
    let page = anna.visitor.get("/plugins/downsample").text();
    assert!(!page.contains("on trial"), "what the gateway has taken is kept: {page}");
    assert_eq!(through(&client, &["1", "1.1", "2"]), ["1", "2"]);
    let plugin = anna.plugin("downsample");
    assert_eq!((&plugin["state"], &plugin["counts"]["messages"]), (&json!("ready"), &json!(3)), "{plugin:#}");
    assert!(plugin["counts"]["micros_per_call"].as_f64().unwrap() > 0.0, "{plugin:#}");
    let refused = anna.form("/plugins/downsample/settings", &[("s/fields", "{ \"no pointer\": 1 }")]);
    assert!(refused.status == 422 && refused.text().contains("nothing has changed"), "{}", refused.text());
    assert!(refused.text().contains("no pointer"), "what was typed is still there");
    assert_eq!(anna.plugin("downsample")["state"], "ready");

    let disabled = anna.form("/plugins/downsample/enabled", &[("enabled", "false")]);
    assert_eq!(disabled.leads_to(), "/plugins/downsample");
    assert_eq!(through(&client, &["2", "2"]), ["2", "2"]);
    let written = std::fs::read_to_string(stile.dir.path().join("conf.d/plugin-downsample.toml")).unwrap();
    assert!(written.starts_with("# Made by ") && written.contains("enabled = false"), "{written}");
    let changes = anna.visitor.get("/api/v1/audit").text();
    for did in ["uploaded the plugin downsample", "has these settings", "is enabled", "is disabled", "tried out"] {
        assert!(changes.contains(did), "{did}: {changes}");
    }
    let history: Value =
        serde_json::from_slice(&std::fs::read(stile.dir.path().join("stile.toml.changes/000001.json")).unwrap())
            .unwrap();
    assert_eq!((&history["by"], &history["state"]), (&json!("anna"), &json!("kept")));
}

#[test]
fn another_version_takes_the_place_and_the_one_before_is_gone_back_to() {
    let stile = Stile::start("");
    let mut anna = Admin::of(&stile);
    let first = component("pass");
    let answer = anna.send("?name=way", &[], &first);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = answer.json();
    assert_eq!((&made["name"], &made["is_new"], &made["does_not_start"]), (&json!("way"), &json!(true), &Value::Null));
    assert_eq!(anna.api("PUT", "/way/enabled", &json!({ "enabled": true })).status, 204);
    assert_eq!(anna.api("POST", "/way/rollback", &Value::Null).status, 422, "there is none before");
    let second = anna.send("?name=way", &[], &newer(&first)).json();
    assert_eq!((&second["is_new"], &second["keeps_previous"]), (&json!(false), &json!(true)));
    let now = anna.plugin("way");
    assert_eq!((&now["hash"], &now["state"]), (&second["hash"], &json!("ready")), "{now:#}");
    assert!(anna.visitor.get("/plugins/way").text().contains("Back to the version before"));
    assert_eq!(anna.form("/plugins/way/rollback", &[]).leads_to(), "/plugins/way");
    assert_eq!(anna.plugin("way")["hash"], made["hash"]);
    // A version that would not start with the settings takes nobody's place.
    let refused = anna.send("?name=way", &[], &component("downsample"));
    assert!(refused.status == 422 && refused.text().contains("nothing has changed"), "{}", refused.text());
    assert_eq!(anna.plugin("way")["hash"], made["hash"]);
}

#[test]
fn what_is_no_component_is_refused_with_words_and_leaves_nothing() {
    let stile = Stile::start("");
    let mut anna = Admin::of(&stile);
    let large = [b"\0asm\x0d\0\x01\0", vec![0; 64 << 20].as_slice()].concat();
    let wrong: [(&str, &[u8], u16, &str); 8] = [
        ("", b"", 422, "it is empty"),
        ("", b"\0as", 422, "no WebAssembly"),
        ("", b"PK\x03\x04\x14\0\0\0\x08\0", 422, "ZIP archive"),
        ("", b"\x1f\x8b\x08\0\0\0\0\0\0\0", 422, "packed by gzip"),
        ("", b"\0asm\x01\0\0\0", 422, "core WebAssembly module"),
        ("?name=x", b"\0asm\x0d\0\x01\0garbage", 422, "damaged"),
        ("?name=x", &large, 413, "more than 67108864 bytes"),
        ("?name=..%2Fx", &component("pass"), 422, "no name that the settings could have"),
    ];
    for (path, body, status, said) in wrong {
        let answer = anna.send(path, &[], body);
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{said}");
        assert!(answer.text().contains(said), "{said}: {}", answer.text());
    }
    let packed = anna.send("", &[("Content-Encoding", "gzip")], b"\x1f\x8b\x08\0\0\0\0\0");
    assert!(packed.status == 415 && packed.text().contains("as it is"), "{}", packed.text());
    let page = anna.upload("x", &large);
    assert!(page.status == 413 && page.text().contains("more than 67108864 bytes"), "{}", page.text());
    let page = anna.upload("x", b"hello, this is text");
    assert!(page.status == 422 && page.text().contains("it is no WebAssembly"), "{}", page.text());
    let body = "--edge\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nx\r\n--edge--\r\n";
    let path = format!("/plugins?csrf={}", anna.csrf);
    let kind = ("Content-Type", "multipart/form-data; boundary=edge");
    let nothing = anna.visitor.ask("POST", &path, &[("Accept", "text/html"), kind], body);
    assert!(nothing.status == 422 && nothing.text().contains("choose a file"), "{}", nothing.text());
    assert!(anna.names().is_empty());
    let left = std::fs::read_dir(stile.dir.path().join("data/plugins"));
    let left: Vec<_> = left.into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().ends_with(".wasm")), "{left:?}");
    assert!(!stile.dir.path().join("conf.d").exists());
}

/// A plugin of the settings.
fn section(name: &str, component: &str, more: &str) -> String {
    format!("[[plugin]] # {name}\nname = \"{name}\"\nfile = {:?}\ntopics = [\"t/#\"]\n{more}\n", built(component))
}

#[test]
fn plugins_change_places_and_the_settings_keep_their_comments() {
    let rest = [section("a", "pass", ""), section("b", "pass", ""), section("c", "pass", "enabled = false")].concat();
    let stile = Stile::start(&rest);
    let mut anna = Admin::of(&stile);
    assert_eq!(anna.names(), ["a", "b", "c"]);
    assert_eq!(anna.form("/plugins/a/place", &[("place", "1")]).leads_to(), "/plugins");
    assert_eq!(anna.names(), ["b", "a", "c"]);
    assert_eq!(anna.api("PUT", "/c/place", &json!({ "place": 0 })).status, 204);
    assert_eq!(anna.names(), ["c", "b", "a"]);
    let written = std::fs::read_to_string(stile.dir.path().join("stile.toml")).unwrap();
    assert!(written.contains("order = [\"c\", \"b\", \"a\"]") && written.contains("[[plugin]] # b"), "{written}");
    let stages: Vec<_> = stile
        .get("/metrics")
        .1
        .lines()
        .filter_map(|line| {
            let name = line.strip_prefix("stile_plugin_messages_total{plugin=\"")?;
            Some(name.split('"').next().unwrap().to_owned())
        })
        .collect();
    assert_eq!(stages, ["b", "a"], "what is disabled is no stage");
    assert_eq!(anna.api("PUT", "/nobody/place", &json!({ "place": 0 })).status, 404);
}

#[test]
fn who_may_not_change_plugins_is_offered_nothing_and_sees_no_secret() {
    let key = "a secret of many letters";
    let settings = format!("[plugin.settings]\nremove = [\"/name\"]\npseudonymise = [\"/id\"]\nkey = \"{key}\"");
    let stile = Stile::start(&section("redact", "redact", &settings));
    let mut anna = Admin::of(&stile);
    for role in ["viewer", "operator"] {
        let new = [("name", role), ("role", role), ("password", PASSWORD)];
        assert_eq!(anna.form("/people/add", &new).leads_to(), "/people");
    }
    for (role, tries) in [("viewer", false), ("operator", true)] {
        let mut visitor = Visitor::signed_in(&stile, role);
        let (all, one) = (visitor.get("/plugins").text(), visitor.get("/plugins/redact").text());
        assert!(!all.contains("Upload") && !one.contains("id=\"switch\"") && !one.contains("id=\"field-0\""), "{one}");
        assert_eq!(one.contains("Try it out"), tries, "{role}");
        let told = visitor.get("/api/v1/plugins").text();
        assert!(!one.contains(key) && !told.contains(key) && told.contains("********"), "{told}");
    }
    let page = anna.visitor.get("/plugins/redact").text();
    assert!(!page.contains(key) && page.contains("It is set and not shown"), "{page}");
    // A box that was ticked stays so while another field is refused.
    assert!(page.contains("name=\"forget/key\" value=\"1\">"), "{page}");
    let fields = [("forget/key", "1"), ("s/key", ""), ("s/pseudonymise", "["), ("s/remove", "[\"/name\"]")];
    let refused = anna.form("/plugins/redact/settings", &fields);
    let page = refused.text();
    assert!(refused.status == 422 && page.contains("name=\"forget/key\" value=\"1\" checked>"), "{page}");
    // Saved as it stands, the secret stays; a mask in its place is refused.
    let fields = [("s/key", ""), ("s/pseudonymise", "[\"/id\"]"), ("s/remove", "[\"/name\", \"/street\"]")];
    assert_eq!(anna.form("/plugins/redact/settings", &fields).leads_to(), "/plugins/redact");
    let written = std::fs::read_to_string(stile.dir.path().join("stile.toml")).unwrap();
    assert!(written.contains(key) && written.contains("/street"), "{written}");
    let mut masked = anna.plugin("redact")["settings"].clone();
    assert_eq!(anna.api("PUT", "/redact/settings", &masked).status, 422);
    masked["key"] = "another secret of many letters".into();
    assert_eq!(anna.api("PUT", "/redact/settings", &masked).status, 204);
    masked["unknown"] = 1.into();
    let refused = anna.api("PUT", "/redact/settings", &masked);
    assert!(refused.status == 422 && refused.text().contains("unknown"), "{}", refused.text());
}

#[test]
fn a_trial_says_what_became_of_each_message_and_is_bounded() {
    let settings = "tick = \"1s\"\n[plugin.settings]\nfields = { \"/t\" = 0.5 }";
    let poor = "enabled = false\n[plugin.limits]\nfuel = 1000\n[plugin.settings]\nfields = { \"/t\" = 0.5 }";
    let stile = Stile::start(&[section("down", "downsample", settings), section("poor", "downsample", poor)].concat());
    let mut anna = Admin::of(&stile);
    let message = |topic: &str, payload: &str| json!({ "topic": topic, "payload": payload });
    let messages = [message("t/a", "{\"t\":20}"), message("t/a", "{\"t\":20.1}"), message("other", "x")];
    let result = anna.api("POST", "/down/try", &json!({ "messages": messages })).json();
    let said: Vec<_> = result["steps"].as_array().unwrap().iter().map(|step| step["result"].clone()).collect();
    assert_eq!((said, &result["past"]), (vec![json!("passed"), json!("dropped")], &json!(1)), "{result:#}");
    assert_eq!(result["steps"][1]["why"], "unchanged");
    // The plugin at work knows nothing of it.
    assert_eq!(anna.plugin("down")["counts"]["messages"], 0);
    for (name, messages, status) in [
        ("down", json!([]), 422),
        ("down", json!([{ "topic": "a/#", "payload": "" }]), 422),
        ("down", json!(vec![message("t/a", "1"); 101]), 422),
        ("nobody", json!([message("t/a", "1")]), 404),
    ] {
        let answer = anna.api("POST", &format!("/{name}/try"), &json!({ "messages": messages }));
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{messages}");
    }
    // Its limits are those of the settings.
    let cut = anna.api("POST", "/poor/try", &json!({ "messages": [message("t/a", "1")] })).json();
    assert_eq!(cut["steps"][0]["result"], "failed", "{cut:#}");
    assert!(cut["steps"][0]["why"].as_str().unwrap().starts_with("fuel: "), "{cut:#}");
}

#[test]
fn messages_become_a_case_that_stile_plugin_test_plays() {
    let settings = "[plugin.settings]\nremove = [\"/name\"]\nround = { \"/t\" = 1 }";
    let stile = Stile::start(&section("redact", "redact", settings));
    let mut anna = Admin::of(&stile);
    let messages = [
        json!({ "time": "2026-11-27T04:00:01.5Z", "origin": "radio:meter", "topic": "t/a", "payload": "{\"name\":\"x\",\"t\":21.57}" }),
        json!({ "time": "2026-11-27T04:00:00Z", "origin": "client:c", "topic": "t/b", "payload": "{\"t\":1}", "qos": 1 }),
        json!({ "time": "2026-11-27T04:00:02Z", "topic": "t/c", "encoding": "base64", "payload": "AP8=" }),
    ];
    let lines = messages.iter().map(|message| format!("{message}\n")).collect::<String>();
    let fields = [("messages", lines.as_str()), ("about", "Names are taken out.")];
    let answer = anna.form("/plugins/redact/case", &fields);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"redact-case.json\"");
    let case = answer.json();
    assert_eq!(
        (&case["about"], &case["start"]),
        (&json!("Names are taken out."), &json!("2026-11-27T04:00:00.000000Z"))
    );
    assert_eq!((&case["steps"][1]["at"], &case["steps"][1]["in"]["from"]), (&json!(1.5), &json!("meter")), "{case:#}");
    assert_eq!(case["steps"][1]["out"][0]["json"], json!({ "t": 21.6 }), "{case:#}");
    let file = stile.dir.path().join("case.json");
    std::fs::write(&file, &answer.body).unwrap();
    let (code, out, err) = check(&["plugin", "test", built("redact").to_str().unwrap(), file.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("1 of 1 good; 3 messages"), "{out}");
    let by_api = anna.api("POST", "/redact/case", &json!({ "messages": messages, "about": "Names are taken out." }));
    assert_eq!(by_api.text(), answer.text());
}

#[test]
fn a_form_gives_the_name_behind_the_component_too_and_one_component_alone() {
    let stile = Stile::start("");
    let mut anna = Admin::of(&stile);
    let part = |head: &str| format!("--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n").into_bytes();
    let file = [&part("name=\"component\"; filename=\"x.wasm\"")[..], &component("pass"), b"\r\n"].concat();
    let name = [&part("name=\"name\"")[..], b"way\r\n"].concat();
    let mut send = |parts: &[&[u8]]| {
        let (path, body) = (format!("/plugins?csrf={}", anna.csrf), [&parts.concat()[..], b"--edge--\r\n"].concat());
        anna.visitor.ask("POST", &path, &[("Content-Type", "multipart/form-data; boundary=edge")], &body)
    };
    let two = send(&[&file, &file]);
    assert!(two.status == 422 && two.text().contains("two components"), "{}", two.text());
    assert_eq!(send(&[&file, &name]).leads_to(), "/plugins/way");
    assert_eq!(anna.names(), ["way"]);
}

#[test]
fn who_saves_settings_that_somebody_else_has_changed_meanwhile_is_told_so() {
    let settings = "[plugin.settings]\nremove = [\"/name\"]";
    let stile = Stile::start(&section("redact", "redact", settings));
    let mut anna = Admin::of(&stile);
    let mut base = || {
        let page = anna.visitor.get("/plugins/redact").text();
        page.split("name=\"base\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let seen = base();
    assert_eq!(seen, base());
    let mut save =
        |base: &str, remove: &str| anna.form("/plugins/redact/settings", &[("base", base), ("s/remove", remove)]);
    assert_eq!(save(&seen, "[\"/street\"]").leads_to(), "/plugins/redact");
    let late = save(&seen, "[\"/name\", \"/town\"]");
    assert!(late.status == 409 && late.text().contains("somebody else has changed"), "{}", late.text());
    assert_eq!(anna.plugin("redact")["settings"]["remove"], json!(["/street"]));
    // What somebody wrote by hand and the gateway has not read yet is not written over.
    let file = stile.dir.path().join("stile.toml");
    let by_hand = std::fs::read_to_string(&file).unwrap().replace("/street", "/road");
    std::fs::write(&file, &by_hand).unwrap();
    let late = anna.form("/plugins/redact/settings", &[("s/remove", "[\"/town\"]")]);
    assert!(late.status == 409 && late.text().contains("others than those in force"), "{}", late.text());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), by_hand);
}

#[test]
fn data_files_of_a_plugin_are_in_a_case_for_admins_alone() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let stile = Stile::start(&section("way", "pass", &format!("grants = [\"data\"]\n[plugin.data]\ntable = {data:?}")));
    let mut anna = Admin::of(&stile);
    let new = [("name", "otto"), ("role", "operator"), ("password", PASSWORD)];
    assert_eq!(anna.form("/people/add", &new).leads_to(), "/people");
    let mut visitor = Visitor::signed_in(&stile, "otto");
    let csrf = visitor.get("/account").csrf();
    let mut otto = Admin { visitor, csrf };
    let wanted = json!({ "messages": [{ "topic": "t/a", "payload": "x" }] });
    let case = anna.api("POST", "/way/case", &wanted);
    assert!(case.status == 200 && case.text().contains("[package]"), "{}", case.text());
    let refused = otto.api("POST", "/way/case", &wanted);
    assert!(refused.status == 403 && !refused.text().contains("[package]"), "{}", refused.text());
    assert_eq!(otto.api("POST", "/way/try", &wanted).status, 200);
}
