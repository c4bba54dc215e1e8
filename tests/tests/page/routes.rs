//! Every route, as the router itself lists them: without a session, with too small a role, with a bad token, without the
//! token of forms, from another host's page.

use serde_json::Value;
use stile_tests::{PASSWORD, Stile, Visitor, command};

/// A gateway with somebody of each role, and the table of its routes.
struct World {
    stile: Stile,
    table: Vec<Route>,
}

struct Route {
    method: String,
    /// With names filled in for what differs.
    path: String,
    needs: Option<String>,
    open_on_loopback: bool,
}

impl World {
    fn new() -> Self {
        let stile = Stile::start("");
        let mut anna = Visitor::first(&stile);
        for role in ["viewer", "operator"] {
            add(&stile, &["person", "add", role, "--role", role, "--password-stdin"]);
        }
        let table = anna.get("/api/v1/routes").json();
        let text = |route: &Value, key: &str| route[key].as_str().map(str::to_owned);
        let route = |route: &Value| Route {
            method: text(route, "method").unwrap(),
            path: text(route, "path").unwrap().replace(['{', '}'], ""),
            needs: text(route, "needs"),
            open_on_loopback: route["open_on_loopback"] == true,
        };
        let table: Vec<_> = table.as_array().unwrap().iter().map(route).collect();
        assert!(table.len() > 15, "{}", table.len());
        Self { stile, table }
    }

    fn guarded(&self) -> impl Iterator<Item = &Route> {
        self.table.iter().filter(|route| route.needs.is_some() && !route.open_on_loopback)
    }

    fn changing(&self) -> impl Iterator<Item = &Route> {
        self.guarded().filter(|route| route.method != "GET")
    }
}

