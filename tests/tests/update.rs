//! `stile update`, against the real RAUC on a bus of its own; and the script by which RAUC and the boot loader agree.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::process::{Command, Stdio};

use stile_tests::appliance::{Appliance, BootSlots, image_of};
use stile_tests::{check, or_skip, within};

/// What would have these tests run.
const NEEDS: &str = "a machine whose root may mount files (RAUC, D-Bus)";

#[test]
fn a_newer_system_is_installed_tried_and_kept() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let bundle = appliance.bundle("9.0.0", "amd64", "keys");
    let (code, said, wrong) = appliance.stile(&["update", bundle.to_str().unwrap()]);
    assert_eq!((code, wrong.as_str()), (0, ""), "{said}");
    assert!(said.contains("9.0.0 is installed") && said.contains(": reboot") && said.contains(" % "), "{said}");
    assert!(appliance.content("B").starts_with(&image_of("9.0.0")));
    let status = |appliance: &Appliance| appliance.stile(&["update", "status"]).1;
    assert!(status(&appliance).contains("another system starts next"), "{}", status(&appliance));

    assert_eq!(appliance.boot(), "B");
    assert!(status(&appliance).contains("runs, starts next, on trial"), "{}", status(&appliance));
    let (code, said, wrong) = appliance.stile(&["update", "good"]);
    assert_eq!((code, said.as_str()), (0, "B, version 9.0.0, is good\n"), "{wrong}");
    assert!(!status(&appliance).contains("on trial"), "{}", status(&appliance));
    // Found good at each start, it is started for ever.
    for _ in 0..5 {
        assert_eq!(appliance.boot(), "B");
        appliance.stile(&["update", "good"]);
    }
    // A fault of today is no reason to go back to what ran long ago.
    let (code, said, _) = appliance.stile(&["update", "bad", "--on-trial"]);
    assert_eq!((code, said.as_str()), (0, "the running system is not on trial: it stays\n"));
    assert_eq!(appliance.boot(), "B");
}

#[test]
fn what_is_older_for_another_machine_damaged_or_by_strangers_changes_nothing() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let newer = appliance.bundle("9.1.0", "amd64", "keys");
    assert_eq!(appliance.stile(&["update", newer.to_str().unwrap()]).0, 0);
    assert_eq!(appliance.boot(), "B");
    let before = (appliance.slots.read(), appliance.content("A"));

    let older = appliance.bundle("9.0.9", "amd64", "keys");
    let damaged = appliance.path().join("damaged.raucb");
    let mut bytes = std::fs::read(appliance.bundle("9.3.0", "amd64", "keys")).unwrap();
    bytes[4096] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let cases = [
        (older.clone(), "older than 9.1.0"),
        (appliance.bundle("9.2.0", "arm64", "keys"), "is for stile-arm64, and this machine is stile-amd64"),
        (appliance.bundle("9.2.0", "amd64", "strangers"), "RAUC says"),
        (damaged, "RAUC says"),
        (appliance.path().join("nowhere.raucb"), "can't be read"),
    ];
    for (bundle, words) in cases {
        let (code, said, wrong) = appliance.stile(&["update", bundle.to_str().unwrap()]);
        assert_eq!(code, 1, "{}: {said}", bundle.display());
        assert!(wrong.contains(words), "{}: {wrong}", bundle.display());
    }
    let (code, _, wrong) = appliance.stile(&["update", "http://127.0.0.1:1/a.raucb"]);
    assert!(code == 1 && wrong.contains("RAUC says"), "{wrong}");
    assert!((appliance.slots.read(), appliance.content("A")) == before);

    let (code, said, wrong) = appliance.stile(&["update", "--allow-older", older.to_str().unwrap()]);
    assert_eq!((code, wrong.as_str()), (0, ""), "{said}");
    assert_eq!(appliance.boot(), "A");
    assert!(appliance.content("A").starts_with(&image_of("9.0.9")));
}

