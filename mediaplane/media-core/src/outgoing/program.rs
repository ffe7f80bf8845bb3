//! The sound of a program: its blocks wait in a bounded queue until the leg that speaks them makes its next frame.

use crate::incoming::tap::TapId;
use crossbeam::queue::ArrayQueue;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering::*};

/// Milliseconds of sound in a block: the shortest packet has one, the longest six.
pub const BLOCK_MS: u32 = 10;
/// Samples of a block at 16 kHz, the faster of its two rates.
pub const BLOCK_SAMPLES_MAX: usize = 160;
/// Blocks that wait for the worker: 160 ms.
const BLOCKS_MAX: usize = 16;
/// [`Program::last`] where the last block had no sound: the next one is faded in.
const SILENT: i32 = i32::MAX;

/// 10 ms of a program's sound, at 8 or 16 kHz.
#[derive(Clone, Debug)]
pub struct Block {
    is_wide: bool,
    samples: [i16; BLOCK_SAMPLES_MAX],
}

impl Block {
    /// From 80 samples of 8 kHz, or 160 of 16 kHz; `None` for any other number.
    pub fn new(sound: &[i16]) -> Option<Self> {
        let is_wide = sound.len() == BLOCK_SAMPLES_MAX;
        let mut samples = [0; BLOCK_SAMPLES_MAX];
        samples.get_mut(..sound.len())?.copy_from_slice(sound);
        (is_wide || sound.len() == BLOCK_SAMPLES_MAX / 2).then_some(Self { is_wide, samples })
    }

    /// The sound at 8 kHz (80 samples) or 16 kHz (160). A block whose rate is another one comes from the moment in which the
    /// leg changed its codec.
    fn fit(&self, out: &mut [i16]) {
        let own = if self.is_wide { &self.samples[..] } else { &self.samples[..BLOCK_SAMPLES_MAX / 2] };
        if own.len() == out.len() {
            out.copy_from_slice(own);
        } else if own.len() > out.len() {
            let pairs = own.chunks_exact(2).map(|pair| ((i32::from(pair[0]) + i32::from(pair[1])) / 2) as i16);
            out.iter_mut().zip(pairs).for_each(|(place, sample)| *place = sample);
        } else {
            out.chunks_mut(2).zip(own).for_each(|(places, sample)| places.fill(*sample));
        }
    }
}

/// Where the stream of a program stands. Its leg's worker and the thread that serves the program both change it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ProgramState {
    /// No worker has it yet.
    Waiting = 0,
    /// Its leg has it.
    Connected = 1,
    /// Its leg is closed.
    LegClosed = 2,
    /// Its leg had another program already.
    Refused = 3,
    /// The program has hung up: its leg is to forget it.
    Over = 4,
}

/// A program that listens to a leg, speaks on it, or both. Shared by the worker of the leg, which takes its sound, and
/// the thread that serves the program.
#[derive(Debug)]
pub struct Program {
    id: TapId,
    hears: [bool; 2],
    speaks: bool,
    state: AtomicU8,
    blocks: ArrayQueue<Block>,
    is_paused: AtomicBool,
    /// The rate that the leg's codec has: set by the worker, read by the thread, which may be a block late.
    wants_wide: AtomicBool,
    played: AtomicU64,
    /// The last sample that was sent, or [`SILENT`]. The worker alone has it.
    last: AtomicI32,
}

impl Program {
    /// Hears what the leg receives and what it sends (`hears`), and speaks on it.
    pub fn new(id: TapId, hears: [bool; 2], speaks: bool) -> Self {
        Self {
            id,
            hears,
            speaks,
            state: AtomicU8::new(ProgramState::Waiting as u8),
            blocks: ArrayQueue::new(if speaks { BLOCKS_MAX } else { 1 }),
            is_paused: AtomicBool::new(false),
            wants_wide: AtomicBool::new(false),
            played: AtomicU64::new(0),
            last: AtomicI32::new(SILENT),
        }
    }

    /// Its number, which [`crate::Tapped`] carries.
    pub fn id(&self) -> TapId {
        self.id
    }

    /// Where it stands.
    pub fn state(&self) -> ProgramState {
        use ProgramState::*;
        // Pairs with the Release of `set_state`, in the other thread.
        let state = self.state.load(Acquire);
        [Waiting, Connected, LegClosed, Refused].into_iter().find(|it| *it as u8 == state).unwrap_or(Over)
    }

    /// Says where it stands; what is over stays so.
    pub fn set_state(&self, state: ProgramState) {
        let _ = self
            .state
            .fetch_update(Release, Acquire, |now| (now <= ProgramState::Connected as u8).then_some(state as u8));
    }

    /// Takes sound for the peer; `false`: the queue is full.
    pub fn push(&self, block: Block) -> bool {
        self.blocks.push(block).is_ok()
    }

    /// Blocks that [`Self::push`] takes now.
    pub fn room(&self) -> usize {
        self.blocks.capacity() - self.blocks.len()
    }

    /// Forgets what was not sent yet; gives the number of blocks.
    pub fn flush(&self) -> u64 {
        // What comes meanwhile comes from the caller.
        (0..self.blocks.capacity()).filter(|_| self.blocks.pop().is_some()).count() as u64
    }

