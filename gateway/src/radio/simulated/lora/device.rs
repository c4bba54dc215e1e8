//! A device that speaks LoRaWAN 1.0.4. Pure: it is told the time by being asked.
//!
//! It is activated by personalisation from the start, and asks now and then to join over the air until somebody lets it: then
//! it speaks under the address and the keys that it was given. MAC commands are heard and not answered.

use fastrand::Rng;
use lorawan::creator::{DataPayloadCreator, JoinRequestCreator};
use lorawan::keys::{AES128, AppKey, AppSKey, CryptoFactory, NewSKey};
use lorawan::parser::{
    DataHeader, DataPayload, DevNonce, EUI64, EncryptedDataPayload, FCtrl, JoinAcceptPayload, PhyPayload,
};

use super::sensor::Sensor;

/// The address of the first device. Such addresses belong to the network 000000, which is for experiments.
const FIRST_ADDRESS: u32 = 0x0001_0000;

/// The join server of all of them. The second bit of the first byte says that nobody gave it out.
const JOIN_EUI: u64 = 0x0a00_0000_0000_0000;

/// What devices' identifiers begin with.
const DEV_EUI: u64 = 0x0600_0000_0000_0000;

/// Of a frame's control byte: the downlink before was heard.
const ACK: u8 = 0x20;

/// Frames between two join requests; the first is the second frame.
const JOIN_EVERY: u32 = 20;

/// Under which address and keys it speaks, and how often it did.
struct Session {
    dev_addr: u32,
    nwk_s_key: [u8; 16],
    app_s_key: [u8; 16],
    f_cnt_up: u32,
    /// The next counter of a downlink that is believed.
    f_cnt_down: u32,
}

/// A device.
pub(super) struct Device {
    dev_eui: u64,
    app_key: [u8; 16],
    session: Session,
    joined: bool,
    /// Of the next join request, and that of the last one.
    dev_nonce: u16,
    asked: Option<u16>,
    frames: u32,
    acknowledge: bool,
    sensor: Sensor,
    random: Rng,
}

/// The seed and the number, eight bytes each, the most significant first, with a mark in the first bits.
fn key(seed: u64, number: u32, mark: u8) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&seed.to_be_bytes());
    key[8..].copy_from_slice(&u64::from(number).to_be_bytes());
    key[0] |= mark;
    key
}

impl Device {
    /// The device with this number, from 0. Its address is 00010000 and the number. Its network session key is the seed and
    /// the number, eight bytes each, the most significant first; its application session key is the same with the first bit
    /// set, and the key with which it joins with the second. Its identifier is 06, six bytes of the seed, and one of the
    /// number. `dev_nonce` is that of its first join request: no two requests of a device should have the same.
    pub(super) fn new(seed: u64, number: u32, sensor: Sensor, dev_nonce: u16) -> Self {
        let session = Session {
            dev_addr: FIRST_ADDRESS + number,
            nwk_s_key: key(seed, number, 0),
            app_s_key: key(seed, number, 0x80),
            f_cnt_up: 0,
            f_cnt_down: 0,
        };
        Self {
            dev_eui: DEV_EUI | (seed & 0xffff_ffff_ffff) << 8 | u64::from(number & 0xff),
            app_key: key(seed, number, 0x40),
            session,
            joined: false,
            dev_nonce,
            asked: None,
            frames: 0,
            acknowledge: false,
            sensor,
            random: Rng::with_seed(seed.rotate_left(32) ^ u64::from(number)),
        }
    }

    /// The next frame: a reading, or that it wants to join.
    pub(super) fn uplink(&mut self) -> Vec<u8> {
        let turn = self.frames % JOIN_EVERY;
        self.frames = self.frames.wrapping_add(1);
        if turn == 1 && !self.joined { self.join_request() } else { self.reading() }
    }

    fn join_request(&mut self) -> Vec<u8> {
        let nonce = self.dev_nonce;
        (self.asked, self.dev_nonce) = (Some(nonce), nonce.wrapping_add(1));
        let mut frame = JoinRequestCreator::new();
        frame
            .set_app_eui(EUI64::from(JOIN_EUI.to_le_bytes()))
            .set_dev_eui(EUI64::from(self.dev_eui.to_le_bytes()))
            .set_dev_nonce(DevNonce::from(nonce.to_le_bytes()));
        frame.build(&AppKey::from(self.app_key)).to_vec()
    }