#[test]
fn a_system_that_is_not_well_on_its_trial_is_given_up_once() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let bundle = appliance.bundle("9.0.0", "amd64", "keys");
    appliance.stile(&["update", bundle.to_str().unwrap()]);
    assert_eq!(appliance.boot(), "B");
    let (code, said, wrong) = appliance.stile(&["update", "bad", "--on-trial"]);
    assert!(code == 0 && said.contains("is given up; A"), "{said}{wrong}");
    assert_eq!(appliance.boot(), "A");
    let status = appliance.stile(&["update", "status"]).1;
    assert!(status.contains("bad: it is not started"), "{status}");
    // There is nothing to go back to, whatever happens here.
    let (order, left, other) = appliance.slots.read().unwrap();
    assert_eq!(appliance.stile(&["update", "bad", "--on-trial"]).0, 0);
    // What has proved good gets the try back that its start took: the boot loader never gives it up.
    let before = appliance.slots.read();
    assert!(left < 3 && before == Some((order, 3, other)), "{before:?}");
    let (code, _, wrong) = appliance.stile(&["update", "bad"]);
    assert!(code == 1 && wrong.contains("there is no other system that is good"), "{wrong}");
    assert!(appliance.slots.read() == before);
}

#[test]
fn a_system_that_does_not_even_come_up_is_tried_three_times() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let bundle = appliance.bundle("9.0.0", "amd64", "keys");
    appliance.stile(&["update", bundle.to_str().unwrap()]);
    let boots: Vec<_> = (0..4).map(|_| appliance.boot()).collect();
    assert_eq!(boots, ["B", "B", "B", "A"]);
}

#[test]
fn power_cuts_before_it_is_healthy_do_not_give_up_a_system_that_was_found_good() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let bundle = appliance.bundle("9.0.0", "amd64", "keys");
    appliance.stile(&["update", bundle.to_str().unwrap()]);
    let keep = ["update", "good", "--unless-on-trial"];
    // On trial its starts count, and it stays on trial.
    assert_eq!(appliance.boot(), "B");
    let before = appliance.slots.read();
    assert_eq!(appliance.stile(&keep), (0, "the running system is on trial: its starts count\n".into(), String::new()));
    assert_eq!(appliance.slots.read(), before);
    assert!(appliance.stile(&["update", "status"]).1.contains("on trial"));
    assert_eq!(appliance.stile(&["update", "good"]).0, 0);
    // From here on the power goes away right behind the early unit, each time.
    for _ in 0..5 {
        assert_eq!(appliance.boot(), "B");
        let (code, said, wrong) = appliance.stile(&keep);
        assert_eq!((code, said.as_str()), (0, "B, version 9.0.0, is good\n"), "{wrong}");
    }
    // Right in front of it twice, and while RAUC tells the boot loader: the next start that comes so far gives all of it back.
    assert_eq!((appliance.boot(), appliance.boot()), ("B".into(), "B".into()));
    appliance.hold("set-state");
    let mut keeping = appliance.command(&keep).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    within("RAUC tells the boot loader", || appliance.is_held("set-state").then_some(()));
    appliance.kill_rauc();
    assert!(!keeping.wait().unwrap().success());
    appliance.let_go("set-state");
    assert_eq!(appliance.slots.read().unwrap().2, 1);
    assert_eq!(appliance.boot(), "B");
    assert_eq!(appliance.stile(&keep).0, 0);
    assert_eq!(appliance.slots.read().unwrap().2, 3);
    // The system that came with the disk was never on trial.
    appliance.slots.write("A B", 1, 3);
    assert_eq!(appliance.boot(), "A");
    assert_eq!(appliance.stile(&keep).0, 0);
    assert_eq!(appliance.slots.read(), Some(("A B".to_owned(), 3, 3)));
}

#[test]
fn a_new_system_on_trial_is_given_up_after_three_starts_though_the_early_unit_runs() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let bundle = appliance.bundle("9.0.0", "amd64", "keys");
    appliance.stile(&["update", bundle.to_str().unwrap()]);
    let boots: Vec<_> = (0..4)
        .map(|_| {
            let slot = appliance.boot();
            assert_eq!(appliance.stile(&["update", "good", "--unless-on-trial"]).0, 0);
            slot
        })
        .collect();
    assert_eq!(boots, ["B", "B", "B", "A"]);
}

