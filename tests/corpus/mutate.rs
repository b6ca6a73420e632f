//! Mutations of known inputs: bytes flipped, parts removed, repeated and exchanged, numbers and texts inserted.

use roadstead_ground::chance::Chance;

/// Texts on which readers have failed before, or that change the meaning of YAML, JSON, URLs and numbers.
const TEXTS: [&str; 20] = [
    "\0",
    "\n",
    "\t",
    "\"",
    "'",
    "{",
    "[",
    "}",
    ": ",
    "&a ",
    "*a",
    "-1",
    "1e999",
    "18446744073709551616",
    "Mi",
    "%0d%0a",
    "@",
    "\u{202e}",
    "null",
    "---\n",
];

/// Longest input in bytes, so that repeated insertions do not slow down the test.
const MAX_BYTES: usize = 64 * 1024;

/// A stream of mutated inputs.
pub struct Mutator<'a> {
    chance: Chance,
    corpus: &'a [Vec<u8>],
}

impl<'a> Mutator<'a> {
    /// Mutations of `corpus`, always the same for the same seed.
    pub fn new(seed: u64, corpus: &'a [Vec<u8>]) -> Self {
        Self { chance: Chance::new(seed), corpus }
    }

    /// The next input: a file of the corpus with one to eight mutations.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.file().to_vec();
        for _ in 0..=self.below(8) {
            self.mutate(&mut input);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn below(&mut self, end: usize) -> usize {
        self.chance.below(end)
    }

    fn file(&mut self) -> &'a [u8] {
        let index = self.below(self.corpus.len());
        &self.corpus[index]
    }

    /// A range of at most 64 bytes within `length`.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..(start + self.below(65)).min(length)
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let part = self.part(input.len());
        let at = part.start;
        match self.below(6) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 => drop(input.drain(part)),
            2 => {
                let copy = input[part].to_vec();
                let to = self.below(input.len() + 1);
                drop(input.splice(to..to, copy));
            }
            3 => {
                let text = TEXTS[self.below(TEXTS.len())];
                drop(input.splice(part, text.bytes()));
            }
            4 => {
                let other = self.file();
                let piece = self.part(other.len());
                drop(input.splice(part, other[piece].iter().copied()));
            }
            _ => {
                let text = TEXTS[self.below(TEXTS.len())];
                drop(input.splice(at..at, text.bytes()));
            }
        }
    }
}
