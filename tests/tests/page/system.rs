//! The System page: what it says, certificates, starting again, and beginning anew.

use std::process::Command;

use stile_tests::{PASSWORD, Stile, Visitor, binary, within};

use crate::secure;

/// What systemd does, but for starting it again: the daemon is told that it was started by it.
fn by_systemd() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "export SYSTEMD_EXEC_PID=$$; exec \"$0\" \"$@\""]).arg(binary());
    command
}

#[test]
fn it_says_what_the_gateway_is_to_everybody_and_shows_what_changes_it_to_admins() {
    let stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let csrf = anna.get("/people").csrf();
    anna.post("/people/add", &[("csrf", &csrf), ("name", "ben"), ("role", "viewer"), ("password", PASSWORD)]);
    let mut ben = Visitor::signed_in(&stile, "ben");
    let page = ben.get("/system").text();
    assert!(page.contains(env!("CARGO_PKG_VERSION")) && page.contains("until <strong>20"), "{page}");
    assert!(!page.contains("Factory reset") && anna.get("/system").text().contains("Factory reset"));
    let whole = ben.get("/api/v1/system").json();
    let contact = whole["support"]["contact"].as_str().unwrap();
    assert!(ben.get("/.well-known/security.txt").text().starts_with(&format!("Contact: {contact}\n")));
    assert_eq!((&whole["certificates"], &whole["started_again"]), (&serde_json::json!([]), &false.into()));
    assert!(ben.get("/api/v1/licences").json().as_array().unwrap().iter().any(|library| library["name"] == "rustls"));
}

#[test]
fn it_starts_again_only_where_somebody_starts_it() {
    let mut stile = Stile::start("");
    let mut anna = Visitor::first(&stile);
    let csrf = anna.get("/system").csrf();
    let refused = anna.post("/system/restart", &[("csrf", &csrf)]);
    assert!(refused.status == 409 && refused.text().contains("nobody would start it again"), "{}", refused.text());
    stile.stop();
    stile.start_again_by(by_systemd());
    let mut anna = Visitor::signed_in(&stile, "anna");
    let csrf = anna.get("/system").csrf();
    assert!(anna.post("/system/restart", &[("csrf", &csrf)]).text().contains("The gateway ends now"));
    assert_eq!(stile.wait().code(), Some(75));
    assert_eq!(stile.wait_log("stopped")["balances"], true);
    stile.start_again_by(by_systemd());
    let mut anna = Visitor::signed_in(&stile, "anna");
    assert!(anna.get("/audit?search=again").text().contains("started the gateway again"));
}

#[test]
fn a_factory_reset_is_confirmed_and_leaves_what_the_settings_need() {
    let mut stile = Stile::start("");
    let data = stile.dir.path().join("data");
    std::fs::write(data.join("users.toml"), "").unwrap();
    let mut anna = Visitor::first(&stile);
    let csrf = anna.get("/system").csrf();
    for wrong in ["", "tes", "yes"] {
        let refused = anna.post("/system/factory-reset", &[("csrf", &csrf), ("confirm", wrong)]);
        assert!(refused.status == 422 && refused.text().contains("nothing was removed"), "{}", refused.text());
    }
    // A file of the settings' own would be missed at the next start.
    let password = data.join("cloud.password");
    std::fs::write(&password, "secret").unwrap();
    let uplink = format!(
        "[[uplink]]\nname = \"cloud\"\nurl = \"mqtt://127.0.0.1:9\"\nuser = \"roof\"\n\
         password-file = {password:?}\ntopics = [{{ filter = \"a\" }}]"
    );
    assert_eq!(stile.reload("", &uplink)["message"], "reload done");
    let refused = anna.post("/system/factory-reset", &[("csrf", &csrf), ("confirm", "test")]);
    assert!(refused.status == 409 && refused.text().contains("cloud.password"), "{}", refused.text());
    assert_eq!(stile.reload("", "")["message"], "reload done");
    assert!(!data.join("factory-reset").exists());
    let page = anna.post("/system/factory-reset", &[("csrf", &csrf), ("confirm", "test")]);
    assert!(page.text().contains("start it by hand"), "{}", page.text());
    assert_eq!(stile.wait().code(), Some(75));
    assert_eq!(stile.wait_log("a factory reset is wanted; the next start empties the data folder")["by"], "anna");
    assert!(
        data.join("people.toml").exists() && data.join("factory-reset").exists(),
        "it is the next start that does it"
    );
    stile.start_again();
    stile.wait_log("the factory reset is done; the data folder begins anew");
    assert!(!data.join("people.toml").exists() && data.join("users.toml").exists());
    assert!(!data.join("factory-reset").exists());
    let mut anna = Visitor::new(stile.admin);
    assert_eq!(anna.get("/").leads_to(), "/setup");
    let mut anna = Visitor::first(&stile);
    assert_eq!(anna.get("/api/v1/audit").json().as_array().unwrap().len(), 1, "the audit log begins anew too");
}

#[test]
fn the_gateways_own_certificate_is_renewed_under_the_same_authority_and_key() {
    let (stile, address, authority) = secure::gateway();
    let key = std::fs::read(stile.dir.path().join("data/tls/server.key")).unwrap();
    let mut anna = Visitor::secure(address, &authority);
    let logged = stile.wait_log("nobody can sign in to the admin page yet; set it up with this code");
    let code = logged["code"].as_str().unwrap().to_owned();
    anna.post("/setup", &[("code", &code), ("name", "anna"), ("password", PASSWORD)]);
    let shown = |anna: &mut Visitor| anna.get("/api/v1/system").json()["certificates"][0].clone();
    let before = shown(&mut anna);
    assert_eq!((&before["shown_by"], &before["own"]), (&"admin page".into(), &true.into()));
    assert!(before["names"].as_array().unwrap().contains(&"localhost".into()), "{before}");
    let csrf = anna.get("/system").csrf();
    assert_eq!(anna.post("/system/certificate", &[("csrf", &csrf)]).leads_to(), "/system");
    stile.wait_log("reload done");
    // Where the settings say port 0, it is another one. The authority is believed still.
    let again = stile.wait_another("serving the admin page", 1);
    let port = again["address"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    let mut anna = Visitor::secure(([127, 0, 0, 1], port).into(), &authority);
    assert_eq!(anna.post("/sign-in", &[("name", "anna"), ("password", PASSWORD)]).leads_to(), "/");
    let after = within("another certificate is shown", || {
        Some(shown(&mut anna)).filter(|after| after["fingerprint"] != before["fingerprint"])
    });
    assert_eq!(after["names"], before["names"]);
    assert_eq!(std::fs::read(stile.dir.path().join("data/tls/server.key")).unwrap(), key);
    let page = anna.get("/audit?outcome=done&search=CERTIFICATE").text();
    assert!(page.contains("made another certificate for") && !page.contains("set the gateway up"), "{page}");
}
