//! The broker's users on the page: made, with a password that a client then signs in with; changed, removed; and who may what.

use rumqttc::v5::MqttOptions;
use serde_json::{Value, json};
use stile_tests::packet::{Connect, V5};
use stile_tests::{Browser, RawClient, Stile, V5Client, Visitor, check, codes, mosquitto_pub, or_skip, within};

use super::browser::{WIDTHS, fits_everybody, picture, url};

const GROUP: &str = "[[broker.group]]\nname = \"devices\"\npublish = [\"devices/%u/#\"]\nsubscribe = [\"devices/%u/#\"]\n\
                     [[broker.user]]\nname = \"ops\"\npassword = \"one of your own\"\n";

fn start() -> (Stile, Visitor) {
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", GROUP);
    let anna = Visitor::first(&stile);
    (stile, anna)
}

fn send(visitor: &mut Visitor, path: &str, fields: &[(&str, &str)]) -> stile_tests::Answer {
    let csrf = visitor.get("/account").csrf();
    visitor.post(path, &[&[("csrf", csrf.as_str())], fields].concat())
}

/// What stands behind a mark and before the next quote or tag.
fn behind<'a>(page: &'a str, mark: &str) -> &'a str {
    let rest = page.split(mark).nth(1).unwrap_or_else(|| panic!("no {mark} in {page}"));
    rest.split(['"', '<']).next().unwrap()
}

fn connects(stile: &Stile, user: &str, password: &str) -> bool {
    let tried =
        mosquitto_pub(stile.mqtt, "mqttv5", &["-u", user, "-P", password, "-t", "devices/kitchen/t", "-m", "20"]);
    tried.status.success()
}

#[test]
fn a_user_that_the_page_makes_signs_in_and_loses_that_with_another_password_and_with_his_end() {
    let (stile, mut anna) = start();
    let fields = [
        ("name", "kitchen"),
        ("everything", "false"),
        ("groups", "devices\n"),
        ("publish", ""),
        ("subscribe", "news/#\r\nweather/+"),
    ];
    let made = send(&mut anna, "/broker/users/add", &fields);
    assert_eq!(made.status, 200, "{}", made.text());
    let page = made.text();
    let password = behind(&page, "id=\"made-password\" value=\"");
    assert!(password.len() >= 20, "{password}");
    let expected = format!("mqtt://kitchen:{password}@127.0.0.1:");
    assert!(behind(&page, "id=\"made-url\">").starts_with(&expected), "{page}");
    assert!(page.contains("<svg class=\"qr\"") && !page.contains("style=\""), "{page}");
    assert!(connects(&stile, "kitchen", password) && !connects(&stile, "kitchen", "a wrong one"));
    let again = anna.get("/broker/users").text();
    assert!(!again.contains(password) && again.contains("news/#, weather/+") && again.contains("devices"), "{again}");
    let twice = send(&mut anna, "/broker/users/add", &fields);
    assert!(twice.status == 422 && twice.text().contains("is there already"), "{}", twice.text());
    let mut options = MqttOptions::new("pump", stile.mqtt.ip().to_string(), stile.mqtt.port());
    options.set_credentials("kitchen", password);
    let client = V5Client::with(options);
    client.subscribe("devices/kitchen/#", rumqttc::QoS::AtLeastOnce);
    let renewed = send(&mut anna, "/broker/users/password", &[("name", "kitchen")]).text();
    let other = behind(&renewed, "id=\"made-password\" value=\"");
    assert!(other != password && connects(&stile, "kitchen", other) && !connects(&stile, "kitchen", password));
    assert_eq!(send(&mut anna, "/broker/users/remove", &[("name", "kitchen")]).leads_to(), "/broker/users");
    assert!(!connects(&stile, "kitchen", other));
    let of_settings = send(&mut anna, "/broker/users/remove", &[("name", "ops")]);
    assert!(
        of_settings.status == 422 && of_settings.text().contains("stands in the settings"),
        "{}",
        of_settings.text()
    );
    let changes = anna.ask("GET", "/api/v1/audit", &[], "").json().to_string();
    assert!(changes.contains("the MQTT user kitchen may connect") && !changes.contains(other), "{changes}");
    let log = stile.log().iter().map(Value::to_string).collect::<String>();
    assert!(!log.contains(password) && !log.contains(other), "no password is logged");
}

