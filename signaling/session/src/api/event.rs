use crate::{BridgeId, CallStory, EndOrigin, EndReason, LeaveReason, Operation, SessionError, SessionId, SessionState};
use contract::{LegRef, RecordingOutcome};

/// What users of sessions may want to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// It moved on.
    StateChanged {
        /// Which.
        id: SessionId,
        /// From here.
        old: SessionState,
        /// To here.
        new: SessionState,
    },
    /// Somebody holds somebody, or does so no more.
    HoldChanged {
        /// Which.
        id: SessionId,
        /// We hold the peer.
        here: bool,
        /// The peer holds us.
        there: bool,
    },
    /// What was agreed on for media changed: address, codec or direction.
    MediaChanged {
        /// Which.
        id: SessionId,
    },
    /// The peer wants to change what was agreed on, by re-INVITE or UPDATE; [`crate::Decide::described`] had its offer,
    /// if it made one.
    Reinvited {
        /// Which.
        id: SessionId,
        /// It makes an offer; otherwise it asks for ours.
        has_offer: bool,
    },
    /// The peer ends it: BYE, or CANCEL before it was answered.
    EndedByPeer {
        /// Which.
        id: SessionId,
    },
    /// The dialog of an answered call is over, whichever side ended it.
    DialogEnded {
        /// Whose.
        id: SessionId,
    },
    /// An operation that takes its time was carried out.
    Done {
        /// On which.
        id: SessionId,
        /// What.
        operation: Operation,
    },
    /// An operation that takes its time was refused by the peer or the media plane; the call is as it was before.
    Failed {
        /// On which.
        id: SessionId,
        /// What.
        operation: Operation,
        /// The peer's status; 408 without an answer, 500 when the media plane could not do it.
        status: u16,
        /// Where it was refused: by the peer with this status, or by nobody: then the status is ours, for want of one.
        origin: EndOrigin,
    },
    /// An operation that waited for another change to end could not begin; the call is as it was before.
    Declined {
        /// On which.
        id: SessionId,
        /// What.
        operation: Operation,
        /// Why: it makes no sense any more, or has waited too long.
        error: Box<SessionError>,
    },
    /// The one that we call has said something before its answer.
    Progress {
        /// Which.
        id: SessionId,
        /// 101 to 199.
        status: u16,
        /// It can be heard already.
        has_media: bool,
    },
    /// An incoming call goes on to somewhere else; the two sessions are the two sides of one call from now on.
    Forwarded {
        /// The incoming one.
        id: SessionId,
        /// The outgoing one.
        to: SessionId,
    },
    /// The peer asked us to call somebody else in its place. We do; `Ended` tells how the call with it went on.
    TransferRequested {
        /// Who asked.
        id: SessionId,
    },
    /// The call that a peer asked us for is being placed.
    Referred {
        /// Who asked.
        id: SessionId,
        /// The new call; once answered it takes the place of the other.
        to: SessionId,
    },
    /// The peer reports about the call that we asked it for.
    TransferProgress {
        /// Whom we asked.
        id: SessionId,
        /// Status of that call.
        status: u16,
    },
    /// A session is in a bridge.
    ParticipantAdded {
        /// The bridge.
        bridge: BridgeId,
        /// The session.
        id: SessionId,
    },
    /// A session is no longer in a bridge.
    ParticipantRemoved {
        /// The bridge.
        bridge: BridgeId,
        /// The session.
        id: SessionId,
        /// Why.
        reason: LeaveReason,
    },
    /// A bridge is no more.
    BridgeDestroyed {
        /// Which.
        bridge: BridgeId,
    },
    /// The peer pressed a key.
    Digit {
        /// On which.
        id: SessionId,
        /// 0-9, 10 `*`, 11 `#`, 12-15 A-D.
        digit: u8,
    },
    /// What was played came to its end.
    SourceEnded {
        /// On which.
        id: SessionId,
    },
    /// What is said is being written.
    RecordingStarted {
        /// On which.
        id: SessionId,
        /// The recording's number.
        recording: u64,
    },
    /// A recording could not begin, or is over and its file whole. May come after the session's own end.
    RecordingEnded {
        /// On which.
        id: SessionId,
        /// The recording's number.
        recording: u64,
        /// What became of it.
        outcome: RecordingOutcome,
    },
    /// It is over, and nothing of it is left. Told once for every session.
    Ended {
        /// Which.
        id: SessionId,
        /// Why.
        reason: EndReason,
        /// Its leg, if it had one; the leg's row has the final numbers for a while.
        leg: Option<LegRef>,
        /// Who, whom, where to, with which status, and where the end came from.
        call: Box<CallStory>,
    },
    /// An INVITE was refused before it became a session: no room, no right, nothing that could be read.
    Refused {
        /// Who, whom, with which status and why.
        call: Box<CallStory>,
    },
}
