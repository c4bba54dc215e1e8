//! The admin page in a real browser: how heavy the first page is and how soon it is there, and whether the page of live
//! messages stays smooth under load.

use std::time::{Duration, Instant};

use serde_json::Value;
use stile_tests::{Browser, Stile, Visitor, within_or};

use crate::brokers::quiet_folder;
use crate::filled;
use crate::paced::Stream;
use crate::process::cpu;
use crate::report::{information, median, target, targets};

/// Three radios and an uplink that does not reach its remote: stations, charts and something that needs attention.
pub(crate) const GATEWAY: &str = "[[radio]]\nname = \"sensor\"\nkind = \"simulated\"\ndevice = \"line\"\n\
                                  [[radio]]\nname = \"roof\"\nkind = \"simulated\"\ndevice = \"lora-gateway\"\nregion = \"eu868\"\n\
                                  [[radio]]\nname = \"p1\"\nkind = \"simulated\"\ndevice = \"dsmr-p1\"\n\
                                  [[uplink]]\nname = \"cloud\"\nurl = \"mqtt://127.0.0.1:9\"\ntopics = [{ filter = \"lora/#\" }]\n";

const LOADS: usize = 10;
const BYTES_MAX: u64 = 60_000;
const REQUESTS_MAX: usize = 5;
const MILLIS_MAX: f64 = 100.0;
/// What a page fetches behind its load event, such as its icon.
const SETTLE: Duration = Duration::from_millis(500);

/// Ten seconds at 2,000 a second.
const MESSAGES: usize = 20_000;
const LIVE: &str = "bench/live";
/// Thirty pictures a second.
const FRAME_MAX: f64 = 34.0;

/// A gateway that somebody has set up, and whose history is full.
pub(crate) fn gateway() -> (Stile, Visitor) {
    let mut stile = Stile::start_in(quiet_folder(), "", GATEWAY);
    Visitor::first(&stile);
    stile.stop();
    filled::fill(&stile.data("history.bin"));
    stile.start_again();
    let mut anna = Visitor::signed_in(&stile, "anna");
    for span in ["hour", "two-days"] {
        let points = anna.get(&format!("/api/v1/history?name=messages/received&span={span}")).json();
        let points = points["points"].as_array().unwrap();
        assert!(points.iter().filter(|point| !point.is_null()).count() > 350, "the history is not full: {points:?}");
    }
    (stile, anna)
}

pub(crate) fn run() {
    let (stile, _) = gateway();
    let browser = Browser::start();
    browser.sign_in(&stile);
    targets();
    first_page(&browser, &stile, "/", "first page");
    first_page(&browser, &stile, "/?span=two-days", "first page, two days");
    bare(&browser, &stile);
    live(&browser, &stile);
}

fn first_page(browser: &Browser, stile: &Stile, path: &str, what: &str) {
    let loads: Vec<_> = (0..LOADS).map(|_| load(browser, &format!("http://{}{path}", stile.admin))).collect();
    let bytes = loads.iter().map(|load| load.bytes).max().unwrap();
    let requests = loads.iter().map(|load| load.requests).max().unwrap();
    let ready = median(loads.iter().map(|load| load.ready).collect());
    let slowest = loads.iter().map(|load| load.ready).fold(0.0, f64::max);
    eprintln!("   {what}: {bytes} bytes, {requests} requests, {ready:.0} ms");
    let measured = format!("{:.1} KB", bytes as f64 / 1000.0);
    target(&format!("Over the wire, {what}"), &measured, "≤ 60 KB", bytes <= BYTES_MAX);
    target(&format!("Requests, {what}"), &requests.to_string(), "≤ 5", requests <= REQUESTS_MAX);
    target(&format!("Ready, {what}, median of {LOADS}"), &format!("{ready:.0} ms"), "≤ 100 ms", ready <= MILLIS_MAX);
    information(&format!("The slowest, {what}"), &format!("{slowest:.0} ms"));
}

/// What of that is the browser's own: a text of a few lines, with the heads that pages have. They ask for a process apart
/// from that of the page before, which the browser has to start.
fn bare(browser: &Browser, stile: &Stile) {
    let url = format!("http://{}/.well-known/security.txt", stile.admin);
    let ready = median((0..LOADS).map(|_| load(browser, &url).ready).collect());
    information(&format!("Ready, a bare text with the same heads, median of {LOADS}"), &format!("{ready:.0} ms"));
}

/// What a page cost that the browser had nothing of.
struct Load {
    bytes: u64,
    requests: usize,
    /// Until the load event, in milliseconds.
    ready: f64,
}

fn load(browser: &Browser, url: &str) -> Load {
    // Nothing of the page before comes by itself into what is counted.
    browser.open("about:blank");
    browser.forget_files();
    browser.answers();
    browser.open(url);
    std::thread::sleep(SETTLE);
    let ready = browser.run("return performance.getEntriesByType('navigation')[0].loadEventEnd").as_f64().unwrap();
    assert!(ready > 0.0, "the page is not loaded");
    let answers = browser.answers();
    Load { bytes: answers.iter().sum(), requests: answers.len(), ready }
}

/// Notes the time between any two pictures that the browser draws.
const WATCH: &str = "window.gaps = []; window.watching = true; let last = performance.now();\
    const tick = (now) => { gaps.push(now - last); last = now; if (watching) requestAnimationFrame(tick); };\
    requestAnimationFrame(tick);";

fn live(browser: &Browser, stile: &Stile) {
    browser.open(&format!("http://{}/messages?filter={LIVE}", stile.admin));
    browser.wait_for("#live-state .good");
    browser.run(WATCH);
    let before = (Instant::now(), cpu(stile.pid()));
    Stream::start(stile.mqtt, LIVE, 0, 0).run(MESSAGES);
    let share = (cpu(stile.pid()) - before.1).as_secs_f64() / before.0.elapsed().as_secs_f64() * 100.0;
    let gaps = browser.run("window.watching = false; return window.gaps");
    let mut gaps: Vec<f64> = gaps.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    gaps.sort_by(f64::total_cmp);
    let (shown, skipped) = counted(browser);
    let p95 = gaps[gaps.len() * 95 / 100];
    eprintln!("   live: {shown} shown, {skipped} skipped, p95 {p95:.0} ms");
    target(
        "Between two pictures of the live page at 2,000 messages a second, p95",
        &format!("{p95:.0} ms"),
        &format!("≤ {FRAME_MAX:.0} ms"),
        p95 <= FRAME_MAX,
    );
    information("The longest", &format!("{:.0} ms", gaps[gaps.len() - 1]));
    information(&format!("Of {MESSAGES} shown; the others skipped, and counted on the page"), &shown.to_string());
    information("CPU of the daemon meanwhile", &format!("{share:.1} % of a core"));
}

/// Shown and skipped, as the page says, once they are all that were sent: none goes without being counted.
fn counted(browser: &Browser) -> (u64, u64) {
    let count = |id: &str| {
        let said = browser.run(&format!("return Number(document.getElementById('{id}').textContent)"));
        said.as_f64().unwrap() as u64
    };
    let both = || (count("live-count"), count("live-skipped"));
    within_or(
        || format!("the page accounts for {MESSAGES}: {:?} shown and skipped", both()),
        || Some(both()).filter(|(shown, skipped)| shown + skipped >= MESSAGES as u64),
    )
}
