use super::seqlock;
use crate::Region;
use crate::sync::{AtomicU64, Words};
use contract::{LegRef, LegRow};
use zerocopy::{FromZeros, IntoBytes};

/// What the workers run: one row per leg id, written by the worker that runs the leg, read by anybody.
#[derive(Clone, Debug)]
pub struct LegTable {
    region: Region,
}

/// The leg has no row in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the leg table has no row {0}")]
pub struct NoSuchRow(pub u32);

impl LegTable {
    pub(crate) fn new(region: Region) -> Self {
        Self { region }
    }

    /// Replaces the row of `row.leg`. Only the worker that runs the leg may.
    pub fn publish(&self, row: &LegRow) -> Result<(), NoSuchRow> {
        let words = self.words(row.leg.row_index()).ok_or(NoSuchRow(row.leg.row))?;
        seqlock::write(words, row.as_bytes().as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)));
        Ok(())
    }

    /// The row of a leg, never half of it. `None`: no such row, never written in this life of it, or its writer died while
    /// writing.
    pub fn read(&self, leg: LegRef) -> Option<LegRow> {
        self.read_row(leg.row_index()).filter(|row| row.leg == leg)
    }

    /// Every row that was ever written, in the order of the table.
    pub fn rows(&self) -> impl Iterator<Item = LegRow> + '_ {
        (0..self.region.layout().leg_pool().len()).filter_map(|row| self.read_row(row))
    }

    fn read_row(&self, row: usize) -> Option<LegRow> {
        const { assert!(size_of::<LegRow>().is_multiple_of(8)) };
        let words = self.words(row)?;
        let mut row = LegRow::new_zeroed();
        let chunks = row.as_mut_bytes().as_chunks_mut::<8>().0;
        seqlock::read(words, |index, word| chunks[index] = word.to_ne_bytes()).then_some(row)
    }

    fn words(&self, row: usize) -> Option<&[AtomicU64]> {
        let layout = self.region.layout();
        (row < layout.leg_pool().len()).then(|| &self.region.words()[layout.leg_row(row)])
    }
}
