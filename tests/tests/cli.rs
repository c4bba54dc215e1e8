//! The command line: what it prints, its exit codes, and that every complaint says what to do.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use stile_tests::{Stile, binary, check, command};

const VERBS: [&str; 25] = [
    "run",
    "capture",
    "check",
    "cert",
    "clients",
    "config",
    "demo",
    "export",
    "health",
    "person",
    "plugin",
    "policy",
    "probe",
    "provision",
    "reload",
    "spool",
    "status",
    "tap",
    "token",
    "top",
    "udev",
    "uplink",
    "user",
    "completions",
    "man",
];

/// Runs it with variables: exit code, standard output, standard error.
fn with_env(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = command();
    let output = command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Writes a settings file and gives its path.
fn settings(dir: &Path, text: &str) -> String {
    let file = dir.join("stile.toml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn version_and_help_are_there_for_every_verb_with_examples_that_parse() {
    let (code, out, _) = check(&["--version"]);
    assert_eq!((code, out.as_str()), (0, concat!("stile ", env!("CARGO_PKG_VERSION"), "\n")));
    for arguments in [
        &[][..],
        &["run"],
        &["check"],
        &["clients"],
        &["capture"],
        &["cert"],
        &["config"],
        &["config", "apply"],
        &["config", "confirm"],
        &["config", "return"],
        &["config", "history"],
        &["config", "diff"],
        &["config", "restore"],
        &["config", "export"],
        &["config", "import"],
        &["policy"],
        &["policy", "explain"],
        &["policy", "changes"],
        &["provision"],
        &["spool"],
        &["status"],
        &["demo"],
        &["health"],
        &["reload"],
        &["udev"],
        &["plugin"],
        &["plugin", "new"],
        &["plugin", "build"],
        &["plugin", "test"],
        &["plugin", "bench"],
        &["plugin", "inspect"],
        &["plugin", "keys"],
        &["plugin", "sign"],
        &["plugin", "verify"],
        &["plugin", "install"],
        &["plugin", "rollback"],
        &["plugin", "list"],
        &["plugin", "enable"],
        &["plugin", "disable"],
        &["person"],
        &["person", "add"],
        &["person", "remove"],
        &["person", "passwd"],
        &["person", "role"],
        &["person", "list"],
        &["person", "code"],
        &["token"],
        &["token", "add"],
        &["token", "remove"],
        &["token", "list"],
        &["tap"],
        &["top"],
        &["uplink"],
        &["uplink", "status"],
        &["uplink", "test"],
        &["user"],
        &["user", "add"],
        &["user", "remove"],
        &["user", "passwd"],
        &["user", "list"],
        &["user", "may"],
        &["completions"],
        &["man"],
    ] {
        for option in ["-h", "--help"] {
            let (code, out, err) = check(&[arguments, &[option]].concat());
            assert_eq!((code, err.as_str()), (0, ""), "{arguments:?} {option}");
            let (_, examples) =
                out.split_once("Example").unwrap_or_else(|| panic!("{arguments:?}: no examples: {out}"));
            let lines: Vec<_> = examples.lines().map(str::trim).filter(|line| line.contains("stile")).collect();
            assert!(!lines.is_empty(), "{out}");
            for line in lines {
                let verb = line.split("stile ").nth(1).and_then(|rest| rest.split_whitespace().next());
                assert!(
                    verb.is_none_or(|v| v.starts_with('-') || VERBS.contains(&v) || line.starts_with("kill")),
                    "{line}"
                );
            }
        }
    }
    let top_level = check(&["--help"]).1;
    assert!(VERBS.iter().all(|verb| top_level.contains(&format!("\n  {verb}"))), "{top_level}");
}

#[test]
fn wrong_arguments_end_with_code_2_and_say_which() {
    for (arguments, named) in
        [(&["fly"][..], "fly"), (&["run", "--sped"], "--sped"), (&["demo", "--mqtt-port", "70000"], "70000")]
    {
        let (code, out, err) = check(arguments);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains(named), "{err}");
    }
    assert_eq!(check(&[]).0, 2, "no verb at all");
}

#[test]
fn the_example_passes_check_and_shows_every_section() {
    let dir = tempfile::tempdir().unwrap();
    let (code, example, _) = check(&["config", "example"]);
    assert_eq!(code, 0);
    let file = settings(dir.path(), &example);
    let (code, out, err) = check(&["check", &file]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("good"), "{out}");
    for section in ["[gateway]", "[log]", "[broker]", "[admin]", "[[radio]]", "[[broker.user]]"] {
        assert!(example.contains(section), "{section}");
    }
}

#[test]
fn check_reports_every_fault_at_once_each_at_its_place_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let file = settings(
        dir.path(),
        "[gateway]\nid = \"roof\"\ncolour = \"red\"\n\
         [broker]\nlisten = [\"127.0.0.1:1883\", \"nowhere\"]\nmax-connections = \"many\"\n  session-queue = 0\n\
         [admin]\nlisten = \"127.0.0.1:1883\"\n\
         [[radio]]\nname = \"a\"\nkind = \"serial\"\ndevice = \"/dev/no-such-port\"\nbuad = 9600\n\
         [[radio]]\nname = \"a\"\nkind = \"simulated\"\ndevice = \"line\"\n\
         [[radio]]\nname = \"b\"\nkind = \"telepathy\"\n\
         [[broker.user]]\nname = \"ops\"\npassword-file = \"missing\"\n",
    );
    let (code, _, err) = check(&["check", &file]);
    assert_eq!(code, 78);
    for (line, column, what) in [
        (3, 1, "colour"),
        (5, 29, "nowhere"),
        (6, 19, "max-connections"),
        (7, 19, "session-queue"),
        (9, 10, "1883"),
        (14, 1, "buad"),
        (16, 8, "`a`"),
        (21, 8, "telepathy"),
        (24, 17, "missing"),
    ] {
        let place = format!("{file}:{line}:{column}: ");
        let mut lines = err.lines();
        let found = lines.find(|l| l.starts_with(&place)).unwrap_or_else(|| panic!("nothing at {place}:\n{err}"));
        assert!(found.contains(what), "{found}");
        assert!(lines.next().unwrap().trim_start().starts_with("remedy: "), "{err}");
    }
    assert!(err.trim_end().ends_with("9 problems, 1 warning"), "{err}");
}

