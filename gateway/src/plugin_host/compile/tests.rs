//! The parent's side, with scripts in the compiler's place: it takes what the child does, however the child behaves. What
//! the child itself does is told by `tests/tests/plugin_compile.rs`, with the built program.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use super::*;

/// A component of no consequence.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// What comes of a child that does what `script` says.
fn child(script: &str, patience: Duration, component: &[u8]) -> Result<Vec<u8>, CompileError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("compiler");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    Compiler::new(file, Budget { cpu_seconds: 7, memory: 1 << 30, patience }).compile(component)
}

fn said(script: &str) -> String {
    child(script, Duration::from_secs(60), COMPONENT).unwrap_err().to_string()
}

#[test]
fn what_the_child_writes_is_the_compiled_code() {
    let patience = Duration::from_secs(60);
    let large = vec![7; 3 << 20];
    assert_eq!(child("exec /bin/cat", patience, &large).unwrap(), large, "more than a pipe holds, both ways at once");
    let told = child("/bin/cat > /dev/null; echo \"$@\"", patience, COMPONENT).unwrap();
    assert_eq!(String::from_utf8(told).unwrap(), format!("{VERB} --cpu-seconds 7 --memory 1073741824\n"));
    let metered = Compiler::new("/bin/echo", Budget::default()).making(Code::Metered);
    let told = String::from_utf8(metered.compile(COMPONENT).unwrap()).unwrap();
    assert!(told.ends_with(" --fuel\n"), "{told}");
}

#[test]
fn the_child_has_an_empty_environment_and_a_group_of_its_own() {
    let script = "/bin/cat > /dev/null; /usr/bin/env | /bin/grep -v -e ^PWD= -e ^SHLVL= -e ^_=; \
        read -r _ _ _ _ group _ < /proc/$$/stat; [ $group = $$ ] && echo own; pwd";
    let told = child(script, Duration::from_secs(60), COMPONENT).unwrap();
    assert_eq!(String::from_utf8(told).unwrap(), "own\n/\n");
}

#[test]
fn a_child_that_fails_is_told_by_what_it_said_and_how_it_ended() {
    assert_eq!(said("echo 'this is' >&2; echo 'why\u{1b}' >&2; exit 3"), "this is why\u{fffd}");
    assert_eq!(said("echo half; echo broken >&2; exit 101"), "the compiler ended with exit status: 101: broken");
    assert_eq!(said("exit 0"), "the compiler ended with exit status: 0", "nothing is no code");
    assert_eq!(said("echo half; kill -9 $$"), "the compiler ended with signal: 9 (SIGKILL)");
    assert_eq!(said("kill -XCPU $$"), "the compiler was ended: it needed more than 7 s of CPU time");
    let endless = said("while echo -n xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; do :; done 1>&2; exit 3");
    assert!(endless.len() < SAID_MAX_BYTES + 100, "{}", endless.len());
}

#[test]
fn a_child_that_takes_too_long_is_ended() {
    let start = Instant::now();
    for script in
        ["exec /bin/sleep 1000", "exec > /dev/null; exec /bin/sleep 1000", "trap '' TERM; while :; do :; done"]
    {
        let error = child(script, Duration::from_millis(200), &vec![0; 1 << 20]).unwrap_err();
        assert!(matches!(error, CompileError::TookTooLong(_)), "{script}: {error}");
    }
    assert!(start.elapsed() < Duration::from_secs(900), "it did not wait for the children");
}

#[test]
fn what_is_too_large_starts_no_child_and_what_is_not_there_can_t_be_started() {
    let error = child("exec /bin/cat", Duration::from_secs(60), &vec![0; 100_000_000]).unwrap_err();
    assert_eq!(error.to_string(), "it has 100000000 bytes, and at most 67108864 are taken");
    let error = Compiler::new("/nowhere/stile", Budget::default()).compile(COMPONENT).unwrap_err();
    assert!(matches!(error, CompileError::Start(_)), "{error}");
}
