//! Figures of a plugin's own.

use super::super::bindings::stile::filter::metrics::Host;
use super::super::state::{State, misuse};
use super::super::status::{Figure, METRICS};

/// The longest name.
const NAME_BYTES: usize = 64;

fn is_name(name: &str) -> bool {
    let known = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    !name.is_empty() && name.len() <= NAME_BYTES && name.bytes().all(known)
}

impl State {
    /// The place of a figure within this call.
    fn figure(&mut self, name: String, new: Figure) -> wasmtime::Result<&mut Figure> {
        if !is_name(&name) {
            return misuse("gave a figure a name that is not 1 to 64 of `a-z 0-9 _`");
        }
        if self.figures.len() >= METRICS && !self.figures.contains_key(&name) {
            return misuse(format!("measures more than {METRICS} figures"));
        }
        Ok(self.figures.entry(name).or_insert(new))
    }
}

impl Host for State {
    fn count(&mut self, name: String, by: u64) -> wasmtime::Result<()> {
        match self.figure(name, Figure::Count(0))? {
            Figure::Count(sum) => *sum = sum.saturating_add(by),
            Figure::Gauge(_) => return misuse("counts a figure that it set before"),
        }
        Ok(())
    }

    fn gauge(&mut self, name: String, value: f64) -> wasmtime::Result<()> {
        *self.figure(name, Figure::Gauge(value))? = Figure::Gauge(value);
        Ok(())
    }
}
