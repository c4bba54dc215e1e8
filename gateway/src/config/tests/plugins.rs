//! Whose plugins run, and where a plugin's settings are written.

use super::super::*;
use super::Folder;
use crate::config::Require;

/// That of RFC 8410, section 10.3.
const KEY: &str = "ed25519:Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

fn said(text: &str) -> String {
    Folder::new(text).load().unwrap_err().to_string()
}

#[test]
fn whoever_names_keys_requires_signatures() {
    let load = |text: &str| Folder::new(text).load().unwrap_or_else(|problems| panic!("{problems}")).settings.plugins;
    assert_eq!(load(""), Trust::default());
    let none_left = load("[plugins.trusted-keys]\n");
    assert_eq!((none_left.require, none_left.trusted_keys.len()), (Require::Signed, 0));
    let keys = format!("[plugins.trusted-keys]\nanna = '{KEY}'");
    let trust = load(&keys);
    assert_eq!((trust.require, trust.trusted_keys["anna"].to_string()), (Require::Signed, KEY.to_owned()));
    assert_eq!(load(&format!("plugins.require = 'nothing'\n{keys}")).require, Require::Nothing);
    assert_eq!(load("plugins.require = 'signed'").require, Require::Signed);
    let settings = Folder::new(&keys).load().unwrap().settings;
    assert!(
        effective(&settings).contains(&format!("[plugins.trusted-keys]\nanna = \"{KEY}\"")),
        "{}",
        effective(&settings)
    );
    let old = Settings { plugins: Trust::default(), ..settings.clone() };
    assert_eq!(diff(&old, &settings), [Change::Plugins]);
}

#[test]
fn a_key_that_is_none_is_refused_where_it_stands() {
    let said = said("[plugins]\nrequire = 'singed'\n[plugins.trusted-keys]\nanna = 'ed25519:AAAA'\n'a b' = 1\nb = 5");
    for part in [
        "2:11: `require` in [plugins] is `singed`, which is not known\n    remedy: write `signed`",
        "4:8: `anna` in [plugins.trusted-keys] is no public key\n    remedy: write what `stile plugin keys` prints",
        "5:1: `a b` in [plugins.trusted-keys] is no name",
        "6:5: `b` in [plugins.trusted-keys] is no public key",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn topics_may_be_left_to_the_manifest_unless_a_failing_plugin_drops() {
    let text = "[[plugin]]\nname = 'a'\nfile = 'b.wasm'\n";
    assert!(Folder::new(text).load().unwrap().settings.plugin[0].topics.is_empty());
    let said = said(&format!("{text}on-failure = 'drop'"));
    assert!(said.contains("4:14: `topics` is missing in [[plugin]]"), "{said}");
}

#[test]
fn plugins_are_in_the_order_that_is_written_and_the_others_come_behind() {
    let plugins = |names: &[&str]| -> String {
        names.iter().map(|name| format!("[[plugin]]\nname = '{name}'\nfile = '{name}.wasm'\n")).collect()
    };
    let all = plugins(&["a", "b", "c", "d"]);
    let loaded = Folder::new(format!("plugins.order = ['c', 'gone', 'a']\n{all}")).load();
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    let names: Vec<_> = loaded.settings.plugin.iter().map(|plugin| plugin.name.as_str()).collect();
    assert_eq!(names, ["c", "a", "b", "d"]);
    let place = loaded.plugins[0].place(["name"]).to_string();
    assert!(place.ends_with("9:8"), "where each is written goes along: {place}");
    let warned: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(warned.iter().any(|said| said.contains("`gone`, and there is no such plugin")), "{warned:?}");
    assert!(effective(&loaded.settings).contains("order = [\"c\", \"a\"]"), "{}", effective(&loaded.settings));
    assert!(said(&format!("plugins.order = ['a', 'a']\n{all}")).contains("has `a` twice"));
}

#[test]
fn the_place_of_a_plugins_setting_is_known_after_it_was_read() {
    let text = "[[plugin]]\nname = 'a'\nfile = 'b.wasm'\n[plugin.settings]\nlist = [1, 2]\ndeep.er = true\n";
    let folder = Folder::new(text);
    let env = [("STILE_PLUGIN__A__SETTINGS__KEY", "x")];
    let loaded = folder.load_with(&env).unwrap_or_else(|problems| panic!("{problems}"));
    let place = |path: &[&str]| loaded.plugins[0].place(path.iter().copied()).to_string();
    let at = |spot: &str| format!("{}:{spot}", folder.path("stile.toml").display());
    assert_eq!(place(&["file"]), at("3:8"));
    assert_eq!(place(&["settings", "list", "1"]), at("5:12"));
    assert_eq!(place(&["settings", "deep", "er"]), at("6:11"));
    assert_eq!(place(&["grants"]), at("1:1"));
    assert_eq!(place(&["settings", "absent"]), place(&["settings"]));
    assert_eq!(place(&["settings", "key"]), "environment variable STILE_PLUGIN__A__SETTINGS__KEY");
}
