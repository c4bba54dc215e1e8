//! Tests that this machine has not what is needed for. A runner counts them as passed, so they are written down.

use std::fs::OpenOptions;
use std::io::Write;
use std::panic::Location;
use std::path::Path;

/// Says that the test that calls this is not done, and why: what it needs, and what would have it run. The line goes to
/// the file `target/skipped`, which `make test` shows and CI counts.
#[track_caller]
pub fn skip(why: &str) {
    let at = Location::caller();
    // What a program says may have several lines.
    let line =
        format!("skipped: {}:{}: {}\n", at.file(), at.line(), why.split_whitespace().collect::<Vec<_>>().join(" "));
    print!("{line}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("skipped");
    OpenOptions::new().create(true).append(true).open(file).unwrap().write_all(line.as_bytes()).unwrap();
}

/// What is there, or nothing, and then the test is skipped: `needs` says what would have it run.
#[track_caller]
pub fn or_skip<T>(needs: &str, what: Result<T, String>) -> Option<T> {
    match what {
        Ok(what) => Some(what),
        Err(why) => {
            skip(&format!("{needs} is needed: {why}"));
            None
        }
    }
}
