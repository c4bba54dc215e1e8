//! The API against its own description: schemathesis (PyPI) asks for all that it describes, with what it allows and with
//! what it does not, as an admin, as a viewer and as nobody.

use std::path::{Path, PathBuf};
use std::process::Command;

use stile_tests::{Stile, Visitor, or_skip};

/// Answers that have no end.
const STREAMS: &str = "^/api/v1/(live|way|tap|logs/live)$";
/// Inputs for each operation, beside those that the description itself suggests.
const EXAMPLES: &str = "25";
/// What is checked of each answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

fn program() -> Result<PathBuf, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/schemathesis/bin/schemathesis");
    if path.exists() { Ok(path) } else { Err(format!("{} is not there", path.display())) }
}

/// Has it ask for so many seconds at most, with a token of this scope or with none.
#[track_caller]
fn ask(scope: Option<&str>, seconds: &str) {
    let Some(program) = or_skip("schemathesis, which tests/setup.sh test installs,", program()) else { return };
    let stile = Stile::start("[[radio]]\nname = \"sensor\"\nkind = \"simulated\"\ndevice = \"line\"\nseed = 1\n");
    let mut anna = Visitor::first(&stile);
    let document = stile.dir.path().join("openapi.json");
    std::fs::write(&document, anna.get("/api/v1/openapi.json").body).unwrap();
    let mut command = Command::new(program);
    command.arg("run").arg(&document).arg("--url").arg(format!("http://{}", stile.admin));
    command.args(["--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", "1", "--no-color"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all"]);
    command.args(["--max-time", seconds, "--request-timeout", "20", "--exclude-path-regex", STREAMS]);
    command.args(["--generation-database", "none", "--generation-with-security-parameters", "false"]);
    // It finds the names of tokens in answers, and would take its own away; and it makes no components.
    command.args(["--exclude-operation-id", "delete_token", "--exclude-operation-id", "post_plugin"]);
    command.current_dir(stile.dir.path());
    let token = scope.map(|scope| {
        let csrf = anna.get("/people").csrf();
        anna.post("/tokens/add", &[("csrf", &csrf), ("name", "schemathesis"), ("scope", scope)]);
        let page = anna.get("/people").text();
        page.split("shown this once: ").nth(1).unwrap().split('<').next().unwrap().to_owned()
    });
    if let Some(token) = &token {
        command.args(["-H", &format!("Authorization: Bearer {token}")]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // It was let in until the end.
    if let Some(token) = &token {
        assert_eq!(Visitor::with_token(stile.admin, token).get("/api/v1/overview").status, 200, "{said}");
    }
}

#[test]
fn an_admin_gets_what_the_description_says() {
    ask(Some("admin"), "60");
}

#[test]
fn a_viewer_gets_what_the_description_says() {
    ask(Some("viewer"), "20");
}

#[test]
fn nobody_gets_what_the_description_says() {
    ask(None, "20");
}
