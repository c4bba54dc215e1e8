//! Updates of an appliance from the page and its API, against the real RAUC.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use stile_tests::appliance::{Appliance, image_of};
use stile_tests::{Browser, Stile, Visitor, or_skip, within};

use tempfile::TempDir;

use crate::browser::{picture, url};

/// What would have these tests run.
const NEEDS: &str = "a machine whose root may mount files (RAUC, D-Bus)";

/// A gateway on an appliance.
fn gateway(appliance: &Appliance) -> Stile {
    gateway_in(appliance, tempfile::tempdir().unwrap())
}

fn gateway_in(appliance: &Appliance, dir: TempDir) -> Stile {
    let runtime = appliance.path().join("run");
    std::fs::create_dir(&runtime).unwrap();
    let variables =
        [("DBUS_SYSTEM_BUS_ADDRESS", appliance.bus()), ("RUNTIME_DIRECTORY", runtime.display().to_string())];
    Stile::start_with(&variables.each_ref().map(|(name, value)| (*name, value.as_str())), dir)
}

/// A web server with one file, whole or in parts (RFC 9110, section 14); its address.
fn web_server(file: &Path) -> String {
    let (listener, bytes) = (TcpListener::bind("127.0.0.1:0").unwrap(), std::fs::read(file).unwrap());
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let bytes = bytes.clone();
            // Whoever has heard enough hangs up.
            std::thread::spawn(move || stream.map(|stream| serve(&stream, &bytes)));
        }
    });
    format!("http://{address}/{}", file.file_name().unwrap().display())
}

fn serve(mut stream: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    loop {
        let mut head = Vec::new();
        for line in lines.by_ref() {
            match line? {
                line if line.is_empty() => break,
                line => head.push(line.to_ascii_lowercase()),
            }
        }
        let Some(first) = head.first() else { return Ok(()) };
        let range = head.iter().find_map(|line| line.strip_prefix("range: bytes="));
        let range = range.and_then(|range| range.split_once('-'));
        let (status, part) = match range {
            Some((from, to)) => {
                let from = from.parse().unwrap_or(0);
                let to = to.parse().map_or(bytes.len() - 1, |to: usize| to.min(bytes.len() - 1));
                (format!("206 Partial Content\r\nContent-Range: bytes {from}-{to}/{}", bytes.len()), &bytes[from..=to])
            }
            None => ("200 OK".to_owned(), bytes),
        };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", part.len())?;
        if !first.starts_with("head") {
            stream.write_all(part)?;
        }
    }
}

#[test]
fn an_admin_has_an_update_installed_and_the_machine_started_again() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let stile = gateway(&appliance);
    let mut anna = Visitor::first(&stile);
    let address = web_server(&appliance.bundle("9.0.0", "amd64", "keys"));
    let state = |anna: &mut Visitor| anna.get("/api/v1/system/update").json();
    let before = state(&mut anna);
    assert_eq!((&before["appliance"], &before["on_trial"]), (&true.into(), &false.into()), "{before}");
    assert_eq!(before["systems"][0]["runs"], true, "{before}");

    appliance.hold("set-primary");
    let csrf = anna.get("/system").csrf();
    assert_eq!(anna.post("/system/update", &[("csrf", &csrf), ("source", &address)]).leads_to(), "/system");
    within("it is written", || appliance.is_held("set-primary").then_some(()));
    assert!(anna.get("/system").text().contains("<progress"), "{}", anna.get("/system").text());
    let refused = anna.post("/system/update", &[("csrf", &csrf), ("source", &address)]);
    assert!(refused.status == 409 && refused.text().contains("an update is being installed"), "{}", refused.text());
    assert_eq!(anna.post("/system/restart-machine", &[("csrf", &csrf)]).status, 409);
    appliance.let_go("set-primary");
    let logged = stile.wait_log("an update is installed; it runs when the machine has been started again");
    assert_eq!(logged["version"], "9.0.0");
    assert!(appliance.content("B").starts_with(&image_of("9.0.0")));
    let after = within("it is idle", || Some(state(&mut anna)).filter(|state| state["installing"].is_null()));
    assert_eq!((&after["systems"][1]["version"], &after["systems"][1]["starts_next"]), (&"9.0.0".into(), &true.into()));

    let file = appliance.path().join("run/reboot");
    assert!(!file.exists());
    assert_eq!(anna.post("/system/restart-machine", &[("csrf", &csrf)]).leads_to(), "/system");
    assert!(file.exists());
    assert_eq!(appliance.boot(), "B");
    assert_eq!(state(&mut anna)["on_trial"], true);
    let audit = anna.get("/audit").text();
    assert!(audit.contains("began to install version 9.0.0") && audit.contains("started the machine again"), "{audit}");
}

