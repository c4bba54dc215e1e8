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
fn users_come_back_with_their_hashes_or_with_new_passwords() {
    let Users { all, passwords } = set_up().users().unwrap();
    assert_eq!((all.len(), all[0].user.name.as_str(), passwords.len()), (1, "berta", 0));
    let Users { all, passwords } = set_up().without_secrets(&shown()).unwrap().users().unwrap();
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
