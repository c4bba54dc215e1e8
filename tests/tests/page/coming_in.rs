//! The first start, signing in and out, passwords, tokens, and the audit log of it.

use stile_tests::{PASSWORD, Stile, Visitor, command};

#[test]
fn a_fresh_gateway_is_set_up_by_the_code_of_its_log_and_by_nothing_else() {
    let stile = Stile::start("");
    let mut stranger = Visitor::new(stile.admin);
    assert_eq!(stranger.get("/").leads_to(), "/setup");
    assert_eq!(stranger.get("/sign-in").leads_to(), "/setup");
    let page = stranger.get("/setup");
    assert!(page.status == 200 && page.text().contains("Set-up code"));
    let refused = stranger.post("/setup", &[("code", "aaaa-bbbb-cccc"), ("name", "eve"), ("password", PASSWORD)]);
    assert!(refused.status == 401 && refused.text().contains("The code is wrong"), "{}", refused.text());
    let mut anna = Visitor::first(&stile);
    assert_eq!(anna.get("/").status, 200);
    // There is no second first time.
    assert_eq!(stranger.get("/setup").leads_to(), "/sign-in");
    let again = stranger.post("/setup", &[("code", "x"), ("name", "eve"), ("password", PASSWORD)]);
    assert!(again.status == 422 && again.text().contains("set up already"), "{}", again.text());
    assert_eq!(stranger.get("/").leads_to(), "/sign-in");
}

#[test]
fn a_code_is_given_to_the_gateways_own_user_until_there_is_an_admin() {
    let stile = Stile::start("");
    let logged = stile.wait_log("nobody can sign in to the admin page yet; set it up with this code");
    let config = stile.dir.path().join("stile.toml");
    let run = |arguments: &[&str]| {
        let output = command().args(arguments).arg("--config").arg(&config).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(run(&["person", "code"]), (true, format!("{}\n", logged["code"].as_str().unwrap())));
    let (added, said) = run(&["person", "add", "anna", "--role", "admin"]);
    assert!(added && said.contains("the running gateway knows"), "{said}");
    let password = said.split("shown this once: ").nth(1).unwrap().lines().next().unwrap();
    assert!(!run(&["person", "code"]).0);
    let mut anna = Visitor::new(stile.admin);
    assert_eq!(anna.post("/sign-in", &[("name", "anna"), ("password", password)]).leads_to(), "/");
    assert!(run(&["person", "list"]).1.contains("anna                     admin"));
    // Another password ends what was begun with the old one.
    assert!(run(&["person", "passwd", "anna"]).0);
    assert_eq!(anna.get("/").leads_to(), "/sign-in");
    assert!(run(&["person", "remove", "anna"]).1.contains("there would be no admin any more"));
}

#[test]
fn who_signs_in_gets_a_new_session_and_who_signs_out_has_none() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let wrong = anna.post("/sign-in", &[("name", "anna"), ("password", "another password")]);
    assert!(wrong.status == 401 && wrong.text().contains("Name or password is wrong"), "{}", wrong.text());
    let before = anna.cookies.clone();
    let answer = anna.post("/sign-in", &[("name", "anna"), ("password", PASSWORD), ("next", "/messages")]);
    assert_eq!(answer.leads_to(), "/messages");
    assert_ne!(anna.cookies, before);
    let mut old = Visitor::new(stile.admin);
    old.cookies = before;
    assert_eq!(old.get("/").leads_to(), "/sign-in", "the session of before has ended");
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"), "{cookie}");
    let mut thief = Visitor::new(stile.admin);
    thief.cookies = anna.cookies.clone();
    let csrf = anna.get("/").csrf();
    assert_eq!(anna.post("/sign-out", &[("csrf", &csrf)]).leads_to(), "/sign-in");
    assert!(anna.cookies.is_empty());
    assert_eq!(thief.get("/").leads_to(), "/sign-in", "it has ended for everybody who has the cookie");
}

#[test]
fn a_new_password_ends_all_other_sessions() {
    let stile = Stile::start("");
    let mut here = Visitor::first(&stile);
    let mut there = Visitor::signed_in(&stile, "anna");
    let csrf = here.get("/account").csrf();
    let refused = here.post("/account", &[("csrf", &csrf), ("old", "not the old one"), ("new", "a new password")]);
    assert!(refused.status == 401 && refused.text().contains("the old password is wrong"), "{}", refused.text());
    let short = here.post("/account", &[("csrf", &csrf), ("old", PASSWORD), ("new", "short")]);
    assert!(short.status == 422 && short.text().contains("10 characters"), "{}", short.text());
    assert_eq!(
        here.post("/account", &[("csrf", &csrf), ("old", PASSWORD), ("new", "a new password")]).leads_to(),
        "/account"
    );
    assert!(here.get("/account").text().contains("You have a new password"));
    assert_eq!(there.get("/").leads_to(), "/sign-in");
    let changes = here.get("/api/v1/audit").json();
    let said: Vec<_> = changes
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["what"].as_str().unwrap(), change["outcome"].as_str().unwrap()))
        .collect();
    let own = "changed the own password";
    assert_eq!(
        said,
        [(own, "done"), (own, "failed (422)"), (own, "refused"), ("signed in", "done"), ("set the gateway up", "done")]
    );
    assert!(changes[0]["who"] == "anna" && changes[0]["whence"] == "127.0.0.1", "{changes}");
}

