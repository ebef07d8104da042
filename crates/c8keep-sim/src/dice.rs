//! The only randomness of a night: numbers that follow from its seed.

use c8keep_twin::world::draw::draw;

/// A row of numbers from one seed.
#[derive(Debug, Clone)]
pub struct Dice {
    seed: u64,
    label: &'static str,
    thrown: u64,
}

impl Dice {
    /// Rows with different labels have nothing to do with each other.
    pub fn new(seed: u64, label: &'static str) -> Dice {
        Dice { seed, label, thrown: 0 }
    }

    /// A number in `0..limit`; 0 where the limit is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.thrown += 1;
        draw(self.seed, self.label, self.thrown).checked_rem(limit).unwrap_or(0)
    }

    /// A place in a list of that length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// True once in `of`.
    pub fn once_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}
