//! What a call of the filter that lets everything pass costs: there and back, with all limits on.

use crate::figures::{information, nanos, target, targets};
use crate::subject::{Subject, pass};

const ROUNDS: usize = 31;
/// Messages of a round.
const MESSAGES: usize = 64_000;
/// Messages at once, bytes of each, and the most nanoseconds that one of them may cost.
const CASES: [(usize, usize, Option<f64>); 6] =
    [(1, 64, Some(500.0)), (16, 64, Some(250.0)), (64, 64, None), (1, 1024, None), (16, 1024, None), (1, 65_536, None)];

/// Nanoseconds a message.
pub(crate) fn call(subject: &Subject, batch: usize, bytes: usize, rounds: usize, messages: usize) -> f64 {
    let mut plugin = subject.plugin();
    let batch = subject.messages(batch, bytes);
    // The first call makes the instance.
    pass(&mut plugin, &batch);
    nanos(rounds, messages / batch.len(), || pass(&mut plugin, &batch)) / batch.len() as f64
}

pub(crate) fn run() {
    let subject = Subject::of("pass");
    targets();
    for (batch, bytes, most) in CASES {
        let messages = if bytes > 1024 { MESSAGES / 16 } else { MESSAGES };
        let cost = call(&subject, batch, bytes, ROUNDS, messages);
        eprintln!("   {batch} of {bytes} bytes: {cost:.0} ns a message");
        let size = if bytes < 1024 { format!("{bytes} bytes") } else { format!("{} KiB", bytes / 1024) };
        let figure = match batch {
            1 => format!("A message alone, {size}"),
            _ => format!("A message in a batch of {batch}, {size}"),
        };
        let measured = format!("{cost:.0} ns");
        match most {
            Some(most) => target(&figure, &measured, &format!("≤ {most:.0} ns"), cost <= most),
            None => information(&figure, &measured),
        }
    }
}