#[test]
fn a_power_cut_while_it_is_installed_leaves_what_ran() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let bundle = appliance.bundle("9.0.0", "amd64", "keys");
    let ran = appliance.content("A");
    // Before the first byte is written, in the middle, and after the last.
    for cut in ["set-state", "middle", "set-primary"] {
        // Whoever comes too late for the middle finds it written, and not yet told to the boot loader.
        let held = if cut == "middle" { "set-primary" } else { cut };
        appliance.hold(held);
        std::fs::File::create(appliance.path().join("slot/B")).unwrap().set_len(192 << 20).unwrap();
        let mut installing = appliance.command(&["update", bundle.to_str().unwrap()]);
        let installing = installing.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        within("it has come so far", || {
            if cut == "middle" { appliance.is_begun("B") } else { appliance.is_held(cut) }.then_some(())
        });
        appliance.kill_rauc();
        let output = installing.wait_with_output().unwrap();
        let wrong = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && wrong.contains("RAUC ended before it was done"), "{cut}: {wrong}");
        appliance.let_go(held);
        assert_eq!(appliance.boot(), "A", "{cut}");
        assert!(appliance.content("A") == ran, "{cut}");
    }
    let (code, said, wrong) = appliance.stile(&["update", bundle.to_str().unwrap()]);
    assert_eq!((code, wrong.as_str()), (0, ""), "{said}");
    assert_eq!(appliance.boot(), "B");
}

#[test]
fn while_one_is_installed_another_is_refused_and_the_first_goes_on() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    let bundle = appliance.bundle("9.0.0", "amd64", "keys");
    appliance.hold("set-primary");
    let mut installing =
        appliance.command(&["update", bundle.to_str().unwrap()]).stdout(Stdio::null()).spawn().unwrap();
    within("it is written", || appliance.is_held("set-primary").then_some(()));
    let (code, said, _) = appliance.stile(&["update", "status"]);
    assert!(code == 0 && said.contains("an update is being installed"), "{said}");
    let (code, _, wrong) = appliance.stile(&["update", bundle.to_str().unwrap()]);
    assert!(code == 1 && wrong.contains("an update is being installed"), "{wrong}");
    appliance.let_go("set-primary");
    assert!(installing.wait().unwrap().success());
    assert_eq!(appliance.boot(), "B");
}

