use super::*;

const VOLTAGE: [u8; 8] = [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB];

/// CRC-16/MODBUS by long division, least significant bit of each byte first: another way to the same sum.
fn independent_crc(bytes: &[u8]) -> [u8; 2] {
    let mut remainder: u16 = 0xFFFF;
    for byte in bytes {
        for bit in 0..8 {
            let carry = (remainder >> 15) ^ u16::from((byte >> bit) & 1);
            remainder = (remainder << 1) ^ if carry == 1 { 0x8005 } else { 0 };
        }
    }
    remainder.reverse_bits().to_le_bytes()
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [bytes, &independent_crc(bytes)].concat()
}

fn assert_voltage(answer: &[u8]) {
    assert_eq!(answer.len(), 9, "{answer:02X?}");
    assert_eq!(answer[..3], [0x01, 0x04, 0x04]);
    assert_eq!(answer[7..], independent_crc(&answer[..7]));
    let volts = f32::from_be_bytes(answer[3..7].try_into().unwrap());
    assert!((220.0..245.0).contains(&volts), "{volts} V");
}

fn ask(meter: &mut Sdm120, function: u8, address: u16, count: u16) -> Vec<u8> {
    let [a, b] = address.to_be_bytes();
    let [c, d] = count.to_be_bytes();
    meter.receive(&framed(&[1, function, a, b, c, d]))
}

fn float(meter: &mut Sdm120, address: u16) -> f32 {
    let answer = ask(meter, READ_INPUT, address, 2);
    f32::from_be_bytes(answer[3..7].try_into().unwrap())
}

#[test]
fn the_test_s_own_checksum_agrees_with_published_frames() {
    assert_eq!(framed(&VOLTAGE[..6]), VOLTAGE);
    assert_eq!(framed(&[0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34]), [1, 4, 4, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38]);
}

#[test]
fn the_voltage_is_told_however_the_request_is_cut() {
    for first in 0..=VOLTAGE.len() {
        for second in first..=VOLTAGE.len() {
            let mut meter = Sdm120::new(1);
            let mut answer = meter.receive(&VOLTAGE[..first]);
            answer.extend(meter.receive(&VOLTAGE[first..second]));
            answer.extend(meter.receive(&VOLTAGE[second..]));
            assert_voltage(&answer);
        }
    }
}

#[test]
fn it_answers_again_right_after_garbage() {
    let mut rng = fastrand::Rng::with_seed(11);
    for length in [1, 2, 7, 8, 9, 255, 256, 257, 5000] {
        let garbage: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
        let mut meter = Sdm120::new(1);
        meter.receive(&garbage);
        assert!(meter.buffer.len() <= BUFFER);
        assert_voltage(&meter.receive(&VOLTAGE));
    }
}

#[test]
fn half_a_request_does_not_swallow_the_next_whole_one() {
    for half in [&VOLTAGE[..7], &[0x01, 0x10, 0x00, 0x00, 0x00, 0x02, 0xFF], &[0x01], &[0x01, 0x04, 0x01, 0x04]] {
        let mut meter = Sdm120::new(1);
        assert!(meter.receive(half).is_empty());
        assert_voltage(&meter.receive(&VOLTAGE));
    }
}

#[test]
fn two_requests_in_one_piece_get_two_answers() {
    let answers = Sdm120::new(1).receive(&[VOLTAGE, VOLTAGE].concat());
    assert_voltage(&answers[..9]);
    assert_voltage(&answers[9..]);
}

#[test]
fn a_wrong_checksum_or_another_slave_gets_silence() {
    let mut meter = Sdm120::new(1);
    for bit in 0..64 {
        let mut wrong = VOLTAGE;
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(meter.receive(&wrong).is_empty(), "bit {bit}");
    }
    assert!(meter.receive(&framed(&[2, 4, 0, 0, 0, 2])).is_empty());
    assert!(meter.receive(&framed(&[0, 4, 0, 0, 0, 2])).is_empty());
    assert_voltage(&meter.receive(&VOLTAGE));
}

#[test]
fn what_it_does_not_know_is_an_exception() {
    let mut meter = Sdm120::new(1);
    assert_eq!(ask(&mut meter, 4, 0x02, 2), framed(&[1, 0x84, 2]));
    assert_eq!(ask(&mut meter, 4, 0x00, 4), framed(&[1, 0x84, 2]), "a range that runs into an unknown register");
    assert_eq!(ask(&mut meter, 4, 0xFFFF, 2), framed(&[1, 0x84, 2]));
    assert_eq!(ask(&mut meter, 3, 0x00, 2), framed(&[1, 0x83, 2]));
    assert_eq!(ask(&mut meter, 4, 0x00, 0), framed(&[1, 0x84, 3]));
    assert_eq!(ask(&mut meter, 4, 0x00, 126), framed(&[1, 0x84, 3]));
    assert_eq!(ask(&mut meter, 6, 0x00, 2), framed(&[1, 0x86, 1]));
    assert_eq!(meter.receive(&framed(&[1, 0x11])), framed(&[1, 0x91, 1]));
    let write = framed(&[1, 0x10, 0, 0x14, 0, 2, 4, 0x40, 0, 0, 0]);
    assert_eq!(meter.receive(&write), framed(&[1, 0x90, 1]));
}

#[test]
fn the_readings_of_one_moment_fit_together() {
    let mut meter = Sdm120::new(6);
    for minute in 1..200 {
        meter.tick(Duration::from_secs(60 * minute));
        let apparent = float(&mut meter, 0x00) * float(&mut meter, 0x06);
        assert!((apparent - float(&mut meter, 0x12)).abs() < 0.01);
        assert!((apparent * float(&mut meter, 0x1E) - float(&mut meter, 0x0C)).abs() < 0.01);
        assert!((49.9..50.1).contains(&float(&mut meter, 0x46)));
        assert!((0.9..=1.0).contains(&float(&mut meter, 0x1E)));
    }
}

#[test]
fn imported_energy_grows_and_stands_next_to_exported_energy() {
    let mut meter = Sdm120::new(6);
    let before = float(&mut meter, 0x48);
    meter.tick(Duration::from_secs(3600));
    assert!(float(&mut meter, 0x48) > before);
    let both = ask(&mut meter, READ_INPUT, 0x48, 4);
    assert_eq!((both[2], &both[7..11]), (8, &[0, 0, 0, 0][..]));
}

#[test]
fn holding_registers_name_the_slave_and_the_speed() {
    let mut meter = Sdm120::new(6);
    assert_eq!(ask(&mut meter, READ_HOLDING, 0x14, 2), framed(&[1, 3, 4, 0x3F, 0x80, 0, 0]));
    assert_eq!(ask(&mut meter, READ_HOLDING, 0x1C, 1), framed(&[1, 3, 2, 0, 0]));
}
