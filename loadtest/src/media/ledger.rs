//! The book of one stream: what was sent, what came back, in which order, how late.

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// The next one, or one after a hole.
    InOrder,
    /// It fills a hole: a later one came before it.
    Reordered,
    /// It was here before.
    Duplicate,
}

/// Numbers of packets, counted as they come; remembers the last 128 to tell a late packet from a duplicate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ledger {
    /// Packets sent.
    pub sent: u64,
    /// Different packets received.
    pub received: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// One more than the highest number seen; 0: none yet.
    next: u64,
    /// Bit `n` stands for the number `next - 1 - n`.
    window: u128,
}

impl Ledger {
    /// Writes down that packet `number` came.
    pub fn arrived(&mut self, number: u64) -> Arrival {
        if number >= self.next {
            let step = number - self.next + 1;
            self.window = if step >= 128 { 1 } else { (self.window << step) | 1 };
            self.next = number + 1;
            self.received += 1;
            return Arrival::InOrder;
        }
        let age = self.next - 1 - number;
        let known = age < 128 && self.window & (1 << age) != 0;
        if known {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        if age < 128 {
            self.window |= 1 << age;
        }
        self.received += 1;
        self.reordered += 1;
        Arrival::Reordered
    }

    /// Packets that were sent and never came.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}

/// Interarrival jitter as RFC 3550 §A.8 computes it, in nanoseconds, for packets that carry their time of sending.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jitter {
    transit_ns: Option<i64>,
    scaled: i64,
}

impl Jitter {
    /// A packet that was sent at `sent_ns` came at `received_ns`.
    pub fn arrived(&mut self, sent_ns: u64, received_ns: u64) {
        let transit = received_ns.wrapping_sub(sent_ns) as i64;
        if let Some(before) = self.transit_ns.replace(transit) {
            let difference = transit.wrapping_sub(before).saturating_abs();
            self.scaled += difference - ((self.scaled + 8) >> 4);
        }
    }

    /// The jitter now, nanoseconds.
    pub fn nanos(&self) -> u64 {
        (self.scaled >> 4).max(0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_holes_and_copies_are_told_apart() {
        let mut ledger = Ledger { sent: 6, ..Default::default() };
        let arrivals = [0, 1, 3, 3, 2, 5].map(|number| ledger.arrived(number));
        use Arrival::*;
        assert_eq!(arrivals, [InOrder, InOrder, InOrder, Duplicate, Reordered, InOrder]);
        assert_eq!((ledger.received, ledger.lost(), ledger.duplicates, ledger.reordered), (5, 1, 1, 1));
    }

    #[test]
    fn a_long_hole_forgets_what_was_before() {
        let mut ledger = Ledger::default();
        ledger.arrived(0);
        assert_eq!(ledger.arrived(1_000), Arrival::InOrder);
        assert_eq!(ledger.arrived(999), Arrival::Reordered);
        assert_eq!(ledger.arrived(999), Arrival::Duplicate);
    }

    #[test]
    fn an_even_stream_has_no_jitter_and_an_uneven_one_has() {
        let (mut even, mut uneven) = (Jitter::default(), Jitter::default());
        for n in 0..500u64 {
            even.arrived(n * 20_000_000, n * 20_000_000 + 50_000);
            uneven.arrived(n * 20_000_000, n * 20_000_000 + 50_000 + (n % 2) * 1_000_000);
        }
        assert_eq!(even.nanos(), 0);
        assert!((900_000..1_100_000).contains(&uneven.nanos()), "{}", uneven.nanos());
    }
}