    /// Sends silence and keeps the blocks, or goes on with them.
    pub fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Relaxed);
    }

    /// Blocks that went into packets.
    pub fn played(&self) -> u64 {
        // Pairs with the Release of `take`: a block that is counted is not in the queue.
        self.played.load(Acquire)
    }

    /// Whether the leg sends wideband sound: blocks of 16 kHz are of use.
    pub fn wants_wide(&self) -> bool {
        self.wants_wide.load(Relaxed)
    }

    /// Whether it hears what the leg receives (0) or sends (1).
    pub(crate) fn hears(&self, side: usize) -> bool {
        self.hears[side]
    }

    /// Whether the leg sends what the program says.
    pub(crate) fn speaks(&self) -> bool {
        self.speaks && self.state.load(Relaxed) == ProgramState::Connected as u8
    }

    /// Whether it has something to say now.
    pub(crate) fn has_sound(&self) -> bool {
        self.speaks() && !self.blocks.is_empty() && !self.is_paused.load(Relaxed)
    }

    /// The next sound for a packet, in whole blocks of 16 kHz where `is_wide`, else of 8 kHz; silence where there is none,
    /// with 2.5 ms of fading on both sides so that nothing clicks.
    pub(crate) fn take(&self, is_wide: bool, out: &mut [i16]) {
        self.wants_wide.store(is_wide, Relaxed);
        let is_paused = self.is_paused.load(Relaxed);
        let mut last = self.last.load(Relaxed);
        for part in out.chunks_mut(if is_wide { BLOCK_SAMPLES_MAX } else { BLOCK_SAMPLES_MAX / 2 }) {
            let fade = part.len() / 4;
            match if is_paused { None } else { self.blocks.pop() } {
                Some(block) => {
                    block.fit(part);
                    self.played.fetch_add(1, Release);
                    if last == SILENT {
                        fade_in(&mut part[..fade]);
                    }
                    last = i32::from(part.last().copied().unwrap_or_default());
                }
                None => {
                    part.fill(0);
                    if last != SILENT {
                        fade_out(last, &mut part[..fade]);
                    }
                    last = SILENT;
                }
            }
        }
        self.last.store(last, Relaxed);
    }
}

fn fade_in(samples: &mut [i16]) {
    let count = samples.len() as i32;
    for (index, sample) in samples.iter_mut().enumerate() {
        *sample = (i32::from(*sample) * index as i32 / count) as i16;
    }
}

fn fade_out(from: i32, samples: &mut [i16]) {
    let count = samples.len() as i32;
    for (index, sample) in samples.iter_mut().enumerate() {
        *sample = (from * (count - 1 - index as i32) / count) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    fn program() -> Program {
        let program = Program::new(TapId(NonZeroU64::MIN), [true, false], true);
        program.set_state(ProgramState::Connected);
        program
    }

    fn loud(count: usize) -> Block {
        Block::new(&vec![10_000; count]).unwrap()
    }

    #[test]
    fn what_runs_dry_fades_and_what_begins_fades_in() {
        let program = program();
        assert!(program.push(loud(80)));
        let mut frame = [1; 160];
        program.take(false, &mut frame);
        assert_eq!((frame[0], frame[30], frame[79]), (0, 10_000, 10_000));
        assert!(frame.windows(2).all(|pair| (pair[0] - pair[1]).abs() <= 500), "no click: {frame:?}");
        assert_eq!((frame[99], frame[159], program.played()), (0, 0, 1));
        program.take(false, &mut frame);
        assert_eq!((frame, program.played()), ([0; 160], 1), "silence is not counted");
    }

    #[test]
    fn a_pause_keeps_and_a_flush_forgets() {
        let program = program();
        (0..3).for_each(|_| assert!(program.push(loud(80))));
        program.set_paused(true);
        let mut frame = [1; 80];
        program.take(false, &mut frame);
        assert_eq!((frame[79], program.played(), program.has_sound()), (0, 0, false));
        program.set_paused(false);
        program.take(false, &mut frame);
        assert_eq!((frame[79], program.flush(), program.played()), (10_000, 2, 1));
        assert!(!program.has_sound() && program.room() == BLOCKS_MAX);
    }

    #[test]
    fn a_block_of_the_other_rate_keeps_its_length() {
        let (program, mut wide, mut narrow) = (program(), [0; 160], [0; 80]);
        assert!(Block::new(&[0; 81]).is_none() && Block::new(&[0; 320]).is_none());
        assert!(program.push(loud(80)));
        assert!(program.push(loud(160)));
        program.take(true, &mut wide);
        assert!(program.wants_wide() && wide[159] == 10_000);
        program.take(false, &mut narrow);
        assert!(!program.wants_wide() && narrow == [10_000; 80]);
    }

    #[test]
    fn what_is_over_stays_over() {
        let program = program();
        program.set_state(ProgramState::Over);
        program.set_state(ProgramState::Connected);
        assert_eq!(program.state(), ProgramState::Over);
        assert!(program.push(loud(80)));
        assert!(!program.has_sound());
    }
}
