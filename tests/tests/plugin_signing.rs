//! Manifests and signatures from outside: what the command line says of a component, and what a gateway makes of it.
//! The components are those that `make plugins` left in target/plugins.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rumqttc::QoS;
use serde_json::Value;
use stile_tests::{Client, Stile, check};
use tempfile::TempDir;

/// A folder with a component, keys and settings.
struct Bench(TempDir);

impl Bench {
    /// With a copy of this filter as `filter.wasm`.
    fn new(filter: &str) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let built =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(format!("target/plugins/{filter}.wasm"));
        assert!(built.exists(), "{} is not there; make plugins", built.display());
        std::fs::copy(built, bench.path("filter.wasm")).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `stile` with arguments of which those with a dot are files in this folder.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let file = |word: &&str| self.path(word).to_str().unwrap().to_owned();
        let words: Vec<String> =
            arguments.iter().map(|word| if word.contains('.') { file(word) } else { (*word).to_owned() }).collect();
        check(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn good(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
        out
    }

    /// Makes a key; its line for the settings.
    fn key(&self, name: &str) -> String {
        let out = self.good(&["plugin", "keys", &format!("{name}.key")]);
        out.lines().find(|line| line.contains("ed25519:")).unwrap().to_owned()
    }

    fn settings(&self, text: &str) -> (i32, String) {
        std::fs::write(self.path("stile.toml"), format!("gateway.data-dir = 'data'\n{text}")).unwrap();
        let (code, out, err) = self.run(&["check", "stile.toml"]);
        (code, format!("{out}{err}").replace(&format!("{}/", self.0.path().display()), ""))
    }

    fn plugin(&self, more: &str) -> String {
        format!("[[plugin]]\nname = \"filter\"\nfile = \"{}\"\n{more}\n", self.path("filter.wasm").display())
    }
}

#[test]
fn check_holds_settings_against_the_component_and_says_where() {
    let bench = Bench::new("geofence");
    let (code, said) = bench.settings(&bench.plugin("grants = [\"emit\"]\n[plugin.settings]\nfenses = 7"));
    assert_eq!(code, 78, "{said}");
    for part in [
        "stile.toml:5:10: plugin `filter`: it needs `kv`, which `grants` in [[plugin]] does not have\n    remedy: write `grants",
        "stile.toml:7:10: plugin `filter`: `fenses` in [plugin.settings] is not known to it\n    remedy: remove it; known are",
    ] {
        assert!(said.contains(part), "{said}");
    }
    // What is not run holds nothing up, and a gateway reloads whatever its components are.
    let (code, said) = bench.settings(&bench.plugin("enabled = false\n[plugin.settings]\nfenses = 7"));
    assert!(code == 0 && said.contains("warning: plugin `filter`: `fenses`"), "{said}");
    std::fs::write(bench.path("filter.wasm"), [0; 4096]).unwrap();
    let (code, said) = bench.settings(&bench.plugin(""));
    assert_eq!(code, 78);
    let (code, out, err) = bench.run(&["check", "--settings-only", "stile.toml"]);
    assert!(code == 0 && !out.contains("warning"), "{out}{err}");
    assert!(
        said.contains("stile.toml:4:8: plugin `filter`: it is no WebAssembly\n    remedy: build it anew"),
        "{said}"
    );
    std::fs::remove_file(bench.path("filter.wasm")).unwrap();
    let (code, said) = bench.settings(&bench.plugin(""));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("warning: plugin `filter`") && said.contains("is not there"), "{said}");
}

#[test]
fn topics_and_tick_are_the_authors_where_the_settings_say_none() {
    let bench = Bench::new("downsample");
    let stile = Stile::start(&bench.plugin("[plugin.settings]\nfields = { \"\" = 0.5 }"));
    let told = stile.wait_log("a plugin is loaded");
    assert_eq!((told["topics"].as_str(), told["tick"].as_str()), (Some("lora/+/up serial/+/up"), Some("1s")), "{told}");
    let client = Client::connect(stile.mqtt, "c");
    client.subscribe("#", QoS::AtLeastOnce);
    for topic in ["lora/a/up", "lora/a/up", "other"] {
        client.publish(topic, QoS::AtLeastOnce, false, "20.0");
    }
    assert_eq!((client.next().topic.as_str(), client.next().topic.as_str()), ("lora/a/up", "other"));
}

