//! Whatever the files hold, `load` returns.

use std::fs;

use proptest::prelude::*;

use super::super::*;
use super::Folder;

/// Something that looks like settings, so that more than the parser is reached.
fn settings_like() -> impl Strategy<Value = String> {
    let keys = "name kind model frequency coding-rate gateways eui region filter dev-addrs deduplicate device usb baud framing dialect pin-file poll listen user period seed address count type function password \
        password-file request max-frame topics file grants settings limits data memory radio broker id group groups publish subscribe password-hash";
    let key = prop::sample::select(keys.split_whitespace().collect::<Vec<_>>());
    let value = prop::sample::select(vec![
        "1",
        "-1",
        "99999999999999999999999999999999999999999999",
        "65535",
        "\"serial\"",
        "\"simulated\"",
        "\"semtech-udp\"",
        "\"lora-modem\"",
        "\"cellular\"",
        "\"rak3172\"",
        "\"basics-station\"",
        "\"concentratord\"",
        "\"eu868\"",
        "\"sdm120\"",
        "\"modbus-rtu\"",
        "[]",
        "[[1], {}]",
        "{ kind = \"fixed\", length = 0 }",
        "true",
        "1.5",
        "1979-05-27",
        "\"1s\"",
        "\"127.0.0.1:1\"",
        "[\"0.0.0.0:1\", \"[::]:1\"]",
        "\"/\"",
        "\"\\u0000\"",
        "{ vendor = \"0403\" }",
        "\"é",
    ]);
    let header = prop::sample::select(vec![
        "[broker]",
        "[[radio]]",
        "[[radio.poll]]",
        "[[broker.user]]",
        "[[broker.group]]",
        "[[plugin]]",
        "[plugin.settings]",
        "[gateway]",
    ]);
    let line = prop_oneof![
        3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => header.prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..20).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_and_any_variable_are_taken_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        name in "STILE_[A-Z_]{0,20}",
        value in any::<String>(),
    ) {
        let _ = Folder::new(bytes).load_with(&[(&name, &value)]);
    }

    #[test]
    fn any_text_is_taken_or_refused(text in any::<String>()) {
        let _ = Folder::new(text).load();
    }

    #[test]
    fn anything_like_settings_is_taken_or_refused(text in settings_like(), value in any::<String>()) {
        let env = [("STILE_RADIO__A__FRAMING", value.as_str()), ("STILE_BROKER__LISTEN", value.as_str())];
        if let Err(problems) = Folder::new(text).load_with(&env) {
            prop_assert!(problems.errors() > 0);
        }
    }

    #[test]
    fn an_example_with_bytes_cut_out_is_taken_or_refused(at in 0..10_000_usize, length in 1..40_usize) {
        let mut bytes: Vec<u8> = example().replace("\n#", "\n").into_bytes();
        let at = at % bytes.len();
        bytes.drain(at..(at + length).min(bytes.len()));
        let _ = Folder::new(bytes).load();
    }
}

#[test]
fn the_example_without_any_one_byte_is_taken_or_refused() {
    let folder = Folder::new("");
    for at in 0..example().len() {
        let mut bytes = example().as_bytes().to_vec();
        bytes.remove(at);
        fs::write(folder.path("stile.toml"), bytes).unwrap();
        let _ = folder.load();
    }
}

#[test]
fn a_file_made_to_be_slow_or_deep_is_refused_in_bounded_work() {
    let size = 1 << 20;
    for text in [
        format!("a{} = 1", ".a".repeat(size / 2 - 10)),
        format!("a = {}", "[".repeat(size - 10)),
        "x=\n".repeat(size / 4),
        format!("a = [{}]", "'',".repeat(size / 4)),
        format!("broker.listen = [{}]", "1,".repeat(size / 3)),
        "[[radio]]\n".repeat(size / 11),
    ] {
        let problems = Folder::new(text).load().unwrap_err();
        assert!((1..=1000).contains(&problems.0.len()));
    }
}
