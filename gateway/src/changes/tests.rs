use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;
use crate::whole_file;

const OLD: &str = "[gateway]\nid = \"old\"\n";
const NEW: &str = "[gateway]\nid = \"new\"\n[[radio]]\nname = \"a\"\nkind = \"simulated\"\ndevice = \"line\"\n";
const RADIO: &str = "[[radio]]\nname = \"b\"\nkind = \"simulated\"\ndevice = \"line\"\n";

struct Setup {
    dir: tempfile::TempDir,
    changes: Changes,
}

fn setup() -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("stile.toml");
    fs::write(&main, OLD).unwrap();
    fs::set_permissions(&main, fs::Permissions::from_mode(0o640)).unwrap();
    let changes = Changes::of(&main, Vec::new());
    Setup { dir, changes }
}

fn minute() -> Option<Duration> {
    Some(Duration::from_secs(60))
}

fn both() -> Wanted {
    Wanted::from([("stile.toml".into(), Some(NEW.into())), ("conf.d/b.toml".into(), Some(RADIO.into()))])
}

impl Setup {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        config::read_text(&self.path(name)).unwrap()
    }

    fn apply(&self, wanted: &Wanted, within: Option<Duration>) -> Result<(Entry, Checked), ChangeError> {
        self.changes.apply(wanted, "anna", within)
    }

    fn is_old(&self) {
        assert_eq!((self.text("stile.toml").as_deref(), self.text("conf.d/b.toml")), (Some(OLD), None));
    }

    fn is_new(&self) {
        let texts = (self.text("stile.toml"), self.text("conf.d/b.toml"));
        assert_eq!(texts, (Some(NEW.to_owned()), Some(RADIO.to_owned())));
    }

    fn states(&self) -> Vec<State> {
        self.changes.history().unwrap().0.iter().map(|entry| entry.state).collect()
    }

    /// Lets the time of the change that is on trial run out.
    fn run_out(&self) {
        let mut entry = self.changes.pending().unwrap().unwrap();
        entry.trial = Some(Trial::of(Duration::ZERO));
        self.changes.book.write(&entry).unwrap();
    }
}

#[test]
fn a_change_that_is_confirmed_stays_and_is_told_of() {
    let setup = setup();
    let (entry, checked) = setup.apply(&both(), minute()).unwrap();
    assert_eq!((entry.number, entry.by.as_str(), entry.state), (1, "anna", State::Pending));
    assert_eq!(checked.changes.unwrap().len(), 3, "the gateway and two radios");
    setup.is_new();
    assert!(setup.changes.settle(false, None).on_trial.is_some(), "it is still on trial");
    // Another one was meant.
    assert!(matches!(setup.changes.confirm(Some(7), "berta"), Err(ChangeError::OnTrial { number: 1, .. })));
    let returned = setup.changes.give_back_now(Some(7), State::Returned, "by berta");
    assert!(matches!(returned, Err(ChangeError::OnTrial { number: 1, .. })));
    setup.is_new();
    let kept = setup.changes.confirm(Some(1), "berta").unwrap();
    assert_eq!((kept.state, kept.note.as_str()), (State::Kept, "confirmed by berta"));
    let settled = setup.changes.settle(true, None);
    assert!(settled.returned.is_none() && settled.error.is_none());
    setup.is_new();
    assert!(setup.changes.confirm(None, "berta").is_err());
    // Who may read the settings may read it, and no one else.
    let mode = |name: &str| fs::metadata(setup.path(name)).unwrap().mode() & 0o777;
    assert_eq!(
        (mode("stile.toml"), mode("stile.toml.changes/000001.json"), mode("conf.d/b.toml")),
        (0o640, 0o640, 0o640)
    );
}

#[test]
fn a_change_that_nobody_confirms_is_given_back_in_time_and_at_a_start() {
    for at_start in [false, true] {
        let setup = setup();
        setup.apply(&both(), minute()).unwrap();
        if !at_start {
            setup.run_out();
        }
        let settled = setup.changes.settle(at_start, None);
        assert_eq!(settled.returned.map(|entry| entry.state), Some(State::Returned));
        assert!(settled.instead.is_empty() && settled.error.is_none());
        setup.is_old();
        assert_eq!(setup.states(), [State::Returned]);
        // Nothing more happens, and it can't be confirmed any more.
        assert!(setup.changes.settle(true, None).returned.is_none());
        assert!(setup.changes.confirm(None, "anna").is_err());
    }
}

