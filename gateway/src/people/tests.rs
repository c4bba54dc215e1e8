use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn hash() -> Hash {
    Hash::parse("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$6DPzKexkBPCxTUxUZd2uXg").unwrap()
}

#[test]
fn people_and_tokens_are_read_back_and_only_the_owner_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = PeopleFile::of(dir.path());
    assert_eq!(file.read().unwrap(), People::default());
    let (secret, written) = file
        .change(|people| {
            people.add("ä \"b\"", Role::Admin, hash())?;
            people.add("b", Role::Viewer, hash())?;
            people.add_token("prometheus", Role::Metrics, Some("b"))
        })
        .unwrap();
    assert!(secret.starts_with(TOKEN_MARK) && secret.len() == 46, "{secret}");
    assert_eq!(file.read().unwrap(), written);
    let text = fs::read_to_string(file.path()).unwrap();
    assert!(!text.contains(&secret) && text.contains(&digest(&secret)));
    assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_last_admin_stays() {
    let mut people = People::default();
    people.add("a", Role::Admin, hash()).unwrap();
    people.add("b", Role::Operator, hash()).unwrap();
    assert!(people.clone().remove("a").is_err() && people.clone().change("a", |a| a.role = Role::Viewer).is_err());
    assert!(people.clone().remove("nobody").is_err());
    people.change("b", |b| b.role = Role::Admin).unwrap();
    people.remove("a").unwrap();
    assert_eq!(people.person.len(), 1);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_never_repeated_or_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let file = PeopleFile::of(dir.path());
    let good = format!("[[person]]\nname = \"a\"\nrole = \"admin\"\npassword-hash = \"{}\"\n", hash().expose());
    let twice = format!("{good}{good}");
    for (text, place) in [
        ("[[person]]\nname = \"a\"\nrole = \"admin\"\npassword-hash = \"s3cret\"\n", "people.toml:4: "),
        ("[[person]]\nname = \"a\"\n", "people.toml:1: "),
        ("[[persn]]\n", "people.toml:1: "),
        (&good.replace("admin", "metrics"), "for tokens alone"),
        (&twice, "stands there twice"),
    ] {
        fs::write(file.path(), text).unwrap();
        let said = file.read().unwrap_err();
        assert!(said.contains(place) && !said.contains("s3cret"), "{said}");
        assert!(file.change(|people| people.add("b", Role::Viewer, hash())).is_err());
        assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
    }
}

#[test]
fn names_and_passwords_have_their_lengths() {
    for wrong in ["", " a", "a\n", &"x".repeat(65)] {
        assert!(check_name(wrong).is_err(), "{wrong:?}");
    }
    assert!(check_name("Anna Müller").is_ok());
    assert!(check_password("ninechars").is_err() && check_password(&"x".repeat(1025)).is_err());
    assert!(check_password("tenletters").is_ok());
}
