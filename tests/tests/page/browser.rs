//! What people see, in a real browser.

use std::path::{Path, PathBuf};

use stile_tests::{Browser, PASSWORD, Stile, Visitor, command, mosquitto_pub, within};

use crate::secure;

/// The pages that anybody who has signed in can see, with what is ready when it shows this.
const PAGES: &[(&str, &str)] = &[
    ("/", "Ledger"),
    ("/radios", "Last error"),
    ("/radios/sensor", "Send a frame"),
    ("/radios/sensor/framing", "The line for the settings"),
    ("/radios/roof", "Gateways behind it"),
    ("/messages", "Topic filter"),
    ("/messages?way=1", "since the first byte"),
    ("/probes", "Follow a name for its figures"),
    ("/probes/core", "Last results"),
    ("/measurements", "As a file"),
    ("/broker", "Nobody is connected"),
    ("/uplinks", "An uplink sends messages"),
    ("/broker/users", "Add a user"),
    ("/account", "Another password"),
    ("/plugins", "Upload a plugin"),
    ("/people", "What was changed"),
    ("/configuration", "Another file in conf.d"),
    ("/first-steps?step=name", "What is this gateway called?"),
    ("/first-steps?step=time", "Is the clock right?"),
    ("/first-steps?step=radios", "Which radios are there?"),
    ("/first-steps?step=message", "Nothing yet?"),
    ("/logs", "Download as text"),
    ("/system", "Factory reset"),
    ("/audit", "Outcome"),
    ("/licences", "wasmtime"),
];
/// The widths of a phone, a tablet and a desk.
pub(crate) const WIDTHS: [u32; 3] = [360, 768, 1440];

/// Radios that are made up, and one that is not plugged in: there is something to see.
const RADIOS: &str = "[[radio]]\nname = \"sensor\"\nkind = \"simulated\"\ndevice = \"line\"\nseed = 1\n\
                      [[radio]]\nname = \"roof\"\nkind = \"simulated\"\ndevice = \"lora-gateway\"\nregion = \"eu868\"\n\
                      [[radio]]\nname = \"boiler-room\"\nkind = \"serial\"\ndevice = \"/dev/stile-nowhere\"\nframing = \"line\"\n\
                      [[probe]]\nname = \"core\"\nkind = \"stamp\"\ntarget = \"127.0.0.1:1\"\nbudget-day = 100000\n";

pub(crate) fn url(stile: &Stile, path: &str) -> String {
    format!("http://{}{path}", stile.admin)
}

/// Where pictures go, for people to look at.
pub(crate) fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots").join(format!("{name}.png"))
}