/// Runs a verb of the command line that takes a password.
fn add(stile: &Stile, arguments: &[&str]) -> String {
    let mut program = command();
    program.args(arguments).arg("--config").arg(stile.dir.path().join("stile.toml"));
    let file = stile.dir.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let output = program.stdin(std::fs::File::open(file).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Answers that have no end.
fn is_stream(path: &str) -> bool {
    ["/api/v1/live", "/api/v1/way", "/api/v1/tap", "/api/v1/logs/live"].contains(&path)
}

fn rank(role: &str) -> usize {
    ["metrics", "viewer", "operator", "admin"].iter().position(|known| *known == role).unwrap()
}

#[test]
fn without_a_session_and_with_a_bad_token_nothing_guarded_answers() {
    let world = World::new();
    let mut stranger = Visitor::new(world.stile.admin);
    let mut liar = Visitor::with_token(world.stile.admin, "stile_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    let mut forger = Visitor::new(world.stile.admin);
    forger.cookies.push((format!("stile-{}", world.stile.admin.port()), "a".repeat(40)));
    for Route { method, path, .. } in world.guarded() {
        for visitor in [&mut stranger, &mut liar, &mut forger] {
            let answer = visitor.ask(method, path, &[], "");
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (401, "application/problem+json"),
                "{method} {path}"
            );
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        if !path.starts_with("/api/") && method == "GET" {
            assert!(stranger.get(path).leads_to().starts_with("/sign-in"), "{path}");
        }
    }
}

#[test]
fn too_small_a_role_opens_nothing_and_the_right_one_does() {
    let world = World::new();
    let tokens = ["metrics", "viewer", "operator", "admin"].map(|scope| {
        let said = add(&world.stile, &["token", "add", scope, "--scope", scope]);
        said.split("shown this once: ").nth(1).unwrap().lines().next().unwrap().to_owned()
    });
    for (scope, token) in ["metrics", "viewer", "operator", "admin"].into_iter().zip(&tokens) {
        let mut program = Visitor::with_token(world.stile.admin, token);
        for Route { method, path, needs, .. } in world.guarded() {
            // Streams have no end; a token has no session to end.
            if is_stream(path) || path == "/sign-out" {
                continue;
            }
            let status = program.ask(method, path, &[], "").status;
            let enough = rank(scope) >= rank(needs.as_deref().unwrap());
            assert_eq!(status == 403, !enough, "{scope}: {method} {path}: {status}");
            assert!(status < 500, "{method} {path}: {status}");
        }
    }
    for role in ["viewer", "operator"] {
        let mut person = Visitor::signed_in(&world.stile, role);
        for Route { path, needs, .. } in world.guarded().filter(|r| r.method == "GET" && !is_stream(&r.path)) {
            let enough = rank(role) >= rank(needs.as_deref().unwrap());
            let status = person.get(path).status;
            assert_eq!(status == 403, !enough, "{role}: {path}: {status}");
        }
    }
}

#[test]
fn no_change_is_made_without_the_forms_token_or_from_another_hosts_page() {
    let world = World::new();
    let mut anna = Visitor::signed_in(&world.stile, "anna");
    let csrf = anna.get("/account").csrf();
    let evil = ("Origin", "http://evil.example");
    for Route { method, path, .. } in world.changing() {
        for headers in [
            &[][..],
            &[("X-CSRF-Token", "wrong")],
            &[("X-CSRF-Token", &csrf), evil],
            &[("X-CSRF-Token", &csrf), ("Sec-Fetch-Site", "cross-site")],
            &[("X-CSRF-Token", &csrf), ("Origin", "null")],
        ] {
            let answer = anna.ask(method, path, headers, "");
            assert_eq!(answer.status, 403, "{method} {path} {headers:?}: {}", answer.text());
        }
    }
    assert!(world.changing().count() > 0);
    // Whoever is nobody yet is not made to sign in by another's page either.
    for path in ["/sign-in", "/setup", "/look"] {
        let mut stranger = Visitor::new(world.stile.admin);
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let body = format!("name=anna&password={}&code=x", PASSWORD.replace(' ', "+"));
        assert_eq!(stranger.ask("POST", path, &[evil, kind], &body).status, 403, "{path}");
        assert!(stranger.cookies.is_empty());
    }
    assert_eq!(anna.get("/").status, 200, "and the session is still there");
}

#[test]
fn every_answer_has_the_headers_that_browsers_go_by() {
    let world = World::new();
    let mut anna = Visitor::signed_in(&world.stile, "anna");
    let gets = world.table.iter().filter(|route| route.method == "GET" && !is_stream(&route.path));
    for path in gets.map(|route| route.path.as_str()).chain(["/nowhere"]) {
        let answer = anna.get(path);
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), value, "{path}: {name}");
        }
        let text = answer.text();
        for inline in ["<style", " style=", "javascript:", " onclick=", "=\"http", "url(http"] {
            let harmless = path.starts_with("/api/") || path.ends_with("security.txt");
            assert!(harmless || !text.contains(inline), "{path} has {inline}");
        }
    }
}

#[test]
fn the_first_page_is_small_and_its_parts_are_kept_for_ever() {
    let world = World::new();
    let mut anna = Visitor::signed_in(&world.stile, "anna");
    let page = anna.get("/");
    let text = page.text();
    let parts: Vec<_> = text.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
    let mut sum = page.body.len();
    for part in parts {
        let answer = anna.ask("GET", part, &[("Accept-Encoding", "gzip, br")], "");
        assert_eq!((answer.status, answer.header("content-encoding")), (200, "gzip"));
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        sum += answer.body.len();
    }
    assert!(sum <= 60_000, "{sum} bytes");
}

#[test]
fn the_description_of_the_api_says_what_each_needs() {
    let world = World::new();
    let mut anna = Visitor::signed_in(&world.stile, "anna");
    let document = anna.get("/api/v1/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{}", document["openapi"]);
    assert_eq!(document["paths"]["/api/v1/audit"]["get"]["security"][0]["token"][0], "admin");
}
