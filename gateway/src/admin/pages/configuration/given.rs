//! What forms of this page carry: files by their names, and the stamp of what whoever sends them has seen.

use std::collections::BTreeMap;

use crate::changes::Wanted;

/// Fields of a form, in their order.
pub(super) type Pairs = Vec<(String, String)>;

/// What a form wants.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Given {
    pub(super) base: Option<String>,
    pub(super) wanted: Wanted,
    /// `users.toml` of a set-up.
    pub(super) users: Option<String>,
}

impl Given {
    /// `file` names what the `text` behind it is for, `gone` a file that is to go. `there` are the files of now.
    pub(super) fn of(pairs: Pairs, there: &BTreeMap<String, String>) -> Self {
        let (mut given, mut file) = (Self::default(), None);
        for (field, value) in pairs {
            match field.as_str() {
                "base" => given.base = Some(value),
                "users" if !value.is_empty() => given.users = Some(value),
                "file" => file = Some(file_name(&value)),
                "gone" => drop(given.wanted.insert(value, None)),
                "text" => {
                    if let Some(file) = file.take() {
                        let text = with_endings_of(&value, there.get(&file));
                        given.wanted.insert(file, Some(text));
                    }
                }
                _ => {}
            }
        }
        given
    }
}

/// The name of a file as somebody types it: `boiler` is `conf.d/boiler.toml`.
pub(super) fn file_name(typed: &str) -> String {
    let typed = typed.trim();
    if typed.contains(['/', '.']) || typed.is_empty() { typed.to_owned() } else { format!("conf.d/{typed}.toml") }
}

/// A browser ends each line of a text with CR and LF. The file's own lines keep what they end with.
fn with_endings_of(text: &str, old: Option<&String>) -> String {
    let plain = text.replace("\r\n", "\n");
    let all_crlf =
        old.is_some_and(|old| old.contains("\r\n") && old.matches('\n').count() == old.matches("\r\n").count());
    if all_crlf { plain.replace('\n', "\r\n") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_names_files_and_their_lines_end_as_they_did() {
        let pairs = [
            ("csrf", "x"),
            ("base", "b"),
            ("text", "of no file"),
            ("file", "stile.toml"),
            ("text", "a\r\nb\r\n"),
            ("file", "dos.toml"),
            ("text", "a\r\nb"),
            ("gone", "conf.d/c.toml"),
            ("users", ""),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let there =
            BTreeMap::from([("dos.toml".to_owned(), "x\r\n".to_owned()), ("stile.toml".into(), "x\r\ny\n".into())]);
        let given = Given::of(pairs, &there);
        let wanted = Wanted::from([
            ("stile.toml".into(), Some("a\nb\n".into())),
            ("dos.toml".into(), Some("a\r\nb".into())),
            ("conf.d/c.toml".into(), None),
        ]);
        assert_eq!(given, Given { base: Some("b".into()), wanted, users: None });
    }

    #[test]
    fn a_name_alone_is_a_small_file() {
        let names = ["boiler ", "conf.d/a.toml", "stile.toml", ""].map(file_name);
        assert_eq!(names, ["conf.d/boiler.toml", "conf.d/a.toml", "stile.toml", ""]);
    }
}
