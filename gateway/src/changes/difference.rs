//! What a change does to a text, line by line.

use std::collections::BTreeMap;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use similar::TextDiff;

/// How long a difference is looked for; of texts that have nothing in common it is not the shortest then.
const PATIENCE: Duration = Duration::from_secs(1);

/// What differs in a file of this name, in the form of `diff -u`; empty where nothing does. `None` is no file.
pub fn difference(name: &str, old: Option<&str>, new: Option<&str>) -> String {
    let label = |text: Option<&str>| if text.is_some() { name } else { "/dev/null" };
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old.unwrap_or_default(), new.unwrap_or_default());
    diff.unified_diff().header(label(old), label(new)).to_string()
}

/// What stands for these texts: other texts, or other names, have another.
pub fn stamp(texts: &BTreeMap<String, String>) -> String {
    // Each part with its length, so that nothing can move from one to the next.
    let whole: String =
        texts.iter().map(|(name, text)| format!("{}:{name}{}:{text}", name.len(), text.len())).collect();
    digest(&SHA256, whole.as_bytes()).as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_goes_and_what_comes() {
        let text = difference("a.toml", Some("x = 1\ny = 2\n"), Some("x = 1\ny = 3\n"));
        assert_eq!(text, "--- a.toml\n+++ a.toml\n@@ -1,2 +1,2 @@\n x = 1\n-y = 2\n+y = 3\n");
        assert!(difference("a.toml", None, Some("x\n")).starts_with("--- /dev/null\n+++ a.toml\n"));
        assert_eq!(difference("a.toml", Some("x\n"), Some("x\n")), "");
    }

    #[test]
    fn each_set_of_texts_has_a_stamp_of_its_own() {
        let stamp_of = |pairs: &[(&str, &str)]| {
            stamp(&pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
        };
        let all = [
            stamp_of(&[]),
            stamp_of(&[("a", "")]),
            stamp_of(&[("a", "b")]),
            stamp_of(&[("ab", "")]),
            stamp_of(&[("a", ""), ("b", "")]),
            stamp_of(&[("a", "0:1:b0:")]),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        assert_eq!(stamp_of(&[("a", "b")]), all[2]);
    }
}
