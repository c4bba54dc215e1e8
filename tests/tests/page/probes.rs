//! What the page and the API say of probes: results, figures over time, a run by hand, which can be cancelled.

use std::net::{SocketAddr, UdpSocket};

use serde_json::{Value, json};
use stile_tests::{Answer, Browser, Iperf, PASSWORD, Stile, Visitor, within};

use super::browser::{fits_everybody, url};

const REFLECTOR: &str = "[reflector]\nlisten = \"127.0.0.1:0\"\nallow = [\"127.0.0.0/8\"]\n";

fn start(settings: &str) -> Stile {
    Stile::start_in(tempfile::tempdir().unwrap(), "", settings)
}

fn probe(name: &str, kind: &str, target: impl std::fmt::Display, more: &str) -> String {
    format!("[[probe]]\nname = \"{name}\"\nkind = \"{kind}\"\ntarget = \"{target}\"\n{more}\n")
}

/// Sends a form with the token that forms carry.
fn send(visitor: &mut Visitor, path: &str) -> Answer {
    let csrf = visitor.get("/account").csrf();
    visitor.post(path, &[("csrf", csrf.as_str())])
}

fn shown(visitor: &mut Visitor, name: &str) -> Value {
    let all = visitor.ask("GET", "/api/v1/probes", &[], "").json();
    all["probes"].as_array().unwrap().iter().find(|probe| probe["name"] == name).unwrap().clone()
}

/// Asks with the token that programs of a page carry.
fn change(visitor: &mut Visitor, method: &str, path: &str) -> u16 {
    let csrf = visitor.get("/account").csrf();
    visitor.ask(method, path, &[("x-csrf-token", csrf.as_str())], "").status
}

