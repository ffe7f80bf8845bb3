//! Names that a peer wants called, in the Refer-To of a REFER or the Contacts of a 3xx: they are looked up (RFC 3263)
//! while other work goes on. The call that waits for them has its session already, which events of the time of waiting
//! reach.

use crate::invite::dial::{TARGETS_MAX, Target};
use crate::invite::next_target::path_to;
use crate::invite::outgoing::Outgoing;
use crate::timers::timer::Timer;
use crate::{Destinations, EndReason, SessionId, Sessions, Turn};
use clock::Duration;
use sip_core::Flow;
use sip_wire::Uri;

/// How long a call waits for the addresses of its targets. The resolver gives up earlier.
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

/// A question that a call waits for.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// The SIP side's number of the question.
    ticket: u64,
    named: Named,
}

/// The URIs that a peer wants a call to go to.
#[derive(Debug)]
pub(crate) struct Named {
    /// In order of preference.
    pub(crate) uris: Vec<Box<str>>,
    /// The peer that named them, with the path to it: for a host that only this peer knows.
    pub(crate) by: Target,
    /// Why the call ends when none of them leads anywhere.
    pub(crate) otherwise: EndReason,
    /// It takes the place of another one (RFC 3891), which may be a call of ours in another shard: what leads to us stays
    /// in the process.
    pub(crate) takes_over: bool,
    /// Which addresses calls may go to.
    pub(crate) allowed: Destinations,
}

/// What is known of the paths at once.
pub(crate) enum Located {
    /// The paths, none if there are none.
    Now(Vec<Target>),
    /// Names are looked up.
    Later(Lookup),
    /// Names would have to be looked up, but too many others wait: only these paths are known.
    Full(Vec<Target>),
    /// All paths lead to where a peer may not send calls.
    Forbidden,
}

/// The targets of a question that has its answer.
enum Ways {
    Open(Vec<Target>),
    Forbidden,
}

impl Turn<'_> {
    /// Finds the paths, or asks for them.
    pub(crate) fn locate(&mut self, named: Named) -> Located {
        let mut paths_to = |uri: &str| match self.home_of(uri).filter(|_| named.takes_over) {
            Some(home) => Some(vec![home]),
            None => self.sip.paths_to(uri),
        };
        let known: Vec<Option<Vec<Flow>>> = named.uris.iter().map(|uri| paths_to(uri)).collect();
        if !known.iter().any(Option::is_none) {
            return match self.targets(&named, &known.into_iter().flatten().collect::<Vec<_>>()) {
                Ways::Open(targets) => Located::Now(targets),
                Ways::Forbidden => Located::Forbidden,
            };
        }
        match self.sip.look_up(&named.uris) {
            Some(ticket) => Located::Later(Lookup { ticket, named }),
            None => {
                let known: Vec<Vec<Flow>> = known.into_iter().map(Option::unwrap_or_default).collect();
                match self.targets(&named, &known) {
                    Ways::Open(targets) => Located::Full(targets),
                    Ways::Forbidden => Located::Forbidden,
                }
            }
        }
    }

    /// What is left of them once names are addresses: a name may well be one of this host's.
    fn targets(&self, named: &Named, paths: &[Vec<Flow>]) -> Ways {
        let mut targets = named.targets(paths);
        for target in targets.iter_mut().filter(|_| named.takes_over) {
            target.flow = self.sip.home(target.flow.remote).unwrap_or(target.flow);
        }
        let found_count = targets.len();
        // The path of the peer itself is no new destination.
        targets.retain(|target| target.flow == named.by.flow || named.allowed.allow(&target.flow, &*self.sip));
        if targets.is_empty() && found_count > 0 { Ways::Forbidden } else { Ways::Open(targets) }
    }
}

impl Named {
    /// With the paths to each URI, as many as each may have.
    fn targets(&self, paths: &[Vec<Flow>]) -> Vec<Target> {
        let share = (TARGETS_MAX / self.uris.len().max(1)).max(1);
        let mut targets = Vec::new();
        for (index, uri) in self.uris.iter().enumerate() {
            let found = paths.get(index).map_or(&[][..], Vec::as_slice);
            let own = || path_to(&Uri::parse(uri.as_bytes()).ok()?, &self.by);
            let own = if found.is_empty() { own() } else { None };
            let all = found.iter().copied().chain(own);
            targets.extend(all.take(share).map(|flow| Target::new(uri, flow)));
        }
        targets.truncate(TARGETS_MAX);
        targets
    }
}

impl Outgoing {
    /// These come before all other targets, as far as there is room.
    pub(crate) fn prefer(&mut self, targets: Vec<Target>) {
        let room = TARGETS_MAX.saturating_sub(self.waiting.len());
        targets.into_iter().take(room).rev().for_each(|target| self.waiting.push_front(target));
    }
}

impl Sessions {
    /// Has a call of ours wait for its names.
    pub(crate) fn wait_for_names(&mut self, turn: &Turn<'_>, id: SessionId, lookup: Lookup) {
        let Some(out) = self.table.get_mut(id).and_then(|session| session.outgoing.as_mut()) else { return };
        self.by_lookup.insert(lookup.ticket, id);
        out.lookup = Some(lookup);
        self.wake(id, Timer::Answer, Some(turn.now + LOOKUP_LIMIT));
    }

    /// The same for a call that has no other targets; the one that it was placed with only says where we are.
    pub(crate) fn wait_for_targets(&mut self, turn: &Turn<'_>, id: SessionId, lookup: Lookup) {
        if let Some(out) = self.table.get_mut(id).and_then(|session| session.outgoing.as_mut()) {
            out.waiting.clear();
        }
        self.wait_for_names(turn, id, lookup);
    }

    pub(crate) fn waits_for_names(&self, id: SessionId) -> bool {
        self.table.get(id).and_then(|session| session.outgoing.as_ref()).is_some_and(|out| out.lookup.is_some())
    }

    /// Takes the answer to a question ([`crate::Sip::look_up`]): the paths to each URI, in their order. One about a call
    /// that has ended or waited long enough is dropped.
    pub fn found(&mut self, turn: &mut Turn<'_>, ticket: u64, paths: &[Vec<Flow>]) {
        if let Some(id) = self.by_lookup.get(&ticket).copied() {
            self.names_found(turn, id, paths);
        }
    }

    /// The call goes on with what was found, or with its other targets.
    pub(crate) fn names_found(&mut self, turn: &mut Turn<'_>, id: SessionId, paths: &[Vec<Flow>]) {
        let Some(lookup) = self.drop_lookup(id) else { return };
        let Some(session) = self.table.get_mut(id).filter(|session| !session.state().is_ending()) else { return };
        session.timers.set(Timer::Answer, None);
        let (is_open, Some(out)) = (session.has_running_leg(&self.legs), &mut session.outgoing) else { return };
        let (targets, otherwise) = match turn.targets(&lookup.named, paths) {
            Ways::Open(targets) => (targets, lookup.named.otherwise),
            Ways::Forbidden => (Vec::new(), EndReason::Rejected(403)),
        };
        out.prefer(targets);
        let has_target = !out.waiting.is_empty();
        // Where the leg is still on its way, the call begins when it runs.
        if !has_target || is_open && !self.call_next(turn, id) {
            self.end(turn, id, otherwise);
        }
    }

    /// Forgets what a call waits for.
    pub(crate) fn drop_lookup(&mut self, id: SessionId) -> Option<Lookup> {
        let lookup = self.table.get_mut(id)?.outgoing.as_mut()?.lookup.take()?;
        self.by_lookup.remove(&lookup.ticket);
        Some(lookup)
    }
}
