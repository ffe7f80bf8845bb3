use crate::Region;
use crate::sync::{Ordering::Relaxed, Words};
use stats::{CounterSet, Counts};
use std::marker::PhantomData;

/// The counters of one worker or client: written by their owner, read by anybody.
#[derive(Clone, Debug)]
pub struct CounterBlock<C> {
    region: Region,
    start: usize,
    set: PhantomData<C>,
}

impl<C: CounterSet> CounterBlock<C> {
    pub(crate) fn new(region: Region, start: usize) -> Self {
        Self { region, start, set: PhantomData }
    }

    /// Shows the numbers (`Counts::values`) to everybody. Costs plain stores; only the owner may.
    pub fn publish(&self, values: &[u64]) {
        let words = &self.region.words()[self.start..self.start + C::ALL.len()];
        for (word, value) in words.iter().zip(values) {
            word.store(*value, Relaxed); // pairs with `read`; each number stands for itself
        }
    }

    /// The numbers as last published.
    pub fn read(&self) -> Counts<C> {
        let mut counts = Counts::default();
        for (counter, word) in C::ALL.iter().zip(&self.region.words()[self.start..]) {
            counts.set(*counter, word.load(Relaxed));
        }
        counts
    }
}