#[test]
fn variables_win_over_files_and_wrong_ones_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = settings(dir.path(), "[gateway]\nid = \"roof\"\n[broker]\nmax-connections = 7\n");
    let show = ["config", "show", "--effective", "--config", &file];
    assert!(with_env(&show, &[]).1.contains("max-connections = 7"));
    let (code, out, _) = with_env(&show, &[("STILE_BROKER__MAX_CONNECTIONS", "50"), ("STILE_GATEWAY__ID", "cellar")]);
    assert_eq!(code, 0);
    assert!(out.contains("max-connections = 50") && out.contains("id = \"cellar\""), "{out}");
    let (code, _, err) = with_env(&show, &[("STILE_BROKER__MAX_CONECTIONS", "50"), ("STILE_LOG__LEVEL", "loud")]);
    assert_eq!(code, 78);
    for name in ["STILE_BROKER__MAX_CONECTIONS", "STILE_LOG__LEVEL"] {
        assert!(err.contains(&format!("environment variable {name}")), "{err}");
    }
    assert_eq!(with_env(&["check"], &[("STILE_CONFIG", &file)]).0, 0);
}

#[test]
fn the_effective_settings_mask_secrets_and_pass_check_but_for_these() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    std::fs::write(dir.path().join("conf.d/10.toml"), "[log]\nlevel = \"warn\"\n").unwrap();
    std::fs::write(dir.path().join("pw"), "hidden-in-a-file").unwrap();
    let file = settings(
        dir.path(),
        "[gateway]\nid = \"roof\"\n[[broker.user]]\nname = \"ops\"\npassword = \"hunter2\"\n\
         [[broker.user]]\nname = \"filed\"\npassword-file = \"pw\"\n",
    );
    let (code, out, err) = check(&["config", "show", "--effective", "--config", &file]);
    assert_eq!(code, 0);
    assert!(!format!("{out}{err}").contains("hunter2") && !out.contains("hidden-in-a-file"), "{out}");
    assert!(out.contains("name = \"ops\"") && out.contains("level = \"warn\""), "{out}");
    let (_, names, _) = check(&["config", "show", "--config", &file]);
    assert_eq!(names.lines().count(), 2, "{names}");
}

