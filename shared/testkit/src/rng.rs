//! Random numbers from one seed: the same on every machine.

/// SplitMix64. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A sequence of its own for every seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Bytes that look like a secret.
    pub fn bytes(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| u8::try_from(self.below(256)).unwrap_or(0))
    }

    /// A number below `n`; 0 for `n` of 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.number() % n }
    }

    /// A number between both ends, inclusive.
    pub fn between(&mut self, (low, high): (u64, u64)) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A place in a list of this length; 0 for an empty one.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// One of these.
    pub fn one_of<T: Copy, const N: usize>(&mut self, list: [T; N]) -> T {
        const { assert!(N > 0, "nothing to choose from") }
        list[self.index(N)]
    }

    /// A sequence of its own, for a part of a run.
    pub fn fork(&mut self) -> Rng {
        Rng::new(self.number())
    }
}