#[test]
fn the_gateways_user_may_look_and_install_and_others_nothing() {
    let Some(appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    // Reached by all, as a machine's bus is.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(appliance.path(), open).unwrap();
    let bundle = appliance.bundle("9.0.0", "amd64", "keys");
    let run = |user: u32, arguments: &[&str]| {
        let command = appliance.command(arguments);
        let mut lesser = Command::new("setpriv");
        lesser.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
        lesser.arg(command.get_program()).args(command.get_args()).env("DBUS_SYSTEM_BUS_ADDRESS", appliance.bus());
        let output = lesser.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // `nobody` and `daemon`, who are everywhere.
    let (gateway, other) = (65534, 1);
    if or_skip("a build that others may run", run(gateway, &["--version"]).0.ok_or_else(String::new)).is_none() {
        return;
    }
    assert_eq!(run(gateway, &["update", "status"]), (Some(0), String::new()));
    for what in ["good", "bad"] {
        let (code, wrong) = run(gateway, &["update", what]);
        assert!(
            code == Some(1) && (wrong.contains("may not ask RAUC") || wrong.contains("no other system")),
            "{wrong}"
        );
    }
    let (code, wrong) = run(other, &["update", "status"]);
    assert!(code == Some(1) && wrong.contains("run it as root"), "{wrong}");
    assert_eq!(appliance.slots.read(), Some(("A B".to_owned(), 3, 0)));
    assert_eq!(run(gateway, &["update", bundle.to_str().unwrap()]), (Some(0), String::new()));
}

#[test]
fn where_rauc_does_not_run_it_says_so() {
    let Some(mut appliance) = or_skip(NEEDS, Appliance::new()) else { return };
    appliance.kill_rauc();
    let (code, _, wrong) = appliance.stile(&["update", "status"]);
    assert!(code == 1 && wrong.contains("no second system"), "{wrong}");
}

#[test]
fn where_there_is_no_rauc_it_says_how_a_package_is_updated() {
    let run = |address: &str| {
        let mut command = stile_tests::command();
        let output = command.args(["update", "status"]).env("DBUS_SYSTEM_BUS_ADDRESS", address).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, wrong) = run("unix:path=/nowhere");
    assert_eq!(code, Some(1));
    assert!(wrong.contains("no second system") && wrong.contains("sudo apt install"), "{wrong}");
    let (code, _, wrong) = check(&["update"]);
    assert_eq!(code, 2, "{wrong}");
}

#[test]
fn the_boot_loaders_file_is_understood_in_each_of_its_forms() {
    let dir = tempfile::tempdir().unwrap();
    let slots = BootSlots::new(dir.path());
    slots.write("B A", 3, 2);
    assert_eq!(slots.ask(&["get-primary"]).unwrap(), "B");
    assert_eq!(slots.ask(&["get-current"]).unwrap(), "A");
    // As U-Boot writes it.
    let mut bytes = b"BOOT_A_LEFT=3\nBOOT_B_LEFT=0\nBOOT_ORDER=B A\n".to_vec();
    bytes.resize(1024, 0);
    std::fs::write(slots.path(), &bytes).unwrap();
    assert_eq!(
        (slots.ask(&["get-primary"]).unwrap(), slots.ask(&["get-state", "B"]).unwrap()),
        ("A".into(), "bad".into())
    );
    slots.ask(&["set-primary", "B"]).unwrap();
    assert_eq!(slots.read(), Some(("B A".to_owned(), 3, 3)));
    assert_eq!(std::fs::metadata(slots.path()).unwrap().len(), 1024);
    // Damaged or gone: what runs comes first.
    for damage in [&b""[..], b"BOOT_ORDER=\x00\xff", b"BOOT_ORDER=C D\nBOOT_A_LEFT=99\nBOOT_B_LEFT=1\n"] {
        std::fs::write(slots.path(), damage).unwrap();
        assert_eq!(
            (slots.ask(&["get-primary"]).unwrap(), slots.ask(&["get-state", "B"]).unwrap()),
            ("A".into(), "bad".into())
        );
    }
    std::fs::remove_file(slots.path()).unwrap();
    slots.ask(&["set-state", "A", "good"]).unwrap();
    assert_eq!(slots.read(), Some(("A B".to_owned(), 3, 0)));
    for wrong in [&["get-state", "C"][..], &["set-state", "A", "fine"], &["set-primary"], &["nonsense"], &[]] {
        assert!(slots.ask(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_cut_at_any_system_call_of_the_script_leaves_the_old_or_the_new() {
    let dir = tempfile::tempdir().unwrap();
    let slots = BootSlots::new(dir.path());
    let script = slots.script();
    let cut_at = |count: usize| {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o", "/dev/null", "-P"]).arg(slots.path()).arg("-e").arg("trace=all");
        strace.arg("-e").arg(format!("inject=all:signal=KILL:when={count}")).arg(script.get_program());
        for (name, value) in script.get_envs() {
            strace.env(name, value.unwrap());
        }
        strace.args(["set-primary", "B"]).output()
    };
    if or_skip("strace", cut_at(10_000).map(drop).map_err(|error| error.to_string())).is_none() {
        return;
    }
    assert_eq!(slots.read(), Some(("B A".to_owned(), 3, 3)), "without a cut it is done");
    let mut seen = Vec::new();
    for count in 1..60 {
        slots.write("A B", 2, 0);
        let whole = cut_at(count).unwrap().status.success();
        seen.push(slots.read());
        if whole {
            break;
        }
    }
    let (old, new) = (Some(("A B".to_owned(), 2, 0)), Some(("B A".to_owned(), 2, 3)));
    assert!(seen.iter().all(|state| *state == old || *state == new), "{seen:?}");
    assert!(seen.contains(&old) && seen.contains(&new), "no cut was early, or none late: {seen:?}");
}
