//! What there is, as each part of a switch says.

use super::LeakKind;
use crate::{Name, Relations};
use clock::Instant;
use std::collections::{HashMap, HashSet};

/// All that there is, at about one moment: its parts are asked one after the other, so a comparison has to look twice.
#[derive(Clone, Debug)]
pub struct Census<C> {
    /// Calls that the program knows, and whether each has a place.
    pub known: HashMap<C, bool>,
    /// Places that are taken.
    pub place_count: usize,
    /// What each shard has.
    pub shards: Vec<ShardCensus<C>>,
    /// Tasks that work for handlers.
    pub tasks: Vec<Task<C>>,
    /// Seats of calls in groups, in the dependency tree and in sequences.
    pub seats: Vec<Seat<C>>,
    /// When a call ended last; `None`: none has.
    pub last_end: Option<Instant>,
}

/// What one shard has, and what the media plane has for it.
#[derive(Clone, Debug)]
pub struct ShardCensus<C> {
    /// The shard's number.
    pub number: usize,
    /// Its calls.
    pub calls: HashSet<C>,
    /// INVITEs that it has sent and that are not answered yet.
    pub open_invites: usize,
    /// Dialogs that SIP has.
    pub dialogs: usize,
    /// Dialogs that its calls have.
    pub call_dialogs: usize,
    /// Alarms of calls that are set.
    pub timers: usize,
    /// Deadlines that are kept, those of alarms that were set anew included.
    pub deadlines: usize,
    /// What it finds by itself, each with the call that it belonged to.
    pub leaks: Vec<(C, String)>,
    /// What it has of the media plane; `None`: there is no media plane, and nothing that could be held.
    pub ports: Option<HeldPorts>,
}

/// Ports of the media plane.
#[derive(Clone, Default, Debug)]
pub struct HeldPorts {
    /// Ports of the shard's calls.
    pub used: HashSet<u16>,
    /// Ports that the shard has taken from the pool.
    pub taken: HashSet<u16>,
    /// Ports of legs that run although their port was given back.
    pub orphans: Vec<u16>,
}

/// A task that works for a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Task<C> {
    /// The call that it works for.
    pub call: C,
    /// What it does.
    pub work: Work,
    /// When it began.
    pub since: Instant,
}

/// What a task does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Work {
    /// It tells the handler of one call what happens, one method after the other.
    Telling,
    /// It runs a method of the handler.
    Handler,
}

/// A call's seat in a group, in the dependency tree or in a sequence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat<C> {
    /// What it would be if the call were gone.
    pub kind: LeakKind,
    /// The call.
    pub call: C,
    /// Where the seat is, in words.
    pub place: String,
}

impl<C> Default for Census<C> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            place_count: 0,
            shards: Vec::new(),
            tasks: Vec::new(),
            seats: Vec::new(),
            last_end: None,
        }
    }
}

impl<C> Default for ShardCensus<C> {
    fn default() -> Self {
        Self {
            number: 0,
            calls: HashSet::new(),
            open_invites: 0,
            dialogs: 0,
            call_dialogs: 0,
            timers: 0,
            deadlines: 0,
            leaks: Vec::new(),
            ports: None,
        }
    }
}

impl<C: Name> Census<C> {
    /// Counts the seats that calls have in these relations.
    pub fn add_seats<B: Name>(&mut self, relations: &mut Relations<B, C>) {
        let mut add = |kind, call, place| self.seats.push(Seat { kind, call, place });
        for (group, call) in relations.groups().members() {
            add(LeakKind::Group, call, format!("group {group}"));
        }
        for (child, parent) in relations.dependencies().pairs() {
            add(LeakKind::Dependency, parent, format!("the dependency of {child} on it"));
        }
        for (sequence, call) in relations.sequences().legs() {
            add(LeakKind::Sequence, call, format!("sequence {sequence}"));
        }
    }

    /// Handlers' methods that have run for longer than `limit`.
    pub fn handlers_older_than(&self, now: Instant, limit: clock::Duration) -> impl Iterator<Item = &Task<C>> {
        let handlers = self.tasks.iter().filter(|task| task.work == Work::Handler);
        handlers.filter(move |task| now.since(task.since) > limit)
    }

    /// How many things can be compared.
    pub fn thing_count(&self) -> usize {
        let taken = |shard: &ShardCensus<C>| shard.ports.as_ref().map_or(0, |ports| ports.taken.len());
        let shard = |shard: &ShardCensus<C>| shard.calls.len() + shard.dialogs + taken(shard);
        let shards: usize = self.shards.iter().map(shard).sum();
        self.known.len() + self.place_count + self.tasks.len() + self.seats.len() + shards
    }
}
