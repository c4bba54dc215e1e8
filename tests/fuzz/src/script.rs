//! A script of what up to three clients send: bytes, with marks between them.
//!
//! Bytes stand for themselves. A mark is 0xff and one byte more; 0xff itself is written twice. Marks have no lengths and
//! name nothing, so that a script that is cut, joined or changed anywhere is a script as well.

/// What begins a mark.
const MARK: u8 = 0xff;
/// How many clients a script can tell apart.
pub(crate) const CLIENTS: usize = 3;

/// One step of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// What follows is about this client. Its connection is opened when it first sends.
    Client(usize),
    /// The client sends these bytes as they are.
    Send(Vec<u8>),
    /// The client breaks its connection off; it may open another.
    Cut,
    /// Nobody does anything until the broker has done what it was asked.
    Settle,
}

/// Reads a script. What comes behind mark 5, up to the next mark, is a packet without its length, which is put in.
pub(crate) fn read(script: &[u8]) -> Vec<Step> {
    let (mut steps, mut bytes, mut framed) = (Vec::new(), Vec::new(), false);
    let mut rest = script.iter().copied();
    while let Some(byte) = rest.next() {
        let mark = if byte == MARK { rest.next() } else { None };
        match mark {
            None | Some(MARK) => bytes.push(byte),
            Some(mark) => {
                send(&mut steps, &mut bytes, framed);
                framed = mark == 5;
                match mark {
                    0..3 => steps.push(Step::Client(mark.into())),
                    3 => steps.push(Step::Cut),
                    4 => steps.push(Step::Settle),
                    _ => {}
                }
            }
        }
    }
    send(&mut steps, &mut bytes, framed);
    steps
}

fn send(steps: &mut Vec<Step>, bytes: &mut Vec<u8>, framed: bool) {
    if bytes.is_empty() {
        return;
    }
    let bytes = std::mem::take(bytes);
    steps.push(Step::Send(if framed { with_length(&bytes) } else { bytes }));
}

/// Puts the remaining length behind a packet's first byte.
fn with_length(packet: &[u8]) -> Vec<u8> {
    let (first, body) = packet.split_at(1);
    let (mut length, mut left) = (Vec::new(), body.len());
    loop {
        let low = (left % 128) as u8;
        left /= 128;
        length.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            return [first, &length, body].concat();
        }
    }
}
