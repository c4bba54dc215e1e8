//! The history of figures over the end and the start of a gateway.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use rustix::process::Signal;
use stile_tests::Stile;

const RADIO: &str = "[[radio]]\nname = \"a\"\nkind = \"simulated\"\ndevice = \"line\"\n";

#[test]
fn it_is_written_at_the_end_and_a_damaged_one_is_set_aside() {
    let mut stile = Stile::start(RADIO);
    stile.signal(Signal::TERM);
    assert!(stile.wait().success());
    let file = stile.data("history.bin");
    let saved = std::fs::read(&file).unwrap();
    for name in ["messages/received", "radio/a/received", "host/process"] {
        assert!(saved.windows(name.len()).any(|part| part == name.as_bytes()), "{name}");
    }
    stile.start_again();
    assert!(!stile.log().iter().any(|line| line["message"].as_str().is_some_and(|text| text.contains("history"))));
    stile.stop();
    std::fs::write(&file, &saved[..saved.len() / 2]).unwrap();
    stile.start_again();
    stile.wait_log("the saved history can't be used; it begins anew");
    assert!(stile.data("history.damaged").exists());
}