#[test]
fn of_many_wrong_passwords_few_are_looked_at() {
    let stile = Stile::start("");
    Visitor::first(&stile);
    let mut eve = Visitor::new(stile.admin);
    let tries = (0..30).map(|_| eve.post("/sign-in", &[("name", "anna"), ("password", "a wrong password")]).status);
    let tries: Vec<_> = tries.collect();
    let looked_at = tries.iter().filter(|status| **status == 401).count();
    assert!((4..=12).contains(&looked_at) && tries.contains(&429), "{tries:?}");
}

#[test]
fn what_a_stranger_sends_is_short_and_so_is_what_is_repeated_of_it() {
    let stile = Stile::start("");
    let mut stranger = Visitor::new(stile.admin);
    let long = "&".repeat(600);
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let body = |bytes: usize| format!("code=x&password=&name={}", "a".repeat(bytes - "code=x&password=&name=".len()));
    let is_repeated = |answer: &str| answer.contains(&"&#38;".repeat(65)) || answer.contains(&"a".repeat(1100));
    for path in ["/setup", "/sign-in"] {
        assert_eq!(stranger.ask("POST", path, &[form], &body(8 * 1024 + 1)).status, 413, "{path}");
        assert_ne!(stranger.ask("POST", path, &[form], &body(8 * 1024)).status, 413, "{path}");
        let fields = [("code", &*long), ("name", &long), ("password", ""), ("next", &long)];
        let page = stranger.post(path, &fields);
        assert!(page.status == 401 && !is_repeated(&page.text()), "{path}: {}", page.text());
    }
    Visitor::first(&stile);
    for path in [format!("/sign-in?next=/{}", "a".repeat(1100)), format!("/{}", "a".repeat(1100))] {
        assert!(!is_repeated(&stranger.get(&path).text()), "{path}");
    }
}

#[test]
fn neither_strangers_nor_who_may_not_push_out_what_was_done() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let csrf = anna.get("/people").csrf();
    anna.post("/tokens/add", &[("csrf", &csrf), ("name", "dashboard"), ("scope", "viewer")]);
    let page = anna.get("/people").text();
    let token = page.split("shown this once: ").nth(1).unwrap().split('<').next().unwrap();
    let (mut stranger, mut dashboard) = (Visitor::new(stile.admin), Visitor::with_token(stile.admin, token));
    for _ in 0..1100 {
        assert_eq!(stranger.post("/sign-in", &[("name", "anna"), ("password", "")]).status, 401);
        assert_eq!(dashboard.ask("POST", "/api/v1/tokens", &[], "").status, 403);
    }
    // Whoever has a password comes and goes as often as he likes.
    for _ in 0..15 {
        let mut again = Visitor::signed_in(&stile, "anna");
        let csrf = again.get("/").csrf();
        again.post("/sign-out", &[("csrf", &csrf)]);
    }
    let changes = anna.get("/api/v1/audit").json();
    let said: Vec<_> = changes.as_array().unwrap().iter().map(|change| change["what"].as_str().unwrap()).collect();
    assert!(said.contains(&"set the gateway up"), "{said:?}");
    let own = said.iter().filter(|what| ["signed in", "signed out"].contains(what)).count();
    let refused = changes.as_array().unwrap().iter().filter(|change| change["outcome"] == "refused").count();
    assert_eq!((refused, own, said.len()), (200, 20, 222));
}

#[test]
fn what_was_done_and_who_there_is_outlives_a_restart_but_no_session_does() {
    let mut stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    assert_eq!(anna.get("/").status, 200);
    stile.stop();
    stile.start_again();
    let secret = anna.cookies[0].1.clone();
    anna = Visitor::new(stile.admin);
    anna.cookies.push((format!("stile-{}", stile.admin.port()), secret));
    assert_eq!(anna.get("/").leads_to(), "/sign-in");
    let mut anna = Visitor::signed_in(&stile, "anna");
    let changes = anna.get("/api/v1/audit").json();
    assert_eq!((&changes[0]["what"], &changes[1]["what"]), (&"signed in".into(), &"set the gateway up".into()));
}
