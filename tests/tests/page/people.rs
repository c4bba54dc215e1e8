//! Making, changing and removing people and tokens, by the page's forms and by the API.

use stile_tests::{PASSWORD, Stile, Visitor};

#[test]
fn an_admin_adds_changes_and_removes_people_by_forms() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let csrf = anna.get("/people").csrf();
    let mut send =
        |path: &str, fields: &[(&str, &str)]| anna.post(path, &[&[("csrf", csrf.as_str())], fields].concat());
    let ben = [("name", "ben"), ("role", "viewer"), ("password", PASSWORD)];
    assert_eq!(send("/people/add", &ben).leads_to(), "/people");
    let again = send("/people/add", &ben);
    assert!(again.status == 422 && again.text().contains("there is a person `ben` already"), "{}", again.text());
    let mut visitor = Visitor::signed_in(&stile, "ben");
    assert!(!visitor.get("/").text().contains("href=\"/people\""), "the menu has what a viewer may see");
    let refused = visitor.get("/people");
    assert!(refused.status == 403 && refused.text().contains("needs the role admin"), "{}", refused.text());
    assert_eq!(send("/people/role", &[("name", "ben"), ("role", "admin")]).leads_to(), "/people");
    assert_eq!(visitor.get("/people").status, 200);
    assert_eq!(send("/people/password", &[("name", "ben"), ("password", "another password")]).leads_to(), "/people");
    assert_eq!(visitor.get("/").leads_to(), "/sign-in");
    assert_eq!(send("/people/remove", &[("name", "ben")]).leads_to(), "/people");
    let last = send("/people/remove", &[("name", "anna")]);
    assert!(last.status == 422 && last.text().contains("there would be no admin any more"), "{}", last.text());
    assert!(send("/people/role", &[("name", "anna"), ("role", "metrics")]).text().contains("for tokens alone"));
    let page = anna.get("/people").text();
    assert!(page.contains("ben may not sign in any more") && page.contains("ben is admin now"), "{page}");
}

#[test]
fn a_program_makes_tokens_that_open_what_their_scope_says() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let csrf = anna.get("/people").csrf();
    let made = anna.post("/tokens/add", &[("csrf", &csrf), ("name", "robot"), ("scope", "admin")]);
    assert_eq!(made.leads_to(), "/people");
    // A page that is open elsewhere and brings itself up to date does not take away what waits for a person.
    anna.ask("GET", "/", &[("X-By-Itself", "1"), ("Accept", "text/html")], "");
    let page = anna.get("/people").text();
    let token = page.split("shown this once: ").nth(1).unwrap().split('<').next().unwrap();
    assert!(!anna.get("/people").text().contains(token));
    let mut robot = Visitor::with_token(stile.admin, token);
    let json = ("Content-Type", "application/json");
    let start = r#"{"scope":"metrics","name":""#;
    let long = format!("{start}{}", "x".repeat(256 * 1024 + 1 - start.len()));
    assert_eq!(robot.ask("POST", "/api/v1/tokens", &[json], &long).status, 413);
    let answer = robot.ask("POST", "/api/v1/tokens", &[json], r#"{"name":"collector","scope":"metrics"}"#);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let mut collector = Visitor::with_token(stile.admin, answer.json()["token"].as_str().unwrap());
    assert_eq!(collector.ask("GET", "/metrics", &[], "").status, 200);
    assert_eq!(collector.ask("GET", "/api/v1/overview", &[], "").status, 403);
    let new = format!(r#"{{"name":"ben","role":"viewer","password":"{PASSWORD}"}}"#);
    assert_eq!(robot.ask("POST", "/api/v1/people", &[json], &new).status, 204);
    assert_eq!(robot.ask("PUT", "/api/v1/people/ben/role", &[json], r#"{"role":"operator"}"#).status, 204);
    let wrong = robot.ask("PUT", "/api/v1/people/ben/role", &[json], r#"{"role":"king"}"#);
    assert_eq!((wrong.status, wrong.header("content-type")), (422, "application/problem+json"), "{}", wrong.text());
    let everybody = robot.ask("GET", "/api/v1/people", &[], "").json();
    let (ben, token) = (&everybody["people"][1], &everybody["tokens"][1]);
    assert_eq!((&ben["role"], &token["made_by"]), (&"operator".into(), &"token robot".into()));
    assert_eq!(robot.ask("DELETE", "/api/v1/people/ben", &[], "").status, 204);
    assert_eq!(robot.ask("DELETE", "/api/v1/tokens/collector", &[], "").status, 204);
    assert_eq!(collector.ask("GET", "/api/v1/overview", &[], "").status, 401);
    let changes = robot.ask("GET", "/api/v1/audit", &[], "").json();
    assert_eq!((&changes[0]["who"], &changes[0]["outcome"]), (&"token robot".into(), &"done".into()), "{changes}");
}