    fn reading(&mut self) -> Vec<u8> {
        let (port, payload) = self.sensor.read(&mut self.random);
        let control = if std::mem::take(&mut self.acknowledge) { ACK } else { 0 };
        let session = &mut self.session;
        let mut frame = DataPayloadCreator::new();
        frame
            .set_uplink(true)
            .set_confirmed(false)
            .set_dev_addr(session.dev_addr.to_le_bytes())
            .set_fctrl(&FCtrl::new(control, true))
            .set_fcnt(session.f_cnt_up)
            .set_f_port(port);
        session.f_cnt_up = session.f_cnt_up.wrapping_add(1);
        let (network, application) = (NewSKey::from(session.nwk_s_key), AppSKey::from(session.app_s_key));
        // A few bytes on a port of their own always fit.
        frame.build(&payload, &[], &network, &application).map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// Hears a frame. Says what it carries, where it is for this device, right and new; nothing where it lets it join.
    pub(super) fn hear(&mut self, phy: &[u8]) -> Option<Vec<u8>> {
        match lorawan::parser::parse(phy.to_vec()).ok()? {
            PhyPayload::JoinAccept(accept) => self.accepted(accept),
            PhyPayload::Data(DataPayload::Encrypted(data)) => self.take(data),
            _ => None,
        }
    }

    fn accepted<F: CryptoFactory>(&mut self, accept: JoinAcceptPayload<Vec<u8>, F>) -> Option<Vec<u8>> {
        let (JoinAcceptPayload::Encrypted(accept), Some(nonce)) = (accept, self.asked) else { return None };
        let key = AppKey::from(self.app_key);
        let accept = accept.decrypt(&key);
        if !accept.validate_mic(&key) {
            return None;
        }
        let nonce = DevNonce::from(nonce.to_le_bytes());
        let bytes = |key: &AES128| key.0;
        self.session = Session {
            dev_addr: u32::from_le_bytes(accept.dev_addr().as_ref().try_into().ok()?),
            nwk_s_key: bytes(accept.derive_newskey(&nonce, &key).inner()),
            app_s_key: bytes(accept.derive_appskey(&nonce, &key).inner()),
            f_cnt_up: 0,
            f_cnt_down: 0,
        };
        (self.joined, self.asked, self.acknowledge) = (true, None, false);
        Some(Vec::new())
    }

    fn take<F: CryptoFactory>(&mut self, data: EncryptedDataPayload<Vec<u8>, F>) -> Option<Vec<u8>> {
        let (header, session) = (data.fhdr(), &mut self.session);
        let for_me = u32::from_le_bytes(header.dev_addr().as_ref().try_into().ok()?) == session.dev_addr;
        // As many as it may have missed; a counter beyond that is another session's.
        let counter = u32::from(header.fcnt());
        if !for_me || data.is_uplink() || counter < session.f_cnt_down {
            return None;
        }
        let confirmed = data.is_confirmed();
        let (network, application) = (AES128(session.nwk_s_key), AES128(session.app_s_key));
        let decrypted = data.decrypt_if_mic_ok(&network, &application, counter).ok()?;
        session.f_cnt_down = counter + 1;
        self.acknowledge |= confirmed;
        match decrypted.frm_payload() {
            lorawan::parser::FRMPayload::Data(payload) => Some(payload.to_vec()),
            _ => Some(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use lorawan::creator::JoinAcceptCreator;
    use lorawan::default_crypto::DefaultFactory;

    use super::*;

    fn bay(seed: u64, number: u32) -> Device {
        Device::new(seed, number, Sensor::bay(), 7)
    }

    fn is_join(frame: &[u8]) -> bool {
        frame[0] == 0
    }

    /// Opens a device's frame with its keys, as a network server would: port, payload, whether it acknowledges.
    fn open(device: &Device, frame: &[u8], counter: u32) -> (u8, Vec<u8>, bool) {
        let parsed = lorawan::parser::parse(frame.to_vec()).unwrap();
        let PhyPayload::Data(DataPayload::Encrypted(data)) = parsed else { panic!("data") };
        let (network, application) = (AES128(device.session.nwk_s_key), AES128(device.session.app_s_key));
        assert!(data.validate_mic(&network, counter), "the MIC is right");
        assert_eq!(data.fhdr().dev_addr().as_ref(), device.session.dev_addr.to_le_bytes());
        let acknowledges = data.fhdr().fctrl().ack();
        let data = data.decrypt(Some(&network), Some(&application), counter).unwrap();
        let lorawan::parser::FRMPayload::Data(payload) = data.frm_payload() else { panic!("a payload") };
        (data.f_port().unwrap(), payload.to_vec(), acknowledges)
    }

    fn downlink(device: &Device, counter: u32, confirmed: bool) -> Vec<u8> {
        let mut frame = DataPayloadCreator::new();
        frame.set_uplink(false).set_confirmed(confirmed).set_dev_addr(device.session.dev_addr.to_le_bytes());
        frame.set_fcnt(counter).set_f_port(9);
        let (network, application) = (NewSKey::from(device.session.nwk_s_key), AppSKey::from(device.session.app_s_key));
        frame.build(b"hello", &[], &network, &application).unwrap().to_vec()
    }

    fn join_accept(key: [u8; 16]) -> Vec<u8> {
        // Without a list of channels.
        let mut accept = JoinAcceptCreator::with_options([0; 17], DefaultFactory).unwrap();
        accept.set_app_nonce(&[1, 2, 3]).set_net_id(&[0, 0, 0]).set_dev_addr(0x0123_4567_u32.to_le_bytes());
        accept.set_dl_settings(0).set_rx_delay(1).build(&AES128(key)).unwrap().to_vec()
    }

    #[test]
    fn its_frames_are_opened_with_the_keys_that_are_written_down() {
        let mut bay = bay(1, 3);
        let session = &bay.session;
        assert_eq!((session.nwk_s_key[7], session.nwk_s_key[15], session.app_s_key[0]), (1, 3, 0x80));
        assert_eq!((session.dev_addr, bay.app_key[0], bay.dev_eui), (0x0001_0003, 0x40, 0x0600_0000_0000_0103));
        let mut counter = 0;
        for _ in 0..50 {
            let frame = bay.uplink();
            if !is_join(&frame) {
                let (port, payload, acknowledges) = open(&bay, &frame, counter);
                assert!(matches!(port, 1 | 2) && matches!(payload[..], [0 | 1]) && !acknowledges);
                counter += 1;
            }
        }
        assert_eq!(counter, 47, "three of them were join requests");
    }

    #[test]
    fn the_same_seed_says_the_same_and_another_one_does_not() {
        let said = |seed| (0..20).map(|_| bay(seed, 0).uplink()).collect::<Vec<_>>();
        assert_eq!(said(7), said(7));
        assert_ne!(said(7), said(8));
    }

    #[test]
    fn it_asks_to_join_with_another_number_each_time_and_joins_when_it_is_let() {
        let mut bay = bay(1, 3);
        let key = bay.app_key;
        assert_eq!(bay.hear(&join_accept(key)), None, "it has not asked");
        let frames: Vec<_> = (0..=JOIN_EVERY + 1).map(|_| bay.uplink()).collect();
        let asked: Vec<_> = frames.iter().filter(|frame| is_join(frame)).collect();
        let nonces: Vec<_> = asked.iter().map(|frame| u16::from_le_bytes([frame[17], frame[18]])).collect();
        assert_eq!((nonces, &frames[1]), (vec![7, 8], asked[0]));
        let PhyPayload::JoinRequest(request) = lorawan::parser::parse(asked[1].clone()).unwrap() else {
            panic!("join")
        };
        assert!(request.validate_mic(&AES128(key)));
        assert_eq!(request.dev_eui().as_ref(), 0x0600_0000_0000_0103_u64.to_le_bytes());
        assert_eq!(request.app_eui().as_ref(), JOIN_EUI.to_le_bytes());
        assert_eq!(bay.hear(&join_accept([9; 16])), None, "by somebody who has not its key");
        let before = bay.session.nwk_s_key;
        assert_eq!(bay.hear(&join_accept(key)), Some(vec![]));
        assert_eq!((bay.session.dev_addr, bay.session.f_cnt_up), (0x0123_4567, 0));
        assert_ne!(bay.session.nwk_s_key, before);
        for counter in 0..2 * JOIN_EVERY {
            let frame = bay.uplink();
            open(&bay, &frame, counter);
        }
        assert_eq!(bay.hear(&downlink(&bay, 0, false)), Some(b"hello".to_vec()));
        assert_eq!(bay.hear(&join_accept(key)), None, "again");
    }

    /// A join accept that others have written down (brocaar/lorawan, `phypayload_test.go`).
    #[test]
    fn it_is_let_in_by_a_frame_that_others_made() {
        let mut bay = bay(1, 3);
        bay.app_key = std::array::from_fn(|index| u8::try_from(index * 0x11).unwrap());
        bay.asked = Some(7);
        let accept =
            [0x20, 0x49, 0x3e, 0xeb, 0x51, 0xfb, 0xa2, 0x11, 0x6f, 0x81, 0x0e, 0xdb, 0x37, 0x42, 0x97, 0x51, 0x42];
        assert_eq!((bay.hear(&accept), bay.session.dev_addr), (Some(vec![]), 0x0203_1980));
    }

    #[test]
    fn it_hears_what_is_for_it_once_and_acknowledges_what_is_confirmed() {
        let (mut bay, other) = (bay(1, 0), bay(1, 1));
        assert_eq!(bay.hear(&downlink(&other, 0, false)), None, "for its neighbour");
        let first = downlink(&bay, 0, true);
        assert_eq!(bay.hear(&first), Some(b"hello".to_vec()));
        assert_eq!(bay.hear(&first), None, "again");
        let frame = bay.uplink();
        let (_, _, acknowledges) = open(&bay, &frame, 0);
        assert!(acknowledges);
        let mut forged = downlink(&bay, 1, false);
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(bay.hear(&forged), None, "with a wrong MIC");
        for length in 0..40 {
            assert_eq!((bay.hear(&vec![0x60; length]), bay.hear(&vec![0x20; length])), (None, None));
        }
    }
}
