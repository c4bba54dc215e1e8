//! One question to a name server, and what matters of its answer (RFC 1035, section 4). Pure.
//!
//! A client library would bring a resolver, its own sockets and caches; what is measured here is one datagram each way, over a
//! socket that says when it came.

use crate::config::DnsRecord;

const HEAD: usize = 12;
/// Flags of a question: recursion desired.
const RECURSION: u16 = 0x0100;
const IS_ANSWER: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
/// The class of the Internet.
const INTERNET: u16 = 1;

impl DnsRecord {
    /// The number of the type (RFC 1035, section 3.2.2; RFC 3596, section 2.1).
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }
}

/// The question for a name that is sound: labels of 1 to 63 bytes, 253 together.
pub(super) fn question(id: u16, name: &str, record: DnsRecord) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEAD + name.len() + 6);
    for word in [id, RECURSION, 1, 0, 0, 0] {
        packet.extend(word.to_be_bytes());
    }
    packet.extend(asked(name, record));
    packet
}

/// The entry for a name in the section of questions.
fn asked(name: &str, record: DnsRecord) -> Vec<u8> {
    let mut entry = Vec::with_capacity(name.len() + 6);
    for label in name.split('.') {
        // The settings let no longer one through.
        entry.push(u8::try_from(label.len()).unwrap_or(63));
        entry.extend(label.bytes().take(63));
    }
    entry.push(0);
    entry.extend(record.number().to_be_bytes());
    entry.extend(INTERNET.to_be_bytes());
    entry
}

/// What a name server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Of the question.
    pub(crate) id: u16,
    /// How it went (RFC 1035, section 4.1.1).
    pub(crate) code: u8,
    /// Records of the kind that was asked for.
    pub(crate) answers: u16,
    /// The least of their times to live, in seconds.
    pub(crate) ttl: Option<u32>,
}

impl Answer {
    /// Reads the answer to the question for this name; `None` for anything else. Of records that are cut off, those before
    /// count.
    pub(crate) fn parse(packet: &[u8], name: &str, record: DnsRecord) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
        let flags = word(2)?;
        let entry = asked(name, record);
        let echoed = packet.get(HEAD..HEAD + entry.len())?;
        if flags & IS_ANSWER == 0 || flags & OPCODE != 0 || word(4)? != 1 || !echoed.eq_ignore_ascii_case(&entry) {
            return None;
        }
        let mut answer = Self { id: word(0)?, code: (flags & 0xf) as u8, answers: 0, ttl: None };
        let mut at = HEAD + entry.len();
        for _ in 0..word(6)? {
            let Some((kind, ttl, next)) = resource(packet, at) else { break };
            if kind == record.number() {
                answer.answers += 1;
                answer.ttl = Some(answer.ttl.map_or(ttl, |least| least.min(ttl)));
            }
            at = next;
        }
        Some(answer)
    }

    /// The code in words.
    pub(crate) fn code_name(&self) -> &'static str {
        match self.code {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            _ => "other",
        }
    }
}

/// Type and time to live of the record at a place, and where the next one is.
fn resource(packet: &[u8], at: usize) -> Option<(u16, u32, usize)> {
    let at = behind_name(packet, at)?;
    let (fixed, _) = packet.get(at..)?.split_first_chunk::<10>()?;
    let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
    let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    let next = at + 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    (next <= packet.len()).then_some((kind, ttl, next))
}

/// Where a name ends; what it says is not looked at, so no pointer is followed.
fn behind_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::bytes_of_hex;

    /// example.org, A: one CNAME, two addresses; as a name server packs it.
    const ANSWER: &str = "abcd 8180 0001 0003 0000 0000 07 6578616d706c65 03 6f7267 00 0001 0001 \
        c00c 0005 0001 0000003c 0002 c014  c00c 0001 0001 00000e10 0004 c0000201  c00c 0001 0001 00000064 0004 c0000202";

    fn hex(text: &str) -> Vec<u8> {
        bytes_of_hex(text).unwrap()
    }

    #[test]
    fn a_question_is_laid_out_as_the_rfc_says() {
        let question = question(0xabcd, "example.org", DnsRecord::A);
        let expected = "abcd 0100 0001 0000 0000 0000 07 6578616d706c65 03 6f7267 00 0001 0001";
        assert_eq!(question, hex(expected));
    }

    #[test]
    fn an_answer_is_read_as_far_as_it_goes() {
        let parse = |packet: &[u8]| Answer::parse(packet, "Example.org", DnsRecord::A);
        let packet = hex(ANSWER);
        assert_eq!(parse(&packet), Some(Answer { id: 0xabcd, code: 0, answers: 2, ttl: Some(100) }));
        assert_eq!(parse(&packet[..packet.len() - 1]).unwrap().answers, 1);
        assert_eq!(parse(&hex(&ANSWER.replacen("8180", "8183", 1))).unwrap().code_name(), "NXDOMAIN");
        for other in [
            ANSWER.replacen("8180", "0100", 1),
            ANSWER.replacen("8180", "a980", 1),
            ANSWER.replacen("6578", "6579", 1),
            ANSWER.replacen("0001 0003", "0002 0003", 1),
        ] {
            assert_eq!(parse(&hex(&other)), None, "{other}");
        }
        assert_eq!(Answer::parse(&packet, "example.org", DnsRecord::Aaaa), None);
        (0..HEAD + 17).for_each(|length| assert_eq!(parse(&packet[..length]), None));
    }
}
