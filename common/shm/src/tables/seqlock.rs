//! A value of several words with one writer and any readers, who never see half of it.

use crate::sync::{AtomicU64, Ordering::*, fence};

/// Reads before a value counts as unreadable. A write takes nanoseconds, so only a writer that died in the middle of
/// one, or was put aside by the kernel, exhausts them.
const ATTEMPTS: usize = 256;

/// Writes a value. `words[0]` is its sequence number, odd during a write; only one thread writes.
pub(crate) fn write(words: &[AtomicU64], value: impl Iterator<Item = u64>) {
    let (sequence, words) = words.split_first().expect("a sequence word");
    // Odd even if an earlier writer died in the middle.
    let writing = sequence.load(Relaxed) | 1;
    sequence.store(writing, Relaxed);
    // Pairs with the Acquire fence in `read`: who sees a new word sees the odd number.
    fence(Release);
    for (word, value) in words.iter().zip(value) {
        word.store(value, Relaxed);
    }
    // Pairs with the Acquire load in `read`: who sees the even number sees the words.
    sequence.store(writing.wrapping_add(1), Release);
}

/// Reads a value into `copy`; `false` when nothing was written yet, or a writer does not come to its end.
pub(crate) fn read(words: &[AtomicU64], mut copy: impl FnMut(usize, u64)) -> bool {
    let (sequence, words) = words.split_first().expect("a sequence word");
    for _ in 0..ATTEMPTS {
        // Pairs with the Release store in `write`.
        let before = sequence.load(Acquire);
        if before == 0 {
            return false;
        }
        if before.is_multiple_of(2) {
            words.iter().enumerate().for_each(|(index, word)| copy(index, word.load(Relaxed)));
            // Pairs with the Release fence in `write`.
            fence(Acquire);
            if sequence.load(Relaxed) == before {
                return true;
            }
        }
        #[cfg(not(loom))]
        std::hint::spin_loop();
        #[cfg(loom)]
        loom::thread::yield_now();
    }
    false
}
