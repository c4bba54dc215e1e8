//! The settings by the page and its API: mistakes, changes on trial, two editors, history, set-ups, roles.

use std::net::TcpListener;
use std::path::PathBuf;

use serde_json::{Value, json};
use stile_tests::{Answer, PASSWORD, Stile, Visitor, check, within};

const RADIO: &str = "[[radio]]\nname = \"new\"\nkind = \"simulated\"\ndevice = \"line\"\n";
const USER: &str = "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret-of-ops\"\n";

/// A gateway, and its first admin at the page.
struct World {
    stile: Stile,
    anna: Visitor,
    csrf: String,
}

impl World {
    fn new() -> Self {
        Self::of(Stile::start(""))
    }

    fn of(stile: Stile) -> Self {
        let mut anna = Visitor::first(&stile);
        let csrf = anna.get("/account").csrf();
        Self { stile, anna, csrf }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.stile.dir.path().join(name)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path("stile.toml")).unwrap()
    }

    /// The settings with this at their end.
    fn with(&self, rest: &str) -> String {
        self.text() + rest
    }

    fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf.clone();
        self.anna.post(path, &[&[("csrf", csrf.as_str())], fields].concat())
    }

    fn api(&mut self, path: &str, body: &Value) -> Answer {
        let headers = [("Content-Type", "application/json"), ("X-CSRF-Token", self.csrf.as_str())];
        self.anna.ask("POST", &format!("/api/v1/configuration/{path}"), &headers, &body.to_string())
    }

    fn configuration(&mut self) -> Value {
        self.anna.get("/api/v1/configuration").json()
    }

    fn base(&mut self) -> String {
        self.configuration()["base"].as_str().unwrap().to_owned()
    }

    /// Puts the settings with this at their end on trial.
    fn apply(&mut self, rest: &str, seconds: u64) -> Answer {
        let text = self.with(rest);
        self.api("apply", &json!({ "files": { "stile.toml": text }, "confirm_within_seconds": seconds }))
    }

    fn has_radio(&self) -> bool {
        self.stile.get("/metrics").1.contains("stile_radio_online{radio=\"new\"}")
    }
}

#[test]
fn a_mistake_is_told_with_its_line_and_what_to_do_and_nothing_is_written() {
    let mut world = World::new();
    let old = world.text();
    let lines = old.lines().count();
    let wrong = world.with("[[radio]]\nname = \"boiler\"\nkind = \"simulated\"\ndevice = \"line\"\nbauds = 9600\n");
    let verdict = world.api("check", &json!({ "files": { "stile.toml": wrong } })).json();
    let remark = &verdict["remarks"][0];
    assert_eq!((&verdict["good"], &remark["place"]), (&false.into(), &"stile.toml".into()), "{verdict}");
    assert_eq!((&remark["line"], &remark["column"]), (&(lines + 5).into(), &1.into()), "{verdict}");
    assert!(remark["remedy"].as_str().unwrap().contains("baud"), "{verdict}");
    // The same without scripts, with lines as browsers end them; what was typed is still there.
    let base = world.base();
    let typed = wrong.replace('\n', "\r\n");
    let fields = [("base", base.as_str()), ("file", "stile.toml"), ("text", &typed)];
    let page = world.form("/configuration/review", &fields);
    let told = format!("stile.toml, line {}, column 1", lines + 5);
    assert!(
        page.status == 422 && page.text().contains(&told) && page.text().contains("bauds = 9600"),
        "{}",
        page.text()
    );
    let refused = world.api("apply", &json!({ "files": { "stile.toml": wrong } }));
    assert!(refused.status == 422 && refused.text().contains("bauds"), "{}", refused.text());
    for name in ["../stile.toml", "conf.d/../x.toml", "/etc/passwd", "conf.d/x"] {
        let refused = world.api("apply", &json!({ "files": { name: "" } }));
        assert!(refused.status == 409 && refused.text().contains("no file of the settings"), "{}", refused.text());
    }
    assert_eq!(world.text(), old);
    assert!(world.anna.get("/api/v1/configuration/changes").json()["changes"].as_array().unwrap().is_empty());
}

