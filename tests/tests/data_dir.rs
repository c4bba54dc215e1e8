//! One data folder, one gateway.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use rustix::process::Signal;
use stile_tests::{Neighbour, Stile, check, within};

#[test]
fn a_second_gateway_on_the_same_data_folder_says_who_has_it_and_leaves_the_first_alone() {
    let stile = Stile::start("");
    let mut neighbour = Neighbour::of(&stile);
    let settings = stile.dir.path().join("stile.toml");
    let (code, _, said) = check(&["run", "--config", settings.to_str().unwrap()]);
    assert_eq!(code, 1, "{said}");
    let process = format!("as process {};", stile.pid().as_raw_nonzero());
    assert!(said.contains("belongs to another gateway") && said.contains(&process), "{said}");
    neighbour.is_well();
    // Its socket still answers.
    assert_eq!(stile.ledger()["gateway"], "test");
}

#[test]
fn a_killed_gateway_leaves_its_data_folder_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Stile::settings(dir.path(), "", "");
    std::fs::write(dir.path().join("stile.toml"), settings).unwrap();
    let mut first = stile_tests::command();
    let mut first = first.args(["run", "--config"]).arg(dir.path().join("stile.toml")).spawn().unwrap();
    within("the first has its socket", || dir.path().join("data/stile.sock").exists().then_some(()));
    rustix::process::kill_process(rustix::process::Pid::from_child(&first), Signal::KILL).unwrap();
    first.wait().unwrap();
    let next = Stile::start_in(dir, "", "");
    Neighbour::of(&next).is_well();
}
