//! What users decide when something happens.

use crate::node::Turn;
use crate::todo::Todo;
use sip_core::{DialogId, Event, InviteId};
use sip_wire::{Message, Method};

pub(crate) fn decide(event: &Event, message: &[u8], turn: &mut Turn<'_>) {
    match *event {
        Event::Invite { invite, .. } => called(invite, turn),
        Event::Reinvite { invite, .. } => match turn.rng.below(5) {
            0 => turn.later_ms(0, 3000, Todo::Reject(invite, 488)),
            1 => turn.later_ms(0, 40_000, Todo::Accept(invite)),
            _ => turn.later_ms(0, 500, Todo::Accept(invite)),
        },
        Event::Acknowledged { dialog, .. } => talk(dialog, turn),
        Event::Answered { dialog, wants_ack, .. } => {
            if wants_ack {
                turn.later_ms(0, 3000, Todo::Ack(dialog));
            }
            talk(dialog, turn);
        }
        Event::Progress { dialog: Some(dialog), wants_prack: true, .. } => {
            turn.later_ms(0, 1000, Todo::Prack(dialog));
        }
        Event::Progress { dialog: Some(dialog), .. } if turn.rng.chance(10) => {
            turn.later_ms(100, 2000, Todo::Update(dialog));
        }
        Event::Response { dialog: Some(dialog), wants_ack: true, .. } => turn.later_ms(0, 3000, Todo::Ack(dialog)),
        Event::Pracked { request: Some(request), .. } => turn.later_ms(0, 500, Todo::Respond(request, 200)),
        Event::RefreshDue { dialog } => turn.later_ms(0, 100, Todo::Reinvite { dialog, with_sdp: true }),
        Event::Request { request, .. } => {
            let method = Message::parse(message).ok().and_then(|message| message.method());
            match (method, turn.rng.below(10)) {
                (Some(Method::Refer | Method::Subscribe), 1..) => {
                    turn.later_ms(0, 2000, Todo::AcceptSubscription(request));
                }
                (_, 0) => turn.later_ms(0, 1000, Todo::Respond(request, 480)),
                (_, 1) => {} // this user never answers
                _ => turn.later_ms(0, 6000, Todo::Respond(request, 200)),
            }
        }
        _ => {}
    }
}

fn called(invite: InviteId, turn: &mut Turn<'_>) {
    for _ in 0..turn.rng.below(3) {
        let ring = Todo::Ring { invite, reliably: turn.rng.chance(40), with_sdp: turn.rng.chance(50) };
        turn.later_ms(0, 5000, ring);
    }
    match turn.rng.below(12) {
        0 => turn.later_ms(0, 8000, Todo::Reject(invite, 486)),
        10 => turn.later_ms(0, 8000, Todo::Reject(invite, 302)),
        11 => turn.later_ms(0, 2000, Todo::Reject(invite, 503)),
        1 => turn.later_ms(0, 8000, Todo::Reject(invite, 603)),
        2 => {} // nobody is at home
        3 => turn.later(clock::Duration::ZERO, Todo::Accept(invite)),
        _ => turn.later_ms(100, 15_000, Todo::Accept(invite)),
    }
}

/// What happens in a call; both sides hang up in the end, should the other not have done it.
fn talk(dialog: DialogId, turn: &mut Turn<'_>) {
    for _ in 0..turn.rng.below(4) {
        let todo = match turn.rng.below(6) {
            0 | 1 => Todo::Reinvite { dialog, with_sdp: true },
            2 => Todo::Reinvite { dialog, with_sdp: false },
            3 => Todo::Update(dialog),
            4 => Todo::Info(dialog),
            _ => Todo::Refer(dialog),
        };
        turn.later_ms(0, 60_000, todo);
    }
    // Acknowledgements of re-INVITEs come here too: not every one of them is the end of the call.
    turn.later_ms(100, 240_000, Todo::Bye(dialog));
}
