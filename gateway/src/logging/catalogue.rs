//! The messages that matter most, each with an id of its own. `systemd/stile.catalog` explains them, and `journalctl -x` prints
//! that; `journalctl MESSAGE_ID=...` finds them whatever else a line says. Never says when something is logged.

/// Messages as they stand in the source, and their ids: `MESSAGE_ID` of systemd.journal-fields(7). An id is for ever: a message
/// that is worded anew keeps its own, and none is given a second time.
const CATALOGUE: [(&str, u128); 28] = [
    ("ready", 0x7289a919bf3a4e76ce46e62ab5d7ef94),
    ("nobody can sign in to the admin page yet; set it up with this code", 0x34c41ee5ff657c07a79a47406253d2e7),
    ("reload refused; the old settings go on", 0x8139a0b718dc2ea8915cd4af2b889cef),
    ("a change of the settings was not confirmed; those of before are in force", 0xde981ce4c2cd8b8a3035cfa0f1110143),
    ("unit failed", 0xc0708006cafbcbc2aa0732eddb586780),
    ("the unit did not stop in time and was cut off", 0x397e6fd044d5096f12f8074d09e0540e),
    ("port not open; tried again until it is", 0xcc87d5d2f38b4e7ce6bc6f9d3c4ee9e1),
    ("port lost; it is opened again when it is back", 0xc6b124b52730b9e7ac470b48c3d67c82),
    ("LoRa gateway has been silent; nothing can be sent to it", 0xebe325c8512dedb8ce61410398f7d58f),
    ("LoRa gateway has gone; nothing can be sent to it", 0x91f5b312a821eb4f0f7485e40f9e60af),
    (
        "far more frames with a wrong checksum than usual; somebody may jam the channel",
        0x6cd39d9e1a627cf543df194b5ba56920,
    ),
    ("datagrams came faster than they were read, and were lost", 0xe28b700f457a4792111bddeaedc64445),
    ("the modem was reset; it is set up again", 0xf957475a2a5e5cd6b2313491cd852e06),
    (
        "a plugin could not be loaded; without a predecessor its messages go by on-failure",
        0x5a452eb4d4ef0e7d416a67003eb97cf3,
    ),
    ("a plugin failed", 0x51fc4b7c61fdc953eec3a5bb21c6c65e),
    ("a plugin failed too often and is left alone for a while", 0xaa782e99d820638fd22f2ee9b59241c1),
    ("a stage can judge nothing now; messages are held until it can", 0xf4e609103cb0a4abd40692926a4c33a5),
    ("no connection to the remote; it is tried again, and messages are kept", 0x708b8fdce7fd43ae1b28af13468973da),
    ("messages for the remote can't be kept; it is tried again", 0x1ab1223666c20124d9998854d46b5221),
    ("the spool can't be written; it is tried again every second", 0x4150b7c7962da3aa3bec25f6e923d333),
    ("the spool was damaged; what is whole goes on", 0x6663a0323e4d1ff760cb8653ad286655),
    ("the store can't be written; what needs it is not acknowledged", 0x9af7f131f5e64d832efb0663e6132970),
    ("the store was damaged; what could be read of it goes on", 0x59867ac7efab66354eafe3c30eef52ca),
    ("users.toml is damaged; the last good users stand", 0x5208ebcee459c794ff26bfd394121af2),
    (
        "people can't be read; those of before go on, and where there were none nobody can sign in",
        0x12791c6c3d16668ea3e0b9ccb6e2c4a2,
    ),
    ("an update is installed; it runs when the machine has been started again", 0x90e8b2fa49a9c727a77d97dd7295a36f),
    ("an update could not be installed; what runs goes on", 0xccb40bc659600a2fecc762e81ac984e9),
    ("connections could not be accepted", 0xa6d62ba79e4ac153be48c124f8a6031f),
];

/// The id of a message, if it has one.
pub(super) fn id(message: &str) -> Option<u128> {
    CATALOGUE.iter().find(|(text, _)| *text == message).map(|(_, id)| *id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Ids and subjects of the catalogue's entries.
    fn explained() -> BTreeMap<u128, String> {
        let entries = include_str!("../../../systemd/stile.catalog").split("\n-- ").skip(1);
        let read = entries.map(|entry| {
            let (id, rest) = entry.split_once('\n').unwrap();
            let (header, text) = rest.split_once("\n\n").unwrap();
            assert!(!text.trim().is_empty(), "nothing explains {id}");
            let subject = header.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
            (u128::from_str_radix(id, 16).unwrap(), subject.to_owned())
        });
        read.collect()
    }

    #[test]
    fn the_catalogue_explains_each_of_these_messages_and_no_other() {
        let listed: BTreeMap<_, _> = CATALOGUE.iter().map(|(text, id)| (*id, (*text).to_owned())).collect();
        assert_eq!(listed.len(), CATALOGUE.len(), "an id stands there twice");
        assert_eq!(listed, explained());
    }

    #[test]
    fn a_message_that_is_not_listed_has_no_id() {
        assert_eq!(id("frame dropped"), None);
        assert_eq!(id("ready").map(|id| format!("{id:032x}")).as_deref(), Some("7289a919bf3a4e76ce46e62ab5d7ef94"));
    }
}