#[test]
fn a_power_cut_at_any_line_leaves_all_of_the_old_or_all_of_the_new() {
    // What may have reached the disk when it came: the entry is first, then the files one by one.
    for (main, radio, half) in
        [(false, false, ""), (false, true, "stile.toml"), (true, false, "conf.d/b.toml"), (true, true, "")]
    {
        let setup = setup();
        setup.apply(&both(), minute()).unwrap();
        if !main {
            fs::write(setup.path("stile.toml"), OLD).unwrap();
        }
        if !radio {
            fs::remove_file(setup.path("conf.d/b.toml")).unwrap();
        }
        if !half.is_empty() {
            fs::write(whole_file::beside(&setup.path(half)), "[gat").unwrap();
        }
        let again = Changes::of(&setup.path("stile.toml"), Vec::new());
        assert!(again.settle(true, None).returned.is_some());
        setup.is_old();
        // The next change is not held up by what was left.
        setup.apply(&both(), minute()).unwrap();
        setup.changes.confirm(None, "anna").unwrap();
        again.settle(true, None);
        setup.is_new();
    }
    // An entry that was not whole is not there.
    let setup = setup();
    setup.apply(&both(), None).unwrap();
    fs::write(setup.path("stile.toml.changes/000002.json.new"), "{\"number\":2").unwrap();
    assert!(setup.changes.settle(true, None).returned.is_none());
    setup.is_new();
}

#[test]
fn a_change_that_was_not_written_to_its_end_can_not_be_confirmed() {
    let setup = setup();
    setup.apply(&both(), minute()).unwrap();
    fs::remove_file(setup.path("conf.d/b.toml")).unwrap();
    let error = setup.changes.confirm(None, "anna").unwrap_err();
    assert!(error.to_string().contains("was not written to its end"), "{error}");
    setup.is_old();
    assert_eq!(setup.states(), [State::Refused]);
}

#[test]
fn files_that_cannot_be_written_are_read_as_they_were() {
    let setup = setup();
    setup.apply(&both(), minute()).unwrap();
    // A folder stands where the new file is made, which root can't write over either.
    let blocked = whole_file::beside(&setup.path("stile.toml"));
    fs::create_dir_all(blocked.join("x")).unwrap();
    let settled = setup.changes.settle(true, None);
    let number = settled.returned.unwrap().number;
    assert!(settled.error.is_some());
    let loaded = config::load_instead(&setup.path("stile.toml"), [], &settled.instead).unwrap();
    assert_eq!((loaded.settings.gateway.id.as_str(), loaded.settings.radio.len()), ("old", 0));
    // And so again by this process, though its time has not run out.
    assert_eq!(setup.changes.settle(false, Some(number)).instead, settled.instead);
    fs::remove_dir_all(blocked).unwrap();
    assert!(setup.changes.settle(false, Some(number)).error.is_none());
    setup.is_old();
    assert_eq!(setup.states(), [State::Returned]);
}

#[test]
fn what_somebody_changed_by_hand_meanwhile_is_left_alone() {
    let setup = setup();
    setup.apply(&both(), minute()).unwrap();
    let by_hand = "[gateway]\nid = \"by-hand\"\n";
    fs::write(setup.path("stile.toml"), by_hand).unwrap();
    let settled = setup.changes.settle(true, None);
    assert_eq!(settled.changed_since, ["stile.toml"]);
    assert_eq!((setup.text("stile.toml").as_deref(), setup.text("conf.d/b.toml")), (Some(by_hand), None));
}

#[test]
fn wrong_settings_are_refused_with_all_that_is_wrong_and_nothing_is_written() {
    let setup = setup();
    let wrong = "[gateway]\nidd = \"x\"\n[broker]\nmax-conections = 1\n";
    let error = setup.apply(&Wanted::from([("stile.toml".into(), Some(wrong.into()))]), minute()).unwrap_err();
    let ChangeError::Wrong(problems) = error else { panic!("{error}") };
    assert_eq!(problems.errors(), 2, "{problems}");
    assert!(problems.to_string().contains("stile.toml:2:1: unknown key `idd`"), "{problems}");
    setup.is_old();
    assert!(!setup.path("stile.toml.changes").exists());
    for name in ["../x.toml", "conf.d/../x.toml", "conf.d/.x.toml", "conf.d/x", "conf.d/a/b.toml", "/etc/x.toml", ""] {
        let error = setup.apply(&Wanted::from([(name.to_owned(), Some(OLD.into()))]), minute()).unwrap_err();
        assert!(error.to_string().contains("no file of the settings"), "{name}: {error}");
    }
    let gone = setup.apply(&Wanted::from([("stile.toml".into(), None)]), minute()).unwrap_err();
    assert!(gone.to_string().contains("can't go"), "{gone}");
    let same = setup.apply(&Wanted::from([("stile.toml".into(), Some(OLD.into()))]), minute()).unwrap_err();
    assert!(same.to_string().contains("say that already"), "{same}");
}