/// One that takes whatever is sent there and answers nothing.
fn silent() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn a_run_by_hand_is_told_with_its_figures_and_kept() {
    let far = start(REFLECTOR);
    let reflector = far.door("reflecting STAMP packets");
    let more = "packets = 4\nspacing = \"5ms\"\nbudget-day = 100000";
    let stile = start(&format!("{}[measurements]\ninterval = \"100ms\"\n", probe("core", "stamp", reflector, more)));
    let mut anna = Visitor::first(&stile);
    let page = anna.get("/probes/core").text();
    assert!(page.contains("It has not run yet") && page.contains("None is kept of this time"), "{page}");
    assert_eq!(send(&mut anna, "/probes/core/run").leads_to(), "/probes/core#run");
    let run = within("it has run", || {
        let core = shown(&mut anna, "core");
        (core["demand"]["running_seconds"].is_null() && core["runs"] == 1).then_some(core)
    });
    let results = &run["demand"]["results"];
    assert_eq!((&results[0]["received"], &results[0]["trigger"]), (&4.into(), &"demand".into()), "{run:#}");
    let page = anna.get("/probes/core").text();
    for word in
        ["4 of 4 answered, median", "asked for at", "99th percentile", "Last results", "somebody", "100 kB this day"]
    {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(page.contains("<caption>Round trip</caption>") && page.contains("class=\"chart\""), "{page}");
    // The part that is asked for again reads nothing from the disk.
    let now = anna.get("/probes/core?now=1").text();
    assert!(now.contains("4 of 4 answered") && !now.contains("Last results"), "{now}");
    let list = anna.get("/probes").text();
    assert!(list.contains("4 of 4 answered") && list.contains("when somebody asks"), "{list}");
    let detail = anna.ask("GET", "/api/v1/probes/core?span=6h", &[], "").json();
    assert_eq!((&detail["figures"]["step_seconds"], &detail["results"][0]["received"]), (&120.0.into(), &4.into()));
    let chart = &detail["figures"]["charts"][0];
    let median = chart["lines"][0]["points"].as_array().unwrap();
    assert_eq!((&chart["unit"], &chart["lines"][0]["name"], median.len()), (&"µs".into(), &"median".into(), 180));
    let known: Vec<_> = median.iter().filter_map(Value::as_f64).collect();
    let expected = results[0]["rtt_ms_p50"].as_f64().unwrap() * 1e3;
    assert!(known.len() == 1 && (known[0] - expected).abs() < 0.01 * expected, "{known:?} {expected}");
    let file = anna.get("/api/v1/measurements?topic=probe/core/result&format=csv&from=&to=");
    assert!(file.text().contains("probe/core/result"), "{}", file.text());
    assert_eq!((anna.get("/probes/other").status, send(&mut anna, "/probes/other/run").status), (404, 404));
    assert!(anna.ask("GET", "/api/v1/audit", &[], "").text().contains("ran the probe core"));
    let reflects = Visitor::first(&far).get("/probes").text();
    assert!(reflects.contains(&reflector.to_string()) && reflects.contains("class=\"number\">4<"), "{reflects}");
}

#[test]
fn a_long_run_is_under_way_and_can_be_cancelled_and_only_by_operators() {
    let (_silent, nobody) = silent();
    let long = "packets = 2\nspacing = \"9s\"\ntimeout = \"9s\"\nbudget-day = 100000";
    let stile = start(&probe("far", "stamp", nobody, long));
    let mut anna = Visitor::first(&stile);
    let csrf = anna.get("/people").csrf();
    let ben = [("csrf", csrf.as_str()), ("name", "ben"), ("role", "viewer"), ("password", PASSWORD)];
    assert_eq!(anna.post("/people/add", &ben).leads_to(), "/people");
    let mut ben = Visitor::signed_in(&stile, "ben");
    assert_eq!(send(&mut ben, "/probes/far/run").status, 403);
    assert_eq!(send(&mut anna, "/probes/far/cancel").status, 409, "there is none");
    assert_eq!(send(&mut anna, "/probes/far/run").leads_to(), "/probes/far#run");
    let page = anna.get("/probes/far").text();
    assert!(page.contains("under way") && page.contains("Cancel") && !page.contains("Run now"), "{page}");
    let page = ben.get("/probes/far").text();
    assert!(page.contains("under way") && !page.contains("Cancel"), "{page}");
    assert_eq!(send(&mut anna, "/probes/far/run").status, 409, "one at a time");
    assert_eq!(change(&mut anna, "POST", "/api/v1/probes/far/run"), 409);
    assert_eq!(change(&mut ben, "DELETE", "/api/v1/probes/far/run"), 403);
    assert_eq!(change(&mut anna, "DELETE", "/api/v1/probes/far/run"), 204);
    let far = within("it has ended", || {
        let far = shown(&mut anna, "far");
        far["demand"]["running_seconds"].is_null().then_some(far)
    });
    let result = &far["demand"]["results"][0];
    assert!(result["ok"] == false && result["error"].as_str().unwrap().contains("cancelled"), "{far:#}");
    // Of two packets there and back, all counts: nobody knows how far it was.
    assert_eq!((&far["budget"]["day_spent"], &result["data_bytes"]), (&368.into(), &368.into()), "{far:#}");
    assert!(anna.get("/probes/far").text().contains("it was cancelled"));
    assert!(anna.ask("GET", "/api/v1/audit", &[], "").text().contains("cancelled the run of the probe far"));
    // What goes on by itself ends with a reload that takes it away, and another may begin behind it.
    assert_eq!(send(&mut anna, "/probes/far/run").leads_to(), "/probes/far#run");
    assert_eq!(
        stile.reload("", &probe("far", "stamp", nobody, "packets = 1\ntimeout = \"50ms\""))["message"],
        "reload done"
    );
    within("another one has run", || (send(&mut anna, "/probes/far/run").status == 303).then_some(()));
}

#[test]
fn a_probe_that_fails_by_its_schedule_is_what_an_operator_is_told_of_first() {
    let (socket, closed) = silent();
    drop(socket);
    let often = "interval = \"500ms\"\npackets = 2\nspacing = \"10ms\"\ntimeout = \"50ms\"";
    let stile = start(&(probe("core", "stamp", closed, often) + &probe("asked", "stamp", closed, "packets = 1")));
    let mut anna = Visitor::first(&stile);
    assert_eq!(change(&mut anna, "POST", "/api/v1/probes/asked/run"), 200);
    let attention = within("it is told", || {
        let overview = anna.ask("GET", "/api/v1/overview", &[], "").json();
        overview["attention"].to_string().contains("The probe core fails").then(|| overview["attention"].clone())
    });
    assert!(
        attention.to_string().contains("nobody answers there") && !attention.to_string().contains("asked"),
        "{attention}"
    );
    assert!(anna.get("/").text().contains("The probe core fails"));
}

#[test]
fn probes_are_a_page_for_everybody_with_charts_of_each_kind_and_with_none() {
    let far = start(REFLECTOR);
    let reflector = far.door("reflecting STAMP packets");
    let (socket, closed) = silent();
    drop(socket);
    let server = Iperf::start();
    let mut settings = format!(
        "{REFLECTOR}[measurements]\ninterval = \"100ms\"\n{}{}",
        probe(
            "core",
            "stamp",
            reflector,
            "interval = \"300ms\"\npackets = 5\nspacing = \"10ms\"\nbudget-day = 2000000\nbudget-month = 9000000"
        ),
        probe(
            "broken",
            "stamp",
            closed,
            "interval = \"1s\"\npackets = 2\nspacing = \"10ms\"\ntimeout = \"50ms\"\ninterface = \"lo\""
        ),
    );
    if let Some(server) = &server {
        settings += &probe("download", "tcp", server.address, "direction = \"down\"\ndata-cap = 3000000");
    }
    let stile = start(&settings);
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/probes"));
    browser.wait_text("5 of 5 answered");
    browser.wait_text("nobody answers there");
    fits_everybody(&browser, "probes-some");
    browser.open(&url(&stile, "/probes/core"));
    browser.wait_text("5 of 5 answered");
    fits_everybody(&browser, "probe-core");
    // It goes on to be told without the page being loaded again.
    let first = browser.run("return document.querySelector('#now .quiet').textContent");
    within("it is told anew", || {
        (browser.run("return document.querySelector('#now .quiet').textContent") != first).then_some(())
    });
    browser.open(&url(&stile, "/probes/broken"));
    browser.wait_text("Share of results that failed");
    fits_everybody(&browser, "probe-broken");
    if server.is_some() {
        browser.open(&url(&stile, "/probes/download"));
        browser.wait_text("It has not run yet");
        browser.click("#run ~ form button");
        browser.wait_text("from the server");
        browser.wait_text("asked for at");
        fits_everybody(&browser, "probe-download");
    }
    // By hand it runs without scripts as well.
    browser.scripts(false);
    browser.open(&url(&stile, "/probes/broken"));
    browser.click("#run ~ form button");
    browser.wait_text("asked for at");
    browser.scripts(true);
    let outside: Vec<_> =
        browser.requests().into_iter().filter(|asked| !asked.starts_with(&url(&stile, "/"))).collect();
    assert!(outside.iter().all(|asked| !asked.starts_with("http")), "{outside:?}");
    assert_eq!(json!(browser.complaints()), json!([]));
}

#[test]
fn without_probes_the_page_says_what_to_do_and_fits_everybody() {
    let stile = start("");
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/probes"));
    browser.wait_text("Add a section like this one");
    browser.wait_text("answers the STAMP packets of others");
    fits_everybody(&browser, "probes-none");
}

#[test]
fn a_run_that_is_under_way_is_told_on_the_page_until_it_is_cancelled_there() {
    let (_silent, nobody) = silent();
    let stile = start(&probe("far", "stamp", nobody, "packets = 2\nspacing = \"9s\"\ntimeout = \"9s\""));
    Visitor::first(&stile);
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/probes/far"));
    browser.click("#run ~ form button");
    browser.wait_text("under way");
    browser.click("[action='/probes/far/cancel'] button");
    browser.wait_text("cancelled the run of the probe far");
    browser.wait_text("it was cancelled");
    // It may end while this is looked at; then the page that says so is.
    browser.click("#run ~ form button");
    browser.wait_text("under way");
    fits_everybody(&browser, "probe-under-way");
    assert_eq!(json!(browser.complaints()), json!([]));
}
