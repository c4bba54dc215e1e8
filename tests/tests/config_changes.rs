//! Changes of the settings by the command line: in force at once, on trial, given back by themselves, over crashes too.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use stile_tests::{Random, Stile, check, command, within};

const RADIO: &str = "[[radio]]\nname = \"new\"\nkind = \"simulated\"\ndevice = \"line\"\n";

/// A running gateway, and the settings that a test wants next.
struct Setup {
    stile: Stile,
}

fn setup() -> Setup {
    Setup { stile: Stile::start("") }
}

impl Setup {
    fn path(&self, name: &str) -> PathBuf {
        self.stile.dir.path().join(name)
    }

    fn main(&self) -> String {
        self.path("stile.toml").to_str().unwrap().to_owned()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path("stile.toml")).unwrap()
    }

    /// Writes settings that have this too, and gives the file.
    fn wanted(&self, rest: &str) -> String {
        let path = self.path("wanted.toml");
        std::fs::write(&path, Stile::settings(self.stile.dir.path(), "", rest)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `stile config VERB ...`: its exit code, and all that it says.
    fn config(&self, arguments: &[&str]) -> (i32, String) {
        let main = self.main();
        let all: Vec<&str> = ["config"].iter().chain(arguments).copied().chain(["--config", main.as_str()]).collect();
        let (code, out, error) = check(&all);
        (code, out + &error)
    }

    fn has_radio(&self) -> bool {
        self.stile.get("/metrics").1.contains("stile_radio_online{radio=\"new\"}")
    }
}

#[test]
fn a_change_is_in_force_at_once_and_comes_back_by_itself() {
    let setup = setup();
    let old = setup.text();
    let (code, said) = setup.config(&["apply", &setup.wanted(RADIO), "--confirm-within", "5s"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("radio new: new\n") && said.contains("change 1 is in force, on trial for 5s"), "{said}");
    assert!(setup.has_radio() && setup.text() != old);
    let told = setup.stile.wait_log("a change of the settings was not confirmed; those of before are in force");
    assert_eq!((told["number"].as_u64(), told["why"].as_str()), (Some(1), Some("nobody confirmed it in time")));
    within("the radio is gone", || (!setup.has_radio()).then_some(()));
    assert_eq!(setup.text(), old);
    let (code, said) = setup.config(&["confirm"]);
    assert!(code == 1 && said.contains("no change is on trial"), "{said}");
    let (_, said) = setup.config(&["history"]);
    assert!(said.contains("returned: nobody confirmed it in time"), "{said}");
}

#[test]
fn a_change_that_is_confirmed_outlives_its_time_and_a_crash() {
    let mut setup = setup();
    let wanted = setup.wanted(RADIO);
    assert_eq!(setup.config(&["apply", &wanted, "--confirm-within", "5s"]).0, 0);
    let (code, said) = setup.config(&["confirm"]);
    assert_eq!((code, said.as_str()), (0, "change 1 is kept\n"));
    // It takes the time of the trial to see that nothing comes of it.
    std::thread::sleep(Duration::from_secs(6));
    assert!(setup.has_radio());
    setup.stile.kill_and_start();
    assert!(setup.has_radio());
    assert_eq!(setup.text(), std::fs::read_to_string(wanted).unwrap());
}

#[test]
fn a_gateway_that_ends_in_the_trial_starts_with_the_settings_of_before() {
    let mut setup = setup();
    let old = setup.text();
    assert_eq!(setup.config(&["apply", &setup.wanted(RADIO), "--confirm-within", "1h"]).0, 0);
    setup.stile.kill_and_start();
    let told = setup.stile.wait_log("a change of the settings was not confirmed; those of before are in force");
    assert_eq!(told["why"].as_str(), Some("the gateway was started anew"));
    assert!(!setup.has_radio());
    assert_eq!(setup.text(), old);
}

#[test]
fn the_end_of_a_trial_that_can_not_be_taken_is_tried_again() {
    let setup = setup();
    // A port of the settings of before, which somebody else has when they are to come back.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap();
    drop(free);
    let without = setup.text();
    let path = setup.path("wanted.toml");
    let with = without.replace("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"127.0.0.1:0\", \"{port}\"]"));
    std::fs::write(&path, with).unwrap();
    let (code, said) = setup.config(&["apply", path.to_str().unwrap(), "--no-trial"]);
    assert_eq!(code, 0, "{said}");
    std::fs::write(&path, without + RADIO).unwrap();
    let (code, said) = setup.config(&["apply", path.to_str().unwrap(), "--confirm-within", "5s"]);
    assert_eq!(code, 0, "{said}");
    let other = within("the port is free", || TcpListener::bind(port).ok());
    setup.stile.wait_log("reload refused; the old settings go on");
    assert!(setup.has_radio());
    drop(other);
    within("the settings of before are in force", || (!setup.has_radio()).then_some(()));
}

#[test]
fn a_second_gateway_does_not_give_back_what_the_first_has_on_trial() {
    let setup = setup();
    let (code, said) = setup.config(&["apply", &setup.wanted(RADIO), "--confirm-within", "1h"]);
    assert_eq!(code, 0, "{said}");
    let new = setup.text();
    let (code, _, said) = check(&["run", "--config", &setup.main()]);
    assert!(code == 1 && said.contains("belongs to another gateway that runs as process"), "{said}");
    assert_eq!(setup.text(), new);
    let (code, said) = setup.config(&["confirm"]);
    assert_eq!((code, said.as_str()), (0, "change 1 is kept\n"));
}

#[test]
fn what_the_gateway_does_not_take_is_given_back_at_once() {
    let setup = setup();
    let old = setup.text();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap();
    let path = setup.path("wanted.toml");
    let text = old.replace("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"127.0.0.1:0\", \"{port}\"]"));
    std::fs::write(&path, text + RADIO).unwrap();
    let (code, said) = setup.config(&["apply", path.to_str().unwrap()]);
    assert!(code == 1 && said.contains("change 1 is given back") && said.contains(&port.to_string()), "{said}");
    assert_eq!(setup.text(), old);
    assert!(!setup.has_radio());
    // Wrong settings never get that far, and everything that is wrong is said.
    std::fs::write(&path, "[gateway]\nidd = 1\n[log]\nlevel = \"loud\"\n").unwrap();
    let (code, said) = setup.config(&["apply", path.to_str().unwrap()]);
    assert!(code == 78 && said.contains("stile.toml:2:1") && said.contains("stile.toml:4:9"), "{said}");
    assert_eq!(setup.text(), old);
}

