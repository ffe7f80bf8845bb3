//! How much of a transaction user's tables is in use, by all requests together and by those of one source, and how much may be.

use crate::table::hash::{Index, Key, Keyed};
use crate::transactions::strangers::{Source, block};
use std::net::IpAddr;

/// Bytes, entries of the tables, or both: what is in use, or how much may be.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Usage {
    pub(crate) requests: usize,
    /// An INVITE that waits for its final response counts twice: for itself, and for the CANCEL that may follow it.
    pub(crate) branches: usize,
    /// Of the messages that are kept.
    pub(crate) bytes: usize,
}

impl Usage {
    pub(crate) fn plus(self, more: Self) -> Self {
        self.with(more, usize::saturating_add)
    }

    pub(crate) fn minus(self, less: Self) -> Self {
        self.with(less, usize::saturating_sub)
    }

    pub(crate) fn fits(self, limit: Self) -> bool {
        self.requests <= limit.requests && self.branches <= limit.branches && self.bytes <= limit.bytes
    }

    /// At least one of each.
    fn part(self, divisor: usize) -> Self {
        self.with(Self::default(), |amount, _| amount.div_ceil(divisor))
    }

    fn with(self, other: Self, combine: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            requests: combine(self.requests, other.requests),
            branches: combine(self.branches, other.branches),
            bytes: combine(self.bytes, other.bytes),
        }
    }
}

/// What is known of the sender of a request, and what the request costs us on its account.
#[derive(Clone, Copy, Default)]
pub(crate) struct Caller {
    /// What the request takes, as it was counted last.
    pub(crate) usage: Usage,
    /// The source on whose account that is, until the request is done.
    pub(crate) source: Option<Key>,
    /// It is answered and may give way to others.
    pub(crate) is_done: bool,
    /// The source of one that has shown nothing; one that is no INVITE has it until its final response.
    pub(crate) stranger: Option<Source>,
}

/// Under which the requests of a source are counted.
pub(crate) fn source_key(keyed: &Keyed, source: IpAddr) -> Key {
    let octets = match block(source) {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    keyed.key(&[b"quota", &octets])
}

/// What one source, an IPv4 address or an IPv6 /64, has in progress.
#[derive(Default)]
struct OfSource {
    usage: Usage,
    /// It was said that the source has as much as one may have.
    is_told: bool,
}

/// What is in use.
pub(crate) struct Quota {
    capacity: Usage,
    total: Usage,
    /// The part of it that gives way: requests that have been answered.
    done: Usage,
    /// The part of it for sources that have shown nothing.
    strangers: Usage,
    by_source: Index<OfSource>,
}

/// One of so many parts of the tables is for requests in dialogs, and for sources that are known, alone.
const RESERVE_PART: usize = 8;
/// One source may have one of so many parts.
const SOURCE_PART: usize = 4;
/// All sources that have shown nothing may have one of so many parts.
const STRANGERS_PART: usize = 2;

impl Quota {
    pub(crate) fn new(capacity: Usage) -> Self {
        Self {
            capacity,
            total: Usage::default(),
            done: Usage::default(),
            strangers: Usage::default(),
            by_source: Index::default(),
        }
    }

    /// Bytes of all messages that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.total.bytes
    }

    fn reserve(&self) -> Usage {
        self.capacity.with(Usage::default(), |amount, _| amount / RESERVE_PART)
    }

    /// Whether so much more fits beside what is in progress. `is_reserved`: the reserve may be used as well.
    pub(crate) fn has_room(&self, more: Usage, is_reserved: bool) -> bool {
        let limit = if is_reserved { self.capacity } else { self.capacity.minus(self.reserve()) };
        self.total.minus(self.done).plus(more).fits(limit)
    }

    /// Whether so little is in progress, with so much more, that no source can have more than one may.
    pub(crate) fn is_calm(&self, more: Usage) -> bool {
        self.total.minus(self.done).plus(more).fits(self.capacity.part(SOURCE_PART))
    }

    /// Whether so much more fits beside everything, without anything giving way.
    pub(crate) fn has_room_now(&self, more: Usage) -> bool {
        self.total.plus(more).fits(self.capacity)
    }

    /// Whether sources that have shown nothing may have so much more; in dialogs they have a part of the reserve as well.
    pub(crate) fn has_room_for_strangers(&self, more: Usage, is_in_dialog: bool) -> bool {
        let extra = if is_in_dialog { self.reserve().part(STRANGERS_PART) } else { Usage::default() };
        self.strangers.plus(more).fits(self.capacity.part(STRANGERS_PART).plus(extra))
    }

    /// Whether one source may have so much more; in its dialogs it has a part of the reserve as well, so that it can end
    /// its calls.
    pub(crate) fn has_room_for_source(&self, source: Key, more: Usage, is_in_dialog: bool) -> bool {
        let extra = if is_in_dialog { self.reserve().part(SOURCE_PART) } else { Usage::default() };
        let usage = self.by_source.get(&source).map_or(Usage::default(), |of_source| of_source.usage);
        usage.plus(more).fits(self.capacity.part(SOURCE_PART).plus(extra))
    }

    /// A source has as much as it may: `true` for the first time, until it has nothing in progress.
    pub(crate) fn tell_full(&mut self, source: Key) -> bool {
        self.by_source.get_mut(&source).is_some_and(|of_source| !std::mem::replace(&mut of_source.is_told, true))
    }

    /// A request takes so much from now on.
    pub(crate) fn change(&mut self, caller: &mut Caller, usage: Usage) {
        let before = std::mem::replace(&mut caller.usage, usage);
        if before == usage {
            return;
        }
        let changed = |sum: Usage| sum.plus(usage).minus(before);
        self.total = changed(self.total);
        if caller.is_done {
            self.done = changed(self.done);
        }
        if caller.stranger.is_some() {
            self.strangers = changed(self.strangers);
        }
        if let Some(source) = caller.source {
            let of_source = self.by_source.entry(source).or_default();
            of_source.usage = changed(of_source.usage);
            if of_source.usage == Usage::default() {
                self.by_source.remove(&source);
            }
        }
    }

    /// The source of a request is no stranger any more. The caller clears [`Caller::stranger`].
    pub(crate) fn release_stranger(&mut self, caller: &Caller) {
        self.strangers = self.strangers.minus(caller.usage);
    }

    /// A request is answered and may give way: its source is free to begin another one. `false`: it was done before.
    pub(crate) fn note_done(&mut self, caller: &mut Caller) -> bool {
        if caller.is_done {
            return false;
        }
        let usage = caller.usage;
        // What it takes counts for nothing while its source is let go.
        self.change(caller, Usage::default());
        caller.source = None;
        caller.is_done = true;
        self.change(caller, usage);
        true
    }

    /// Gives room back that a rush of sources needed.
    pub(crate) fn sweep(&mut self) {
        crate::table::hash::give_back(&mut self.by_source);
    }
}