#[test]
fn a_change_is_shown_before_it_is_made_and_every_page_tells_of_its_trial_until_it_is_confirmed() {
    let mut world = World::new();
    let (base, text) = (world.base(), world.with(RADIO));
    let fields = [("base", base.as_str()), ("file", "stile.toml"), ("text", &text.replace('\n', "\r\n"))];
    let review = world.form("/configuration/review", &fields);
    let shown = review.text();
    assert!(review.status == 200 && shown.contains("<ins>+name = &#34;new&#34;\n</ins>"), "{shown}");
    assert!(shown.contains("radio new: new") && shown.contains("on trial for 90 seconds"), "{shown}");
    assert!(!world.has_radio());
    assert_eq!(world.form("/configuration/apply", &fields).leads_to(), "/configuration");
    assert!(world.has_radio() && world.text() == text);
    let page = world.anna.get("/configuration").text();
    assert!(page.contains("Change 1 is in force") && page.contains("in <strong>"), "{page}");
    for path in ["/", "/messages", "/people", "/nowhere"] {
        let page = world.anna.get(path).text();
        assert!(page.contains("Change 1 of the settings, by anna") && page.contains("/configuration/return"), "{page}");
    }
    let trial = &world.configuration()["trial"];
    assert!(trial["number"] == 1 && (60..=90).contains(&trial["seconds_left"].as_u64().unwrap()), "{trial}");
    let another = world.apply("# One more.\n", 90);
    assert!(another.status == 409 && another.text().contains("change 1 by anna is on trial"), "{}", another.text());
    assert_eq!(world.form("/configuration/confirm", &[]).leads_to(), "/");
    let page = world.anna.get("/").text();
    assert!(page.contains("Change 1 is kept.") && !page.contains("/configuration/return"), "{page}");
    let history = world.anna.get("/configuration").text();
    assert!(history.contains("kept") && history.contains("confirmed by anna"), "{history}");
    let audit = world.anna.get("/api/v1/audit").json();
    let said: Vec<_> = audit.as_array().unwrap().iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!(said[0], "confirmed change 1 of the settings");
    assert!(said.contains(&"changed the settings: change 1, on trial"), "{said:?}");
    let again = world.form("/configuration/confirm", &[]);
    assert!(again.status == 409 && again.text().contains("no change is on trial"), "{}", again.text());
}

#[test]
fn a_change_that_nobody_confirms_comes_back_by_itself_and_one_that_is_returned_at_once() {
    let mut world = World::new();
    let old = world.text();
    let made = world.apply(RADIO, 5);
    assert_eq!((made.status, &made.json()["confirm_within_seconds"]), (200, &5.into()), "{}", made.text());
    assert!(world.has_radio());
    within("the radio is gone", || (!world.has_radio()).then_some(()));
    assert_eq!(world.text(), old);
    assert_eq!(world.configuration()["trial"], Value::Null);
    assert_eq!(world.apply(RADIO, 3600).status, 200);
    assert_eq!(world.form("/configuration/return", &[]).leads_to(), "/");
    assert!(!world.has_radio() && world.text() == old);
    let history = world.anna.get("/api/v1/configuration/changes").json();
    let notes: Vec<_> = history["changes"].as_array().unwrap().iter().map(|change| &change["note"]).collect();
    assert_eq!(notes, ["by anna", "nobody confirmed it in time"]);
    assert_eq!(world.apply(RADIO, 4).status, 422);
}

#[test]
fn a_trial_is_ended_by_whoever_has_seen_it_and_what_was_changed_since_stays() {
    let mut world = World::new();
    assert_eq!(world.apply(RADIO, 3600).status, 200);
    let page = world.anna.get("/configuration").text();
    assert!(page.contains("<input type=\"hidden\" name=\"number\" value=\"1\">"), "{page}");
    assert_eq!(world.form("/configuration/return", &[("number", "1")]).leads_to(), "/");
    assert_eq!(world.apply(RADIO, 3600).json()["number"], 2);
    // A page that was loaded before does not end what it has not shown.
    for ended in ["confirm", "return"] {
        let page = world.form(&format!("/configuration/{ended}"), &[("number", "1")]);
        assert!(page.status == 409 && page.text().contains("change 2 by anna is on trial"), "{}", page.text());
        assert_eq!(world.api(&format!("{ended}?number=1"), &json!({})).status, 409);
    }
    assert_eq!(world.configuration()["trial"]["number"], 2);
    let by_hand = world.with("# By hand.\n");
    std::fs::write(world.path("stile.toml"), &by_hand).unwrap();
    // From a page that can't be asked for again, it leads to the one above.
    let referer = [("Referer", "http://gateway/configuration/review"), ("X-CSRF-Token", world.csrf.as_str())];
    let form = [&referer[..], &[("Content-Type", "application/x-www-form-urlencoded")]].concat();
    let returned = world.anna.ask("POST", "/configuration/return", &form, "number=2");
    assert_eq!(returned.leads_to(), "/configuration", "{}", returned.text());
    let page = world.anna.get("/configuration").text();
    assert!(page.contains("Somebody has changed stile.toml since"), "{page}");
    assert_eq!(world.text(), by_hand);
}