#[test]
fn what_can_not_be_installed_is_told_and_written_nowhere() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let stile = gateway(&appliance);
    let mut anna = Visitor::first(&stile);
    let older = web_server(&appliance.bundle("0.0.9", "amd64", "keys"));
    let other = web_server(&appliance.bundle("9.0.0", "arm64", "keys"));
    let stranger = web_server(&appliance.bundle("9.0.0", "amd64", "strangers"));
    let (csrf, before) = (anna.get("/system").csrf(), appliance.slots.read());
    for (source, words) in [
        (older.as_str(), "older than"),
        (&other, "is for stile-arm64"),
        (&stranger, "RAUC says"),
        ("/etc/shadow", "begins with https://"),
        ("file:///etc/shadow", "begins with https://"),
        ("http://a b", "begins with https://"),
    ] {
        let refused = anna.post("/system/update", &[("csrf", &csrf), ("source", source)]);
        assert!(refused.status == 422 && refused.text().contains(words), "{source}: {}", refused.text());
    }
    assert!(appliance.slots.read() == before);
    // RAUC ends in the middle: the gateway goes on and says so.
    let newer = web_server(&appliance.bundle("9.0.0", "amd64", "keys"));
    appliance.hold("set-primary");
    anna.post("/system/update", &[("csrf", &csrf), ("source", &newer)]);
    within("it is written", || appliance.is_held("set-primary").then_some(()));
    appliance.kill_rauc();
    let logged = stile.wait_log("an update could not be installed; what runs goes on");
    assert!(logged["error"].as_str().unwrap().contains("RAUC ended"), "{logged}");
    appliance.let_go("set-primary");
    assert_eq!(appliance.boot(), "A");
}

/// The page's form with a file, as a browser sends it.
fn form(bundle: &[u8], older: bool) -> Vec<u8> {
    let part = |head: &str| format!("--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n");
    let file = part("name=\"bundle\"; filename=\"x.raucb\"\r\nContent-Type: application/octet-stream");
    let older = if older { format!("{}true\r\n", part("name=\"allow_older\"")) } else { String::new() };
    [file.as_bytes(), bundle, b"\r\n", older.as_bytes(), b"--edge--\r\n"].concat()
}

const FORM: [(&str, &str); 2] = [("Accept", "text/html"), ("Content-Type", "multipart/form-data; boundary=edge")];
const TO: &str = "/system/update/bundle";
const API: &str = "/api/v1/system/update/bundle";

/// What lies in the data folder of updates that were sent.
fn lying(stile: &Stile) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(stile.dir.path().join("data/update"));
    entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_bundle_that_is_sent_is_installed_and_then_removed() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let stile = gateway(&appliance);
    let mut anna = Visitor::first(&stile);
    let bundle = std::fs::read(appliance.bundle("9.0.0", "amd64", "keys")).unwrap();
    let path = format!("{TO}?csrf={}", anna.get("/system").csrf());
    appliance.hold("set-primary");
    assert_eq!(anna.ask("POST", &path, &FORM, &form(&bundle, false)).leads_to(), "/system");
    within("it is written", || appliance.is_held("set-primary").then_some(()));
    let page = anna.get("/system").text();
    assert!(page.contains("<progress max=\"100\""), "{page}");
    let lies = lying(&stile);
    let mode = std::fs::metadata(&lies[0]).unwrap().permissions().mode() & 0o777;
    assert_eq!((lies.len(), mode), (1, 0o600));
    let refused = anna.ask("POST", &path, &FORM, &form(&bundle, false));
    assert!(refused.status == 409 && refused.text().contains("an update is being installed"), "{}", refused.text());
    appliance.let_go("set-primary");
    stile.wait_log("an update is installed; it runs when the machine has been started again");
    within("it is removed", || lying(&stile).is_empty().then_some(()));
    assert!(appliance.content("B").starts_with(&image_of("9.0.0")));
    assert_eq!(appliance.boot(), "B");
    // By the API, and an older one.
    let older = std::fs::read(appliance.bundle("8.0.0", "amd64", "keys")).unwrap();
    let csrf = anna.get("/system").csrf();
    let mut send = |path: &str| anna.ask("POST", path, &[("X-CSRF-Token", &csrf)], &older);
    let refused = send(API);
    assert!(refused.status == 422 && refused.text().contains("older than 9.0.0"), "{}", refused.text());
    let begun = send(&format!("{API}?allow_older=true"));
    assert_eq!((begun.status, &begun.json()["version"]), (202, &"8.0.0".into()));
    stile.wait_another("an update is installed; it runs when the machine has been started again", 1);
    within("it is removed", || lying(&stile).is_empty().then_some(()));
    let audit = anna.get("/audit").text();
    assert!(audit.contains("began to install version 9.0.0 from a file that was sent"), "{audit}");
}

