//! Holds the source against the two tables of ARCHITECTURE.md: what each room may import, and where each library may
//! be named. Reads files only.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every source file of the daemon by its path below `gateway/src`.
fn sources() -> BTreeMap<String, String> {
    fn collect(folder: &Path, base: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, base, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(base).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let base = root().join("gateway/src");
    let mut found = BTreeMap::new();
    collect(&base, &base, &mut found);
    found
}

/// What the last column of a table allows.
#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    Everything,
    These(BTreeSet<String>),
}

impl Allowed {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::These(names) => names.contains(name),
        }
    }
}

fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The table that begins with `header`: names of the first column, and what the last one says of them.
fn table(page: &str, header: &str) -> BTreeMap<String, Allowed> {
    let rows =
        page.lines().skip_while(|line| !line.starts_with(header)).skip(2).take_while(|line| line.starts_with('|'));
    let mut found = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (first, last) = (cells.first().unwrap(), cells.last().unwrap());
        for name in quoted(first) {
            let allowed = match *last {
                "everything" | "everywhere" => Allowed::Everything,
                "nothing" => Allowed::These(BTreeSet::new()),
                list => Allowed::These(quoted(list).collect()),
            };
            assert!(allowed != Allowed::These(BTreeSet::new()) || *last == "nothing", "no name in the row {row}");
            assert!(found.insert(name, allowed).is_none(), "twice: {row}");
        }
    }
    assert!(!found.is_empty(), "ARCHITECTURE.md has no table {header}");
    found
}

/// The room that a file belongs to: `broker/hub.rs` and `broker.rs` to `broker`.
fn room(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The code of a file, without comments and without what stands in quotes.
fn code(text: &str) -> String {
    let bare = text.lines().map(|line| line.split("//").next().unwrap());
    bare.map(|line| line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")).collect::<Vec<_>>().join("\n")
}

/// The rooms that follow `crate::` in a piece of code: one, or several in braces, perhaps with braces of their own.
fn named_behind(rest: &str) -> Vec<String> {
    let word = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(list) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ if depth == 0 => parts.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    parts.iter().map(|part| word(part)).collect()
}

/// Every room that the code names, whether in `use` or in a path. Types at the crate's root belong to `lib`.
fn imports(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let named = code.split("crate::").skip(1).flat_map(named_behind).filter(|name| !name.is_empty());
    named.map(|name| if name.starts_with(char::is_uppercase) { "lib".to_owned() } else { name }).collect()
}

/// `use super::...` that climbs out of its room, where `crate::` should stand.
fn climbs(file: &str, text: &str) -> bool {
    let in_file = file.trim_end_matches("mod.rs").trim_end_matches(".rs").split('/').filter(|part| !part.is_empty());
    let depth = in_file.count();
    text.lines().any(|line| {
        let trimmed = line.trim_start();
        let inside = (line.len() - trimmed.len()) / 4;
        let supers = trimmed.split("use ").nth(1).map_or(0, |path| path.matches("super::").count());
        supers >= depth + inside && supers > 0
    })
}

/// Everything that the rooms' table does not allow.
fn wrong_imports(rooms: &BTreeMap<String, Allowed>, sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, text) in sources {
        let own = room(file);
        let Some(allowed) = rooms.get(own) else {
            wrong.push(format!("{file}: the room `{own}` is not in the table"));
            continue;
        };
        let others = imports(text).into_iter().filter(|name| name != own && !allowed.has(name));
        wrong.extend(others.map(|name| format!("{file}: `{own}` may not import `{name}`")));
        if climbs(file, text) {
            wrong.push(format!("{file}: `super::` leads out of the room; write `crate::`"));
        }
    }
    wrong
}

/// Whether the code names a crate: `name::...` or `use name;`, with nothing in front that makes it another name.
fn names(code: &str, library: &str) -> bool {
    code.match_indices(library).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + library.len()..];
        let whole = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        whole && (after.starts_with("::") || (after.starts_with([';', ' ']) && code[..at].ends_with("use ")))
    })
}