#[test]
fn a_file_that_can_not_go_is_still_to_go_when_that_is_refused() {
    let mut world = World::new();
    let user = "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret-of-ops\"\ngroups = [\"g\"]\n";
    let files = json!({ "conf.d/g.toml": "[[broker.group]]\nname = \"g\"\n", "stile.toml": world.with(user) });
    let made = world.api("apply", &json!({ "files": files }));
    assert_eq!(made.status, 200, "{}", made.text());
    let page = world.form("/configuration/review", &[("gone", "conf.d/g.toml")]);
    let kept = "<input type=\"hidden\" name=\"gone\" value=\"conf.d/g.toml\">";
    assert!(page.status == 422 && page.text().contains(kept), "{}", page.text());
}

#[test]
fn a_change_by_the_command_line_is_told_of_and_confirmed_on_the_page() {
    let mut world = World::new();
    std::fs::write(world.path("wanted.toml"), world.with(RADIO)).unwrap();
    let (wanted, main) = (world.path("wanted.toml"), world.path("stile.toml"));
    let (code, _, error) = check(&[
        "config",
        "apply",
        wanted.to_str().unwrap(),
        "--config",
        main.to_str().unwrap(),
        "--confirm-within",
        "1h",
    ]);
    assert_eq!(code, 0, "{error}");
    assert!(world.anna.get("/").text().contains("Change 1 of the settings"));
    assert_eq!(world.api("confirm", &json!({})).status, 204);
    assert!(world.has_radio() && !world.anna.get("/").text().contains("Change 1 of the settings"));
}

#[test]
fn what_the_gateway_does_not_take_is_given_back_at_once() {
    let mut world = World::new();
    let old = world.text();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap();
    let text = old.replace("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"127.0.0.1:0\", \"{port}\"]"));
    let base = world.base();
    let page = world.form("/configuration/apply", &[("base", &base), ("file", "stile.toml"), ("text", &text)]);
    let shown = page.text();
    assert!(
        page.status == 409 && shown.contains("change 1 is given back") && shown.contains(&port.to_string()),
        "{shown}"
    );
    assert_eq!(world.text(), old);
    assert_eq!(world.configuration()["trial"], Value::Null);
}

#[test]
fn of_two_editors_the_second_is_told_what_the_first_has_done() {
    let mut world = World::new();
    let base = world.base();
    let second = world.with("# By the second.\n");
    assert_eq!(world.apply(RADIO, 90).status, 200);
    assert_eq!(world.api("confirm", &json!({})).status, 204);
    let refused = world.api("apply", &json!({ "base": base, "files": { "stile.toml": second } }));
    assert!(refused.status == 409 && refused.text().contains("somebody else has changed"), "{}", refused.text());
    let fields = [("base", base.as_str()), ("file", "stile.toml"), ("text", &second)];
    for path in ["/configuration/review", "/configuration/apply"] {
        let page = world.form(path, &fields);
        let shown = page.text();
        assert!(page.status == 409 && shown.contains("somebody else has changed"), "{path}: {shown}");
        assert!(shown.contains("By the second") && !shown.contains(&base), "{path}: {shown}");
    }
    assert!(world.has_radio());
    // With what is there now in view, it may be made.
    let base = world.base();
    let review = world.form("/configuration/review", &[("base", &base), fields[1], fields[2]]).text();
    assert!(review.contains("<del>-name = &#34;new&#34;\n</del>"), "{review}");
}

