//! The leg of a session: it is reserved, opened and closed here.

use crate::invite::incoming_invite::Stage;
use crate::{EndReason, Session, SessionId, Sessions, Turn};
use contract::{LegRef, RecordingKind, VoiceProcessing};
use media_control::{LegId, LegState, Legs};
use stats::SignalCounter;
use std::num::NonZeroU8;

/// The owner of a leg before it has been given to a session: no session has this number.
const NO_OWNER: u64 = 0;

/// In the byte of what is done to the sound of a peer: it was asked for.
const WANTED: u8 = 0x80;

/// What a session remembers of its leg. Where the leg stands, [`Legs`] know.
#[derive(Debug, Default)]
pub(crate) struct SessionLeg {
    /// None before the leg has a port, and again when it is gone.
    id: Option<LegId>,
    /// The leg's handle in the media plane, also after its end.
    last: Option<LegRef>,
    /// Where the leg receives RTP, also after its end; 0: it has not had a port yet.
    local_port: u16,
    /// By kind: the number of its recording. Few sessions have any.
    recordings: Option<Box<[Option<u64>; 2]>>,
    /// The peer gets one stream with numbers of ours, whatever is heard in it.
    is_continuous: bool,
    /// Because it sounded bad, the peer was offered another codec.
    has_changed_codec: bool,
    /// What is done to the sound of the peer, with [`WANTED`]; none: what the settings say.
    voice: Option<NonZeroU8>,
}

impl SessionLeg {
    pub(crate) fn id(&self) -> Option<LegId> {
        self.id
    }

    /// Its handle in the media plane, while it is there.
    pub(crate) fn place(&self) -> Option<LegRef> {
        self.last.filter(|_| self.id.is_some())
    }

    /// Where it receives RTP, while it is there.
    pub(crate) fn local_port(&self) -> Option<u16> {
        (self.id.is_some() && self.local_port != 0).then_some(self.local_port)
    }

    /// Its handle in the media plane, also after its end.
    pub(crate) fn last_place(&self) -> Option<LegRef> {
        self.last
    }

    pub(crate) fn recording(&self, kind: RecordingKind) -> Option<u64> {
        self.recordings.as_deref()?[kind.index()]
    }

    pub(crate) fn set_recording(&mut self, kind: RecordingKind, recording: u64) {
        self.recordings.get_or_insert_default()[kind.index()] = Some(recording);
    }

    /// The recording with this number is over.
    pub(crate) fn forget_recording(&mut self, recording: u64) {
        for place in self.recordings.as_deref_mut().into_iter().flatten() {
            place.take_if(|current| *current == recording);
        }
        self.recordings.take_if(|places| places.iter().all(Option::is_none));
    }

    pub(crate) fn voice(&self) -> Option<VoiceProcessing> {
        self.voice.and_then(|voice| VoiceProcessing::from_byte(voice.get() & !WANTED))
    }

    pub(crate) fn set_voice(&mut self, voice: VoiceProcessing) {
        self.voice = NonZeroU8::new(voice.to_byte() | WANTED);
    }

    pub(crate) fn has_changed_codec(&self) -> bool {
        self.has_changed_codec
    }

    pub(crate) fn note_codec_change(&mut self) {
        self.has_changed_codec = true;
    }

    pub(crate) fn is_continuous(&self) -> bool {
        self.is_continuous
    }

    /// What the leg plays has changed: an echo gets numbers of ours from now on, too (RFC 3550 §8).
    pub(crate) fn be_continuous(&mut self) {
        self.is_continuous = true;
    }
}

impl Session {
    /// The user has asked for its port before deciding on the call.
    pub(crate) fn has_reserved_leg(&self) -> bool {
        self.is_at(Stage::Reserved) && self.leg.id.is_some()
    }

    /// Its leg runs, be it on its way to another worker.
    pub(crate) fn has_running_leg(&self, legs: &Legs) -> bool {
        self.leg.id.is_some_and(|leg| legs.runs(leg))
    }

    /// Its leg runs and stays where it is.
    pub(crate) fn has_still_leg(&self, legs: &Legs) -> bool {
        self.leg.id.is_some_and(|leg| legs.is_still(leg))
    }

    /// The media plane is closing its leg.
    pub(crate) fn has_closing_leg(&self, legs: &Legs) -> bool {
        self.leg.id.is_some_and(|leg| legs.state(leg) == Some(LegState::Closing))
    }

    /// Its leg is on its way to another worker.
    pub(crate) fn is_moving(&self, legs: &Legs) -> bool {
        self.leg.id.is_some_and(|leg| legs.state(leg) == Some(LegState::Moving))
    }
}

impl Sessions {
    /// Takes a port for a session: on the worker of another one where that has room. `false`: there is none.
    pub(crate) fn reserve_leg(&mut self, turn: &mut Turn<'_>, id: SessionId, beside: Option<SessionId>) -> bool {
        let Some(leg) = self.reserve(turn, beside) else {
            self.counts.add(SignalCounter::RefusedNoPort, 1);
            return false;
        };
        self.give_leg(id, leg);
        true
    }

    /// Takes a port for a session that is about to begin; [`Self::give_leg`] or [`Self::drop_reserved`] follows.
    pub(crate) fn reserve(&mut self, turn: &mut Turn<'_>, beside: Option<SessionId>) -> Option<LegId> {
        let beside = beside.and_then(|other| self.table.get(other)?.leg.id);
        self.legs.reserve(&mut turn.media(), NO_OWNER, beside).ok()
    }

    pub(crate) fn give_leg(&mut self, id: SessionId, leg: LegId) {
        let port = self.legs.port(leg);
        if let (Some(session), Ok(())) = (self.table.get_mut(id), self.legs.set_owner(leg, id.as_u64())) {
            (session.leg.id, session.leg.last) = (Some(leg), port.map(|port| port.leg));
            session.leg.local_port = port.map_or(0, |port| port.pair.rtp);
        }
    }

    /// A port that was taken for nothing goes back.
    pub(crate) fn drop_reserved(&mut self, turn: &mut Turn<'_>, leg: LegId) {
        let _ = self.legs.close(&mut turn.media(), leg); // it is gone where it is not there
    }

    /// A session does without the port that was taken for it.
    pub(crate) fn drop_reserved_leg(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        if let Some(leg) = std::mem::take(&mut session.leg).id {
            self.drop_reserved(turn, leg);
        }
    }

    /// Has a worker open the leg that was reserved.
    pub(crate) fn open_leg(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some((leg, wish)) = self.wish_of(id) else { return };
        if self.legs.open(&mut turn.media(), leg, &wish).is_err() {
            self.end(turn, id, EndReason::MediaFailed);
        }
    }

    /// The leg hears no other one any more; what it is to send instead follows.
    pub(crate) fn disconnect_leg(&mut self, id: SessionId) {
        if let Some(leg) = self.table.get(id).and_then(|session| session.leg.id) {
            let _ = self.legs.disconnect(leg); // the leg is there
        }
    }

    pub(crate) fn close_leg(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(leg) = self.table.get(id).and_then(|session| session.leg.id) else { return };
        if self.legs.close(&mut turn.media(), leg) != Ok(false) {
            self.leg_gone(turn, id);
        }
    }

    /// The leg is gone, and its port given back.
    pub(crate) fn leg_gone(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        if let Some(session) = self.table.get_mut(id) {
            session.leg.id = None;
        }
        self.settle(turn, id);
    }
}
