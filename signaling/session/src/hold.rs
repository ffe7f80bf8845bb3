//! What a user does with an answered call: hold, resume, mute, other audio.

use crate::negotiation::local_offer::Wish;
use crate::negotiation::pending_operations::PendingOperation;
use crate::{Operation, Plan, PlannedSource, SessionError, SessionId, Sessions, Turn};
use contract::{Codec, Direction, Rewriting};

impl Sessions {
    /// Holds the peer: a re-INVITE says that nothing is taken from it any more. With a source it hears that one
    /// (`sendonly`), without one nothing (`inactive`). `Done`, `Failed` or `Declined` tells the outcome; while another
    /// change is on its way this waits for its end.
    pub fn hold(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        music: Option<PlannedSource>,
    ) -> Result<(), SessionError> {
        self.operate(turn, id, PendingOperation::Hold(music)).map(|_| ())
    }

    pub(crate) fn offer_hold(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        music: Option<PlannedSource>,
    ) -> Result<(), SessionError> {
        self.check(id, Operation::Hold)?;
        let wanted = if music.is_some() { Direction::Send } else { Direction::Inactive };
        let hold = Some((true, music.unwrap_or(PlannedSource::Silence)));
        self.offer(turn, id, Wish { operation: Some(Operation::Hold), hold, ..Wish::of(wanted) })
    }

    /// Takes the hold back by another re-INVITE, as [`Self::hold`] does. Only the side that holds can resume.
    pub fn resume(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Result<(), SessionError> {
        self.operate(turn, id, PendingOperation::Resume).map(|_| ())
    }

    pub(crate) fn offer_resume(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Result<(), SessionError> {
        self.check(id, Operation::Resume)?;
        let (wanted, hold) = (Direction::Both, Some((false, PlannedSource::Silence)));
        self.offer(turn, id, Wish { operation: Some(Operation::Resume), hold, ..Wish::of(wanted) })
    }

    /// Replaces what the peer hears by silence, or stops doing so. RTP goes on; the peer is not told.
    pub fn mute(&mut self, turn: &mut Turn<'_>, id: SessionId, is_muted: bool) -> Result<(), SessionError> {
        self.check(id, Operation::Mute)?;
        if let Some(session) = self.table.get_mut(id) {
            session.is_muted = is_muted;
        }
        self.sync(turn, id);
        Ok(())
    }

    /// Sends something else from now on. A prompt that is playing begins again. Should the media plane not have the
    /// prompt, `Failed` is told and silence is sent.
    pub fn play(&mut self, turn: &mut Turn<'_>, id: SessionId, plan: Plan) -> Result<(), SessionError> {
        self.check(id, Operation::ChangeMedia)?;
        let Some(session) = self.table.get_mut(id) else { return Ok(()) };
        let again = session.plan.source == plan.source && matches!(plan.source, PlannedSource::Prompt(_));
        session.plan = plan;
        // One stream for the peer, whatever is heard in it (RFC 3550 §8): an echo gets numbers of ours from now on.
        session.spec.rewriting = Rewriting::Continuous as u8;
        if again && !session.is_held_here() {
            self.rewind(turn, id);
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
        if !matches!(codec, Codec::Pcmu | Codec::Pcma) || !self.media_of(session).settings().codecs.contains(&codec) {
            return Err(SessionError::Media(
                "this codec is not configured, or the other side of the call has not got it",
            ));
        }
        let wanted = session.wanted;
        let operation = Some(Operation::ChangeMedia);
        self.offer(turn, id, Wish { operation, codec: Some(codec), ..Wish::of(wanted) })
    }

    pub(crate) fn check(&self, id: SessionId, operation: Operation) -> Result<(), SessionError> {
        self.table.get(id).ok_or(SessionError::SessionNotFound(id))?.check(operation)
    }
}
