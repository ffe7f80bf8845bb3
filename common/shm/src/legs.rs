use crate::sync::{AtomicU64, Words};
use crate::{Region, seqlock};
use contract::LegRow;
use zerocopy::{FromZeros, IntoBytes};

/// What the workers run: one row per port pair, written by the worker that runs the leg, read by anybody.
#[derive(Clone, Debug)]
pub struct LegTable {
    region: Region,
}

/// The row names a port that has no place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("port {0} has no row in the leg table: it is not an even port of the range")]
pub struct NoSuchPort(pub u16);

impl LegTable {
    pub(crate) fn new(region: Region) -> Self {
        Self { region }
    }

    /// Replaces the row of `row.leg`'s port. Only the worker that runs the leg may.
    pub fn publish(&self, row: &LegRow) -> Result<(), NoSuchPort> {
        let words = self.words(row.leg.port).ok_or(NoSuchPort(row.leg.port))?;
        seqlock::write(words, row.as_bytes().as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)));
        Ok(())
    }

    /// The row of a port, never half of it. `None`: no such port, never written, or its writer died while writing.
    pub fn read(&self, port: u16) -> Option<LegRow> {
        const { assert!(size_of::<LegRow>().is_multiple_of(8)) };
        let words = self.words(port)?;
        let mut row = LegRow::new_zeroed();
        let chunks = row.as_mut_bytes().as_chunks_mut::<8>().0;
        seqlock::read(words, |index, word| chunks[index] = word.to_ne_bytes()).then_some(row)
    }

    /// Every row that was ever written, in the order of ports.
    pub fn rows(&self) -> impl Iterator<Item = LegRow> + '_ {
        let blocks = self.region.blocks();
        (0..blocks.pair_count()).filter_map(|pair| self.read(blocks.port(pair)))
    }

    fn words(&self, port: u16) -> Option<&[AtomicU64]> {
        let pair = self.region.blocks().pair(port)?;
        Some(&self.region.words()[self.region.layout().leg(pair)])
    }
}
