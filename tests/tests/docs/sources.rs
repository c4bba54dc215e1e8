//! Finds what the daemon can say in its source. Never judges it.

use std::collections::BTreeSet;
use std::path::Path;

/// The messages of all `log::<level>!` lines of these levels. Those that only pass another text on are left out.
pub(crate) fn logged(folder: &Path, levels: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(logged(&path, levels));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for level in levels {
                let call = format!("log::{level}!(");
                found.extend(text.split(&call).skip(1).filter_map(message));
            }
        }
    }
    found
}

/// The message of a call, of which everything behind the opening parenthesis is given: its last literal.
fn message(rest: &str) -> Option<String> {
    let (mut depth, mut quoted, mut last, mut literal) = (0, false, None, String::new());
    for c in rest.chars() {
        match c {
            '"' if quoted => (quoted, last) = (false, Some(std::mem::take(&mut literal))),
            '"' => quoted = true,
            _ if quoted => literal.push(c),
            '(' => depth += 1,
            ')' if depth == 0 => break,
            ')' => depth -= 1,
            _ => {}
        }
    }
    last.filter(|text| !text.starts_with('{'))
}
