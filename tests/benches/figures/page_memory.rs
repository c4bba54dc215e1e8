//! The memory that the admin page takes of a daemon that is idle: with a full history, after somebody has looked at its
//! pages, against one without page and history.

use std::time::Duration;

use stile_tests::Stile;

use crate::brokers::quiet_folder;
use crate::page::{GATEWAY, gateway};
use crate::process::{megabytes, resident};
use crate::report::{information, median, target};

pub(crate) const ROUNDS: usize = 3;
/// After the start, and after the last page.
const SETTLE: Duration = Duration::from_secs(3);
const MORE_MAX: f64 = 5.0;
const PAGES: [&str; 8] =
    ["/", "/?span=two-days", "/radios", "/radios/roof", "/messages", "/uplinks", "/configuration", "/system"];

fn rested(stile: &Stile) -> f64 {
    std::thread::sleep(SETTLE);
    megabytes(resident(stile.pid()))
}

fn without() -> f64 {
    let dir = quiet_folder();
    std::fs::write(dir.path().join("conf.d/page.toml"), "[admin]\nlisten = \"off\"\n").unwrap();
    rested(&Stile::start_in(dir, "", GATEWAY))
}

fn with() -> f64 {
    let (stile, mut anna) = gateway();
    for page in PAGES {
        assert_eq!(anna.get(page).status, 200, "{page}");
    }
    rested(&stile)
}

/// Rows for a table that others began.
pub(crate) fn run(rounds: usize) {
    let pairs: Vec<_> = (0..rounds).map(|_| (without(), with())).collect();
    let without = median(pairs.iter().map(|(without, _)| *without).collect());
    let with = median(pairs.iter().map(|(_, with)| *with).collect());
    let more = with - without;
    eprintln!("   {with:.1} MB with the page, {without:.1} MB without");
    information("Resident memory of the daemon, the page off and the history empty", &format!("{without:.1} MB"));
    target("More with both, when pages were looked at", &format!("{more:.1} MB"), "≤ 5 MB", more <= MORE_MAX);
}
