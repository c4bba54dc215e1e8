use super::*;

const MAIN: &str = "# Ours.\n[gateway]\nid = \"roof\"\n[[broker.user]]\nname = \"anna\"\npassword = \"s3cret-one\" # keep\n\
    [[uplink]]\nname = \"cloud\"\npassword = 's3cret-two'\n[uplink.tls]\nkey = \"k.pem\"\n[uplink.hub]\nshared-access-key = \"s3cret-six\"\n";
const PLUGIN: &str = "[[plugin]]\nname = \"p\"\nfile = \"p.wasm\"\n[plugin.settings]\nkey = \"s3cret-three\"\nlimit = 3\n\
    names = [\"s3cret-four\"]\n[plugin.settings.inner]\ntoken = \"s3cret-five\"\nshown = \"plain\"\n";
const USERS: &str = "[[user]]\nname = \"berta\"\npassword-hash = \"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$6DPzKexkBPCxTUxUZd2uXg\"\n\
    groups = [\"devices\"]\npublish = []\nsubscribe = []\n";

fn set_up() -> SetUp {
    let texts =
        BTreeMap::from([("stile.toml".to_owned(), MAIN.to_owned()), ("conf.d/p.toml".to_owned(), PLUGIN.to_owned())]);
    SetUp::of("roof", "stile.toml", &texts, Some(USERS.to_owned()))
}

/// As `stile config show` would show them.
fn shown() -> Settings {
    let settings = serde_json::json!({
        "key": MASK, "limit": 3, "names": [MASK], "inner": { "token": MASK, "shown": "plain" },
    });
    let plugin = config::Plugin { settings, ..config::Plugin::new("p", "/p.wasm", "#") };
    Settings { plugin: vec![plugin], ..Settings::default() }
}

#[test]
fn no_secret_is_in_what_anybody_may_read_and_all_else_is() {
    let text = set_up().without_secrets(&shown()).unwrap().to_text();
    assert!(!text.contains("s3cret") && !text.contains("argon2id"), "{text}");
    let back = SetUp::parse(&text, None).unwrap();
    assert_eq!(back.main.lines().next(), Some("# Ours."));
    assert!(back.main.contains(&format!("password = \"{MASK}\" # keep")) && back.main.contains("key = \"k.pem\""));
    assert!(back.small["p.toml"].contains("shown = \"plain\"") && back.small["p.toml"].contains("limit = 3"));
    let lines =
        |name: &str| back.left_out().iter().filter(|(file, _)| file == name).map(|(_, line)| *line).collect::<Vec<_>>();
    assert_eq!((lines("the main file"), lines("conf.d/p.toml")), (vec![6, 9, 13], vec![5, 7, 9]));
    // Of a plugin that is not in force every text may be a secret.
    let text = set_up().without_secrets(&Settings::default()).unwrap().to_text();
    assert!(!text.contains("plain") && !text.contains("s3cret"), "{text}");
}

#[test]
fn secrets_are_left_out_whatever_they_are_and_wherever_they_stand() {
    let text = "[[plugin]]\nname = \"p\"\nfile = \"p.wasm\"\n[plugin.settings]\npin = 4711 # kept\nlimit = 3\nsince = 4712\n\
        [plugin.settings.whole]\nname = \"s3cret-a\"\n[[plugin.settings.remote]]\ntoken = \"s3cret-b\"\nport = 1883\n\
        [[plugin.settings.remote]]\ntoken = \"s3cret-c\"\ncodes = [4713, 4714]\n[[plugin.settings.hidden]]\nat = 4715\n";
    let settings = serde_json::json!({
        "pin": MASK, "limit": 3, "since": MASK, "whole": MASK,
        "remote": [{ "token": MASK, "port": 1883 }, { "token": MASK, "codes": [MASK, MASK] }], "hidden": MASK,
    });
    let plugin = config::Plugin { settings, ..config::Plugin::new("p", "/p.wasm", "#") };
    let shown = Settings { plugin: vec![plugin], ..Settings::default() };
    let masked = masked::settings(text, &shown).unwrap();
    assert!(!masked.contains("s3cret") && !masked.contains("471"), "{masked}");
    assert!(masked.contains(&format!("pin = \"{MASK}\" # kept\nlimit = 3\n")), "{masked}");
    let whole = |name: &str| masked.lines().any(|line| line.starts_with(name) && line.contains(MASK));
    assert!(masked.contains("port = 1883") && whole("whole") && whole("hidden"), "{masked}");
    // What is no text was meant as one.
    let numbers = "[[broker.user]]\nname = \"a\"\npassword = 4711\n[[uplink]]\ntoken = [4712]\n";
    assert!(!masked::settings(numbers, &Settings::default()).unwrap().contains("471"));
    // It can be read, and nothing says of a plugin that is not in force that a number is no secret.
    let nothing_known = masked::settings(&masked, &Settings::default()).unwrap();
    assert!(!nothing_known.contains("1883") && !nothing_known.contains(" 3\n"), "{nothing_known}");
}