#[test]
fn broken_settings_can_be_mended_without_a_trial_alone() {
    let setup = setup();
    fs::write(setup.path("stile.toml"), "[gateway\n").unwrap();
    let error = setup.apply(&both(), minute()).unwrap_err();
    assert!(error.to_string().contains("nothing to return to"), "{error}");
    let (entry, checked) = setup.apply(&both(), None).unwrap();
    assert_eq!((entry.state, checked.changes), (State::Kept, None));
    setup.is_new();
}

#[test]
fn what_can_not_be_noted_as_kept_is_given_back() {
    let setup = setup();
    let (mut entry, _) = setup.apply(&both(), minute()).unwrap();
    let blocked = setup.path("stile.toml.changes/000001.json.new");
    fs::create_dir_all(blocked.join("x")).unwrap();
    let error = setup.changes.keep(&mut entry).unwrap_err();
    assert!(error.to_string().contains("the settings of before stand"), "{error}");
    setup.is_old();
    // It is found on trial, with nothing left to be written.
    fs::remove_dir_all(blocked).unwrap();
    assert!(setup.changes.settle(true, None).error.is_none());
    assert_eq!(setup.states(), [State::Returned]);
    setup.is_old();
}

#[test]
fn one_change_at_a_time_is_on_trial() {
    let setup = setup();
    setup.apply(&both(), minute()).unwrap();
    let other = Wanted::from([("stile.toml".into(), Some("[gateway]\nid = \"third\"\n".into()))]);
    let error = setup.apply(&other, minute()).unwrap_err();
    assert!(matches!(&error, ChangeError::OnTrial { number: 1, by } if by == "anna"), "{error}");
    // One whose time has run out is given back first.
    setup.run_out();
    let (entry, _) = setup.apply(&other, minute()).unwrap();
    assert_eq!(entry.files["stile.toml"].old.as_deref(), Some(OLD));
    assert_eq!(setup.states(), [State::Pending, State::Returned]);
    setup.changes.give_back_now(None, State::Refused, "the gateway did not take it").unwrap();
    setup.is_old();
    assert_eq!(setup.states(), [State::Refused, State::Returned]);
}

#[test]
fn who_holds_the_lock_for_ever_keeps_no_gateway_from_its_start() {
    let setup = setup();
    setup.apply(&both(), minute()).unwrap();
    let held = File::open(setup.dir.path()).unwrap();
    held.lock().unwrap();
    assert!(setup.changes.settle(true, None).returned.is_some());
    setup.is_old();
    let error = setup.apply(&both(), minute()).unwrap_err();
    assert!(error.to_string().contains("is being changed there"), "{error}");
}

#[test]
fn a_link_stays_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let (etc, data) = (dir.path().join("etc"), dir.path().join("data"));
    fs::create_dir(&etc).unwrap();
    fs::create_dir(&data).unwrap();
    fs::write(data.join("real.toml"), OLD).unwrap();
    symlink(data.join("real.toml"), etc.join("stile.toml")).unwrap();
    let changes = Changes::of(&etc.join("stile.toml"), Vec::new());
    let wanted = Wanted::from([("stile.toml".to_owned(), Some(NEW.to_owned()))]);
    changes.apply(&wanted, "anna", minute()).unwrap();
    assert!(fs::symlink_metadata(etc.join("stile.toml")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(data.join("real.toml")).unwrap(), NEW);
    assert!(data.join("real.toml.changes").exists());
    changes.settle(true, None);
    assert_eq!(fs::read_to_string(data.join("real.toml")).unwrap(), OLD);
}

#[test]
fn any_kept_state_can_be_gone_back_to() {
    let setup = setup();
    let text = |n: u32| format!("[gateway]\nid = \"n{n}\"\n");
    for n in 1..=4 {
        let mut wanted = Wanted::from([("stile.toml".to_owned(), Some(text(n)))]);
        if n == 3 {
            wanted.insert("conf.d/b.toml".into(), Some(RADIO.into()));
        }
        setup.apply(&wanted, if n == 2 { minute() } else { None }).unwrap();
        if n == 2 {
            setup.changes.give_back_now(None, State::Returned, "").unwrap();
        }
    }
    let after = |number| setup.changes.as_after(number).unwrap();
    assert_eq!(
        after(3),
        Wanted::from([("stile.toml".into(), Some(text(3))), ("conf.d/b.toml".into(), Some(RADIO.into()))])
    );
    for same in [1, 2] {
        assert_eq!(after(same), Wanted::from([("stile.toml".into(), Some(text(1))), ("conf.d/b.toml".into(), None)]));
    }
    setup.apply(&after(0), None).unwrap();
    setup.is_old();
    assert!(setup.changes.as_after(99).is_err());
}

