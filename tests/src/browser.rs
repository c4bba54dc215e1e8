//! A real browser: Debian's Chromium by its driver (W3C WebDriver, and for colours and the log of requests the driver's own
//! way into the browser). The protocol is JSON over HTTP, and a dozen calls of it are all that is needed here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{PASSWORD, PATIENCE, Stile, within, within_or};

/// What the driver calls an element (W3C WebDriver, section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window. Dropped, it is closed.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts it.
    #[track_caller]
    pub fn start() -> Self {
        let mut command = Command::new("chromedriver");
        command.args(["--port=0", "--allowed-ips=127.0.0.1"]).stdin(Stdio::null()).stderr(Stdio::null());
        let started = command.stdout(Stdio::piped()).spawn();
        let mut driver = started.expect("chromedriver is not there: bash tests/setup.sh test");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| line.unwrap().split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok());
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self { driver, port: port.unwrap(), session: String::new(), _profile: profile };
        // It would stand still with a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let folder = format!("--user-data-dir={}", browser._profile.path().display());
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en", &folder];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "performance": "ALL", "browser": "ALL" },
        } } });
        let made = browser.call("POST", "/session", &wanted);
        browser.session = made["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {made}")).to_owned();
        browser
    }

    /// One call of the driver; gives the value of the answer.
    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n", self.port);
        write!(stream, "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.to_lowercase().trim().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().unwrap(),
                None if line.trim().is_empty() => break,
                _ => {}
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        serde_json::from_slice::<Value>(&answer).unwrap()["value"].take()
    }

    /// The same, of this session. What goes wrong is a fault of the test or of the page.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let value = self.call(method, &format!("/session/{}{path}", self.session), body);
        assert!(value.get("error").is_none(), "{method} {path} {body}: {}: {}", value["error"], value["message"]);
        value
    }

    /// Opens a page.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url }));
    }

    /// Signs in as the first person.
    #[track_caller]
    pub fn sign_in(&self, stile: &Stile) {
        self.open(&format!("http://{}/sign-in", stile.admin));
        self.fill("[name=name]", "anna");
        self.fill("[name=password]", PASSWORD);
        self.click("button.main");
        self.wait_text("Overview");
    }

    /// Where it is.
    #[track_caller]
    pub fn url(&self) -> String {
        self.ask("GET", "/url", &Value::Null).as_str().unwrap().to_owned()
    }

    /// The page's HTML as it is now.
    #[track_caller]
    pub fn source(&self) -> String {
        self.ask("GET", "/source", &Value::Null).as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn find(&self, css: &str) -> String {
        let found = self.ask("POST", "/element", &json!({ "using": "css selector", "value": css }));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks what this selector finds.
    #[track_caller]
    pub fn click(&self, css: &str) {
        self.ask("POST", &format!("/element/{}/click", self.find(css)), &json!({}));
    }

    /// Types into a field, in the place of what stands there.
    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) {
        let field = self.find(css);
        self.ask("POST", &format!("/element/{field}/clear"), &json!({}));
        self.ask("POST", &format!("/element/{field}/value"), &json!({ "text": text }));
    }

    /// Presses keys, wherever the focus is. `\u{e004}` is Tab, `\u{e007}` Enter, `\u{e00c}` Escape.
    #[track_caller]
    pub fn press(&self, keys: &str) {
        let actions: Vec<_> = keys
            .chars()
            .flat_map(|key| {
                [
                    json!({ "type": "keyDown", "value": key.to_string() }),
                    json!({ "type": "keyUp", "value": key.to_string() }),
                ]
            })
            .collect();
        self.ask("POST", "/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    /// Runs a function's body in the page and gives what it returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until the page shows a text.
    #[track_caller]
    pub fn wait_text(&self, text: &str) {
        let shown = || self.run("return document.body.innerText").as_str().unwrap_or_default().to_owned();
        within_or(
            || format!("the page shows {text:?}; it shows: {}", shown()),
            || shown().contains(text).then_some(()),
        );
    }

    /// Waits until there is such an element on the page.
    #[track_caller]
    pub fn wait_for(&self, css: &str) {
        let there = || self.run(&format!("return document.querySelector({css:?}) !== null")) == Value::Bool(true);
        within(&format!("the page has {css}"), || there().then_some(()));
    }

    /// The size of the window, as the page sees it.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.inside("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// What the system is said to prefer: `light` or `dark`.
    #[track_caller]
    pub fn prefer(&self, theme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.inside("Emulation.setEmulatedMedia", &features);
    }

    /// Whether scripts run.
    #[track_caller]
    pub fn scripts(&self, run: bool) {
        self.inside("Emulation.setScriptExecutionDisabled", &json!({ "value": !run }));
    }

    #[track_caller]
    fn inside(&self, command: &str, parameters: &Value) -> Value {
        self.ask("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Writes a picture of the whole page.
    #[track_caller]
    pub fn picture(&self, file: &Path) {
        // Or the picture would be as narrow as what they leave.
        self.inside("Emulation.setScrollbarsHidden", &json!({ "hidden": true }));
        let taken = self.inside("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        let bytes = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    /// What goes up goes at so many bytes a second; `None`: as fast as it can.
    #[track_caller]
    pub fn slow_down(&self, bytes: Option<u32>) {
        let up = bytes.map_or(-1.0, f64::from);
        let conditions = json!({ "offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": up });
        self.inside("Network.emulateNetworkConditions", &conditions);
    }

    /// Forgets all files that were fetched before.
    #[track_caller]
    pub fn forget_files(&self) {
        self.inside("Network.clearBrowserCache", &json!({}));
    }

    /// What happened on the network since this was asked last.
    #[track_caller]
    fn network(&self) -> Vec<Value> {
        let log = self.ask("POST", "/se/log", &json!({ "type": "performance" }));
        let events = log.as_array().unwrap().iter().filter_map(|entry| {
            let mut event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            Some(event["message"].take())
        });
        events.collect()
    }

    /// The addresses that pages have asked for since the network was asked about last.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        let events = self.network().into_iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        events.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// The bytes of each answer that came over the wire whole since the network was asked about last, heads included.
    #[track_caller]
    pub fn answers(&self) -> Vec<u64> {
        let events = self.network().into_iter().filter(|event| event["method"] == "Network.loadingFinished");
        events.map(|event| event["params"]["encodedDataLength"].as_f64().unwrap() as u64).collect()
    }

    /// What the browser complained of since this was asked last.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let log = self.ask("POST", "/se/log", &json!({ "type": "browser" }));
        log.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// What axe-core finds wrong with the page's accessibility, in words.
    #[track_caller]
    pub fn inaccessible(&self) -> Vec<String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/axe/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(&file).expect("axe-core is not there: bash tests/setup.sh test");
        self.run(&axe);
        let script = "const done = arguments[arguments.length - 1];\
            axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(\
            (found) => done(found.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html + ' ' + n.failureSummary).join('; '))),\
            (error) => done([String(error)]));";
        let found = self.ask("POST", "/execute/async", &json!({ "script": script, "args": [] }));
        found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &format!("/session/{}", self.session), &json!({}));
        }
        // Its browser ends with it.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.driver),
            rustix::process::Signal::TERM,
        );
        let _ = self.driver.wait();
    }
}
