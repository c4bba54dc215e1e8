//! A parking bay with a sensor like Bosch's TPS110, activated by personalisation. Pure: it is told the time by being asked.

use fastrand::Rng;
use lorawan::creator::DataPayloadCreator;
use lorawan::keys::{AES128, AppSKey, NewSKey};
use lorawan::parser::{DataHeader, DataPayload, EncryptedDataPayload, FCtrl, PhyPayload};

/// The address of the first bay. Such addresses belong to the network 000000, which is for experiments.
const FIRST_ADDRESS: u32 = 0x0001_0000;

/// Of a frame counter's control byte: the downlink before was heard.
const ACK: u8 = 0x20;

/// Status after a change, and again now and then.
const STATUS_PORT: u8 = 1;
const HEARTBEAT_PORT: u8 = 2;

/// A bay.
pub(super) struct Bay {
    dev_addr: u32,
    nwk_s_key: [u8; 16],
    app_s_key: [u8; 16],
    f_cnt_up: u32,
    /// The next counter of a downlink that is believed.
    f_cnt_down: u32,
    acknowledge: bool,
    occupied: bool,
    random: Rng,
}

impl Bay {
    /// The bay with this number, from 0. Its address is 00010000 and the number. Its network session key is the seed and
    /// the number, eight bytes each, the most significant first; its application session key is the same with the first
    /// bit set.
    pub(super) fn new(seed: u64, number: u32) -> Self {
        let [mut nwk_s_key, mut app_s_key] = [[0; 16]; 2];
        for key in [&mut nwk_s_key, &mut app_s_key] {
            key[..8].copy_from_slice(&seed.to_be_bytes());
            key[8..].copy_from_slice(&u64::from(number).to_be_bytes());
        }
        app_s_key[0] |= 0x80;
        Self {
            dev_addr: FIRST_ADDRESS + number,
            nwk_s_key,
            app_s_key,
            f_cnt_up: 0,
            f_cnt_down: 0,
            acknowledge: false,
            occupied: false,
            random: Rng::with_seed(seed.rotate_left(32) ^ u64::from(number)),
        }
    }

    /// The next frame: a car came or left, or the sensor is alive.
    pub(super) fn uplink(&mut self) -> Vec<u8> {
        // On average each third time.
        let changed = self.random.u8(..3) == 0;
        self.occupied ^= changed;
        let port = if changed { STATUS_PORT } else { HEARTBEAT_PORT };
        let control = if std::mem::take(&mut self.acknowledge) { ACK } else { 0 };
        let mut frame = DataPayloadCreator::new();
        frame
            .set_uplink(true)
            .set_confirmed(false)
            .set_dev_addr(self.dev_addr.to_le_bytes())
            .set_fctrl(&FCtrl::new(control, true))
            .set_fcnt(self.f_cnt_up)
            .set_f_port(port);
        self.f_cnt_up = self.f_cnt_up.wrapping_add(1);
        let (network, application) = (NewSKey::from(self.nwk_s_key), AppSKey::from(self.app_s_key));
        let made = frame.build(&[u8::from(self.occupied)], &[], &network, &application);
        // One byte on a port of its own always fits.
        made.map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// Hears a frame. Says what it carries, where it is for this bay, right and new.
    pub(super) fn hear(&mut self, phy: &[u8]) -> Option<Vec<u8>> {
        let parsed = lorawan::parser::parse(phy.to_vec()).ok()?;
        let PhyPayload::Data(DataPayload::Encrypted(data)) = parsed else { return None };
        self.take(data)
    }

    fn take<F: lorawan::keys::CryptoFactory>(&mut self, data: EncryptedDataPayload<Vec<u8>, F>) -> Option<Vec<u8>> {
        let header = data.fhdr();
        let for_me = u32::from_le_bytes(header.dev_addr().as_ref().try_into().ok()?) == self.dev_addr;
        // As many as it may have missed; a counter beyond that is another session's.
        let counter = u32::from(header.fcnt());
        if !for_me || data.is_uplink() || counter < self.f_cnt_down {
            return None;
        }
        let confirmed = data.is_confirmed();
        let (network, application) = (AES128(self.nwk_s_key), AES128(self.app_s_key));
        let decrypted = data.decrypt_if_mic_ok(&network, &application, counter).ok()?;
        self.f_cnt_down = counter + 1;
        self.acknowledge |= confirmed;
        match decrypted.frm_payload() {
            lorawan::parser::FRMPayload::Data(payload) => Some(payload.to_vec()),
            _ => Some(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens a bay's frame with its keys, as a network server would: port, payload, whether it acknowledges.
    fn open(bay: &Bay, frame: &[u8], counter: u32) -> (u8, Vec<u8>, bool) {
        let parsed = lorawan::parser::parse(frame.to_vec()).unwrap();
        let PhyPayload::Data(DataPayload::Encrypted(data)) = parsed else { panic!("data") };
        let (network, application) = (AES128(bay.nwk_s_key), AES128(bay.app_s_key));
        assert!(data.validate_mic(&network, counter), "the MIC is right");
        let acknowledges = data.fhdr().fctrl().ack();
        let data = data.decrypt(Some(&network), Some(&application), counter).unwrap();
        let lorawan::parser::FRMPayload::Data(payload) = data.frm_payload() else { panic!("a payload") };
        (data.f_port().unwrap(), payload.to_vec(), acknowledges)
    }

    fn downlink(bay: &Bay, counter: u32, confirmed: bool) -> Vec<u8> {
        let mut frame = DataPayloadCreator::new();
        frame.set_uplink(false).set_confirmed(confirmed).set_dev_addr(bay.dev_addr.to_le_bytes());
        frame.set_fcnt(counter).set_f_port(9);
        let (network, application) = (NewSKey::from(bay.nwk_s_key), AppSKey::from(bay.app_s_key));
        frame.build(b"hello", &[], &network, &application).unwrap().to_vec()
    }

    #[test]
    fn its_frames_are_opened_with_the_keys_that_are_written_down() {
        let mut bay = Bay::new(1, 3);
        assert_eq!((bay.nwk_s_key[7], bay.nwk_s_key[15], bay.app_s_key[0], bay.dev_addr), (1, 3, 0x80, 0x0001_0003));
        let mut states = std::collections::BTreeSet::new();
        for counter in 0..50 {
            let frame = bay.uplink();
            let (port, payload, acknowledges) = open(&bay, &frame, counter);
            assert!(matches!(port, 1 | 2) && matches!(payload[..], [0 | 1]) && !acknowledges);
            states.insert((port, payload));
        }
        assert_eq!(states.len(), 4, "free and occupied, each on both ports");
    }

    #[test]
    fn the_same_seed_says_the_same_and_another_one_does_not() {
        let said = |seed| (0..20).map(|_| Bay::new(seed, 0).uplink()).collect::<Vec<_>>();
        assert_eq!(said(7), said(7));
        assert_ne!(said(7), said(8));
    }

    #[test]
    fn it_hears_what_is_for_it_once_and_acknowledges_what_is_confirmed() {
        let (mut bay, other) = (Bay::new(1, 0), Bay::new(1, 1));
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
        for length in 0..30 {
            assert_eq!(bay.hear(&vec![0x60; length]), None);
        }
    }
}
