//! Finds what the daemon can say in its source. Never judges it.

use std::collections::BTreeSet;
use std::path::Path;

/// The messages of all `log::<level>!` lines of these levels. Those that only pass another text on are left out.
pub(crate) fn logged(folder: &Path, levels: &[&str]) -> BTreeSet<String> {
    calls(folder, levels).into_iter().map(|call| call.message).collect()
}

/// A `log::<level>!` line.
pub(crate) struct Call {
    /// What is said.
    pub(crate) message: String,
    /// The words in front of it, the names of its key-values among them.
    pub(crate) words: BTreeSet<String>,
}

/// The same, with what goes with each.
pub(crate) fn calls(folder: &Path, levels: &[&str]) -> Vec<Call> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(calls(&path, levels));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for level in levels {
                let call = format!("log::{level}!(");
                found.extend(text.split(&call).skip(1).filter_map(read));
            }
        }
    }
    found
}

/// A call, of which everything behind the opening parenthesis is given. Its message is its last literal.
fn read(rest: &str) -> Option<Call> {
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
    let message = last.filter(|text| !text.starts_with('{'))?;
    let (before, _) = rest.split_once(&message)?;
    let words = before.split(|c: char| c != '_' && !c.is_alphanumeric()).map(str::to_owned).collect();
    Some(Call { message, words })
}
