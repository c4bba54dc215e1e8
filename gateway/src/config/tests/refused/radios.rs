//! What is refused or warned of in radios and in the position.

use super::super::Folder;
use crate::config::Problem;

#[test]
fn a_lora_gateway_without_an_address_and_a_duty_cycle_that_is_off_are_warned_of() {
    let text = "[[radio]]\nname = 'roof'\nkind = 'semtech-udp'\nregion = 'eu868'\nduty-cycle = false\n\
        listen = '0.0.0.0:1700'\ngateways = [{ eui = '0016c001ff10a235' }]";
    let warnings = Folder::new(text).load().unwrap().warnings;
    let said: Vec<_> = warnings.iter().map(|warning| warning.what.as_str()).collect();
    assert_eq!(
        said,
        [
            "`duty-cycle = false`: downlinks are sent whatever the law of the place says",
            "gateway `0016c001ff10a235` has no address: whoever reaches the port can speak for it",
        ]
    );
}

#[test]
fn a_limit_on_dwell_time_is_for_regions_that_have_one() {
    let text = "[[radio]]\nname = 'roof'\nkind = 'semtech-udp'\nregion = 'us915'\ndwell-time = true";
    let problems = Folder::new(text).load().unwrap_err().0;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].what.contains("no country of this region limits"), "{}", problems[0].what);
}

#[test]
fn a_concentratord_has_two_sockets_of_its_own_in_the_file_system() {
    let what = |rest: &str| {
        let text = format!("[[radio]]\nname = 'hat'\nkind = 'concentratord'\nregion = 'eu868'\n{rest}");
        let problems = Folder::new(text).load().unwrap_err().0;
        problems.into_iter().map(|problem| problem.what).collect::<Vec<_>>().join("\n")
    };
    assert!(what("event-url = 'tcp://127.0.0.1:5555'").contains("`event-url` in [[radio]] is"));
    assert!(
        what("command-url = 'ipc:///tmp/concentratord_event'")
            .contains("socket `ipc:///tmp/concentratord_event` is there")
    );
    let second = "[[radio]]\nname = 'b'\nkind = 'concentratord'\nregion = 'eu868'\nevent-url = 'ipc:///x'";
    assert!(what(second).contains("socket `ipc:///tmp/concentratord_command` is there already"));
    assert!(what("eui = '1'").contains("`eui`"));
}

/// A radio for Basics Stations.
fn station(rest: &str) -> String {
    format!("[[radio]]\nname = 'mast'\nkind = 'basics-station'\nregion = 'eu868'\n{rest}")
}

#[test]
fn a_server_for_stations_beyond_loopback_names_its_gateways_and_says_what_keeps_others_out() {
    let what = |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.what).collect::<Vec<_>>();
    let outside = "listen = '0.0.0.0:3001'";
    assert_eq!(
        what(Folder::new(station(outside)).load().unwrap_err().0),
        ["the listener on 0.0.0.0:3001 can be reached from outside, and no gateway is named that may connect"]
    );
    let two = "gateways = [{ eui = '0016c001ff10a235' }, { eui = '0016c001ff10a236', token = 'x' }]";
    assert_eq!(
        what(Folder::new(station(&format!("{outside}\n{two}"))).load().unwrap().warnings),
        [
            "the listener on 0.0.0.0:3001 has no TLS: tokens can be read on their way",
            "gateway `0016c001ff10a235` has no token: whoever reaches the port can speak for it",
        ]
    );
}

#[test]
fn each_fault_of_a_server_for_stations_is_told() {
    for (rest, expected) in [
        ("listen = '127.0.0.1:8080'", "listener on 127.0.0.1:8080 in [[radio]] clashes with the default"),
        ("gateways = [{ token = 'x' }]", "`eui` is missing in gateways of [[radio]]"),
        ("gateways = [{ eui = '0016c001ff10a235', token = '' }]", "`token` in gateways of [[radio]] is not"),
        ("gateways = [{ eui = '0016c001ff10a235', token = '********' }]", "`token` in gateways of [[radio]] is not"),
        ("gateways = [{ eui = '0016c001ff10a235', token = ' x' }]", "`token` in gateways of [[radio]] is not"),
        ("channels = [868.1]", "`channels` in [[radio]] has what is not a frequency in Hz"),
        ("channels = [868]", "`channels` in [[radio]] has what is not a frequency in Hz"),
        ("channels = [868100000, 868100000]", "`channels` in [[radio]] has 868100000 twice"),
        ("channels = [863100000, 865100000, 868100000]", "`channels` in [[radio]] lie too far apart"),
        ("channels = [1, 2, 3, 4, 5, 6, 7, 8, 9]", "`channels` in [[radio]] has 9 items"),
        ("rate-limit = 5", "unknown key `rate-limit` in [[radio]]"),
        ("tls = {}", "`certificate` is missing in tls of [[radio]]"),
        ("tls = { certificate = 'nowhere', key = 'nowhere' }", "which cannot be read: it does not exist"),
    ] {
        let problems = Folder::new(station(rest)).load().unwrap_err().0;
        assert!(problems.iter().any(|problem| problem.what.contains(expected)), "{rest}: {problems:?}");
        assert!(problems.iter().all(|problem| !problem.what.contains("' x'")), "{problems:?}");
    }
}

