//! Real devices' published examples, through the whole daemon to the values they are stated to mean.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use stile_tests::Rig;

/// The example telegram of the DSMR 5.0 P1 Companion Standard. The standard prints the CRC EF2F below it, which its text
/// does not have: with CR LF line ends it is E47C, and others who computed it found the same.
const TELEGRAM: &str = "/ISk5\\2MT382-1000\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(101209113020W)\r\n\
0-0:96.1.1(4B384547303034303436333935353037)\r\n1-0:1.8.1(123456.789*kWh)\r\n1-0:1.8.2(123456.789*kWh)\r\n\
1-0:2.8.1(123456.789*kWh)\r\n1-0:2.8.2(123456.789*kWh)\r\n0-0:96.14.0(0002)\r\n1-0:1.7.0(01.193*kW)\r\n\
1-0:2.7.0(00.000*kW)\r\n0-0:96.7.21(00004)\r\n0-0:96.7.9(00002)\r\n\
1-0:99.97.0(2)(0-0:96.7.19)(101208152415W)(0000000240*s)(101208151004W)(0000000301*s)\r\n\
1-0:32.32.0(00002)\r\n1-0:52.32.0(00001)\r\n1-0:72.32.0(00000)\r\n1-0:32.36.0(00000)\r\n1-0:52.36.0(00003)\r\n\
1-0:72.36.0(00000)\r\n0-0:96.13.0(303132333435363738393A3B3C3D3E3F303132333435363738393A3B3C3D3E3F\
303132333435363738393A3B3C3D3E3F303132333435363738393A3B3C3D3E3F303132333435363738393A3B3C3D3E3F)\r\n\
1-0:32.7.0(220.1*V)\r\n1-0:52.7.0(220.2*V)\r\n1-0:72.7.0(220.3*V)\r\n1-0:31.7.0(001*A)\r\n1-0:51.7.0(002*A)\r\n\
1-0:71.7.0(003*A)\r\n1-0:21.7.0(01.111*kW)\r\n1-0:41.7.0(02.222*kW)\r\n1-0:61.7.0(03.333*kW)\r\n\
1-0:22.7.0(04.444*kW)\r\n1-0:42.7.0(05.555*kW)\r\n1-0:62.7.0(06.666*kW)\r\n0-1:24.1.0(003)\r\n\
0-1:96.1.0(3232323241424344313233343536373839)\r\n0-1:24.2.1(101209112500W)(12785.123*m3)\r\n!E47C\r\n";

/// The value of an OBIS line, such as `220.1*V`.
fn obis<'a>(telegram: &'a str, code: &str) -> &'a str {
    let line = telegram.lines().find_map(|line| line.strip_prefix(code)).unwrap();
    line.rsplit_once('(').unwrap().1.strip_suffix(')').unwrap()
}

#[test]
fn the_standards_p1_telegram_comes_whole_with_its_meter_readings() {
    let rig = Rig::start("framing = \"dsmr-p1\"");
    // In the pieces that a meter's UART would give.
    TELEGRAM.as_bytes().chunks(64).for_each(|piece| rig.pty().write(piece));
    let message = rig.next("up");
    let telegram = message.text();
    assert_eq!(telegram, TELEGRAM.trim_end());
    for (code, value) in [
        ("1-0:1.8.1", "123456.789*kWh"),
        ("1-0:1.7.0", "01.193*kW"),
        ("1-0:32.7.0", "220.1*V"),
        ("0-1:24.2.1", "12785.123*m3"),
    ] {
        assert_eq!(obis(telegram, code), value);
    }
}

/// Degrees of an NMEA field such as `4807.038`: degrees and minutes.
fn degrees(field: &str) -> f64 {
    let number: f64 = field.parse().unwrap();
    let whole = (number / 100.0).floor();
    whole + (number - 100.0 * whole) / 60.0
}

#[test]
fn public_nmea_sentences_give_their_position() {
    let rig = Rig::start("framing = \"nmea\"");
    let gga = "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47";
    let rmc = "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A";
    rig.pty().write(format!("{gga}\r\n{rmc}\r\n").as_bytes());
    for (sentence, first) in [(gga, 2), (rmc, 3)] {
        let message = rig.next("up");
        assert_eq!(message.text(), sentence);
        let fields: Vec<&str> = message.text().split(',').collect();
        assert!((degrees(fields[first]) - 48.1173).abs() < 0.0001);
        assert!((degrees(fields[first + 2]) - 11.516_667).abs() < 0.0001);
    }
}

#[test]
fn a_fall_radars_frames_come_between_their_markers_with_their_sum() {
    let rig = Rig::start("framing = { kind = \"start-stop\", start = \"5359\", stop = \"5443\" }");
    let heartbeat = [0x53, 0x59, 0x01, 0x01, 0x00, 0x01, 0x0F, 0xBE, 0x54, 0x43];
    let fall = [0x53, 0x59, 0x83, 0x0E, 0x00, 0x06, 0x00, 0x02, 0x00, 0x00, 0x00, 0x64, 0xA9, 0x54, 0x43];
    rig.pty().write(&[&heartbeat[..], &fall].concat());
    for frame in [&heartbeat[..], &fall] {
        let payload = rig.next("up").payload;
        assert_eq!(payload, frame[2..frame.len() - 2]);
        let (sum, summed) = frame[..frame.len() - 2].split_last().unwrap();
        assert_eq!(summed.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), *sum);
    }
}
