use clock::{Duration, Instant};

/// Receive buffers that are lent to the kernel at least.
const LENT_COUNT_MIN: u16 = 256;
/// How often the demand is looked at.
const WINDOW: Duration = Duration::from_secs(2);

/// Decides how many receive buffers the kernel has. It fills them in turns, so memory of all that are lent is in use
/// soon, whatever the load: a worker with little to do keeps few. Too few is no loss, packets wait in their sockets: then
/// it lends twice as many at once, and takes them back when a window has passed that did not need them.
#[derive(Debug)]
pub(crate) struct Lending {
    /// Buffers below this number are lent.
    limit: u16,
    count: u16,
    /// Those from `limit` on that came back. The others are still in the kernel's hands, or never came there.
    withheld: Vec<u16>,
    /// Most packets of a turn in this window.
    turn_peak: u16,
    /// Most buffers of our own packets in a turn of this window.
    taken_peak: u16,
    window_end: Instant,
    /// Buffers of which memory may be in use: below these.
    touched: u16,
    taken_touched: u16,
}

/// Buffers whose memory can be given back: those from `receive_from` on, and from `taken_from` on of our own packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trim {
    pub(crate) receive_from: u16,
    pub(crate) taken_from: u16,
}

impl Lending {
    /// Of `count` buffers, a power of two. Those from [`Lending::limit`] on are withheld.
    pub(crate) fn new(count: u16) -> Self {
        let limit = LENT_COUNT_MIN.min(count);
        let mut withheld = Vec::with_capacity(count.into());
        withheld.extend(limit..count);
        Self {
            limit,
            count,
            withheld,
            turn_peak: 0,
            taken_peak: 0,
            window_end: Instant::ZERO,
            touched: 0,
            taken_touched: 0,
        }
    }

    pub(crate) fn limit(&self) -> u16 {
        self.limit
    }

    /// A buffer came back. True: lend it again.
    #[inline]
    pub(crate) fn take_back(&mut self, index: u16) -> bool {
        let lend = index < self.limit;
        if !lend {
            self.withheld.push(index);
        }
        lend
    }

    /// Whether the kernel has no other buffers than those below the limit.
    fn is_complete(&self) -> bool {
        self.withheld.len() == usize::from(self.count - self.limit)
    }

    /// The kernel ran out. Says the buffers to lend beside the others.
    pub(crate) fn grow(&mut self) -> impl Iterator<Item = u16> + '_ {
        self.limit = self.limit.saturating_mul(2).min(self.count);
        let limit = self.limit;
        self.withheld.extract_if(.., move |index| *index < limit)
    }

    /// Notes a turn.
    pub(crate) fn turn(&mut self, received_count: usize, taken_count: u16) {
        self.turn_peak = self.turn_peak.max(u16::try_from(received_count).unwrap_or(u16::MAX));
        self.taken_peak = self.taken_peak.max(taken_count);
    }

    /// At the end of a window: what can be given back. `idle` says that nothing lies in any buffer, not even in one that
    /// the kernel has filled.
    pub(crate) fn trim(&mut self, now: Instant, idle: bool) -> Option<Trim> {
        if now < self.window_end {
            return None;
        }
        self.window_end = now + WINDOW;
        let (turn_peak, taken_peak) = (std::mem::take(&mut self.turn_peak), std::mem::take(&mut self.taken_peak));
        if turn_peak > 0 {
            self.touched = if self.is_complete() { self.touched.max(self.limit) } else { self.count };
        }
        self.taken_touched = self.taken_touched.max(taken_peak);
        // A turn's buffers are away while those of the next are filled.
        let needed = turn_peak.saturating_mul(2).checked_next_power_of_two().unwrap_or(self.count);
        self.limit = self.limit.min(needed.clamp(LENT_COUNT_MIN.min(self.count), self.count));
        let nothing_came = turn_peak == 0 && idle;
        let receive_from = match (nothing_came, self.is_complete()) {
            (true, _) => 0,
            (false, true) => self.limit,
            (false, false) => self.count,
        };
        let trim = Trim { receive_from: receive_from.min(self.touched), taken_from: taken_peak };
        let worth_it = trim.receive_from < self.touched || trim.taken_from < self.taken_touched;
        (self.touched, self.taken_touched) = (trim.receive_from, trim.taken_from);
        worth_it.then_some(trim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(now: &mut Instant) -> Instant {
        *now += WINDOW;
        *now
    }

    #[test]
    fn lends_more_when_the_kernel_runs_out_and_takes_it_back_when_it_was_not_needed() {
        let (mut lending, mut now) = (Lending::new(2_048), Instant::ZERO);
        assert_eq!(lending.limit(), 256);
        assert_eq!(lending.grow().collect::<Vec<_>>(), (256..512).collect::<Vec<_>>());
        assert_eq!(lending.grow().count(), 512);
        assert_eq!(lending.limit(), 1_024);
        lending.turn(400, 0);
        assert_eq!(lending.trim(later(&mut now), false), None, "all are needed");
        assert_eq!(lending.limit(), 1_024);
        lending.turn(100, 0);
        assert_eq!(lending.trim(later(&mut now), false), None, "they are still lent");
        assert_eq!((lending.limit(), lending.take_back(255)), (256, true));
        assert!((256..1_024).all(|index| !lending.take_back(index)));
        lending.turn(100, 0);
        assert_eq!(lending.trim(later(&mut now), false), Some(Trim { receive_from: 256, taken_from: 0 }));
        lending.turn(100, 0);
        assert_eq!(lending.trim(later(&mut now), false), None, "given back already");
        assert_eq!(lending.grow().count(), 256);
    }

    #[test]
    fn never_lends_more_than_there_are() {
        let mut lending = Lending::new(512);
        assert_eq!((lending.grow().count(), lending.grow().count(), lending.limit()), (256, 0, 512));
        let mut few = Lending::new(8);
        assert_eq!((few.limit(), few.grow().count()), (8, 0));
        few.turn(60_000, 0);
        few.trim(Instant::ZERO, false);
        assert_eq!(few.limit(), 8);
    }

    #[test]
    fn gives_all_back_once_after_a_window_without_packets() {
        let (mut lending, mut now) = (Lending::new(2_048), Instant::ZERO);
        lending.turn(10, 40);
        assert_eq!(lending.trim(later(&mut now), true), None, "they were needed a moment ago");
        assert_eq!(lending.trim(later(&mut now), false), Some(Trim { receive_from: 256, taken_from: 0 }));
        assert_eq!(lending.trim(later(&mut now), true), Some(Trim { receive_from: 0, taken_from: 0 }));
        assert_eq!(lending.trim(later(&mut now), true), None);
    }
}