#[test]
fn a_run_without_its_settings_ends_with_code_78_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("stile.toml");
    for verb in [&["run", "--config"][..], &["check"], &["config", "show", "--config"]] {
        let (code, out, err) = check(&[verb, &[missing.to_str().unwrap()]].concat());
        assert_eq!((code, out.as_str()), (78, ""), "{err}");
        assert!(err.contains(missing.to_str().unwrap()) && err.contains("remedy: "), "{err}");
    }
}

#[test]
fn busy_and_forbidden_addresses_name_the_setting_and_leave_nothing_running() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = taken.local_addr().unwrap();
    let data = dir.path().join("data");
    for (section, other, named) in [("broker", "admin", "broker.listen"), ("admin", "broker", "admin.listen")] {
        let list = |name: &str, address: &str| match name {
            "broker" => format!("[broker]\nlisten = [\"{address}\"]\n"),
            _ => format!("[admin]\nlisten = \"{address}\"\n"),
        };
        let text = format!(
            "[gateway]\nid = \"x\"\ndata-dir = {data:?}\n{}{}",
            list(section, &busy.to_string()),
            list(other, "127.0.0.1:0")
        );
        let file = settings(dir.path(), &text);
        let (code, _, err) = check(&["run", "--config", &file]);
        assert_eq!(code, 1, "{err}");
        assert!(err.contains(named) && err.contains(&busy.to_string()), "{err}");
    }
}

#[test]
fn completions_and_the_manual_page_are_whole() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = check(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(VERBS.iter().all(|verb| script.contains(verb)), "{shell}");
    }
    let (_, script, _) = check(&["completions", "bash"]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("complete"), script).unwrap();
    let ask = ". ./complete; COMP_WORDS=(stile d); COMP_CWORD=1; _stile stile d stile; echo \"${COMPREPLY[@]}\"";
    let output = std::process::Command::new("bash").args(["-c", ask]).current_dir(dir.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "demo\n", "{output:?}");
    let (code, page, _) = check(&["man"]);
    assert_eq!(code, 0);
    assert!(
        page.contains(".TH stile")
            && VERBS.iter().all(|v| page.contains(&format!("stile {v}")) || page.contains(&format!("stile\\ {v}")))
    );
}

#[test]
fn output_into_a_closed_pipe_is_no_error() {
    let script = format!("{} man | head -n 1; exit ${{PIPESTATUS[0]}}", binary().display());
    let example = format!("{} config example | head -n 1; exit ${{PIPESTATUS[0]}}", binary().display());
    for script in [script, example] {
        let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    }
}

#[test]
fn tap_and_top_without_a_gateway_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for verb in ["status", "tap", "top"] {
        let (code, out, err) = check(&[verb, "--data-dir", dir.path().to_str().unwrap()]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.contains("is the gateway running?") && err.contains("--data-dir"), "{err}");
    }
}

#[test]
fn sigkill_leaves_nothing_that_blocks_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let text = Stile::settings(dir.path(), "", "");
    let file = settings(dir.path(), &text);
    let socket = dir.path().join("data/stile.sock");
    for _ in 0..3 {
        let mut child = command().args(["run", "--config", &file]).stderr(Stdio::null()).spawn().unwrap();
        stile_tests::within("it serves", || {
            let (code, out, _) = check(&["top", "--once", "--config", &file]);
            (code == 0).then(|| assert!(out.contains("the ledger balances"), "{out}"))
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(socket.exists(), "killed, it could not tidy up");
    }
    let stile = Stile::start_in(dir, "", "");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(stile.get("/readyz"), (200, "ready\n".to_owned()));
    drop(stile);
    assert!(!socket.exists(), "stopped, it has");
}