#[test]
fn what_is_sent_and_can_not_be_installed_is_told_and_nothing_of_it_stays() {
    let Some(appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let stile = gateway(&appliance);
    let mut anna = Visitor::first(&stile);
    let read = |version: &str, arch: &str, keys: &str| std::fs::read(appliance.bundle(version, arch, keys)).unwrap();
    let newer = read("9.0.0", "amd64", "keys");
    let mut damaged = newer.clone();
    damaged[4096] ^= 1;
    let before = appliance.slots.read();
    let path = format!("{TO}?csrf={}", anna.get("/system").csrf());
    let mebibytes = b"no squashfs\n".repeat(1 << 18);
    for (bytes, words) in [
        (read("0.0.9", "amd64", "keys"), "older than"),
        (read("9.0.0", "arm64", "keys"), "is for stile-arm64"),
        (read("9.0.0", "amd64", "strangers"), "RAUC says"),
        (damaged, "RAUC says"),
        (newer[..newer.len() / 2].to_vec(), "RAUC says"),
        (mebibytes, "a file that ends in .raucb"),
        (b"hsqs".to_vec(), "RAUC says"),
        (Vec::new(), "it is empty"),
    ] {
        let refused = anna.ask("POST", &path, &FORM, &form(&bytes, false));
        assert!(refused.status == 422 && refused.text().contains(words), "{words}: {}", refused.text());
        within("it is removed", || lying(&stile).is_empty().then_some(()));
    }
    let nothing = anna.ask("POST", &path, &FORM, "--edge--\r\n");
    assert!(nothing.status == 422 && nothing.text().contains("choose a file"), "{}", nothing.text());
    let strangely = anna.ask("POST", &format!("{TO}?csrf=x"), &FORM, &form(&newer, false));
    assert_eq!(strangely.status, 403);
    let packed = anna.ask("POST", &path, &[FORM[0], FORM[1], ("Content-Encoding", "gzip")], &form(&newer, false));
    assert_eq!(packed.status, 415);
    assert!(appliance.slots.read() == before && lying(&stile).is_empty());
}

/// The head and the first bytes of an upload that goes on for ever.
fn begin(stile: &Stile, anna: &Visitor, csrf: &str) -> TcpStream {
    let cookies: Vec<_> = anna.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut stream = TcpStream::connect(stile.admin).unwrap();
    let head = format!(
        "POST {API} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nX-CSRF-Token: {csrf}\r\nContent-Length: 100000000\r\n\r\n",
        stile.admin,
        cookies.join("; ")
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"hsqs").unwrap();
    stream.write_all(&[0; 1 << 20]).unwrap();
    stream
}

#[test]
fn one_is_sent_at_a_time_and_nothing_stays_of_one_that_is_cut_off_by_whoever_sends_or_by_a_power_cut() {
    let Some(appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let mut stile = gateway(&appliance);
    let mut anna = Visitor::first(&stile);
    let csrf = anna.get("/system").csrf();
    let has_some = |stile: &Stile| {
        within("some of it is on the disk", || {
            let len = lying(stile).first().map(|file| std::fs::metadata(file).unwrap().len());
            len.filter(|len| *len > 0)
        });
    };
    let sending = begin(&stile, &anna, &csrf);
    has_some(&stile);
    let second = anna.ask("POST", API, &[("X-CSRF-Token", csrf.as_str())], b"hsqs    ");
    assert!(second.status == 409 && second.text().contains("somebody else sends an update"), "{}", second.text());
    drop(sending);
    within("it is removed", || lying(&stile).is_empty().then_some(()));
    let _sending = begin(&stile, &anna, &csrf);
    has_some(&stile);
    stile.signal(Signal::KILL);
    stile.wait();
    assert_eq!(lying(&stile).len(), 1);
    let dir = std::mem::replace(&mut stile.dir, tempfile::tempdir().unwrap());
    drop(stile);
    std::fs::remove_dir_all(appliance.path().join("run")).unwrap();
    let stile = gateway_in(&appliance, dir);
    assert!(!stile.dir.path().join("data/update").exists());
}

#[test]
fn where_there_is_no_rauc_the_page_says_how_it_is_updated() {
    let stile = Stile::start_with(&[("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")], tempfile::tempdir().unwrap());
    let mut anna = Visitor::first(&stile);
    let page = anna.get("/system").text();
    assert!(page.contains("no second system") && !page.contains("action=\"/system/update\""), "{page}");
    let csrf = anna.get("/system").csrf();
    let refused = anna.post("/system/update", &[("csrf", &csrf), ("source", "https://updates.example/a.raucb")]);
    assert!(refused.status == 409 && refused.text().contains("apt install"), "{}", refused.text());
    assert_eq!(anna.post("/system/restart-machine", &[("csrf", &csrf)]).status, 409);
    // What is sent is heard to its end: a browser would show nothing else.
    let refused = anna.ask("POST", &format!("{TO}?csrf={csrf}"), &FORM, &form(&b"hsqs".repeat(1 << 20), false));
    assert!(refused.status == 409 && refused.text().contains("apt install"), "{}", refused.text());
    assert!(lying(&stile).is_empty());
}

#[test]
fn a_browser_sends_a_bundle_says_how_far_it_is_and_can_cancel() {
    let Some(appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let stile = gateway(&appliance);
    let _anna = Visitor::first(&stile);
    let bundle = appliance.bundle("9.0.0", "amd64", "keys");
    let other = appliance.path().join("other.raucb");
    std::fs::write(&other, "no bundle").unwrap();
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/system"));
    browser.wait_text("Or a bundle from here");
    browser.fill("[name=bundle]", other.to_str().unwrap());
    browser.click("#upload-form button");
    browser.wait_text("Not done: This is no bundle");
    browser.fill("[name=bundle]", bundle.to_str().unwrap());
    browser.slow_down(Some(20_000));
    browser.click("#upload-form button");
    browser.wait_for("#upload-way:not([hidden]) progress[value]");
    browser.wait_text(" % of ");
    assert_eq!(browser.inaccessible(), Vec::<String>::new());
    browser.picture(&picture("update-sent"));
    browser.click("#upload-way button");
    browser.wait_text("Cancelled. Nothing has changed.");
    within("it is removed", || lying(&stile).is_empty().then_some(()));
    browser.slow_down(None);
    browser.click("#upload-form button");
    browser.wait_text("Start the machine again");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_browser_shows_how_far_it_is_by_itself() {
    let Some(appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let stile = gateway(&appliance);
    let _anna = Visitor::first(&stile);
    let address = web_server(&appliance.bundle("9.0.0", "amd64", "keys"));
    let browser = Browser::start();
    browser.sign_in(&stile);
    browser.open(&url(&stile, "/system"));
    browser.wait_text("Address of a bundle");
    assert_eq!(browser.inaccessible(), Vec::<String>::new());
    appliance.hold("set-primary");
    browser.fill("[name=source]", &address);
    browser.click("form[action='/system/update'] button");
    browser.wait_for("progress");
    assert_eq!(browser.inaccessible(), Vec::<String>::new());
    browser.picture(&picture("update-installing"));
    within("it is written", || appliance.is_held("set-primary").then_some(()));
    appliance.let_go("set-primary");
    browser.wait_text("Start the machine again");
    assert_eq!(browser.inaccessible(), Vec::<String>::new());
    browser.resize(360, 800);
    browser.picture(&picture("update-installed"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
