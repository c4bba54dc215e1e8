//! Random numbers that are the same in every run with the same seed.

/// `SplitMix64`.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number that an environment variable names, else another one in each run. It is printed, so that a failure can be
    /// run again.
    pub fn seed_from(variable: &str) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = std::env::var(variable).map_or(now.as_nanos() as u64, |seed| seed.parse().unwrap());
        println!("this run again: {variable}={seed}");
        seed
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 16
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// Any bytes, fewer than `end`.
    pub fn bytes(&mut self, end: u64) -> Vec<u8> {
        let count = self.below(end);
        (0..count).map(|_| self.number() as u8).collect()
    }
}