#[test]
fn a_change_is_made_and_noted_though_whoever_asked_for_it_hangs_up() {
    let (stile, mut anna) = start();
    let rights = [("everything", "true"), ("groups", ""), ("publish", ""), ("subscribe", "")];
    let made = send(&mut anna, "/broker/users/add", &[&[("name", "kitchen")], &rights[..]].concat()).text();
    let password = behind(&made, "id=\"made-password\" value=\"").to_owned();
    let csrf = anna.get("/account").csrf();
    // Nobody waits for the answer.
    drop(anna.send("POST", "/api/v1/users/kitchen/password", &[("X-CSRF-Token", &csrf)], ""));
    within("the change is in the audit log", || {
        let changes = anna.ask("GET", "/api/v1/audit", &[], "").json().to_string();
        changes.contains("the MQTT user kitchen has a new password").then_some(())
    });
    assert!(!connects(&stile, "kitchen", &password), "it is in force");
}

#[test]
fn a_question_about_rights_is_answered_by_what_is_in_force_and_names_the_right() {
    let (stile, mut anna) = start();
    let kind = ("Content-Type", "application/json");
    let csrf = anna.get("/account").csrf();
    let token = ("X-CSRF-Token", csrf.as_str());
    let new = json!({ "name": "kit/chen", "groups": ["devices"], "publish": ["status"] }).to_string();
    let made = anna.ask("POST", "/api/v1/users", &[kind, token], &new);
    assert_eq!(made.status, 201, "{}", made.text());
    let password = made.json()["password"].as_str().unwrap().to_owned();
    let mut may = |what: &str, topic: &str| {
        let topic = topic.replace('#', "%23").replace('+', "%2B");
        let answer = anna.ask("GET", &format!("/api/v1/users/kit%2Fchen/may?what={what}&topic={topic}"), &[], "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        (answer.json()["yes"] == true, answer.json()["why"].as_str().unwrap().to_owned())
    };
    assert_eq!(may("publish", "status"), (true, "the right `status`".to_owned()));
    assert_eq!(may("publish", "devices/kit/chen/x"), (false, "no right to publish covers it".to_owned()));
    assert!(!may("subscribe", "#").0);
    let rights = json!({ "everything": true }).to_string();
    assert_eq!(anna.ask("PUT", "/api/v1/users/kit%2Fchen/rights", &[kind, token], &rights).status, 204);
    let page = anna.get("/broker/users?user=kit%2Fchen&what=subscribe&topic=%23&client=").text();
    assert!(page.contains("May kit/chen subscribe to #?") && page.contains("the user may do everything"), "{page}");
    let page = anna.get("/broker/users?user=nobody&what=publish&topic=a").text();
    assert!(page.contains("no answer") && page.contains("there is no user"), "{page}");
    let mut client = RawClient::with(
        stile.mqtt,
        &Connect { user: Some("kit/chen"), password: Some(password.into()), ..Connect::new(V5, "c") },
    );
    client.subscribe(&[("#", 1)], &[]);
    let wrong =
        anna.ask("PUT", "/api/v1/users/kit%2Fchen/rights", &[kind, token], &json!({ "groups": ["x"] }).to_string());
    assert!(wrong.status == 422 && wrong.text().contains("there is no group `x`"), "{}", wrong.text());
    let data = stile.dir.path().join("stile.toml");
    let listed = check(&["user", "list", "--config", data.to_str().unwrap()]);
    assert!(listed.1.contains("kit/chen") && listed.1.contains("everything"), "{listed:?}");
}

#[test]
fn a_page_of_users_with_a_fresh_password_is_for_everybody() {
    let (stile, mut anna) = start();
    send(&mut anna, "/broker/users/add", &[("name", "collector"), ("everything", "true")]);
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/broker/users"));
    browser.wait_text("collector");
    fits_everybody(&browser, "users-some");
    browser.resize(1440, 900);
    browser.fill("form[action='/broker/users/add'] [name=name]", "kitchen");
    browser.fill("form[action='/broker/users/add'] [name=groups]", "devices");
    browser.click("form[action='/broker/users/add'] button");
    browser.wait_text("kitchen may connect");
    fits_everybody(&browser, "users-made");
    let told = browser.run("return document.getElementById('made-url').textContent");
    browser.resize(1440, 900);
    browser.fill("[name=topic]", "devices/kitchen/t");
    browser.click("form[action^='/broker/users#'] button");
    browser.wait_text("May collector publish to devices/kitchen/t?");
    fits_everybody(&browser, "users-may");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
    for (theme, width) in ["light", "dark"].into_iter().flat_map(|theme| WIDTHS.map(|width| (theme, width))) {
        // A phone reads the same, whatever the page's colours are.
        let seen = codes(&picture(&format!("users-made-{theme}-{width}")));
        let Some(seen) = or_skip("what reads codes, which tests/setup.sh test installs,", seen) else { return };
        assert_eq!(seen, [told.as_str().unwrap()], "{theme} {width}");
    }
}