#[test]
fn the_history_shows_what_each_change_did_and_leads_back() {
    let mut world = World::new();
    let first = world.text();
    for (at, rest) in ["# One.\n", RADIO].into_iter().enumerate() {
        assert_eq!(world.apply(rest, 90).json()["number"], at + 1);
        assert_eq!(world.api("confirm", &json!({})).status, 204);
    }
    let page = world.anna.get("/configuration/changes/2").text();
    assert!(page.contains("<ins>+name = &#34;new&#34;\n</ins>") && page.contains("confirmed by anna"), "{page}");
    assert_eq!(world.anna.get("/configuration/changes/7").status, 404);
    let review = world.form("/configuration/restore", &[("number", "1")]).text();
    assert!(review.contains("radio new: gone") && review.contains("Back to what change 1 has left"), "{review}");
    assert!(world.has_radio());
    let made = world.api("restore", &json!({ "number": 0 }));
    assert_eq!((made.status, &made.json()["number"]), (200, &3.into()), "{}", made.text());
    assert_eq!(world.text(), first);
    assert!(!world.has_radio());
    assert_eq!(world.api("restore", &json!({ "number": 70 })).status, 404);
}

#[test]
fn who_is_no_admin_sees_no_secret_and_changes_nothing() {
    let mut world = World::new();
    assert_eq!(world.apply(USER, 90).status, 200);
    assert_eq!(world.api("confirm", &json!({})).status, 204);
    for (name, role) in [("olga", "operator"), ("vera", "viewer")] {
        let fields = [("name", name), ("role", role), ("password", PASSWORD)];
        assert_eq!(world.form("/people/add", &fields).leads_to(), "/people");
    }
    let mut olga = Visitor::signed_in(&world.stile, "olga");
    for path in
        ["/configuration", "/configuration/changes/1", "/api/v1/configuration", "/api/v1/configuration/changes/1"]
    {
        let answer = olga.get(path);
        let text = answer.text();
        assert!(answer.status == 200 && text.contains("********") && text.contains("ops"), "{path}: {text}");
        assert!(!text.contains("s3cret"), "{path}: {text}");
    }
    // A stamp of the files would tell whether a guess of a secret is right.
    assert_eq!(olga.get("/api/v1/configuration").json()["base"], Value::Null);
    let base = world.base();
    assert!(!olga.get("/configuration").text().contains(&base) && base.len() == 32, "{base}");
    assert!(world.anna.get("/configuration").text().contains("s3cret-of-ops"));
    let csrf = olga.get("/account").csrf();
    for path in ["review", "apply", "confirm", "return", "export", "import"] {
        assert_eq!(olga.post(&format!("/configuration/{path}"), &[("csrf", &csrf)]).status, 403, "{path}");
    }
    // A text of which nobody can tell what is secret is not shown, nor is a mask written for the secret that it stands for.
    let masked = olga.get("/api/v1/configuration").json()["files"]["stile.toml"].as_str().unwrap().to_owned();
    let refused = world.api("apply", &json!({ "files": { "stile.toml": masked } }));
    assert!(refused.status == 422 && refused.text().contains("a secret was left out"), "{}", refused.text());
    std::fs::write(world.path("stile.toml"), "password = \"s3cret\" oops\n").unwrap();
    let hidden = olga.get("/configuration").text();
    assert!(hidden.contains("Nothing is shown") && !hidden.contains("s3cret"), "{hidden}");
    assert_eq!(Visitor::signed_in(&world.stile, "vera").get("/configuration").status, 403);
}