#[test]
fn a_pin_that_two_cards_would_be_told_is_a_warning() {
    let radio = |name: &str, pin: &str| {
        format!("[[radio]]\nname='{name}'\nkind='cellular'\nvia='modem-manager'\nmodem='{name}'\npin-file='{pin}'\n")
    };
    let warned = |second: &str| {
        let text = radio("a", "pin") + &radio("b", second);
        Folder::new(&text).with("pin", "1234").with("other", "4321").load().unwrap().warnings
    };
    let warnings = warned("pin");
    let said = ":12:10: warning: the PIN of the radio at ";
    assert!(warnings.len() == 1 && warnings[0].to_string().contains(said), "{warnings:?}");
    assert!(warned("other").is_empty());
}

#[test]
fn an_absent_device_is_a_warning_only() {
    let text = "[[radio]]\nname = 'a'\nkind = 'serial'\ndevice = '/dev/not-there'";
    let warnings = Folder::new(text).load().unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    let said = ":4:10: warning: `/dev/not-there` is not there now\n    remedy: plug it in; it is opened within two \
        seconds of appearing";
    assert!(warnings[0].to_string().ends_with(said), "{}", warnings[0]);
}

#[test]
fn a_modem_needs_its_channel_and_says_what_it_can_be_tuned_to() {
    let text = "[[radio]]\nname='a'\nkind='lora-modem'\nmodel='rak'\nbandwidth=200000\ncoding-rate='5/4'\npower=30\n\
        framing='line'\nspreading-factor=6";
    let said = Folder::new(text).problems(&[]).join("\n");
    for part in [
        "`model` in [[radio]] is `rak`, which is not known",
        "`bandwidth` in [[radio]] is 200000",
        "`coding-rate` in [[radio]] is `5/4`",
        "`power` in [[radio]] is 30, which is out of range",
        "unknown key `framing`",
        "`spreading-factor` in [[radio]] is 6, which is out of range",
        "`frequency` is missing",
        "`region` is missing",
        "`device` is missing",
    ] {
        assert!(said.contains(part), "no {part} in\n{said}");
    }
}

#[test]
fn a_pin_that_is_none_is_refused_and_not_shown() {
    let text =
        "[[radio]]\nname='a'\nkind='cellular'\ndevice='/dev/null'\npin-file='pin'\ndialect='huawei'\nperiod='1ms'";
    for (pin, part) in [("12a4", "holds no PIN"), ("123", "holds no PIN"), ("", "which is empty")] {
        let said = Folder::new(text).with("pin", pin).problems(&[]).join("\n");
        for part in [part, "`dialect` in [[radio]] is `huawei`", "`period` in [[radio]] is 1ms"] {
            assert!(said.contains(part), "no {part} in\n{said}");
        }
        assert!(!said.contains("12a4"), "{said}");
    }
}

#[test]
fn what_is_of_a_port_is_refused_where_modem_manager_has_the_modem_and_the_other_way_round() {
    let cellular = "[[radio]]\nname='a'\nkind='cellular'\n";
    let by_manager = format!("{cellular}via='modem-manager'\ndevice='/dev/null'\nbaud=9600\nconnect=true\napn='a\"b'");
    let by_at = format!("{cellular}device='/dev/null'\nmodem='cdc-wdm0'\nconnect=true");
    let without_apn = format!("{cellular}via='modem-manager'\nconnect=true");
    for (text, parts) in [
        (
            by_manager,
            vec!["`device` in [[radio]] is for a port", "`baud` in [[radio]] is for a port", "`apn` in [[radio]]"],
        ),
        (by_at, vec!["`modem` in [[radio]] is for modems that", "`connect` in [[radio]] is for modems that"]),
        (without_apn, vec!["`apn` is missing"]),
    ] {
        let said = Folder::new(&text).problems(&[]).join("\n");
        for part in parts {
            assert!(said.contains(part), "no {part} in\n{said}");
        }
    }
}

#[test]
fn a_source_that_says_no_position_and_a_clock_elsewhere_are_refused() {
    let radios = "[[radio]]\nname='a'\nkind='simulated'\ndevice='line'\n";
    for (rest, part) in [
        ("[position]\nsource='a'", "`source` in [position] is `a`, and no radio of that name has `framing = \"nmea\"`"),
        ("[position]\nsource='b'", "`source` in [position] is `b`"),
        ("[clock]\nchrony='192.0.2.1:323'", "`chrony` in [clock] is `192.0.2.1:323`"),
    ] {
        let said = Folder::new(format!("{radios}{rest}")).problems(&[]).join("\n");
        assert!(said.contains(part), "no {part} in\n{said}");
    }
}
