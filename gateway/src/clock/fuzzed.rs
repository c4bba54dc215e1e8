//! For the fuzz target `chrony`, and for the test that plays its corpus: what must hold for anything that answers at chronyd's
//! address.
//!
//! Built for these alone. An input is one datagram.

#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "tests of several rooms share it, and no room may import another's")]
#[path = "../../../tests/fuzz/src/corpus.rs"]
mod corpus;

use super::chrony::{LENGTH, SECONDS_MAX, head_of_reply, read};
use crate::message::{Clock, ClockQuality, Place, TimeSource, Timing};

/// Reads a datagram as the answer to the question that it says it is one to, as it is and with the head of one. Panics where
/// it passes for an answer to another question, or where clock and records get figures that there can't be.
pub fn play(input: &[u8]) {
    let sequence = input.get(16..20).map_or(7, |bytes| bytes.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)));
    hear(input, sequence);
    if input.len() >= LENGTH {
        let mut whole = input[..LENGTH].to_vec();
        let head = head_of_reply(sequence);
        whole[..head.len()].copy_from_slice(&head);
        assert!(read(&whole, !sequence).is_none());
        hear(&whole, sequence);
    }
}

fn hear(reply: &[u8], sequence: u32) {
    let Some(tracking) = read(reply, sequence) else { return };
    assert_eq!(reply.len(), LENGTH);
    assert!(read(reply, sequence.wrapping_add(1)).is_none(), "an answer to another question");
    let (quality, timing) = tracking.said();
    if quality == ClockQuality::Synchronised {
        let (offset, error) = timing.offset.zip(timing.error).expect("chronyd says both");
        assert!(timing.source == TimeSource::Chrony && offset.abs() <= SECONDS_MAX, "{timing:?}");
        assert!((0.0..=1.5 * SECONDS_MAX).contains(&error), "{timing:?}");
    } else {
        assert_eq!((quality, timing), (ClockQuality::Unsynchronised, Timing::default()));
    }
    let (clock, place) = (Clock::default(), Place::default());
    clock.set_quality(quality);
    clock.set_timing(timing);
    assert_eq!(clock.error().is_some(), quality == ClockQuality::Synchronised);
    let stamp = place.stamp(&clock.now(), timing);
    // What is no number would be written as null.
    assert!(
        stamp["timing"].as_object().is_some_and(|timing| timing.values().all(|value| !value.is_null())),
        "{stamp:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::corpus::{corpus, play_changed};
    use super::play;

    #[test]
    fn whatever_answers_in_chronyds_place_the_clock_gets_figures_that_there_can_be() {
        corpus("chrony").iter().for_each(|input| play(input));
        play_changed("chrony", 500, play);
    }
}
