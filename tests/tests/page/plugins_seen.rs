//! Plugins in a real browser: uploaded, tried out, enabled, moved, and messages chosen for one.

use stile_tests::{Browser, Stile, Visitor, mosquitto_pub, within};

use crate::browser::{WIDTHS, picture, url};
use crate::plugins::built;

#[test]
fn a_plugin_is_uploaded_tried_out_and_enabled() {
    let stile = Stile::start("");
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/plugins"));
    browser.wait_text("None: messages go on as they are");
    browser.fill("[name=component]", built("downsample").to_str().unwrap());
    browser.click("form[enctype] button");
    browser.wait_text("It does not start yet");
    browser.fill("[name='s/fields']", "{ \"/t\": 0.5 }");
    browser.click(".settings > button");
    browser.wait_text("the plugin downsample has these settings");
    browser.fill("[name=topic]", "serial/a/up");
    browser.fill("[name=payload]", "{ \"t\": 21.5 }");
    browser.click("#try ~ form button");
    browser.wait_for("#result");
    browser.wait_text("passed");
    browser.resize(1440, 900);
    browser.picture(&picture("plugin-tried-1440"));
    browser.open(&url(&stile, "/plugins/downsample"));
    browser.click("#switch");
    browser.wait_text("the plugin downsample is enabled");
    for text in ["{\"t\":1}", "{\"t\":1.1}"] {
        assert!(mosquitto_pub(stile.mqtt, "mqttv5", &["-q", "1", "-t", "serial/a/up", "-m", text]).status.success());
    }
    browser.wait_text("it judges messages");
    assert_eq!(stile.metric("stile_plugin_filtered_total{plugin=\"downsample\",reason=\"unchanged\"}"), 1.0);
    browser.click("#switch");
    browser.wait_text("messages go past it");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn an_upload_says_how_far_it_is_and_can_be_cancelled_and_what_is_wrong_is_said_where_it_was_sent() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/plugins"));
    browser.wait_text("Upload a plugin");
    browser.fill("[name=component]", built("downsample").to_str().unwrap());
    browser.slow_down(Some(20_000));
    browser.click("#upload-form button");
    browser.wait_for("#upload-way:not([hidden]) progress[value]");
    browser.wait_text(" % of ");
    let found = browser.inaccessible();
    assert!(found.is_empty(), "{found:#?}");
    browser.picture(&picture("plugin-upload-1440"));
    browser.run("document.querySelector('#upload-way button').focus()");
    browser.press("\u{e007}");
    browser.wait_text("Cancelled. Nothing has changed.");
    assert_eq!(browser.run("return document.activeElement.textContent"), "Upload");
    browser.slow_down(None);
    browser.fill("[name=component]", no_component().to_str().unwrap());
    browser.click("#upload-form button");
    browser.wait_text("Not done: ");
    assert!(browser.url().ends_with("/plugins"), "{}", browser.url());
    assert_eq!(anna.get("/api/v1/plugins").json()["plugins"], serde_json::json!([]));
    browser.fill("[name=component]", built("downsample").to_str().unwrap());
    browser.click("#upload-form button");
    browser.wait_text("downsample is installed. It does not start yet");
    assert!(browser.url().ends_with("/plugins/downsample"), "{}", browser.url());
}

/// A gateway with the filter redact, not enabled, and a browser in which somebody is signed in.
fn with_redact_off(settings: &str) -> (Stile, Browser) {
    let file = built("redact");
    let section = "[[plugin]]\nname = \"redact\"\ntopics = [\"t/#\"]\nenabled = false";
    let stile = Stile::start(&format!("{section}\nfile = {file:?}\n{settings}\n"));
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.sign_in(&stile);
    (stile, browser)
}

/// A file that is no component.
fn no_component() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")
}

#[test]
fn a_secret_of_a_plugin_is_forgotten_by_the_box_beside_it() {
    let settings = "[plugin.settings]\nremove = [\"/name\"]\nkey = \"a secret of many letters\"";
    let (stile, browser) = with_redact_off(settings);
    browser.open(&url(&stile, "/plugins/redact"));
    browser.wait_text("It is set and not shown");
    browser.click(".settings > button");
    browser.wait_text("the plugin redact has these settings");
    let main = stile.dir.path().join("stile.toml");
    assert!(std::fs::read_to_string(&main).unwrap().contains("many letters"), "left empty, it stays");
    // Without the word of before.
    browser.open(&url(&stile, "/plugins/redact"));
    browser.wait_text("It is set and not shown");
    browser.click("[name='forget/key']");
    browser.click(".settings > button");
    browser.wait_text("the plugin redact has these settings");
    let written = std::fs::read_to_string(&main).unwrap();
    assert!(!written.contains("many letters") && written.contains("/name"), "{written}");
    assert_eq!(browser.run("return document.querySelector(\"[name='forget/key']\")"), serde_json::Value::Null);
}