#[test]
fn a_secret_of_a_plugin_is_not_shown() {
    let bench = Bench::new("redact");
    let secret = "hunter2-hunter2-hunter2";
    let text = bench.plugin(&format!("[plugin.settings]\nremove = [\"/a\"]\nkey = \"{secret}\""));
    let (code, said) = bench.settings(&text);
    assert_eq!(code, 0, "{said}");
    let shown = bench.good(&["config", "show", "--effective", "--config", "stile.toml"]);
    assert!(shown.contains("remove = [\"/a\"]") && shown.contains("key = \"********\""), "{shown}");
    bench.settings(&bench.plugin(&format!("[plugin.settings]\nkeys = [\"{secret}\"]")));
    let shown = bench.good(&["config", "show", "--effective", "--config", "stile.toml"]);
    assert!(!shown.contains(secret) && shown.contains("keys = [\"********\"]"), "a misspelt key: {shown}");
    bench.settings(&text);
    std::fs::remove_file(bench.path("filter.wasm")).unwrap();
    let shown = bench.good(&["config", "show", "--effective", "--config", "stile.toml"]);
    assert!(!shown.contains(secret) && shown.contains("[plugin.settings]"), "{shown}");
    let bench = Bench::new("redact");
    let (code, said) = bench.settings(&bench.plugin(&format!("[plugin.settings]\nkey = [\"{secret}\"]")));
    assert!(code == 78 && said.contains("`key` in [plugin.settings] is a list") && !said.contains(secret), "{said}");
}

#[test]
fn keys_are_nobody_elses_and_never_overwritten() {
    let bench = Bench::new("pass");
    let line = bench.key("anna");
    assert!(line.starts_with("anna = \"ed25519:"), "{line}");
    let mode = std::fs::metadata(bench.path("anna.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, _, err) = bench.run(&["plugin", "keys", "anna.key"]);
    assert!(code == 1 && err.contains("is there already"), "{err}");
    assert!(
        bench.good(&["plugin", "keys", "anna.key", "--show", "--name", "b"]).ends_with(&format!("b{}\n", &line[4..]))
    );
    let (code, _, err) = bench.run(&["plugin", "sign", "--key", "none.key", "filter.wasm"]);
    assert!(code == 1 && err.contains("`stile plugin keys` makes one"), "{err}");
}

#[test]
fn a_signature_is_told_and_every_change_of_the_file_is_noticed() {
    let bench = Bench::new("pass");
    let (anna, other) = (bench.key("anna"), bench.key("other"));
    let bare = std::fs::read(bench.path("filter.wasm")).unwrap();
    bench.settings(&format!("[plugins.trusted-keys]\n{anna}"));
    let verify = || bench.run(&["plugin", "verify", "filter.wasm", "--config", "stile.toml"]);
    assert!(verify().2.contains("it is not signed"), "{:?}", verify());
    bench.good(&["plugin", "sign", "--key", "anna.key", "filter.wasm"]);
    let signed = std::fs::read(bench.path("filter.wasm")).unwrap();
    assert!(verify().0 == 0 && verify().1.contains("is signed by anna (ed25519:"), "{:?}", verify());
    for at in (0..signed.len()).step_by(signed.len() / 50) {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        std::fs::write(bench.path("filter.wasm"), changed).unwrap();
        assert_eq!(verify().0, 1, "byte {at}");
    }
    std::fs::write(bench.path("filter.wasm"), &signed).unwrap();
    bench.good(&["plugin", "sign", "--key", "other.key", "filter.wasm"]);
    let named = format!("it is signed by the key {}", other.split('"').nth(1).unwrap());
    assert!(verify().0 == 1 && verify().2.contains(&named), "{:?}", verify());
    assert_eq!(std::fs::read(bench.path("filter.wasm")).unwrap().len(), signed.len());
    bench.good(&["plugin", "sign", "--key", "anna.key", "filter.wasm", "--output", "copy.wasm"]);
    assert_eq!(std::fs::read(bench.path("copy.wasm")).unwrap(), signed);
    assert!(signed.ends_with(&bare[8..]));
}

#[test]
fn a_file_that_is_signed_in_its_place_keeps_its_rights_and_its_group() {
    let bench = Bench::new("pass");
    let file = bench.path("filter.wasm");
    let group = if rustix::process::geteuid().is_root() { 4712 } else { rustix::process::getegid().as_raw() };
    std::os::unix::fs::chown(&file, None, Some(group)).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o664)).unwrap();
    bench.key("anna");
    bench.good(&["plugin", "sign", "--key", "anna.key", "filter.wasm"]);
    let there = std::fs::metadata(&file).unwrap();
    assert_eq!((there.gid(), there.mode() & 0o7777), (group, 0o664));
}

#[test]
fn what_wasmsign2_signs_is_taken_and_it_takes_what_is_signed_here() {
    let bench = Bench::new("pass");
    let pair = wasmsign2::KeyPair::generate();
    std::fs::write(bench.path("anna.key"), pair.sk.to_pem()).unwrap();
    let line = bench.good(&["plugin", "keys", "anna.key", "--show"]);
    bench.settings(&format!("[plugins.trusted-keys]\n{}", line.lines().last().unwrap()));
    bench.good(&["plugin", "sign", "--key", "anna.key", "filter.wasm"]);
    let ours = std::fs::read(bench.path("filter.wasm")).unwrap();
    pair.pk.verify(&mut ours.as_slice(), None).unwrap();
    assert!(wasmsign2::KeyPair::generate().pk.verify(&mut ours.as_slice(), None).is_err());
    for key_id in [None, Some(vec![7; 12])] {
        let component = wasmsign2::Module::deserialize(&mut ours.as_slice()).unwrap();
        let mut theirs = Vec::new();
        pair.sk.sign(component, key_id.as_ref()).unwrap().serialize(&mut theirs).unwrap();
        assert_ne!(theirs, ours);
        std::fs::write(bench.path("filter.wasm"), theirs).unwrap();
        bench.good(&["plugin", "verify", "filter.wasm", "--config", "stile.toml"]);
    }
}