#[test]
fn a_set_up_leaves_sealed_or_without_secrets_and_comes_back() {
    let mut world = World::new();
    let main = world.path("stile.toml");
    let (code, _, error) = check(&["user", "add", "berta", "--all", "--config", main.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(world.apply(&format!("{USER}{RADIO}"), 90).status, 200);
    assert_eq!(world.api("confirm", &json!({})).status, 204);
    let with = world.text();
    let open = world.form("/configuration/export", &[("passphrase", ""), ("again", "")]);
    assert!(open.header("content-disposition").contains("set-up-test.json"), "{:?}", open.headers);
    let open = open.text();
    assert!(open.contains("berta") && !open.contains("s3cret") && !open.contains("argon2id"), "{open}");
    let phrase = "correct horse battery staple";
    let differs = world.form("/configuration/export", &[("passphrase", phrase), ("again", "another")]);
    assert!(differs.status == 422 && differs.text().contains("the two passphrases differ"), "{}", differs.text());
    let short = world.api("export", &json!({ "passphrase": "short" }));
    assert!(short.status == 422 && short.text().contains("fewer than 12"), "{}", short.text());
    let sealed = world.form("/configuration/export", &[("passphrase", phrase), ("again", phrase)]).text();
    assert!(sealed.contains("argon2id") && !sealed.contains("s3cret") && !sealed.contains("berta"), "{sealed}");

    // Back to what was before, and from there to the set-up.
    assert_eq!(world.api("restore", &json!({ "number": 0 })).status, 200);
    assert_eq!(world.api("confirm", &json!({})).status, 204);
    assert_eq!(check(&["user", "remove", "berta", "--config", main.to_str().unwrap()]).0, 0);
    for (text, passphrase, said) in [
        ("no set-up", "", "it is no set-up"),
        (sealed.as_str(), "", "it is sealed"),
        (sealed.as_str(), "another passphrase", "the passphrase is wrong"),
    ] {
        let refused = world.form("/configuration/import", &[("set_up", text), ("passphrase", passphrase)]);
        assert!(refused.status == 422 && refused.text().contains(said), "{}", refused.text());
    }
    assert_eq!(world.form("/configuration/import", &[("set_up", &"x".repeat(300_000))]).status, 413);
    let review = world.form("/configuration/import", &[("set_up", &sealed), ("passphrase", phrase)]);
    let shown = review.text();
    assert!(review.status == 200 && shown.contains("radio new: new") && shown.contains("stay: berta"), "{shown}");
    // What was left out is asked for where it stands.
    let lacking = world.form("/configuration/import", &[("set_up", &open)]);
    let shown = lacking.text();
    assert!(
        lacking.status == 422
            && shown.contains("is the mask that stands for a password")
            && shown.contains("<textarea"),
        "{shown}"
    );
    let refused = world.api("import", &json!({ "set_up": open }));
    assert!(refused.status == 422 && refused.text().contains("a secret was left out"), "{}", refused.text());
    assert!(!world.has_radio());
    let taken = world.api("import", &json!({ "set_up": sealed, "passphrase": phrase }));
    assert_eq!((taken.status, &taken.json()["users"][0]), (200, &"User berta added".into()), "{}", taken.text());
    assert!(world.has_radio() && world.text() == with);
    assert_eq!(world.api("confirm", &json!({})).status, 204);
}

#[test]
fn users_of_a_set_up_are_told_of_with_their_new_passwords_though_its_settings_are_refused() {
    let mut world = World::new();
    let main = world.path("stile.toml");
    let (code, _, error) = check(&["user", "add", "berta", "--all", "--config", main.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    let open = world.api("export", &json!({})).text();
    assert_eq!(check(&["user", "remove", "berta", "--config", main.to_str().unwrap()]).0, 0);
    let refused = world.api("import", &json!({ "set_up": open }));
    let told = refused.text();
    assert!(refused.status == 409 && told.contains("the files say that already"), "{told}");
    assert!(told.contains("User berta added; password, shown this once: "), "{told}");
    assert!(world.anna.get("/broker/users").text().contains("berta"));
}

#[test]
fn a_page_that_moves_says_where_to_and_comes_back_unless_it_is_confirmed_there() {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (free(), free());
    let listens = |address| format!("[admin]\nlisten = \"{address}\"\n");
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    std::fs::write(dir.path().join("conf.d/admin.toml"), listens(first)).unwrap();
    let mut world = World::of(Stile::start_in(dir, "", ""));
    let says = |world: &World| std::fs::read_to_string(world.path("conf.d/admin.toml")).unwrap();
    let (base, moved) = (world.base(), listens(second));
    let fields = [("base", base.as_str()), ("file", "conf.d/admin.toml"), ("text", &moved)];
    let whereto = format!("the admin page moves to http://{second}/, which the gateway itself alone reaches");
    let review = world.form("/configuration/review", &fields).text();
    assert!(review.contains(&whereto), "{review}");
    let answer = world.api("apply", &json!({ "files": { "conf.d/admin.toml": moved }, "confirm_within_seconds": 5 }));
    assert_eq!((answer.status, answer.json()["moves"].as_str()), (200, Some(whereto.as_str())), "{}", answer.text());
    let reached = |address| move || std::net::TcpStream::connect(address).ok();
    within("the page is there", reached(second));
    within("the settings of before stand", || (says(&world) == listens(first)).then_some(()));
    within("and the page is back", reached(first));
    let page = world.form("/configuration/apply", &fields);
    assert!(page.status == 200 && page.text().contains(&whereto), "{}", page.text());
    within("the page is there", reached(second));
    // The cookie is of the host, and its name of the port.
    let mut anna = Visitor::new(second);
    let answer = anna.post("/sign-in", &[("name", "anna"), ("password", PASSWORD)]);
    assert_eq!(answer.leads_to(), "/");
    let page = within("the trial is told of", || {
        Some(anna.get("/configuration")).filter(|page| page.text().contains("Change 2 of the settings"))
    });
    let confirmed = anna.post("/configuration/confirm", &[("csrf", &page.csrf())]);
    assert_eq!(confirmed.status, 303, "{}", confirmed.text());
    assert_eq!(says(&world), moved);
}

#[test]
fn the_first_steps_write_settings_by_the_way_of_every_change_and_work_without_scripts() {
    let mut world = World::new();
    let page = world.anna.get("/first-steps").text();
    assert!(page.contains("What is this gateway called?") && page.contains("value=\"test\""), "{page}");
    let named = world.form("/first-steps/name", &[("id", "not a name")]);
    assert!(named.status == 422 && named.text().contains("id="), "{}", named.text());
    assert_eq!(world.form("/first-steps/name", &[("id", "roof")]).leads_to(), "/first-steps?step=time");
    assert!(world.text().contains("id = \"roof\""), "{}", world.text());
    let page = world.anna.get("/first-steps?step=time").text();
    let quality = ["synchronised", "unsynchronised", "unknown"].iter().any(|word| page.contains(&format!(">{word}<")));
    assert!(quality && page.contains("from the next start on"), "{page}");
    let page = world.anna.get("/first-steps?step=radios").text();
    assert!(page.contains("There are none in the settings yet"), "{page}");
    let radio = [("name", "new"), ("port", ""), ("baud", "9600"), ("framing", "line")];
    assert_eq!(world.form("/first-steps/radio", &radio).leads_to(), "/first-steps?step=radios");
    assert!(world.has_radio() && world.path("conf.d/new.toml").exists());
    let again = world.form("/first-steps/radio", &radio);
    assert!(again.status == 422 && again.text().contains("choose another name"), "{}", again.text());
    for name in ["", "../new", "a b"] {
        let refused = world.form("/first-steps/radio", &[("name", name), radio[1], radio[2], radio[3]]);
        assert!((400..500).contains(&refused.status) && refused.text().contains("Not done"), "{}", refused.text());
    }
    within("the first message is told of", || {
        world.anna.get("/first-steps?step=message").text().contains("come from outside").then_some(())
    });
    let history = world.anna.get("/api/v1/configuration/changes").json();
    assert!(history["changes"].as_array().unwrap().iter().all(|change| change["state"] == "kept"), "{history}");
    assert_eq!(world.anna.get("/first-steps?step=nowhere").status, 400);
}

#[test]
fn the_overview_has_charts_with_their_tables_and_programs_get_their_points() {
    let mut world = World::new();
    within("the history has begun", || {
        let series = world.anna.get("/api/v1/history").json();
        series["names"].as_array().unwrap().iter().any(|name| name == "messages/received").then_some(())
    });
    for path in ["/", "/?span=two-days"] {
        let page = world.anna.get(path).text();
        assert_eq!(
            (page.matches("<svg class=\"chart\"").count(), page.matches("<table class=\"data\"").count()),
            (3, 3)
        );
    }
    let by_itself = world.anna.ask("GET", "/", &[("X-By-Itself", "1"), ("Accept", "text/html")], "").text();
    assert!(by_itself.contains("Ledger") && !by_itself.contains("<svg class=\"chart\""), "{by_itself}");
    let points = world.anna.get("/api/v1/history?name=messages/received&span=two-days").json();
    assert_eq!(points["step_seconds"], 300);
    assert_eq!(world.anna.get("/api/v1/history?name=nothing").status, 404);
}