/// Everything that the libraries' table does not allow. A place is a file, or a folder with a slash at its end.
fn wrong_names(libraries: &BTreeMap<String, Allowed>, sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, text) in sources {
        let code = code(text);
        for (library, allowed) in libraries {
            let Allowed::These(places) = allowed else { continue };
            let at_home = places.iter().any(|place| file == place || (place.ends_with('/') && file.starts_with(place)));
            if !at_home && names(&code, library) {
                wrong.push(format!("{file}: `{library}` may be named only in {places:?}"));
            }
        }
    }
    wrong
}

fn page() -> String {
    std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

#[test]
fn every_room_imports_only_what_it_may_know() {
    let wrong = wrong_imports(&table(&page(), "| Room |"), &sources());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_room_of_the_table_is_there() {
    let there: BTreeSet<_> = sources().keys().map(|file| room(file).to_owned()).collect();
    let listed: BTreeSet<_> = table(&page(), "| Room |").into_keys().collect();
    assert_eq!(listed, there);
}

#[test]
fn every_library_is_named_only_in_its_room() {
    let wrong = wrong_names(&table(&page(), "| Library |"), &sources());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_dependency_has_its_row_and_the_fences_stand() {
    let manifest = std::fs::read_to_string(root().join("gateway/Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names = section.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let names = names.map(|line| line.split(['.', ' ', '=']).next().unwrap().replace('-', "_"));
    let rows = table(&page(), "| Library |");
    assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), names.collect::<BTreeSet<_>>());
    let only = |place: &str| Allowed::These(BTreeSet::from([place.to_owned()]));
    assert_eq!(rows["rumqttd"], only("broker/router.rs"));
    assert_eq!(rows["axum"], only("admin/"));
}

fn one_file(name: &str, text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), text.to_owned())])
}

#[test]
fn an_import_that_is_not_allowed_is_found_however_it_is_written() {
    let rooms =
        table("| Room | May import |\n|---|---|\n| `message` | nothing |\n| `radio` | `message` |\n", "| Room |");
    let wrong = |file: &str, text: &str| wrong_imports(&rooms, &one_file(file, text)).len();
    assert_eq!(wrong("radio/a.rs", "use crate::message::Topic;\nuse crate::radio::b;\n// crate::broker::Hub\n"), 0);
    assert_eq!(wrong("radio/a.rs", "use super::b;\nmod tests {\n    use super::super::c;\n}\n"), 0);
    assert_eq!(wrong("radio/a.rs", "use crate::broker::Hub;\n"), 1);
    assert_eq!(wrong("radio/a.rs", "use crate::{\n    broker::Hub,\n    message,\n};\n"), 1);
    assert_eq!(wrong("radio/a.rs", "use crate::{\n    message::{Topic, Clock},\n    broker::Hub,\n};\n"), 1);
    assert_eq!(wrong("radio/a.rs", "fn f() { crate::admin::bind(); }\n"), 1);
    assert_eq!(wrong("radio/a.rs", "use crate::Gateway;\n"), 1);
    assert_eq!(wrong("radio/a.rs", "use super::super::broker;\n"), 1);
    assert_eq!(wrong("radio/mod.rs", "pub use super::broker;\n"), 1);
    assert_eq!(wrong("message.rs", "use crate::radio;\n"), 1);
    assert_eq!(wrong("attic/mod.rs", ""), 1);
}

#[test]
fn a_library_outside_its_room_is_found() {
    let text = "| Library | Named in |\n|---|---|\n| `rumqttd` | `broker/router.rs` |\n| `axum` | `admin/` |\n";
    let libraries = table(text, "| Library |");
    let wrong = |file: &str, text: &str| wrong_names(&libraries, &one_file(file, text)).len();
    assert_eq!(wrong("broker/router.rs", "use rumqttd::Router;\n"), 0);
    assert_eq!(wrong("admin/live.rs", "fn f(_: axum::Json<u8>) {}\n"), 0);
    assert_eq!(wrong("broker/mod.rs", "//! Names rumqttd::Router.\nuse router::rumqttd_like::X;\n"), 0);
    assert_eq!(wrong("broker/hub.rs", "use rumqttd::Router;\n"), 1);
    assert_eq!(wrong("radio/mod.rs", "fn f(_: axum::Json<u8>) {}\n"), 1);
    assert_eq!(wrong("radio/mod.rs", "use axum as web;\nuse rumqttd;\n"), 2);
}