#[test]
fn comments_that_look_like_settings_are_left_out_and_texts_that_look_like_comments_stay() {
    let text = "# Ours.\n[gateway]\n# password = \"s3cret\"\nid = \"a # b = c\" # was id=\"s3cret\"\n\
        [[plugin]]\nname = '#=\\'\n";
    let texts = "x = \"\"\"\n# kept = 1\n\\\"\"\"\"\" # s3cret =\ny = '''\n# kept = 2\n'''''\nz = \"\" # s3cret =";
    let masked = masked::settings(&format!("{texts}\n{text}"), &Settings::default()).unwrap();
    assert!(!masked.contains("s3cret"), "{masked}");
    for kept in ["# Ours.\n", "\"a # b = c\"\n", "'#=\\'", "# kept = 1\n", "# kept = 2\n", "z = \"\"\n"] {
        assert!(masked.contains(kept), "{kept}: {masked}");
    }
    let users = format!("# password-hash = \"s3cret\"\n{USERS}");
    assert!(!masked::users(&users).unwrap().contains("s3cret"));
}

#[test]
fn users_come_back_with_their_hashes_or_with_new_passwords() {
    assert_eq!(set_up().user_names().unwrap(), ["berta"]);
    let Users { all, passwords } = set_up().users(Hash::of).unwrap();
    assert_eq!((all.len(), all[0].user.name.as_str(), passwords.len()), (1, "berta", 0));
    let Users { all, passwords } = set_up().without_secrets(&shown()).unwrap().users(Hash::of).unwrap();
    let config::Credential::Hash(hash) = &all[0].user.credential else { panic!("no hash") };
    assert!(hash.verify(passwords["berta"].as_bytes()));
    assert_eq!(all[0].user.allowed.as_ref().unwrap().groups, ["devices"]);
}

#[test]
fn what_is_sealed_opens_with_its_passphrase_alone() {
    let sealed = set_up().seal("correct horse battery").unwrap();
    assert!(!sealed.contains("roof") && !sealed.contains("anna"), "{sealed}");
    assert_eq!(SetUp::parse(&sealed, Some("correct horse battery")).unwrap(), set_up_like(&sealed));
    assert!(matches!(SetUp::parse(&sealed, None), Err(SetUpError::Sealed)));
    assert!(matches!(SetUp::parse(&sealed, Some("correct horse batterY")), Err(SetUpError::NotOpened)));
    assert_ne!(set_up().seal("correct horse battery").unwrap(), sealed, "another salt each time");
    assert!(set_up().seal("short").is_err());
    // Each character of each part counts.
    for part in ["salt", "nonce", "text"] {
        let mut json: serde_json::Value = serde_json::from_str(&sealed).unwrap();
        let text = json[part].as_str().unwrap().to_owned();
        let other = if text.starts_with('A') { "B" } else { "A" };
        json[part] = format!("{other}{}", &text[1..]).into();
        assert!(SetUp::parse(&json.to_string(), Some("correct horse battery")).is_err(), "{part}");
        json[part] = "AAAA".into();
        assert!(SetUp::parse(&json.to_string(), Some("correct horse battery")).is_err(), "{part}");
    }
}

fn set_up_like(sealed: &str) -> SetUp {
    // The time is when it was made.
    let made = SetUp::parse(sealed, Some("correct horse battery")).unwrap().made;
    SetUp { made, ..set_up() }
}

#[test]
fn what_is_no_set_up_is_refused_in_words() {
    for text in
        ["", "{}", "[]", "{\"stile-set-up\":1}", "{\"sealed\":\"x\",\"salt\":\"\",\"nonce\":\"\",\"text\":\"\"}"]
    {
        assert!(SetUp::parse(text, Some("correct horse battery")).is_err(), "{text}");
    }
    let newer = set_up().to_text().replace("\"stile-set-up\": 1", "\"stile-set-up\": 2");
    assert!(SetUp::parse(&newer, None).unwrap_err().to_string().contains("form 2"));
}
