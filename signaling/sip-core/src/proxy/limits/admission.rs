//! Whether there is room for one more request, or for one more branch of a request.

use crate::flow::Flow;
use crate::message::incoming::Incoming;
use crate::proxy::{Proxy, ProxyEvent, ProxyOutput, Standing};
use crate::table::hash::Key;
use crate::table::slab::Handle;
use crate::transactions::proven::address_key;
use crate::transactions::quota::{Usage, source_key};
use clock::Instant;
use sip_wire::Method;
use std::cell::LazyCell;

/// How many times the bytes of a request are kept at least: as it came, and as it goes to one target.
const STORED_TIMES: usize = 2;

/// Why there is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NoRoom {
    /// The source has shown nothing, and it or all such sources have as much in progress as they may.
    Strangers,
    /// The source has as much in progress as any one may.
    Source,
    /// What is left is kept for others.
    Table,
}

/// Room that is wanted.
struct Claim<'c> {
    now: Instant,
    /// The source.
    flow: &'c Flow,
    /// The key under which its requests are counted.
    source: Key,
    /// It has shown nothing yet.
    is_stranger: bool,
    need: Usage,
}

impl Proxy {
    /// Whether there is room for a request that came, where what is answered gives way: nothing gives way yet. `false`: there
    /// is none, and the request was answered 503 without any state.
    pub(crate) fn has_room_for(&mut self, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) -> bool {
        let sender = inc.sender(&self.transactions.keyed);
        let is_stranger = !self.transactions.proven.has(inc.now, &sender.address);
        let need = need_of(inc);
        let claim = Claim { now: inc.now, flow: &sender.flow, source: sender.source, is_stranger, need };
        let refusal = match is_stranger && !self.may_begin_unproven(inc) {
            true => Some(NoRoom::Strangers),
            false => {
                let is_in_dialog = LazyCell::new(|| self.is_in_dialog(inc));
                self.refusal_of(&claim, &|| *is_in_dialog)
            }
        };
        match refusal {
            None => return true,
            Some(NoRoom::Table) => self.transactions.counters.overloaded += 1,
            Some(NoRoom::Strangers) => self.transactions.counters.source_limited += 1,
            Some(NoRoom::Source) => {
                self.transactions.counters.source_limited += 1;
                self.tell_full((sender.source, &sender.flow), out);
            }
        }
        self.transactions.reply_overload(inc, out);
        false
    }

    /// Makes the room that [`has_room_for`](Self::has_room_for) has found.
    pub(crate) fn make_room_for(&mut self, inc: &Incoming<'_, '_>) -> bool {
        self.make_way_for(need_of(inc)).is_none()
    }

    /// Makes room for one more branch of a request, with so many bytes.
    pub(crate) fn make_room_for_branch(
        &mut self,
        now: Instant,
        handle: Handle,
        bytes: usize,
        out: &mut ProxyOutput,
    ) -> bool {
        let Some(context) = self.transactions.servers.get(handle) else { return false };
        let (flow, is_in_dialog) = (context.flow, context.is_in_dialog());
        let need = Usage { requests: 0, branches: places_of_branch(context.is_invite), bytes };
        let source = context.caller.source.unwrap_or_else(|| source_key(&self.transactions.keyed, flow.remote.ip()));
        let claim = Claim { now, flow: &flow, source, is_stranger: context.caller.stranger.is_some(), need };
        match self.refusal_of(&claim, &|| is_in_dialog).or_else(|| self.make_way_for(need)) {
            None => true,
            Some(NoRoom::Source) => {
                self.tell_full((source, &flow), out);
                false
            }
            Some(NoRoom::Strangers | NoRoom::Table) => false,
        }
    }

    /// Whether the limits refuse it. Whether a request is in its dialog takes keyed hashes to find out, so that is asked only
    /// where it makes a difference.
    fn refusal_of(&self, claim: &Claim<'_>, is_in_dialog: &dyn Fn() -> bool) -> Option<NoRoom> {
        let Claim { now, flow, source, is_stranger, need } = *claim;
        let quota = &self.room.quota;
        let is_trusted = || self.config.trusted.has(flow.remote.ip());
        let fits = |has_room: &dyn Fn(bool) -> bool| has_room(false) || (is_in_dialog() && has_room(true));
        if is_stranger && !fits(&|in_dialog| quota.has_room_for_strangers(need, in_dialog)) {
            return Some(NoRoom::Strangers);
        }
        if !fits(&|in_dialog| quota.has_room_for_source(source, need, in_dialog)) && !is_trusted() {
            return Some(NoRoom::Source);
        }
        let is_authenticated = || self.authenticated.has(now, &address_key(&self.transactions.keyed, flow));
        let may_use_reserve = || is_in_dialog() || is_trusted() || is_authenticated();
        let has_room = quota.has_room(need, false) || (quota.has_room(need, true) && may_use_reserve());
        (!has_room).then_some(NoRoom::Table)
    }

    /// Makes room for a request that is answered at once and gives way to all others, calls that were answered included.
    pub(crate) fn make_way(&mut self, bytes: usize) -> bool {
        let need = Usage { requests: 1, branches: 0, bytes };
        while !self.room.quota.has_room_now(need) {
            if !self.forget_oldest_copy() {
                return false;
            }
        }
        true
    }

    /// Lets requests go that have been answered for the longest time, until there are so many places.
    fn make_way_for(&mut self, need: Usage) -> Option<NoRoom> {
        while !self.room.quota.has_room_now(need) {
            if !self.forget_oldest_answered() {
                return Some(NoRoom::Table);
            }
        }
        None
    }

    /// Whether a request has a Route that was written for its dialog.
    fn is_in_dialog(&self, inc: &Incoming<'_, '_>) -> bool {
        inc.to_tag.is_some() && matches!(self.standing_of(inc, &self.way(inc.flow, inc)), Standing::InDialog { .. })
    }

    fn tell_full(&mut self, (key, flow): (Key, &Flow), out: &mut ProxyOutput) {
        if self.room.quota.tell_full(key) {
            out.event(ProxyEvent::SourceFull { source: flow.remote.ip() });
        }
    }
}

/// What a request that came may come to take, with one target.
fn need_of(inc: &Incoming<'_, '_>) -> Usage {
    Usage {
        requests: 1,
        branches: places_of_branch(inc.method == Method::Invite),
        bytes: STORED_TIMES * inc.message.as_bytes().len(),
    }
}

/// Places that a new branch may come to take: its own, and for an INVITE that of its CANCEL.
pub(crate) fn places_of_branch(is_invite: bool) -> usize {
    1 + usize::from(is_invite)
}
