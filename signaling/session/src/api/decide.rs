//! Decisions of the user, and what the user is told for them.

use crate::{Destination, Forward, SessionId, TransferRequest};
use clock::Instant;
use contract::{NamedTone, PromptPlay, RoomMember};
use sdp_core::Negotiated;
use sip_core::auth::Place;
use sip_core::{ClientRequestId, DialogInfo, RequestId};
use sip_wire::Message;
use std::borrow::Cow;
use std::net::SocketAddr;

/// Decides about incoming calls, at once. A user that takes longer answers [`Decision::Defer`] and decides later by
/// [`crate::Sessions::accept`] or [`crate::Sessions::reject`].
pub trait Decide {
    /// Whether a request outside of dialogs is admitted: every INVITE, and all others but ACK, CANCEL, BYE and OPTIONS. It is
    /// called before anything else is done with the request.
    fn admit(&mut self, request: &AdmissionRequest<'_>) -> Admission {
        let _ = request;
        Admission::Granted { user: None }
    }
    /// A call has come in.
    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision;
    /// The peer asks us to call another party in its place (REFER).
    fn transfer_requested(&mut self, transfer: &TransferRequest<'_>) -> Destination {
        let _ = transfer;
        Destination::Named
    }
    /// A target of a call that we place redirects it (a Contact of a 3xx). A destination that is refused is not called.
    fn redirected(&mut self, id: SessionId, target: &str) -> Destination {
        let _ = (id, target);
        Destination::Named
    }
    /// Whether calls of a source are exempt from the limits for unproven addresses ([`crate::Sources`]).
    fn trusts(&self, source: SocketAddr) -> bool {
        let _ = source;
        false
    }
    /// The dialog of a call is confirmed: the call was answered, by us or by the peer. [`crate::SessionEvent::DialogEnded`] follows.
    fn dialog_confirmed(&mut self, id: SessionId, dialog: &DialogInfo<'_>) {
        let _ = (id, dialog);
    }
    /// The peer's final answer to our INVITE, as it came. Of several targets each may say something.
    fn heard(&mut self, id: SessionId, message: &[u8]) {
        let _ = (id, message);
    }
    /// A request that sessions have no use for, in a dialog of a session or outside of dialogs. `true`: it will be
    /// answered by [`crate::Sessions::respond`], soon.
    fn requested(&mut self, request: RequestId, id: Option<SessionId>, message: &Message<'_>) -> bool {
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

/// A request that is to be admitted or refused.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionRequest<'a> {
    /// The request.
    pub message: &'a Message<'a>,
    /// Where it came from.
    pub remote: SocketAddr,
    /// When it came.
    pub received_at: Instant,
}

/// Whether a request is admitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It is admitted.
    Granted {
        /// The authenticated user, where credentials were asked for.
        user: Option<Box<str>>,
    },
    /// Its sender is asked for credentials (RFC 3261 §22).
    Challenge {
        /// As a server (401) or as a proxy (407).
        place: Place,
        /// Values of the challenge's header fields, one line each.
        values: Vec<String>,
    },
    /// It is refused with this status.
    Refused(u16),
}

/// The side that wrote a session description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The switch.
    Local,
    /// The peer.
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
    /// User part of the Request-URI.
    pub called_user: &'c str,
    /// What can be agreed on; `None` where the caller waits for our offer.
    pub offered: Option<&'c Negotiated>,
    /// The authenticated caller, where credentials were asked for ([`Decide::admit`]).
    pub user: Option<&'c str>,
    /// The INVITE, for all other header fields.
    pub message: &'c Message<'c>,
    /// The address that the INVITE came from.
    pub remote: SocketAddr,
    /// When it came.
    pub received_at: Instant,
}

/// What becomes of an incoming call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Answer it, and send this audio.
    Accept(Plan),
    /// Refuse it.
    Reject {
        /// 300 to 699.
        status: u16,
        /// Reason phrase; empty: the usual one of the status.
        reason: Cow<'static, str>,
    },
    /// Send it on to other targets.
    Forward(Forward),
    /// Let it ring; the decision comes later.
    Defer,
}

/// What an answered call sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The source that is sent first.
    pub source: PlannedSource,
    /// What follows when the source has come to its end.
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
    /// A prompt from a place in it, several times, louder or more quiet.
    PromptPlay(PromptPlay),
    /// A tone of a country's network.
    CallTone(NamedTone),
    /// What the peer sends is sent back to it.
    Echo,
    /// The other members of a room, as whose member the peer is heard as well.
    Room(RoomMember),
}

/// What happens when the source has come to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtEnd {
    /// The call stays up; silence is sent.
    Silence,
    /// The call is ended.
    HangUp,
    /// The source begins again.
    Repeat,
}

impl Plan {
    /// A source without an end, or with silence after it.
    pub fn of(source: PlannedSource) -> Self {
        Self { source, at_end: AtEnd::Silence }
    }
}

impl PlannedSource {
    /// Whether the media plane makes it, or hears it: a peer needs a codec for it that can be decoded.
    pub(crate) fn needs_codec(self) -> bool {
        !matches!(self, Self::Silence | Self::Echo)
    }

    /// The prompt that is played, and how.
    pub fn prompt(self) -> Option<PromptPlay> {
        match self {
            Self::Prompt(prompt) => Some(PromptPlay::once(prompt)),
            Self::PromptPlay(play) => Some(play),
            _ => None,
        }
    }

    /// The same prompt from another place; other sources have none.
    pub(crate) fn starting_at_ms(self, start_ms: u32) -> Option<Self> {
        self.prompt().map(|play| Self::PromptPlay(PromptPlay { start_ms, ..play }))
    }
}

impl From<PlannedSource> for media_control::Player {
    fn from(source: PlannedSource) -> Self {
        match source {
            PlannedSource::Silence => Self::Silence,
            PlannedSource::Tone440 => Self::Tone440,
            PlannedSource::Ringing => Self::Ringing,
            PlannedSource::Prompt(number) => Self::Prompt(number),
            PlannedSource::PromptPlay(play) => Self::PromptPlay(play),
            PlannedSource::CallTone(tone) => Self::CallTone(tone),
            PlannedSource::Echo => Self::Echo,
            PlannedSource::Room(member) => Self::Room(member),
        }
    }
}