#[test]
fn inspect_says_all_that_the_manifest_does() {
    let bench = Bench::new("redact");
    bench.key("anna");
    bench.good(&["plugin", "sign", "--key", "anna.key", "filter.wasm"]);
    let found: Value = serde_json::from_str(&bench.good(&["plugin", "inspect", "--json", "filter.wasm"])).unwrap();
    assert_eq!((found["manifest"]["name"].as_str(), found["refused"].is_null()), (Some("redact"), true), "{found}");
    assert_eq!(found["signer"]["trusted"], false);
    let keys = found["manifest"]["settings"].as_array().unwrap();
    let key = keys.iter().find(|key| key["name"] == "key").unwrap();
    assert_eq!((key["type"].as_str(), key["secret"].as_bool()), (Some("string"), Some(true)));
    let page = bench.good(&["plugin", "inspect", "filter.wasm"]);
    for part in ["name        redact", "would run   yes", "  round: object of integer, else {}", "signed by   ed25519:"]
    {
        assert!(page.contains(part), "{page}");
    }
    std::fs::write(bench.path("empty.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    let (code, page, _) = bench.run(&["plugin", "inspect", "empty.wasm"]);
    assert!(code == 1 && page.contains("would run   no: is no filter"), "{page}");
    for (name, bytes, said) in [
        ("module.wasm", &b"\0asm\x01\0\0\0"[..], "core WebAssembly module"),
        ("cut.wasm", &std::fs::read(bench.path("filter.wasm")).unwrap()[..9000], "damaged or cut off"),
        ("text.wasm", b"(component)", "as text"),
    ] {
        std::fs::write(bench.path(name), bytes).unwrap();
        let (code, _, err) = bench.run(&["plugin", "inspect", name]);
        assert!(code == 1 && err.contains(said) && err.lines().count() == 1, "{err}");
    }
    std::fs::File::create(bench.path("zeros.wasm")).unwrap().set_len(100 << 20).unwrap();
    assert!(bench.run(&["plugin", "inspect", "zeros.wasm"]).2.contains("more than 67108864 bytes"));
}

/// What came through `t/#` of two equal readings: one where the filter is at work, both where nothing is. `end` is
/// another number each time.
fn through(client: &Client, end: &str) -> usize {
    for reading in ["1", "1"] {
        client.publish("t/a", QoS::AtLeastOnce, false, reading);
    }
    client.publish("t/end", QoS::AtLeastOnce, false, end);
    std::iter::from_fn(|| Some(client.next()).filter(|message| message.topic != "t/end")).count()
}

#[test]
fn only_what_is_signed_runs_and_what_is_not_leaves_its_predecessor_at_work() {
    let bench = Bench::new("downsample");
    let anna = bench.key("anna");
    bench.key("other");
    let settings = |interval: &str, key: &str| {
        let more = format!(
            "topics = [\"t/#\"]\n[plugin.settings]\nfields = {{ \"\" = 0.5 }}\nleast-interval = \"{interval}\""
        );
        format!("[plugins.trusted-keys]\n{key}\n{}", bench.plugin(&more))
    };
    let sign = |key: &str| bench.good(&["plugin", "sign", "--key", key, "filter.wasm"]);
    let refused = "a plugin could not be loaded; without a predecessor its messages go by on-failure";

    let stile = Stile::start(&settings("1ms", &anna));
    assert!(stile.wait_log(refused)["error"].as_str().unwrap().starts_with("it is not signed"));
    let client = Client::connect(stile.mqtt, "c");
    client.subscribe("t/#", QoS::AtLeastOnce);
    assert_eq!(through(&client, "10"), 2);

    sign("anna.key");
    stile.reload("", &settings("1ms", &anna));
    assert_eq!(stile.wait_log("a plugin is loaded")["signer"], "anna");
    assert_eq!(through(&client, "20"), 1);

    sign("other.key");
    stile.reload("", &settings("2ms", &anna));
    assert_eq!(through(&client, "30"), 0, "its predecessor goes on, and has seen this reading");
    assert_eq!(stile.metric("stile_plugin_outdated{plugin=\"filter\"}"), 1.0);

    // Whose key is not trusted any more does not go on either.
    let replaced = bench.key("new");
    stile.reload("", &settings("2ms", &replaced));
    assert_eq!(through(&client, "40"), 2);
    assert_eq!(stile.metric("stile_plugin_state{plugin=\"filter\",state=\"not-loaded\"}"), 1.0);
}
