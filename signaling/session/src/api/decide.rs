//! What a user of sessions decides, and what it is told for that.

use crate::{Destination, Forward, SessionId, TransferRequest};
use clock::Instant;
use contract::{LegRef, Source};
use sdp_core::Negotiated;
use sip_core::auth::Place;
use sip_core::{ClientRequestId, DialogInfo, RequestId};
use std::borrow::Cow;
use std::net::SocketAddr;

/// Decides about incoming calls, at once. What takes longer says [`Decision::Defer`] and comes back with
/// [`crate::Sessions::accept`] or [`crate::Sessions::reject`].
pub trait Decide {
    /// Whether a request outside of dialogs may come in: every INVITE and all others but ACK, CANCEL, BYE and OPTIONS.
    /// Nothing has been done about it yet.
    fn admit(&mut self, request: &Asking<'_>) -> Admission {
        let _ = request;
        Admission::Granted { user: None }
    }
    /// A call has come in.
    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision;
    /// The peer asks us to call somebody else in its place (REFER).
    fn transfer_requested(&mut self, transfer: &TransferRequest<'_>) -> Destination {
        let _ = transfer;
        Destination::Named
    }
    /// A target of a call that we place says where else to go (a Contact of a 3xx). One that is refused is not called.
    fn redirected(&mut self, id: SessionId, target: &str) -> Destination {
        let _ = (id, target);
        Destination::Named
    }
    /// Whether a source is one whose calls need not show first that it gets our answers ([`crate::Sources`]).
    fn trusts(&self, source: SocketAddr) -> bool {
        let _ = source;
        false
    }
    /// The dialog of a call is there: it was answered, by us or by the peer. [`crate::SessionEvent::DialogEnded`] follows.
    fn dialog_confirmed(&mut self, id: SessionId, dialog: &DialogInfo<'_>) {
        let _ = (id, dialog);
    }
    /// The peer's final answer to our INVITE, as it came. Of several targets each may say something.
    fn heard(&mut self, id: SessionId, message: &[u8]) {
        let _ = (id, message);
    }
    /// A request that sessions have no use for, in a dialog of a session or outside of dialogs. `true`: it will be
    /// answered by [`crate::Sessions::respond`], soon.
    fn requested(&mut self, request: RequestId, id: Option<SessionId>, message: &[u8]) -> bool {
        let _ = (request, id, message);
        false
    }
    /// An answer, provisional or final, to a request that was made with [`crate::Sessions::request`] or
    /// [`crate::Sessions::request_in`]; 408 without a message when none came.
    fn responded(&mut self, request: ClientRequestId, status: u16, message: Option<&[u8]>) {
        let _ = (request, status, message);
    }
    /// A session description was agreed on or changed: ours, or the peer's in an answer (one in an INVITE is in
    /// [`IncomingCall::message`]).
    fn described(&mut self, id: SessionId, side: Side, sdp: &[u8]) {
        let _ = (id, side, sdp);
    }
}

/// A request that wants to come in.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The request.
    pub message: &'a [u8],
    /// Where it came from.
    pub remote: SocketAddr,
    /// When it came.
    pub received_at: Instant,
}

/// Whether a request may come in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It may.
    Granted {
        /// Who has proved to have sent it, where somebody was asked.
        user: Option<Box<str>>,
    },
    /// Its sender has to prove who it is (RFC 3261 §22).
    Challenge {
        /// As whom we ask: 401 or 407 follows from it.
        place: Place,
        /// Values of the challenge's header fields, one line each.
        values: Vec<String>,
    },
    /// It may not, with this status.
    Refused(u16),
}

/// Whose words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Ours.
    Local,
    /// The peer's.
    Remote,
}

/// A call that waits for a decision.
#[derive(Clone, Copy, Debug)]
pub struct IncomingCall<'c> {
    /// Its session.
    pub id: SessionId,
    /// The caller's URI.
    pub from: &'c str,
    /// The called URI, as the To field has it.
    pub to: &'c str,
    /// User part of the Request-URI: who is really called.
    pub called_user: &'c str,
    /// What can be agreed on; `None` where the caller waits for our offer.
    pub offered: Option<&'c Negotiated>,
    /// Who has proved to be the caller, where somebody was asked ([`Decide::admit`]).
    pub user: Option<&'c str>,
    /// The INVITE, for what is not above.
    pub message: &'c [u8],
    /// Where the request came from.
    pub remote: SocketAddr,
    /// When it came.
    pub received_at: Instant,
}

/// What becomes of an incoming call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Answer it and send this.
    Accept(Plan),
    /// Refuse it.
    Reject {
        /// 300 to 699.
        status: u16,
        /// Reason phrase; empty: the usual one of the status.
        reason: Cow<'static, str>,
    },
    /// Send it on to somewhere else.
    Forward(Forward),
    /// Let it ring; the decision comes later.
    Defer,
}

/// What an answered call sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// First.
    pub source: PlannedSource,
    /// Then, if the source has an end.
    pub at_end: AtEnd,
}

/// Where the audio of a call comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlannedSource {
    /// Silence, as packets.
    Silence,
    /// A sine of 440 Hz.
    Tone440,
    /// The European ringing tone.
    Ringing,
    /// A prompt, by its number.
    Prompt(u32),
    /// What the peer sends comes back.
    Echo,
}

/// What happens when the source has come to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtEnd {
    /// The call stays up; silence is sent.
    Silence,
    /// We hang up.
    HangUp,
    /// It begins again.
    Repeat,
}

impl Plan {
    /// A source without an end, or with silence after it.
    pub fn of(source: PlannedSource) -> Self {
        Self { source, at_end: AtEnd::Silence }
    }
}

impl PlannedSource {
    /// For a leg.
    pub(crate) fn of(self, leg: LegRef) -> Source {
        match self {
            Self::Silence => Source::Silence,
            Self::Tone440 => Source::Tone440,
            Self::Ringing => Source::Ringing,
            Self::Prompt(number) => Source::Prompt(number),
            Self::Echo => Source::Leg(leg),
        }
    }
}