#[test]
fn the_history_is_bounded_and_a_damaged_entry_costs_itself() {
    let setup = setup();
    let filler = "#".repeat(600_000);
    for n in 0..60 {
        let text = format!("[gateway]\nid = \"n{n}\"\n{}\n", if n >= 50 { filler.as_str() } else { "" });
        setup.apply(&Wanted::from([("stile.toml".into(), Some(text))]), None).unwrap();
        assert!(setup.states().len() <= 50);
    }
    let weight: u64 =
        fs::read_dir(setup.path("stile.toml.changes")).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(weight <= 8 << 20, "{weight}");
    let before = setup.states().len();
    fs::write(setup.path("stile.toml.changes/000058.json"), "{").unwrap();
    let (entries, unreadable) = setup.changes.history().unwrap();
    assert_eq!((entries.len(), unreadable, entries[0].number), (before - 1, 1, 60));
    // The newest one might have been on trial: that is said, and the settings are read as they are.
    fs::write(setup.path("stile.toml.changes/000060.json"), "{").unwrap();
    let settled = setup.changes.settle(true, None);
    assert!(settled.error.unwrap().contains("damaged") && settled.instead.is_empty());
}

#[test]
fn a_change_of_what_somebody_else_has_changed_meanwhile_is_refused() {
    let setup = setup();
    let seen = stamp(&setup.changes.texts().unwrap());
    let apply = |base: &str| setup.changes.apply_to(Some(base), &both(), "anna", minute());
    fs::write(setup.path("stile.toml"), OLD.replace("old", "other")).unwrap();
    assert!(matches!(apply(&seen), Err(ChangeError::Overtaken)));
    assert_eq!((setup.text("conf.d/b.toml"), setup.states().len()), (None, 0));
    // A file more is another set-up too.
    let seen = stamp(&setup.changes.texts().unwrap());
    fs::create_dir(setup.path("conf.d")).unwrap();
    fs::write(setup.path("conf.d/c.toml"), "").unwrap();
    assert!(matches!(apply(&seen), Err(ChangeError::Overtaken)));
    apply(&stamp(&setup.changes.texts().unwrap())).unwrap();
    setup.is_new();
}

#[test]
fn what_takes_effect_at_the_next_start_alone_is_said() {
    let setup = setup();
    let checked = setup.changes.check(&both()).unwrap();
    assert_eq!((checked.at_next_start, checked.settings.gateway.id.as_str()), (vec!["gateway.id"], "new"));
    let later = format!("{OLD}[log]\nformat = \"json\"\nlevel = \"debug\"\n[broker]\nmax-filters = 7\n");
    let checked = setup.changes.check(&Wanted::from([("stile.toml".into(), Some(later))])).unwrap();
    assert_eq!(checked.at_next_start, ["log.format", "broker.max-filters"]);
}

#[test]
fn files_that_a_whole_set_up_does_not_have_go() {
    let setup = setup();
    setup.apply(&both(), None).unwrap();
    let wanted = setup.changes.all(OLD, &BTreeMap::from([("c.toml".into(), RADIO.into())])).unwrap();
    let expected = [
        ("conf.d/b.toml".to_owned(), None),
        ("conf.d/c.toml".to_owned(), Some(RADIO.to_owned())),
        ("stile.toml".to_owned(), Some(OLD.to_owned())),
    ];
    assert_eq!(wanted, expected.into());
    assert_eq!(setup.changes.name_of(&setup.path("conf.d/c.toml")), "conf.d/c.toml");
    assert_eq!(setup.changes.name_of(&setup.path("stile.toml")), "stile.toml");
}

#[test]
fn a_gateway_hears_of_a_trial_and_of_its_end_and_what_it_does_not_take_is_given_back() {
    let setup = setup();
    let heard = std::cell::Cell::new(0);
    let hears = || {
        heard.set(heard.get() + 1);
        Ok(())
    };
    let (entry, _) = setup.apply(&both(), minute()).unwrap();
    setup.changes.have_taken(entry.number, hears).unwrap();
    assert_eq!((heard.get(), setup.states()), (1, vec![State::Pending]));
    assert_eq!(setup.changes.confirm_and_tell(None, "anna", hears).unwrap(), entry.number);
    assert_eq!((heard.get(), setup.states()), (2, vec![State::Kept]));
    setup.is_new();
    let other = Wanted::from([("stile.toml".into(), Some(OLD.into()))]);
    let (entry, _) = setup.apply(&other, minute()).unwrap();
    let refused = setup.changes.have_taken(entry.number, || Err("it is busy".to_owned())).unwrap_err();
    assert!(refused.to_string().ends_with("is given back, for the gateway did not take it: it is busy"), "{refused}");
    setup.is_new();
    assert_eq!(setup.states(), [State::Refused, State::Kept]);
}
