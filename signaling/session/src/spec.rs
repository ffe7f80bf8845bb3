//! What a leg is told: what the peers agreed on, and what we want to send.

use crate::bridge::link::Tie;
use crate::invite::incoming_invite::Stage;
use crate::leg::Leg;
use crate::negotiation::capabilities::mapped;
use crate::session::Session;
use crate::{SessionId, Sessions, Turn};
use contract::{Address, Command, Direction, LegSpec, Rewriting, Source};
use sdp_core::Negotiated;

impl Sessions {
    /// All that the media plane is to know of a session when `agreed` counts.
    pub(crate) fn spec_of(&self, session: &Session, agreed: Option<&Negotiated>) -> LegSpec {
        let mut spec = LegSpec {
            direction: Direction::Inactive as u8,
            source: self.source_of(session).into(),
            muted: session.is_muted().into(),
            dscp: self.settings.dscp,
            rewriting: session.spec.rewriting,
            signaling: session.remote_signaling().into(),
            negotiation: session.sdp.exchange_count(),
            ..LegSpec::default()
        };
        if let Some(agreed) = agreed {
            agreed.apply(&mut spec);
        }
        if session.link().is_some() {
            // One stream for the peer, whoever is heard in it.
            spec.rewriting = Rewriting::Continuous as u8;
        }
        if let (Some(agreed), Some(there)) = (agreed, self.giver(session).and_then(Session::agreement)) {
            spec.payloads = mapped(agreed, there);
        }
        if spec.payloads.audio().is_none() && !matches!(spec.source(), Source::Leg(_)) {
            spec.source = Source::None.into(); // nothing can be made without a codec
        }
        if session.is_untold() {
            // It does not know our port: whoever sends there is not the peer, and nothing goes to it unasked.
            (spec.remote_rtp, spec.remote_rtcp) = (Address::NONE, Address::NONE);
        }
        self.limit_unproven(session, agreed, &mut spec);
        self.settings.limit_silence(&mut spec);
        if session.is_waiting() {
            spec.media_timeout_ms = 0; // who has not been answered need not speak
        }
        spec
    }

    fn source_of(&self, session: &Session) -> Source {
        let Some(port) = session.port() else { return Source::None };
        if let Some(source) = session.hold.source() {
            return source.of(port.leg);
        }
        match (self.giver(session).and_then(Session::port), session.link()) {
            (Some(giver), _) => Source::Leg(giver.leg),
            (None, Some(link)) if link.tie == Tie::Call => Source::None,
            _ => session.playback.source().of(port.leg),
        }
    }

    /// Tells the leg what has become different since it was told last, and the leg that it is linked to.
    pub(crate) fn sync(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        self.sync_one(turn, id);
        if let Some(link) = self.table.get(id).and_then(|session| session.link()) {
            self.sync_one(turn, link.peer);
        }
    }

    pub(crate) fn sync_one(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id).filter(|session| !session.is_moving) else { return };
        let Leg::Open(port) = session.leg else { return };
        let applying = session.negotiation.applying().map(|applying| &applying.agreed);
        let agreed = applying.or(session.sdp.agreed());
        let spec = self.spec_of(session, agreed);
        let Some(session) = self.table.get_mut(id).filter(|session| session.spec != spec) else { return };
        session.spec = spec;
        session.updates_open += 1;
        turn.commands.push((port.worker, Command::Update { leg: port.leg, tag: id.as_u64(), spec }));
    }

    /// Has a source begin again that has come to its end: the leg only looks at sources that change.
    pub(crate) fn rewind(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id).filter(|session| !session.is_moving) else { return };
        let Leg::Open(port) = session.leg else { return };
        session.spec.source = Source::Silence.into();
        session.updates_open += 1;
        let command = Command::Update { leg: port.leg, tag: id.as_u64(), spec: session.spec };
        turn.commands.push((port.worker, command));
        self.sync(turn, id);
    }
}

impl Session {
    /// It calls us and has had no session description of ours yet; unless a program says itself where its media goes.
    fn is_untold(&self) -> bool {
        self.incoming
            .as_ref()
            .is_some_and(|incoming| !incoming.has_description() && incoming.stage() != Stage::Reserved)
    }

    /// It rings somewhere: here while we call, or on the other side of the call.
    fn is_waiting(&self) -> bool {
        self.outgoing.is_some() || self.is_at(Stage::Early) || (self.incoming.is_some() && self.link().is_some())
    }
}
