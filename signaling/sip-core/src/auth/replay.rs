//! Which counts of which nonces were used (RFC 7616 §3.4.6): a window per nonce, two generations, a bound.

use clock::{Duration, Instant};
use std::collections::HashMap;

/// Counts that may come out of order: as many as a window has bits.
const WINDOW_BITS: u32 = u64::BITS;

#[derive(Clone, Copy, Default)]
struct Window {
    highest: u32,
    /// Bit `n`: count `highest - n` was used.
    used: u64,
}

impl Window {
    fn take(&mut self, count: u32) -> bool {
        if count == 0 {
            return false;
        }
        if count > self.highest {
            let ahead = count - self.highest;
            self.used = if ahead < WINDOW_BITS { self.used << ahead } else { 0 } | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        let bit = 1u64.checked_shl(behind).unwrap_or(0);
        let is_new = bit != 0 && self.used & bit == 0;
        self.used |= bit;
        is_new
    }
}

/// The windows of nonces that were proven. The older generation goes when the younger is as old as a nonce may get.
pub(crate) struct Replays {
    young: HashMap<[u8; 16], Window>,
    old: HashMap<[u8; 16], Window>,
    turned_at: Instant,
    max_count: usize,
}

impl Replays {
    pub(crate) fn new(max_count: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), turned_at: Instant::ZERO, max_count }
    }

    pub(crate) fn count(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether this count of this nonce is used for the first time. When there is no room for another nonce it is not:
    /// its user is asked to come again with a new one.
    pub(crate) fn take(&mut self, now: Instant, life: Duration, nonce: &[u8], count: u32) -> bool {
        if now.since(self.turned_at) > life {
            let is_long_ago = now.since(self.turned_at) > life * 2;
            self.old = std::mem::take(&mut self.young);
            if is_long_ago {
                self.old.clear();
            }
            self.turned_at = now;
        }
        let mut key = [0; 16];
        let tail = nonce.len().saturating_sub(16);
        let bytes = &nonce[tail..];
        key[..bytes.len()].copy_from_slice(bytes);
        if let Some(window) = self.old.get_mut(&key).or_else(|| self.young.get_mut(&key)) {
            return window.take(count);
        }
        if self.count() >= self.max_count {
            return false;
        }
        self.young.entry(key).or_default().take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_once_in_any_order_within_the_window() {
        let mut window = Window::default();
        assert!([5, 3, 1, 64, 2].into_iter().all(|count| window.take(count)));
        assert!([0, 5, 3, 1, 64, 2].into_iter().all(|count| !window.take(count)));
        assert!(window.take(200) && !window.take(64) && !window.take(136) && window.take(137));
        assert!(window.take(u32::MAX) && !window.take(200));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_with_the_life_of_a_nonce() {
        let life = Duration::from_secs(60);
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut replays = Replays::new(2);
        let nonce = |n: u8| [n; 64];
        assert!(replays.take(at(1), life, &nonce(1), 1) && replays.take(at(1), life, &nonce(2), 1));
        assert!(!replays.take(at(1), life, &nonce(3), 1), "full");
        assert!(!replays.take(at(59), life, &nonce(1), 1), "used");
        assert!(!replays.take(at(61), life, &nonce(1), 1), "still known: it was made up to a life ago");
        assert!(replays.take(at(130), life, &nonce(3), 1));
        assert_eq!(replays.count(), 1);
        assert!(replays.take(at(1000), life, &nonce(4), 1) && replays.count() == 1);
    }
}
