//! Updates of an appliance from the page and its API, against the real RAUC.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use stile_tests::appliance::{Appliance, image_of};
use stile_tests::{Browser, Stile, Visitor, or_skip, within};

use crate::browser::{picture, url};

/// What would have these tests run.
const NEEDS: &str = "a machine whose root may mount files (RAUC, D-Bus)";

/// A gateway on an appliance.
fn gateway(appliance: &Appliance) -> Stile {
    let runtime = appliance.path().join("run");
    std::fs::create_dir(&runtime).unwrap();
    let variables =
        [("DBUS_SYSTEM_BUS_ADDRESS", appliance.bus()), ("RUNTIME_DIRECTORY", runtime.display().to_string())];
    Stile::start_with(&variables.each_ref().map(|(name, value)| (*name, value.as_str())), tempfile::tempdir().unwrap())
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
