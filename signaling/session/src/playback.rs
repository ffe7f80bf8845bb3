//! What a session sends while no other session's audio is: silence, a tone, a prompt, an echo.

use crate::negotiation::capabilities::Reach;
use crate::negotiation::local_offer::Wish;
use crate::negotiation::pending_operations::PendingOperation;
use crate::{AtEnd, Operation, Plan, PlannedSource, Session, SessionError, SessionId, Sessions, Turn};
use clock::Instant;
use contract::Codec;
use std::collections::VecDeque;

/// The source of a session.
#[derive(Debug)]
pub(crate) struct Playback {
    source: SmallSource,
    at_end: AtEnd,
    /// Silence replaces the source.
    is_muted: bool,
    /// What few sessions have.
    more: Option<Box<More>>,
}

/// A source, as small as every session can have it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum SmallSource {
    Silence,
    Tone440,
    Ringing,
    Echo,
    Prompt(u16),
    /// It is in [`More`].
    Other,
}

/// Sources that follow each other, and how far the one that is played has come.
#[derive(Debug, Default)]
struct More {
    /// The source, where it is no small one.
    source: Option<PlannedSource>,
    /// What is played after the current source has come to its end.
    next: VecDeque<PlannedSource>,
    /// When the current source was sent on its way to the media plane; `None`: it cannot be paused or sought in.
    began_at: Option<Instant>,
    /// Where the current source was to begin at first, in milliseconds.
    first_ms: u32,
    /// What goes on once it is resumed.
    paused: Option<PlannedSource>,
}

/// Most sources that follow each other.
pub const QUEUED_SOURCES_MAX: usize = 64;

