//! What the page and the API say of the broker's clients, and sending one away.

use rumqttc::QoS;
use serde_json::Value;
use stile_tests::packet::{Connect, V5, V311, session_expiry};
use stile_tests::{Browser, Client, RawClient, Stile, V5Client, Visitor, within};

use super::browser::{fits_everybody, url};

fn ask(visitor: &mut Visitor, path: &str) -> Value {
    visitor.ask("GET", path, &[], "").json()
}

fn ids(found: &Value) -> Vec<&str> {
    found["clients"].as_array().unwrap().iter().map(|client| client["id"].as_str().unwrap()).collect()
}

/// Somebody with a session, who has gone.
fn away(stile: &Stile, id: &str) {
    let mut client = RawClient::with(stile.mqtt, &Connect { properties: session_expiry(3600), ..Connect::new(V5, id) });
    client.subscribe(&[("away/#", 1)], &[]);
    client.disconnect();
}

#[test]
fn clients_are_found_by_their_ids_and_shown_with_what_they_have() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    assert!(anna.get("/broker").text().contains("Nobody is connected"));
    away(&stile, "pump-away");
    let mut pump = RawClient::with(stile.mqtt, &Connect { keep_alive: 90, ..Connect::new(V311, "Pump-1") });
    pump.subscribe(&[("pumps/1/#", 1), ("<all>/+", 0)], &[]);
    let other = Client::connect(stile.mqtt, "other");
    other.publish("away/1", QoS::AtLeastOnce, true, "waits");
    let found = within("the message waits for who is away", || {
        let found = ask(&mut anna, "/api/v1/clients");
        let waits = found["clients"].as_array()?.iter().any(|client| client["queue"]["messages"] == 1);
        waits.then_some(found)
    });
    assert_eq!(ids(&found), ["Pump-1", "other", "pump-away"]);
    assert_eq!((&found["connected"], &found["away"], &found["matching"]), (&2.into(), &1.into(), &3.into()));
    assert_eq!(found["waiting"]["messages"], 1);
    assert_eq!((&found["retained"]["messages"], &found["filters"]), (&1.into(), &3.into()));
    let one = &found["clients"][0];
    assert_eq!((&one["protocol"], &one["keep_alive_seconds"]), (&"3.1.1".into(), &90.into()));
    assert_eq!(one["subscriptions"][1], serde_json::json!({ "filter": "pumps/1/#", "qos": 1 }));
    for (query, expected) in [
        ("part=pump", &["Pump-1", "pump-away"][..]),
        ("part=pump&connected=true", &["Pump-1"]),
        ("connected=false", &["pump-away"]),
        ("skip=1&most=1", &["other"]),
        ("part=nobody", &[]),
    ] {
        assert_eq!(ids(&ask(&mut anna, &format!("/api/v1/clients?{query}"))), expected, "{query}");
    }
    let page = anna.get("/broker?part=PUMP&show=there").text();
    assert!(page.contains("Pump-1") && !page.contains("pump-away") && page.contains("1 to 1 of 1"), "{page}");
    assert!(
        page.contains("&#60;all&#62;/+") && page.contains("1 min 30 s") && page.contains("class=\"chart\""),
        "{page}"
    );
    assert!(anna.get("/broker?show=away").text().contains("pump-away"));
}

#[test]
fn a_crowd_is_shown_in_pages_of_bounded_size() {
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "max-filters = 100000", "");
    let mut anna = Visitor::first(&stile);
    let filters: Vec<String> = (0..100).map(|number| format!("{}/{number}", "long".repeat(100))).collect();
    let filters: Vec<(&str, u8)> = filters.iter().map(|filter| (filter.as_str(), 1)).collect();
    let crowd: Vec<_> = (0..120)
        .map(|number| {
            let mut client = RawClient::connect(stile.mqtt, V5, &format!("client-{number:03}"));
            client.subscribe(&filters[..if number < 60 { 100 } else { 1 }], &[]);
            client
        })
        .collect();
    let first = anna.get("/broker");
    assert!(first.body.len() < 250_000, "{}", first.body.len());
    let text = first.text();
    assert!(text.contains("1 to 50 of 120") && text.contains("and 90 more") && !text.contains("client-050"));
    assert!(!text.contains("Those before") && text.contains("Those behind"));
    let last = anna.get("/broker?skip=100").text();
    assert!(
        last.contains("101 to 120 of 120") && last.contains("client-119") && !last.contains("Those behind"),
        "{last}"
    );
    assert!(anna.get("/broker?skip=1000").text().contains("None of these"));
    drop(crowd);
}

#[test]
fn an_operator_sends_a_client_away_and_a_viewer_does_not() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let csrf = anna.get("/people").csrf();
    let viewer = [("csrf", csrf.as_str()), ("name", "ben"), ("role", "viewer"), ("password", stile_tests::PASSWORD)];
    anna.post("/people/add", &viewer);
    let mut ben = Visitor::signed_in(&stile, "ben");
    let client = RawClient::connect(stile.mqtt, V5, "pump/1");
    assert!(!ben.get("/broker").text().contains("/broker/disconnect"), "what he may not do he is not shown");
    let own = ben.get("/account").csrf();
    let fields = |csrf: &str, forget: &str| {
        [("csrf", csrf.to_owned()), ("id", "pump/1".to_owned()), ("forget", forget.to_owned())]
    };
    let send = |visitor: &mut Visitor, csrf: &str, forget: &str| {
        let fields = fields(csrf, forget);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        visitor.post("/broker/disconnect", &fields)
    };
    assert_eq!(send(&mut ben, &own, "false").status, 403);
    assert_eq!(send(&mut anna, &csrf, "false").leads_to(), "/broker");
    client.expect_closed();
    assert!(anna.get("/broker").text().contains("the client pump/1 was sent away"));
    let nobody = send(&mut anna, &csrf, "false");
    assert!(nobody.status == 404 && nobody.text().contains("there is no client"), "{}", nobody.text());
    away(&stile, "pump/1");
    assert_eq!(send(&mut anna, &csrf, "true").leads_to(), "/broker");
    assert_eq!(ask(&mut anna, "/api/v1/clients")["away"], 0);
    let changes = ask(&mut anna, "/api/v1/audit").to_string();
    assert!(changes.contains("the client pump/1 was sent away, and its session ended"), "{changes}");
}

#[test]
fn clients_there_and_away_are_a_page_for_everybody() {
    let stile = Stile::start("");
    Visitor::first(&stile);
    away(&stile, "pump-away");
    let there = V5Client::connect(stile.mqtt, "pump-with-a-rather-long-name-in-the-boiler-room");
    there.subscribe("pumps/boiler-room/+/temperature", QoS::AtLeastOnce);
    there.subscribe("news/#", QoS::AtMostOnce);
    there.publish("away/1", QoS::AtLeastOnce, false, "waits");
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/broker"));
    browser.wait_text("pump-away");
    // A name that turns the direction of writing and never turns it back turns itself alone.
    let behind = browser.run(
        "const p = document.createElement('p'), name = document.createElement('strong'), tail = document.createElement('i');\
         name.textContent = '\\u202eabc'; tail.textContent = 'tail'; p.append(name, tail); document.querySelector('main').append(p);\
         const places = [name, tail].map((one) => one.getBoundingClientRect().left); p.remove(); return places[0] < places[1]",
    );
    assert_eq!(behind, true);
    fits_everybody(&browser, "broker-some");
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
}
