//! From rows to cards.

use std::os::unix::fs::MetadataExt;

use super::*;

const SETTINGS: &str = "[[uplink]]\nname = \"cloud\"\nurl = \"mqtt://broker.example:1883\"\nuser = \"x\"\n\
    password-file = \"/run/credentials/stile.service/stile_cloud\"\ntopics = [{ filter = \"#\" }]\n";

fn plan(rows: &str, template: &str, settings: Option<&str>) -> Result<Vec<Card>, Vec<String>> {
    let fleet = Fleet {
        csv: Path::new("g.csv"),
        rows,
        template: (Path::new("t.toml"), template),
        settings: settings.map(|text| (Path::new("s.toml"), text)),
    };
    fleet.plan().map_err(|error| match error {
        FleetError::Wrong(lines) => lines,
        FleetError::System(why) => panic!("{why}"),
    })
}

#[test]
fn each_row_makes_a_card_with_codes_and_secrets_of_its_own() {
    let rows = "id,host-name,ethernet.address,ethernet.dns,admin.setup-code,secrets.cloud,stile.broker.max-connections\n\
                roof,,192.0.2.10/24,192.0.2.1|192.0.2.2,*,*,50\n\
                cellar,low,,,\"abcd-efgh-jkmn\",given,\n";
    let cards = plan(rows, "# all\ntime-zone = \"UTC\"\n", Some(SETTINGS)).unwrap();
    let [roof, cellar] = &cards[..] else { panic!("{cards:?}") };
    let read = |card: &Card| config::parse_provision(Path::new("p"), &card.provision).unwrap();
    assert_eq!((read(roof).host_name.as_deref(), read(cellar).host_name.as_deref()), (Some("roof"), Some("low")));
    assert!(roof.provision.starts_with("# all\ntime-zone = \"UTC\"\n"), "{}", roof.provision);
    let made_up: BTreeMap<_, _> = roof.made_up.iter().cloned().collect();
    assert_eq!(read(roof).secrets["cloud"].expose(), made_up["secrets.cloud"]);
    assert_eq!((cellar.made_up.len(), read(cellar).secrets["cloud"].expose()), (0, "given"));
    for (card, code) in [(roof, &*made_up["admin.setup-code"]), (cellar, "abcd-efgh-jkmn")] {
        assert!(!card.provision.contains(code), "{}", card.provision);
        let Some(SetupCode::Hash(hash)) = read(card).setup_code else { panic!("{}", card.provision) };
        assert!(hash.verify(password::typed_code(code).as_bytes()));
    }
    let settings = roof.settings.as_ref().unwrap();
    assert!(settings.contains("id = \"roof\"") && settings.contains("max-connections = 50"), "{settings}");
}

#[test]
fn a_modem_has_its_access_point_and_pin_from_columns() {
    let rows = "id,modem.apn,modem.port,modem.pin\nroof,internet,/dev/ttyUSB2,0123\ncellar,,,\n";
    let cards = plan(rows, "", Some("")).unwrap();
    let read = |card: &Card| config::parse_provision(Path::new("p"), &card.provision).unwrap();
    let (roof, cellar) = (read(&cards[0]), read(&cards[1]));
    assert_eq!((roof.modem.unwrap().apn.as_str(), roof.secrets["modem-pin"].expose()), ("internet", "0123"));
    assert_eq!((cellar.modem, cellar.secrets.len()), (None, 0));
    let said = plan(&rows.replace("0123", "01"), "", None).unwrap_err().join("\n");
    assert!(said.contains("g.csv:2: column `modem.pin`: `pin` in [modem] can't be") && !said.contains("01`"), "{said}");
    let other = "[[radio]]\nname = \"modem\"\nkind = \"cellular\"\ndevice = \"/dev/ttyUSB3\"\n";
    let said = plan(rows, "", Some(other)).unwrap_err().join("\n");
    assert!(said.contains("g.csv:2: column `modem.apn`: "), "{said}");
}

#[test]
fn all_that_is_wrong_is_told_by_row_and_column_and_what_is_wrong_everywhere_once() {
    let rows = "id;wifi.ssid;wifi.country;wifi.pasword;stile.broker.max-connections\n\
                a;Net;AT;long enough;1\nb;Net;at;long enough;0\nA;Net;AT;long enough;1\nc d;Net;AT;;many\n";
    let said = plan(rows, "", Some("")).unwrap_err().join("\n");
    for expected in [
        "g.csv:2: column `wifi.pasword`: unknown key `pasword` in [wifi]",
        "and in 2 more row(s)",
        "g.csv:3: column `wifi.country`",
        "g.csv:5: column `id`: is no id",
        "g.csv:5: column `host-name`: `host-name` in provision.toml is `c d`",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let said = plan("id,stile.broker.max-connections\na,0\nb,1\nB,2\n", "", Some("")).unwrap_err().join("\n");
    assert!(said.contains("g.csv:2: column `stile.broker.max-connections`: `max-connections`"), "{said}");
    assert!(said.contains("g.csv: column `id`: `b` is there 2 times"), "{said}");
    for (rows, template, settings, expected) in [
        ("host-name\na\n", "", None, "no column `id`"),
        ("id,id\na,b\n", "", None, "twice"),
        ("id,\na,b\n", "", None, "column 2 has no name"),
        ("id\n", "", None, "0 rows"),
        ("id,wifi.ssid\na\n", "", None, "g.csv:2: "),
        ("id\na\n", "hostname = \"x\"", None, "t.toml:1:1: unknown key"),
        ("id\na\n", "", Some("[brokr]"), "s.toml:1:2: unknown key"),
        ("id\na\n", "", Some(SETTINGS), "cannot be read"),
        ("id,stile.log.level\na,info\n", "", None, "none are named"),
        ("id,time-zone.x\na,b\n", "time-zone = \"UTC\"", None, "no table"),
    ] {
        let said = plan(rows, template, settings).unwrap_err().join("\n");
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn cards_are_for_their_owner_alone_and_are_written_into_a_new_folder() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("cards");
    let cards = plan("id,secrets.cloud,note\na,*,\n", "", None).unwrap();
    write(&cards, &out).unwrap();
    for (name, mode) in [("", 0o700), ("a", 0o700), ("a/provision.toml", 0o600), (LIST, 0o600)] {
        assert_eq!(fs::metadata(out.join(name)).unwrap().mode() & 0o777, mode, "{name}");
    }
    let list = fs::read_to_string(out.join(LIST)).unwrap();
    assert_eq!(list, format!("id,host-name,secrets.cloud\na,a,{}\n", cards[0].made_up[0].1));
    assert!(matches!(write(&cards, &out), Err(FleetError::System(why)) if why.contains("not empty")));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    // Of a run that was cut off.
    let (other, new) = (dir.path().join("other"), dir.path().join("other.new"));
    fs::create_dir(&new).unwrap();
    assert!(matches!(write(&cards, &other), Err(FleetError::System(why)) if why.contains("remove it")));
    assert!(new.is_dir() && !other.exists(), "another run may be writing it");
}
