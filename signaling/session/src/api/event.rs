use crate::{BridgeId, CallStory, EndOrigin, EndReason, LeaveReason, Operation, SessionError, SessionId, SessionState};
use contract::{Codec, LegRef, PlayerId, QualityChange, RecordingOutcome};

/// What users of sessions may want to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// The state of a session has changed.
    StateChanged {
        /// The session.
        id: SessionId,
        /// The state before.
        old: SessionState,
        /// The state now.
        new: SessionState,
    },
    /// One side of a session holds the other one, or no longer does.
    HoldChanged {
        /// The session.
        id: SessionId,
        /// We hold the peer.
        here: bool,
        /// The peer holds us.
        there: bool,
    },
    /// What was agreed on for media changed: address, codec or direction.
    MediaChanged {
        /// The session.
        id: SessionId,
    },
    /// The peer wants to change what was agreed on, by re-INVITE or UPDATE; [`crate::Decide::described`] had its offer,
    /// if it made one.
    Reinvited {
        /// The session.
        id: SessionId,
        /// The peer makes an offer; otherwise it asks for ours.
        has_offer: bool,
    },
    /// The peer ends the session: BYE, or CANCEL before it was answered.
    EndedByPeer {
        /// The session.
        id: SessionId,
    },
    /// The dialog of an answered call is over, whichever side ended it.
    DialogEnded {
        /// The session of the dialog.
        id: SessionId,
    },
    /// An operation that takes its time was carried out.
    Done {
        /// The session.
        id: SessionId,
        /// The operation.
        operation: Operation,
    },
    /// An operation that takes its time was refused by the peer or the media plane; the call is as it was before.
    Failed {
        /// The session.
        id: SessionId,
        /// The operation.
        operation: Operation,
        /// The peer's status; 408 without an answer, 500 when the media plane could not do it.
        status: u16,
        /// Where it was refused. Unless that is the peer, the status is ours, for want of one.
        origin: EndOrigin,
    },
    /// An operation that waited for another change to end could not begin; the call is as it was before.
    Declined {
        /// The session.
        id: SessionId,
        /// The operation.
        operation: Operation,
        /// It makes no sense any more, or has waited too long.
        error: Box<SessionError>,
    },
    /// The called side has sent a provisional response.
    Progress {
        /// The session.
        id: SessionId,
        /// 101 to 199.
        status: u16,
        /// It has a session description: early media.
        has_media: bool,
    },
    /// An incoming call goes on to another target; the two sessions are the two sides of one call from now on.
    Forwarded {
        /// The incoming one.
        id: SessionId,
        /// The outgoing one.
        to: SessionId,
    },
    /// The peer asked us to call another party in its place (REFER). We do; `Ended` tells how the call with it went on.
    TransferRequested {
        /// The session of the peer.
        id: SessionId,
    },
    /// The call that a peer asked us for is being placed.
    Referred {
        /// The session of that peer.
        id: SessionId,
        /// The new call; once answered it takes the place of the other.
        to: SessionId,
    },
    /// The peer reports about the call that we asked it for.
    TransferProgress {
        /// The session of the peer.
        id: SessionId,
        /// Status of the new call.
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
        /// Why the session left.
        reason: LeaveReason,
    },
    /// The two sessions of a bridge hear each other, unless one is held: the media plane has confirmed it. Told once for each
    /// session that has joined another one.
    BridgeJoined {
        /// The bridge.
        bridge: BridgeId,
    },
    /// A bridge was taken down.
    BridgeDestroyed {
        /// The bridge.
        bridge: BridgeId,
    },
    /// The peer pressed a key.
    Digit {
        /// The session.
        id: SessionId,
        /// 0-9, 10 `*`, 11 `#`, 12-15 A-D.
        digit: u8,
    },
    /// The peer has begun to speak, or has ended: told where voice processing is asked for that.
    VoiceActivity {
        /// The session.
        id: SessionId,
        /// It speaks.
        is_speaking: bool,
    },
    /// The media plane has no place for one more leg whose sound is processed: the peer is heard as it is.
    VoiceProcessingRefused {
        /// The session.
        id: SessionId,
    },
    /// A stream of the session's leg sounds better or worse than before.
    QualityChanged {
        /// The session.
        id: SessionId,
        /// The stream, and how it sounds now.
        change: QualityChange,
    },
    /// A stream is degraded, and the peer is offered another codec that both have, by a re-INVITE. `MediaChanged` follows if the
    /// peer agrees; otherwise the call goes on as it is.
    CodecChangeOffered {
        /// The session.
        id: SessionId,
        /// The codec.
        codec: Codec,
    },
    /// An announcement that a session has made in its room is over.
    AnnouncementEnded {
        /// The session.
        id: SessionId,
        /// Which of its announcements.
        announcement: PlayerId,
        /// The media plane has not played it.
        is_refused: bool,
    },
    /// A member of a room has begun to speak there, or has ceased to.
    RoomSpeaking {
        /// The session.
        id: SessionId,
        /// It speaks now.
        is_speaking: bool,
    },
    /// What was played came to its end.
    SourceEnded {
        /// The session.
        id: SessionId,
    },
    /// A recording has begun.
    RecordingStarted {
        /// The session.
        id: SessionId,
        /// The recording's number.
        recording: u64,
    },
    /// A recording could not begin, or is over and its file whole. May come after the session's own end.
    RecordingEnded {
        /// The session.
        id: SessionId,
        /// The recording's number.
        recording: u64,
        /// What became of it.
        outcome: RecordingOutcome,
    },
    /// The session is over, and nothing of it is left. Told once for every session.
    Ended {
        /// The session.
        id: SessionId,
        /// Why it ended.
        reason: EndReason,
        /// Its leg, if it had one; the leg's row has the final numbers for a while.
        leg: Option<LegRef>,
        /// The parties, the targets, the status, and where the end came from.
        call: Box<CallStory>,
    },
    /// An INVITE was refused before it became a session: no room, no right, nothing that could be read.
    Refused {
        /// The parties, the status and the reason.
        call: Box<CallStory>,
    },
}
