//! For the fuzz target `probe`, and for the test that plays its corpus: what must hold for anything that a probe or the
//! reflector is sent.
//!
//! Built for these alone. An input is one datagram.

#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "tests of several rooms share it, and no room may import another's")]
#[path = "../../../tests/fuzz/src/corpus.rs"]
mod corpus;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::dns::packet::Answer;
use super::socket::Arrived;
use super::stamp::packet::{BASE, Reply};
use super::stamp::reflector::Answering;
use crate::config::{DnsRecord, Network, Reflector, ReflectorMode};

/// Reads a datagram as everything that it could be. Panics where an answer is longer than what it answers, or does not have
/// the sender's part of it, or where a name server's answer has more records than there was room for.
pub fn play(input: &[u8]) {
    let now = Instant::now();
    for mode in [ReflectorMode::Stateful, ReflectorMode::Stateless] {
        let allow = Network::parse("0.0.0.0/0").into_iter().collect();
        let settings = Reflector { listen: None, allow, mode, rate_limit: 1 };
        let mut answering = Answering::new(settings, Arc::default(), 4000, now);
        let from = SocketAddr::from(([192, 0, 2, 1], 50_000));
        let arrived =
            Arrived { length: input.len(), cut: false, from: None, wall: SystemTime::now(), at: now, ttl: None };
        let Ok(answer) = answering.answer(input, &arrived, from) else { continue };
        assert_eq!(answer.len(), input.len());
        assert_eq!((&answer[24..38], &answer[14..16]), (&input[..14], &input[14..16]));
        // Of what is behind, flags alone are another.
        let behind = answer[BASE..].iter().zip(&input[BASE..]);
        assert!(behind.clone().all(|(is, was)| (is ^ was) & 0x3f == 0), "{answer:x?}");
        assert!(answering.answer(input, &arrived, from).is_err(), "a second one within its rate");
        assert!(Reply::parse(&answer).is_some());
    }
    if let Some(reply) = Reply::parse(input) {
        assert!(reply.sent.since(reply.received).is_finite());
        assert!(reply.error.seconds().is_none_or(|seconds| seconds > 0.0));
    }
    for record in [DnsRecord::A, DnsRecord::Aaaa] {
        if let Some(answer) = Answer::parse(input, "example.org", record) {
            // The shortest record has 11 bytes.
            assert!(usize::from(answer.answers) * 11 <= input.len());
            assert_eq!(answer.ttl.is_some(), answer.answers > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::corpus::{corpus, play_changed};
    use super::play;

    #[test]
    fn datagrams_of_the_corpus_are_answered_with_no_more_than_they_are() {
        corpus("probe").iter().for_each(|input| play(input));
        play_changed("probe", 500, play);
    }
}
