//! What a session sends while no other session's audio is: silence, a tone, a prompt, an echo.

use crate::negotiation::capabilities::Reach;
use crate::negotiation::local_offer::Wish;
use crate::negotiation::pending_operations::PendingOperation;
use crate::{AtEnd, Operation, Plan, PlannedSource, SessionError, SessionId, Sessions, Turn};
use contract::Codec;

/// The source of a session.
#[derive(Debug)]
pub(crate) struct Playback {
    plan: Plan,
    /// Silence replaces the source.
    is_muted: bool,
}

impl Playback {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, is_muted: false }
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    pub(crate) fn set_plan(&mut self, plan: Plan) {
        self.plan = plan;
    }

    pub(crate) fn source(&self) -> PlannedSource {
        self.plan.source
    }

    pub(crate) fn at_end(&self) -> AtEnd {
        self.plan.at_end
    }

    /// The source came to its end.
    pub(crate) fn ends_in_silence(&mut self) {
        self.plan.source = PlannedSource::Silence;
    }

    pub(crate) fn is_muted(&self) -> bool {
        self.is_muted
    }

    fn mute(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
    }
}

impl Sessions {
    /// Replaces what the peer hears by silence, or stops doing so. RTP goes on; the peer is not told.
    pub fn mute(&mut self, turn: &mut Turn<'_>, id: SessionId, is_muted: bool) -> Result<(), SessionError> {
        self.check(id, Operation::Mute)?;
        if let Some(session) = self.table.get_mut(id) {
            session.playback.mute(is_muted);
        }
        self.sync(turn, id);
        Ok(())
    }

    /// Sends something else from now on. A prompt that is playing begins again. Should the media plane not have the
    /// prompt, `Failed` is told and silence is sent.
    pub fn play(&mut self, turn: &mut Turn<'_>, id: SessionId, plan: Plan) -> Result<(), SessionError> {
        self.check(id, Operation::ChangeMedia)?;
        let Some(session) = self.table.get_mut(id) else { return Ok(()) };
        let again = session.playback.source() == plan.source && matches!(plan.source, PlannedSource::Prompt(_));
        session.playback.set_plan(plan);
        // One stream for the peer, whatever is heard in it (RFC 3550 §8): an echo gets numbers of ours from now on.
        session.leg.be_continuous();
        if again && !session.is_held_here() {
            self.restart(turn, id);
        } else {
            self.sync(turn, id);
        }
        Ok(())
    }

    /// Goes on with another codec: a re-INVITE offers this one alone. The outcome is told as that of [`Self::hold`].
    pub fn change_codec(&mut self, turn: &mut Turn<'_>, id: SessionId, codec: Codec) -> Result<(), SessionError> {
        self.operate(turn, id, PendingOperation::Codec(codec)).map(|_| ())
    }

    pub(crate) fn offer_codec(&mut self, turn: &mut Turn<'_>, id: SessionId, codec: Codec) -> Result<(), SessionError> {
        self.check(id, Operation::ChangeMedia)?;
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        if !codec.is_audio() || !self.media_of(session, Reach::Transcoded).settings().codecs.contains(&codec) {
            return Err(SessionError::Media(
                "this codec is not configured, or the other side of the call has not got it",
            ));
        }
        let wanted = session.hold.wanted();
        let operation = Some(Operation::ChangeMedia);
        self.offer(turn, id, Wish { operation, codec: Some(codec), ..Wish::of(wanted) })
    }
}
