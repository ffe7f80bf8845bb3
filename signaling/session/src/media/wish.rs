//! What the leg of a session is to be: what the peers agreed on, and what we want to send.

use crate::bridge::link::Tie;
use crate::invite::incoming_invite::Stage;
use crate::session::Session;
use crate::{PlannedSource, SessionId, Sessions, Turn};
use contract::{Address, Direction, RtcpMode};
use media_control::{EdgeKind, FlowWish, Formats, Hears, LegId, LegWish, Player, Rtcp, Sources, Standing, Transport};
use sdp_core::Negotiated;

impl Sessions {
    /// All that is wanted of the leg of a session now; `None`: it has none.
    pub(crate) fn wish_of(&self, id: SessionId) -> Option<(LegId, LegWish)> {
        let session = self.table.get(id)?;
        let applying = session.negotiation.applying().map(|applying| &applying.agreed);
        let agreed = applying.or(session.sdp.agreed());
        let transport = self.transport_of(session, agreed);
        let formats = agreed.map_or_else(Formats::default, |agreed| Formats {
            payloads: agreed.payloads,
            ptime_ms: agreed.ptime_ms,
            opus: agreed.opus,
            voice: session.leg.voice().unwrap_or(self.settings.media.voice),
        });
        Some((session.leg.id()?, LegWish { transport, formats, flow: self.flow_of(session, agreed) }))
    }

    fn transport_of(&self, session: &Session, agreed: Option<&Negotiated>) -> Transport {
        let mut transport = Transport {
            signaling: session.remote_signaling().into(),
            dscp: self.settings.media.dscp,
            negotiation: session.sdp.exchange_count(),
            ..Transport::default()
        };
        if let Some(agreed) = agreed {
            transport.remote_rtp = agreed.remote_rtp.into();
            transport.remote_rtcp = agreed.remote_rtcp.filter(|_| !agreed.rtcp_mux).into();
            let has_extended_reports = agreed.rtcp_xr || self.settings.media.forces_rtcp_xr;
            let mode = if agreed.rtcp_mux { RtcpMode::Mux } else { RtcpMode::Pair };
            transport.rtcp = Rtcp::from(mode).with_extended_reports(has_extended_reports);
        }
        if session.has_no_description() {
            // The peer does not know our port: what comes there is not from it, and nothing goes to it unasked.
            (transport.remote_rtp, transport.remote_rtcp) = (Address::NONE, Address::NONE);
        }
        self.limit_unproven(session, agreed, &mut transport);
        let flows = agreed.is_some_and(|agreed| agreed.direction == Direction::Both);
        // A side on hold may be silent, and so may a peer that has not been answered.
        let has_to_send = flows && !session.is_waiting();
        transport.media_timeout_ms = if has_to_send { self.settings.media.silence_limit_ms() } else { 0 };
        transport
    }

    fn flow_of(&self, session: &Session, agreed: Option<&Negotiated>) -> FlowWish {
        let held = session.hold.source();
        let is_in_call = session.link().is_some_and(|link| link.tie == Tie::Call);
        // A side of a call hears the other side or nothing.
        let played = match session.playback.source() {
            // While it is bridged it is in no room.
            PlannedSource::Room(_) if session.link().is_some() => PlannedSource::Silence,
            source => source,
        };
        let ringback = session.incoming.as_ref().and_then(|incoming| incoming.ringback.heard());
        let player = held.or(ringback).or_else(|| (!is_in_call).then_some(played));
        let source = self.linked(session).and_then(|peer| peer.leg.id()).filter(|_| ringback.is_none());
        FlowWish {
            direction: agreed.map_or(Direction::Inactive, |agreed| agreed.direction),
            is_muted: session.is_muted(),
            player: player.map(Player::from),
            hears: source.map_or(Sources::None, |leg| Sources::One(Hears { leg, kind: EdgeKind::Relay })),
            is_held: held.is_some(),
            digits: self.digit_rules(session, agreed),
            // One stream for the peer, whatever is heard in it.
            is_continuous: is_in_call || session.leg.is_continuous(),
        }
    }

    /// Tells the leg what has become different since it was told last. Says whether the media plane does what is wanted. The
    /// session that this one is linked to is told as well, where its leg does not hear this one yet or any more: nothing
    /// else that is wanted of it depends on this session.
    pub(crate) fn sync(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Standing {
        let standing = self.sync_one(turn, id);
        let Some(session) = self.table.get(id) else { return standing };
        if let Some(peer) = session.link().map(|link| link.peer).filter(|peer| !self.is_heard_by(session, *peer)) {
            self.sync_one(turn, peer);
        }
        standing
    }

    /// Whether the leg of another session is to hear the leg of this one.
    fn is_heard_by(&self, session: &Session, other: SessionId) -> bool {
        let sink = self.table.get(other).and_then(|other| other.leg.id());
        sink.zip(session.leg.id()).is_some_and(|(sink, source)| self.legs.is_heard_by(source, sink))
    }

    pub(crate) fn sync_one(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Standing {
        let Some((leg, wish)) = self.wish_of(id) else { return Standing::NotOpen };
        self.legs.want(&mut turn.media(), leg, &wish).unwrap_or(Standing::NotOpen)
    }

    /// Has what is played begin again that has come to its end.
    pub(crate) fn restart(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        if let Some((leg, wish)) = self.wish_of(id) {
            let _ = self.legs.restart(&mut turn.media(), leg, &wish); // the leg is there
        }
    }
}

impl Session {
    /// The peer calls us and has had no session description of ours yet; unless a program says itself where its media goes.
    fn has_no_description(&self) -> bool {
        let incoming = self.incoming.as_ref();
        incoming.is_some_and(|incoming| !incoming.has_description() && incoming.stage() != Stage::Reserved)
    }

    /// A phone rings: here while we call, or on the other side of the call.
    fn is_waiting(&self) -> bool {
        self.outgoing.is_some() || self.is_at(Stage::Early) || (self.incoming.is_some() && self.link().is_some())
    }
}