impl Playback {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut playback = Self { source: SmallSource::Silence, at_end: plan.at_end, is_muted: false, more: None };
        playback.set_source(plan.source);
        playback
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan { source: self.source(), at_end: self.at_end }
    }

    pub(crate) fn set_plan(&mut self, plan: Plan) {
        (self.at_end, self.more) = (plan.at_end, None);
        self.set_source(plan.source);
    }

    fn set_source(&mut self, source: PlannedSource) {
        let small = match source {
            PlannedSource::Silence => SmallSource::Silence,
            PlannedSource::Tone440 => SmallSource::Tone440,
            PlannedSource::Ringing => SmallSource::Ringing,
            PlannedSource::Echo => SmallSource::Echo,
            PlannedSource::Prompt(number) => u16::try_from(number).map_or(SmallSource::Other, SmallSource::Prompt),
            PlannedSource::PromptPlay(_) | PlannedSource::CallTone(_) | PlannedSource::Room(_) => SmallSource::Other,
        };
        self.source = small;
        if small == SmallSource::Other {
            self.more.get_or_insert_default().source = Some(source);
        }
    }

    /// The next source, if one follows.
    pub(crate) fn advance(&mut self, now: Instant) -> bool {
        let Some(more) = self.more.as_deref_mut() else { return false };
        let Some(next) = more.next.pop_front() else { return false };
        (more.began_at, more.first_ms) = (Some(now), next.prompt().map_or(0, |play| play.start_ms));
        self.set_source(next);
        true
    }

    /// The source begins again, from where it was to begin at first.
    pub(crate) fn begin_again(&mut self, now: Instant) {
        let source = self.source();
        let Some(more) = self.more.as_deref_mut().filter(|more| more.began_at.is_some()) else { return };
        more.began_at = Some(now);
        if let Some(source) = source.starting_at_ms(more.first_ms) {
            self.set_source(source);
        }
    }

    /// Where the prompt is that is played, or paused.
    fn position_ms(&self, now: Instant) -> Option<u32> {
        let more = self.more.as_deref()?;
        let began_at = more.began_at?;
        let play = more.paused.unwrap_or(self.source()).prompt()?;
        let elapsed = if more.paused.is_some() { 0 } else { now.since(began_at).as_millis() };
        Some(u32::try_from(elapsed).unwrap_or(u32::MAX).saturating_add(play.start_ms))
    }

    pub(crate) fn source(&self) -> PlannedSource {
        match self.source {
            SmallSource::Silence => PlannedSource::Silence,
            SmallSource::Tone440 => PlannedSource::Tone440,
            SmallSource::Ringing => PlannedSource::Ringing,
            SmallSource::Echo => PlannedSource::Echo,
            SmallSource::Prompt(number) => PlannedSource::Prompt(number.into()),
            SmallSource::Other => self.more.as_deref().and_then(|more| more.source).unwrap_or(PlannedSource::Silence),
        }
    }

    pub(crate) fn at_end(&self) -> AtEnd {
        self.at_end
    }

    /// The source came to its end.
    pub(crate) fn ends_in_silence(&mut self) {
        (self.source, self.more) = (SmallSource::Silence, None);
    }

    pub(crate) fn is_muted(&self) -> bool {
        self.is_muted
    }

    fn mute(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
    }

    /// Whether something has changed; `None`: nothing is played that could be paused.
    fn pause(&mut self, now: Instant, is_paused: bool) -> Option<bool> {
        let position = self.position_ms(now)?;
        let source = self.source();
        let more = self.more.as_deref_mut()?;
        match (more.paused, is_paused) {
            (None, true) => {
                more.paused = source.starting_at_ms(position);
                self.set_source(PlannedSource::Silence);
            }
            (Some(source), false) => {
                (more.paused, more.began_at) = (None, Some(now));
                self.set_source(source);
            }
            _ => return Some(false),
        }
        Some(true)
    }

    /// Whether it plays on from there now; `None`: nothing is played that could be sought in.
    fn seek(&mut self, now: Instant, to_ms: u32) -> Option<bool> {
        self.position_ms(now)?;
        let source = self.source();
        let more = self.more.as_deref_mut()?;
        if let Some(paused) = more.paused {
            more.paused = paused.starting_at_ms(to_ms);
            return Some(false);
        }
        more.began_at = Some(now);
        self.set_source(source.starting_at_ms(to_ms)?);
        Some(true)
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
        let is_made = |session: &Session| {
            session.agreement().is_none_or(|agreed| agreed.payloads.is_empty() || agreed.payloads.decodable().is_some())
        };
        if plan.source.needs_codec() && !is_made(session) {
            return Err(SessionError::Media(
                "the media plane cannot decode the codec of this call, only pass it on: change the codec first",
            ));
        }
        let again = session.playback.source() == plan.source && plan.source.prompt().is_some();
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

    /// Sends these sources one after the other from now on; `SourceEnded` is told after the last one.
    pub fn play_all(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        sources: Vec<PlannedSource>,
        at_end: AtEnd,
    ) -> Result<(), SessionError> {
        if sources.len() > QUEUED_SOURCES_MAX {
            return Err(SessionError::ResourceExhausted {
                what: "sources that follow each other",
                limit: QUEUED_SOURCES_MAX,
            });
        }
        let mut next = VecDeque::from(sources);
        let source = next.pop_front().ok_or(SessionError::Argument("there is nothing to play"))?;
        self.play(turn, id, Plan { source, at_end })?;
        if let Some(session) = self.table.get_mut(id) {
            let more = session.playback.more.get_or_insert_default();
            (more.next, more.began_at) = (next, Some(turn.now));
            more.first_ms = source.prompt().map_or(0, |play| play.start_ms);
        }
        Ok(())
    }

    /// Holds the prompt where it is, with silence meanwhile, or goes on with it.
    pub fn pause_playing(&mut self, turn: &mut Turn<'_>, id: SessionId, is_paused: bool) -> Result<(), SessionError> {
        self.check(id, Operation::ChangeMedia)?;
        let Some(session) = self.table.get_mut(id) else { return Ok(()) };
        let changed = session.playback.pause(turn.now, is_paused);
        if changed.ok_or(SessionError::Busy(Operation::ChangeMedia))? {
            self.sync(turn, id);
        }
        Ok(())
    }

    /// Goes on at another place of the prompt, in milliseconds from its beginning.
    pub fn seek(&mut self, turn: &mut Turn<'_>, id: SessionId, to_ms: u32) -> Result<(), SessionError> {
        self.check(id, Operation::ChangeMedia)?;
        let Some(session) = self.table.get_mut(id) else { return Ok(()) };
        let plays = session.playback.seek(turn.now, to_ms).ok_or(SessionError::Busy(Operation::ChangeMedia))?;
        // Also where it began at the same place the last time.
        if plays && !session.is_held_here() {
            self.restart(turn, id);
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
        if !codec.is_audio() || !self.media_of(session, Reach::Transcoded).settings().codecs.contains(&codec.into()) {
            return Err(SessionError::Media(
                "this codec is not configured, or the other side of the call has not got it",
            ));
        }
        let wanted = session.hold.wanted();
        let operation = Some(Operation::ChangeMedia);
        self.offer(turn, id, Wish { operation, codec: Some(codec), ..Wish::of(wanted) })
    }
}
