//! What people see, in a real browser.

use std::path::{Path, PathBuf};

use stile_tests::{Browser, PASSWORD, Stile, Visitor, mosquitto_pub, within};

/// The pages that anybody who has signed in can see, with what is ready when it shows this.
const PAGES: &[(&str, &str)] = &[
    ("/", "Ledger"),
    ("/messages", "Topic filter"),
    ("/messages?way=1", "since the first byte"),
    ("/broker", "Nobody is connected"),
    ("/uplinks", "An uplink sends messages"),
    ("/broker/users", "Add a user"),
    ("/account", "Another password"),
    ("/plugins", "Upload a plugin"),
    ("/people", "What was changed"),
];
/// The widths of a phone, a tablet and a desk.
pub(crate) const WIDTHS: [u32; 3] = [360, 768, 1440];

/// Radios that are made up, and one that is not plugged in: there is something to see.
const RADIOS: &str = "[[radio]]\nname = \"sensor\"\nkind = \"simulated\"\ndevice = \"line\"\nseed = 1\n\
                      [[radio]]\nname = \"boiler-room\"\nkind = \"serial\"\ndevice = \"/dev/stile-nowhere\"\nframing = \"line\"\n";

pub(crate) fn url(stile: &Stile, path: &str) -> String {
    format!("http://{}{path}", stile.admin)
}

/// Where pictures go, for people to look at.
pub(crate) fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots").join(format!("{name}.png"))
}

pub(crate) fn sign_in(browser: &Browser, stile: &Stile) {
    browser.open(&url(stile, "/sign-in"));
    browser.fill("[name=name]", "anna");
    browser.fill("[name=password]", PASSWORD);
    browser.click("button.main");
    browser.wait_text("Overview");
}

#[test]
fn from_the_first_start_to_the_first_message() {
    let stile = Stile::start("");
    let browser = Browser::start();
    browser.open(&url(&stile, "/"));
    browser.wait_text("Set up this gateway");
    for width in WIDTHS {
        browser.resize(width, 900);
        browser.picture(&picture(&format!("set-up-{width}")));
    }
    let logged = stile.wait_log("nobody can sign in to the admin page yet; set it up with this code");
    browser.fill("[name=code]", &logged["code"].as_str().unwrap().to_uppercase());
    browser.fill("[name=name]", "anna");
    browser.fill("[name=password]", PASSWORD);
    browser.click("button.main");
    browser.wait_text("First steps");
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
    sign_in(&browser, &stile);
    for (path, ready) in PAGES {
        browser.open(&url(&stile, path));
        browser.wait_text(ready);
        let name = path.trim_start_matches('/').replace(['?', '='], "-");
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
        }
        for width in [360, 1440] {
            browser.resize(width, 900);
            let found = browser.inaccessible();
            assert!(found.is_empty(), "{name} {theme} {width}: {found:#?}");
        }
    }
}

#[test]
fn every_page_is_reached_and_used_by_keyboard_alone_and_without_scripts() {
    let stile = Stile::start("");
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.resize(1440, 900);
    browser.open(&url(&stile, "/sign-in"));
    // The name has the focus; Tab to the password, Enter sends it.
    browser.press("anna\u{e004}");
    browser.press(PASSWORD);
    browser.press("\u{e007}");
    browser.wait_text("Overview");
    for (path, ready) in PAGES.iter().filter(|(path, _)| *path != "/" && !path.contains('?')) {
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
