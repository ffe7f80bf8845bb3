//! The allocator of the executables, and giving back what it keeps for later.
//!
//! It has one unsafe call, for which it is a crate of its own. It never decides when memory goes back: threads say that
//! they have little to do. Read [`give_back`]. Tests: `cargo test -p ringplane-heap`.

pub use mimalloc::MiMalloc as Allocator;

unsafe extern "C" {
    /// A function of mimalloc (linked by the line above) that gives back the free memory of the calling thread's heap.
    fn mi_collect(force: bool);
}

/// Gives free memory of this thread back to the system. The allocator keeps a page of 64 KB or more for each size that
/// was ever in use until the thread has asked for memory a thousand times more: after a rush that may be hours. Takes some
/// microseconds, more where much is in use; for a thread that has little to do.
pub fn give_back() {
    // SAFETY: it takes no pointer, and works on the heap of the calling thread, whose blocks in use it leaves alone; a
    // thread without a heap, where another allocator is in use, has nothing to collect.
    unsafe { mi_collect(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator;

    fn private_kb() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn what_is_free_goes_back_and_what_is_used_stays() {
        give_back();
        let before = private_kb();
        let kept: Vec<Box<[u8; 700]>> = (0..1_000).map(|n| Box::new([n as u8; 700])).collect();
        let rush: Vec<Vec<u8>> = (0..20_000).map(|n| vec![1; 16 + n % 4_000]).collect();
        assert!(private_kb() > before + 30_000);
        drop(rush);
        give_back();
        let left = private_kb().saturating_sub(before);
        assert!(left < 3_000, "{left} KB are left, 700 of them in use");
        assert!(kept.iter().enumerate().all(|(n, bytes)| bytes.iter().all(|byte| *byte == n as u8)));
    }
}