#[test]
fn from_the_first_start_to_the_first_message() {
    let stile = Stile::start("");
    let browser = Browser::start();
    browser.open(&url(&stile, "/"));
    browser.wait_text("Set up this gateway");
    fits_everybody(&browser, "set-up");
    let logged = stile.wait_log("nobody can sign in to the admin page yet; set it up with this code");
    browser.fill("[name=code]", &logged["code"].as_str().unwrap().to_uppercase());
    browser.fill("[name=name]", "anna");
    browser.fill("[name=password]", PASSWORD);
    browser.click("button.main");
    browser.wait_text("What is this gateway called?");
    browser.open(&url(&stile, "/messages"));
    browser.wait_text("Nothing has come yet");
    within_the_stream(&stile, &browser);
    browser.click("[name=way]");
    browser.click("#filter-form button");
    browser.wait_for("#live[data-way] #live-state .good");
    assert!(mosquitto_pub(stile.mqtt, "mqttv5", &["-t", "a/b", "-m", "third message"]).status.success());
    browser.wait_text("delivered");
    browser.wait_text("third message");
    browser.open(&url(&stile, "/"));
    browser.wait_text("Every message is accounted for");
    let outside: Vec<_> =
        browser.requests().into_iter().filter(|asked| !asked.starts_with(&url(&stile, "/"))).collect();
    let outside: Vec<_> = outside.into_iter().filter(|asked| asked.starts_with("http")).collect();
    assert!(outside.is_empty(), "{outside:?}");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn the_first_steps_lead_from_the_code_to_the_first_message() {
    let stile = Stile::start("");
    let browser = Browser::start();
    browser.open(&url(&stile, "/"));
    let logged = stile.wait_log("nobody can sign in to the admin page yet; set it up with this code");
    browser.fill("[name=code]", logged["code"].as_str().unwrap());
    browser.fill("[name=name]", "anna");
    browser.fill("[name=password]", PASSWORD);
    browser.click("button.main");
    browser.wait_text("What is this gateway called?");
    browser.fill("[name=id]", "roof");
    browser.click("form.stack button.main");
    browser.wait_text("Is the clock right?");
    browser.wait_text("from the next start on");
    browser.click(".onward .main");
    browser.wait_text("Which radios are there?");
    browser.fill("[name=name]", "sensor");
    browser.run("document.querySelector('[name=port]').value = ''");
    browser.click("form.stack button.main");
    browser.wait_text("The radio sensor is added.");
    browser.click(".onward .main");
    browser.wait_text("The first message");
    browser.wait_for("#first-messages li");
    browser.wait_text("serial/sensor/up");
    browser.wait_text("come from outside");
    browser.picture(&picture("first-message-come-1440"));
    browser.click(".onward .main");
    browser.wait_text("Every message is accounted for");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn a_mistake_in_the_settings_is_told_while_it_is_typed_and_a_change_comes_back_by_itself() {
    let stile = Stile::start("");
    Visitor::first(&stile);
    let main = stile.dir.path().join("stile.toml");
    let old = std::fs::read_to_string(&main).unwrap();
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/configuration"));
    browser.wait_for("#lines:not([hidden])");
    // Typed behind the end, as somebody would.
    browser.run(
        "const t = document.getElementById('text'); t.focus(); t.setSelectionRange(t.value.length, t.value.length)",
    );
    browser.press("# Seen.\u{e007}[log\u{e007}");
    browser.wait_text("mistake");
    pictures(&browser, "configuration-mistake");
    browser.click("#verdict button.where");
    let line = old.lines().count() + 2;
    browser.wait_text(&format!("Line {line}, column"));
    assert_eq!(browser.run("return document.activeElement.id"), "text");
    let good = serde_json::json!(format!("{old}# Seen.\n"));
    browser.run(&format!(
        "const t = document.getElementById('text'); t.value = {good}; t.dispatchEvent(new Event('input'))"
    ));
    browser.wait_text("No part of the gateway would be another");
    browser.click("#editor button.main");
    browser.wait_text("+# Seen.");
    pictures(&browser, "configuration-review");
    browser.click("#review button.main");
    browser.wait_text("Change 1 is in force");
    browser.wait_text("Those of before come back in");
    pictures(&browser, "configuration-trial");
    // It counts down, and on every page.
    browser.open(&url(&stile, "/messages"));
    let left = || browser.run("return document.querySelector('#trial-left strong').textContent");
    let before = left();
    within("it counts down", || (left() != before).then_some(()));
    browser.click(".trial [formaction]");
    browser.wait_text("the settings of before are in force");
    assert!(browser.url().ends_with("/messages"), "{}", browser.url());
    assert_eq!(std::fs::read_to_string(&main).unwrap(), old);
    // One that nobody confirms. On the page a trial has 90 seconds; the API gives a shorter one.
    browser.open(&url(&stile, "/configuration"));
    let new = serde_json::json!({ "files": { "stile.toml": format!("{old}# Seen.\n") }, "confirm_within_seconds": 8 });
    browser.run(&format!(
        "fetch('/api/v1/configuration/apply', {{ method: 'POST', body: JSON.stringify({new}), headers: {{\
         'content-type': 'application/json', 'x-csrf-token': document.querySelector('[name=csrf]').value }} }})\
         .then(() => location.assign('/configuration'))"
    ));
    browser.wait_text("Change 2 of the settings");
    browser.wait_text("Its time is over");
    within("the settings of before stand", || (std::fs::read_to_string(&main).unwrap() == old).then_some(()));
    browser.open(&url(&stile, "/configuration"));
    browser.wait_text("nobody confirmed it in time");
    browser.open(&url(&stile, "/configuration/changes/2"));
    browser.wait_text("+# Seen.");
    pictures(&browser, "configuration-change");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}

/// Pictures of a page that no address leads to, in both themes, and what is wrong with its accessibility.
fn pictures(browser: &Browser, name: &str) {
    for theme in ["light", "dark"] {
        browser.prefer(theme);
        for width in WIDTHS {
            browser.resize(width, 900);
            let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            browser.picture(&picture(&format!("{name}-{theme}-{width}")));
            assert_eq!(browser.run(wide), 0, "{name} is wider than {width}");
        }
        let found = browser.inaccessible();
        assert!(found.is_empty(), "{name} {theme}: {found:#?}");
    }
}

/// A message that is published shows up, and pausing, searching and clearing do what they say.
fn within_the_stream(stile: &Stile, browser: &Browser) {
    browser.wait_for("#live-state .good");
    let publish = |topic: &str, text: &str| {
        assert!(mosquitto_pub(stile.mqtt, "mqttv5", &["-t", topic, "-m", text]).status.success());
    };
    publish("hello/world", "<b>first message</b>");
    browser.wait_text("<b>first message</b>");
    publish("other", "second message");
    browser.wait_text("second message");
    browser.fill("#search", "SECOND");
    let visible = "return [...document.querySelectorAll('#live-rows tr')].filter((row) => !row.hidden).length";
    assert_eq!(browser.run(visible), 1);
    browser.fill("#search", " ");
    browser.click("#pause");
    // A second stream says when the message has come to the page.
    browser.run(
        "window.come = ''; window.beside = new EventSource('/api/v1/live?filter=other');\
         beside.addEventListener('messages', (event) => { come += event.data; });",
    );
    within("the second stream is open", || (browser.run("return beside.readyState") == 1).then_some(()));
    for (text, what) in [("while it is paused", "the message comes"), ("after it", "one behind it comes")] {
        publish("other", text);
        within(what, || browser.run("return come").as_str().unwrap().contains(text).then_some(()));
    }
    browser.run("beside.close()");
    let rows = "return document.querySelectorAll('#live-rows tr').length";
    assert_eq!(browser.run(rows), 2);
    browser.click("#pause");
    browser.wait_text("while it is paused");
    browser.click("#clear");
    assert_eq!(browser.run(rows), 0);
}

#[test]
fn a_wrong_password_is_told_and_a_role_that_is_too_small_sees_a_page_that_says_so() {
    let stile = Stile::start("");
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.open(&url(&stile, "/messages"));
    browser.fill("[name=name]", "anna");
    browser.fill("[name=password]", "a wrong password");
    browser.click("button.main");
    browser.wait_text("Name or password is wrong");
    assert_eq!(browser.run("return document.activeElement.name"), "password");
    browser.fill("[name=password]", PASSWORD);
    browser.press("\u{e007}");
    browser.wait_text("Live messages");
    assert!(browser.url().ends_with("/messages"), "{}", browser.url());
    browser.open(&url(&stile, "/nowhere"));
    browser.wait_text("there is nothing at /nowhere");
    // Colours are a person's own choice, and stay.
    browser.click("button[value=dark]");
    browser.wait_for("html[data-theme=dark]");
    browser.wait_text("there is nothing at /nowhere");
    browser.click(".who button");
    browser.wait_text("Sign in");
    assert_eq!(browser.run("return document.documentElement.dataset.theme"), "dark");
}

#[test]
fn every_page_is_accessible_in_both_themes_and_fits_into_every_width() {
    let stile = Stile::start(RADIOS);
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.open(&url(&stile, "/sign-in"));
    browser.wait_text("Password forgotten?");
    fits_everybody(&browser, "sign-in");
    browser.sign_in(&stile);
    for (path, ready) in PAGES {
        browser.open(&url(&stile, path));
        browser.wait_text(ready);
        let name = path.trim_start_matches('/').replace(['?', '=', '/'], "-");
        let name = if name.is_empty() { "overview" } else { &name };
        fits_everybody(&browser, name);
    }
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}

/// Whether the page that is open is accessible, and as wide as its window, in both themes. Pictures are called `name`.
#[track_caller]
pub(super) fn fits_everybody(browser: &Browser, name: &str) {
    // What is scrolled away below the bar is covered by it.
    browser.run("scrollTo(0, 0)");
    for theme in ["light", "dark"] {
        browser.prefer(theme);
        for width in WIDTHS {
            browser.resize(width, 900);
            let beyond =
                browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
            browser.picture(&picture(&format!("{name}-{theme}-{width}")));
            assert_eq!(beyond, 0, "{name} is wider than {width}");
            let cut = browser.run(
                "return [...document.querySelectorAll('.chart text')].filter((word) => word.getBBox().x < 0)\
                 .map((word) => word.textContent)",
            );
            assert_eq!(cut, serde_json::json!([]), "{name} at {width}: begins left of its chart");
        }
        for width in [360, 1440] {
            browser.resize(width, 900);
            let found = browser.inaccessible();
            assert!(found.is_empty(), "{name} {theme} {width}: {found:#?}");
        }
    }
}

#[test]
fn certificates_fit_into_every_width() {
    let (stile, address, _) = secure::gateway();
    let config = stile.dir.path().join("stile.toml");
    let added = command().args(["person", "add", "anna", "--role", "admin", "--config"]).arg(config).output().unwrap();
    let said = String::from_utf8(added.stdout).unwrap();
    let password = said.split("shown this once: ").nth(1).unwrap().lines().next().unwrap();
    let browser = Browser::start();
    browser.open(&format!("https://{address}/sign-in?next=/system"));
    browser.fill("[name=name]", "anna");
    browser.fill("[name=password]", password);
    browser.click("button.main");
    browser.wait_text("Renew the gateway's own");
    fits_everybody(&browser, "system-tls");
}

#[test]
fn every_page_is_reached_and_used_by_keyboard_alone_and_without_scripts() {
    let stile = Stile::start(RADIOS);
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.resize(1440, 900);
    browser.open(&url(&stile, "/sign-in"));
    // The name has the focus; Tab to the password, Enter sends it.
    browser.press("anna\u{e004}");
    browser.press(PASSWORD);
    browser.press("\u{e007}");
    browser.wait_text("Overview");
    // The page of a second radio is the first one's again.
    let apart = |path: &str| path != "/" && path != "/radios/roof" && !path.contains('?');
    for (path, ready) in PAGES.iter().filter(|(path, _)| apart(path)) {
        if *path == "/licences" {
            browser.open(&url(&stile, "/system"));
            browser.wait_text("Factory reset");
        }
        let at = || browser.run("return document.activeElement.getAttribute('href')");
        let mut steps = 0;
        while at() != *path {
            browser.press("\u{e004}");
            steps += 1;
            assert!(steps < 60, "no way to {path} by Tab");
        }
        let outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle");
        assert_ne!(outline, "none", "the focus is to be seen");
        browser.press("\u{e007}");
        browser.wait_text(ready);
    }
    browser.scripts(false);
    for (path, ready) in PAGES {
        browser.open(&url(&stile, path));
        let source = browser.source();
        assert!(source.contains(ready), "{path}: {source}");
    }
}
