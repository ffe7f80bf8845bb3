//! What happens by itself, and when.

use crate::system::audio::Side;
use crate::system::phone::Act;
use clock::Instant;
use sip_core::{CallId, InviteId};
use sip_wire::Method;
use std::collections::BTreeMap;

/// What happens by itself.
#[derive(Clone, Debug)]
pub(super) enum Todo {
    Call {
        from: usize,
        to: usize,
        number: u32,
    },
    Cancel {
        phone: usize,
        call: CallId,
    },
    Accept {
        phone: usize,
        invite: InviteId,
        number: u32,
    },
    Reject {
        phone: usize,
        invite: InviteId,
    },
    HangUp(Side),
    Speak(Side),
    /// The user of this side does something in the call.
    Act(Side, Act),
    /// A key, as a telephone event or by INFO.
    Press(Side),
    /// REFER to another phone, by a new number.
    Transfer(Side),
    /// A call to another phone that this one is to be connected with in the end.
    Consult(Side),
    /// The consultation of this number is up.
    Attend {
        side: Side,
        consultation: Side,
    },
    /// A request outside of calls.
    Say {
        from: usize,
        to: usize,
        method: Method,
    },
    /// An operator of the switch does something with a call; the number says what.
    Operate(u64),
    /// A call is recorded.
    Record(u64),
    MediaDies,
    MediaReturns,
    SignalingDies,
    SignalingStops,
    SignalingReturns,
    WorkerPanics(u8),
    PhoneDies(usize),
    /// A client adopts legs that a dead signaling process left, and ends them later.
    Adopt,
    EndAdopted,
}

#[derive(Default)]
pub(super) struct Timeline {
    todos: BTreeMap<(Instant, u64), Todo>,
    count: u64,
    /// The number of the next call.
    numbers: u32,
    /// By number of a consultation, the call that it is for.
    consultations: BTreeMap<u32, Side>,
}

impl Timeline {
    pub(super) fn at(&mut self, at: Instant, todo: Todo) {
        self.count += 1;
        self.todos.insert((at, self.count), todo);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.todos.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn pop(&mut self, now: Instant) -> Option<Todo> {
        self.todos.first_entry().filter(|entry| entry.key().0 <= now).map(|entry| entry.remove())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.todos.is_empty()
    }

    pub(super) fn next_number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers - 1
    }

    pub(super) fn note_consultation(&mut self, number: u32, side: Side) {
        self.consultations.insert(number, side);
    }

    /// The call that this one is a consultation for.
    pub(super) fn consultation_for(&mut self, side: Side) -> Option<Side> {
        if side.1 { self.consultations.remove(&side.0) } else { None }
    }
}