#[test]
fn the_pages_of_plugins_are_accessible_fit_and_move_plugins_by_keyboard_and_by_dragging() {
    let section = |name: &str, more: &str| {
        format!("[[plugin]]\nname = \"{name}\"\nfile = {:?}\ntopics = [\"t/#\"]\n{more}\n", built(more_of(name)))
    };
    let settings = "[plugin.settings]\nremove = [\"/name\"]\nround = { \"/t\" = 1 }";
    let stile =
        Stile::start(&[section("redact", settings), section("way", ""), section("gone", "enabled = false")].concat());
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.sign_in(&stile);
    for text in ["{\"name\":\"x\",\"t\":1.23}", "no JSON"] {
        assert!(mosquitto_pub(stile.mqtt, "mqttv5", &["-q", "1", "-t", "t/a", "-m", text]).status.success());
    }
    for (path, ready) in [("/plugins", "Upload a plugin"), ("/plugins/redact", "What is laid down for it")] {
        browser.open(&url(&stile, path));
        browser.wait_text(ready);
        for theme in ["light", "dark"] {
            browser.prefer(theme);
            for width in WIDTHS {
                browser.resize(width, 900);
                let name = path.trim_start_matches('/').replace('/', "-");
                browser.picture(&picture(&format!("with-{name}-{theme}-{width}")));
                let beyond =
                    browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
                assert_eq!(beyond, 0, "{path} is wider than {width}");
                let found = browser.inaccessible();
                assert!(found.is_empty(), "{path} {theme} {width}: {found:#?}");
            }
        }
    }
    let order = || {
        let names =
            browser.run("return [...document.querySelectorAll('[data-place] a')].map((a) => a.textContent).join(' ')");
        names.as_str().unwrap().to_owned()
    };
    browser.open(&url(&stile, "/plugins"));
    assert_eq!(order(), "redact way gone");
    browser.run("document.querySelector('[data-place=\"1\"] [data-move] button').focus()");
    browser.press("\u{e007}");
    browser.wait_text("the plugin way is number 1 of 3");
    assert_eq!(order(), "way redact gone");
    // The driver's own dragging does not reach HTML's; these are the events that a browser makes of it.
    browser.run(
        "const data = new DataTransfer(), at = (place) => document.querySelector(`[data-place='${place}']`);\
         const send = (kind, target) => target.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data }));\
         send('dragstart', at(0)); send('dragover', at(2)); send('drop', at(2));",
    );
    browser.wait_text("the plugin way is number 3 of 3");
    assert_eq!(order(), "redact gone way");
}

fn more_of(name: &str) -> &str {
    if name == "redact" { "redact" } else { "pass" }
}

#[test]
fn live_messages_are_chosen_by_keyboard_for_a_trial_and_for_a_case() {
    let settings = "[plugin.settings]\nremove = [\"/name\"]";
    let (stile, browser) = with_redact_off(settings);
    browser.open(&url(&stile, "/messages?filter=t%2F%23"));
    browser.wait_for("#live-state .good");
    let sent = mosquitto_pub(stile.mqtt, "mqttv5", &["-t", "t/a", "-m", "{\"name\":\"somebody\",\"t\":1}"]);
    assert!(sent.status.success());
    browser.wait_text("somebody");
    browser.run("document.querySelector('#live-rows input').focus()");
    browser.press(" ");
    browser.wait_text("1 chosen");
    let found = browser.inaccessible();
    assert!(found.is_empty(), "{found:#?}");
    browser.picture(&picture("messages-chosen"));
    // What the button downloads, as the page would get it.
    browser.run(
        "window.sent = ''; const form = document.getElementById('chosen');\
         form.addEventListener('submit', (event) => { event.preventDefault();\
           fetch(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)) })\
             .then((answer) => answer.text()).then((text) => { window.sent = text; }); }, { once: true });",
    );
    browser.run("document.querySelector('#chosen button[value=case]').focus()");
    browser.press("\u{e007}");
    let case = within("the case comes", || {
        let text = browser.run("return window.sent").as_str().unwrap().to_owned();
        (!text.is_empty()).then_some(text)
    });
    let case: serde_json::Value = serde_json::from_str(&case).unwrap();
    assert_eq!(case["steps"][0]["out"][0]["json"], serde_json::json!({ "t": 1 }), "{case:#}");
    browser.run("document.querySelector('#chosen button[value=try]').focus()");
    browser.press("\u{e007}");
    browser.wait_for("#result");
    browser.wait_text("modified");
}