#[test]
fn files_that_can_not_be_written_do_not_keep_a_change_in_force() {
    let setup = setup();
    let (code, said) = setup.config(&["apply", &setup.wanted(RADIO), "--confirm-within", "5s"]);
    assert_eq!(code, 0, "{said}");
    // As under the service's sandbox, but so that root can't either.
    let blocked = setup.path("stile.toml.new");
    std::fs::create_dir_all(blocked.join("x")).unwrap();
    setup.stile.wait_log("a change can't be given back in its files; the gateway reads the old texts instead");
    within("the radio is gone", || (!setup.has_radio()).then_some(()));
    let new = setup.text();
    assert!(new.contains(RADIO));
    std::fs::remove_dir_all(blocked).unwrap();
    // The next verb that may write mends it.
    let (code, said) = setup.config(&["apply", &setup.wanted("# other\n"), "--no-trial"]);
    assert_eq!(code, 0, "{said}");
    assert!(!setup.text().contains(RADIO) && !setup.has_radio());
}

#[test]
fn the_history_says_who_and_what_and_leads_back() {
    let setup = setup();
    let old = setup.text();
    let path = setup.path("radio.toml");
    std::fs::write(&path, RADIO).unwrap();
    let arguments = ["apply", path.to_str().unwrap(), "--as", "conf.d/radio.toml"];
    let (code, said) = setup.config(&[&arguments[..], &["--dry-run"]].concat());
    assert!(code == 0 && said.contains("+name = \"new\"") && !setup.path("conf.d").exists(), "{said}");
    let (code, said) = setup.config(&[&arguments[..], &["--no-trial"]].concat());
    assert_eq!((code, said.as_str()), (0, "radio new: new\nchange 1 is in force and kept\n"));
    let (_, said) = setup.config(&["diff"]);
    assert!(said.starts_with("--- /dev/null\n+++ conf.d/radio.toml\n") && said.contains("+name = \"new\""), "{said}");
    let (code, said) = setup.config(&["restore", "0"]);
    assert!(code == 0 && said.contains("radio new: gone"), "{said}");
    assert!(!setup.has_radio() && !setup.path("conf.d/radio.toml").exists());
    let (code, said) = setup.config(&["apply", path.to_str().unwrap(), "--as", "conf.d/other.toml"]);
    assert!(code == 1 && said.contains("change 2 by") && said.contains("is on trial"), "{said}");
    let (code, said) = setup.config(&["return"]);
    assert_eq!((code, said.as_str()), (0, "change 2 is given back\n"));
    assert!(setup.has_radio());
    let (_, said) = setup.config(&["history"]);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("2 ") && lines[1].contains("kept: confirmed by"), "{said}");
    assert_eq!(setup.text(), old);
}

#[test]
fn without_a_gateway_a_change_is_written_and_kept() {
    let mut setup = setup();
    setup.stile.kill();
    let (code, said) = setup.config(&["apply", &setup.wanted(RADIO)]);
    assert!(code == 0 && said.contains("change 1 is kept: no gateway is running here"), "{said}");
    setup.stile.start_again();
    assert!(setup.has_radio());
}

/// `KILL_ROUNDS` makes it longer, `KILL_SEED` repeats it.
#[test]
fn killed_at_any_moment_the_settings_are_those_of_before_or_those_that_were_confirmed() {
    let rounds: u64 = std::env::var("KILL_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let mut random = Random::new(Random::seed_from("KILL_SEED"));
    let mut setup = setup();
    let mut kept = setup.text();
    for round in 0..rounds {
        let wanted = setup.wanted(&format!("{RADIO}# {round}\n"));
        let new = std::fs::read_to_string(&wanted).unwrap();
        let main = setup.main();
        // Both may be killed anywhere: the command line while it writes, the gateway while it takes the change.
        let mut verb = command();
        verb.args(["config", "apply", &wanted, "--config", &main]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut verb = verb.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.below(60)));
        verb.kill().unwrap();
        verb.wait().unwrap();
        let text = setup.text();
        assert!(text == kept || text == new, "round {round}: no half of a file");
        let confirmed = random.below(2) == 0 && setup.config(&["confirm"]).0 == 0;
        setup.stile.kill_and_start();
        if confirmed {
            kept = new;
        }
        assert_eq!(setup.text(), kept, "round {round}, confirmed: {confirmed}");
    }
}
