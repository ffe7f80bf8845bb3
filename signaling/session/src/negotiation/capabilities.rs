//! What a session can offer and accept, and what two sessions that hear each other have in common (RFC 3264 §6).

use crate::Sessions;
use crate::session::Session;
use contract::{Codec, Direction, OpusParameters, PayloadMap};
use sdp_core::{CodecOrder, Negotiated, Offer, Packets, SdpError, Settings};
use std::net::IpAddr;

/// What a session can offer, and accept.
pub(crate) struct Able {
    codecs: [Codec; PayloadMap::CAPACITY],
    count: usize,
    order: CodecOrder,
    telephone_event: bool,
    pub(crate) direction: Direction,
    packets: Option<Packets>,
    /// What the other side wants of Opus.
    opus: Option<OpusParameters>,
    source: IpAddr,
}

/// Which codecs a session is offered, or may offer, that the other side of its call does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// None of them: the packets of the two sides are relayed.
    Relayed,
    /// All that the settings name, after those of the other side: the media plane transcodes. The same as [`Self::Relayed`]
    /// where the settings forbid that.
    Transcoded,
}

/// What one side takes, for the other side to be offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    payloads: PayloadMap,
    packets: Packets,
    /// What it wants of Opus; none: it has not got that.
    opus: Option<OpusParameters>,
}

impl Terms {
    pub(crate) fn of(agreed: &Negotiated) -> Self {
        let has_opus = agreed.payloads.iter().any(|(_, codec, _)| codec == Codec::Opus);
        Self { payloads: agreed.payloads, packets: agreed.packets, opus: has_opus.then_some(agreed.opus) }
    }

    pub(crate) fn payloads(&self) -> &PayloadMap {
        &self.payloads
    }

    /// Its audio codecs.
    fn codecs(&self) -> impl Iterator<Item = Codec> + '_ {
        self.payloads.iter().map(|(_, codec, _)| codec)
    }
}

impl Able {
    /// These capabilities, and telephone events where `has_events` says so.
    pub(crate) fn or_telephone_event(self, has_events: bool) -> Self {
        Self { telephone_event: self.telephone_event || has_events, ..self }
    }

    pub(crate) fn settings(&self) -> Settings<'_> {
        Settings {
            codecs: &self.codecs[..self.count],
            order: self.order,
            telephone_event: self.telephone_event,
            direction: self.direction,
            packets: self.packets,
            opus: self.opus,
            source: Some(self.source),
        }
    }
}

impl Sessions {
    /// What the session can offer: with a linked session the codecs of that one, in its order, and those that `reach` adds.
    /// A session that is to hear another one later offers all codecs; the two settle on one afterwards.
    pub(crate) fn media_of(&self, session: &Session, reach: Reach) -> Able {
        if let Some(theirs) = self.linked(session).and_then(Session::takes) {
            return self.able_by(session, &Terms::of(theirs), reach);
        }
        let later = session.transfers.will_hear().and_then(|peer| self.table.get(peer)?.takes());
        match later.map(Terms::of) {
            Some(terms) => {
                let all = terms.codecs().chain(self.settings.media.codecs.iter().copied());
                self.able(session, all, Some(&terms))
            }
            None => self.able(session, self.settings.media.codecs.iter().copied(), None),
        }
    }

    /// What the session can offer by the terms of another one.
    pub(crate) fn able_by(&self, session: &Session, terms: &Terms, reach: Reach) -> Able {
        let media = &self.settings.media;
        let transcodes = media.transcoding && reach == Reach::Transcoded;
        let others = media.codecs.iter().copied().filter(|_| transcodes);
        self.able(session, terms.codecs().chain(others), Some(terms))
    }

    /// What a peer offers and we accept: codecs that the other side of its call has as well; where there are none, all that
    /// the media plane can transcode.
    pub(crate) fn read_offer(
        &self,
        session: &Session,
        raw: &[u8],
        direction: Option<Direction>,
    ) -> Result<Offer, SdpError> {
        let mut able = self.media_of(session, Reach::Relayed);
        able.direction = direction.unwrap_or(able.direction);
        match Offer::read(raw, &able.settings()) {
            Err(SdpError::NoCodec) if self.settings.media.transcoding => {
                Offer::read(raw, &self.transcoded_by(session, able).settings())
            }
            read => read,
        }
    }

    /// The capabilities of a session of which the other side of the call has no codec. Packets are made for it, so the other
    /// side's packet time does not matter.
    fn transcoded_by(&self, session: &Session, relayed: Able) -> Able {
        let spoken = self.linked(session).and_then(Session::takes).and_then(|theirs| theirs.payloads.audio());
        let is_g711 = |codec: &Codec| matches!(codec, Codec::Pcmu | Codec::Pcma);
        let all = || self.settings.media.codecs.iter().copied();
        let (direction, telephone_event) = (relayed.direction, relayed.telephone_event);
        let able = match spoken {
            // Both laws of G.711 become each other in place; better codecs would only cost more here.
            Some((_, codec)) if is_g711(&codec) => {
                let codecs = all().filter(is_g711).chain(all().filter(|codec| !is_g711(codec)));
                Able { order: CodecOrder::Ours, ..self.able(session, codecs, None) }
            }
            _ => self.able(session, all(), None),
        };
        Able { direction, telephone_event, ..able }
    }

    /// All codecs and both directions, independent of the other side.
    pub(crate) fn able_alone(&self, session: &Session) -> Able {
        let able = self.able(session, self.settings.media.codecs.iter().copied(), None);
        Able { direction: Direction::Both, ..able }
    }

    fn able(&self, session: &Session, codecs: impl Iterator<Item = Codec>, terms: Option<&Terms>) -> Able {
        let events = terms.is_none_or(|terms| terms.payloads.telephone_event().is_some());
        let mut able = Able {
            codecs: [Codec::Other; PayloadMap::CAPACITY],
            count: 0,
            order: self.settings.media.codec_order,
            telephone_event: self.settings.media.offers_events() && events,
            direction: session.hold.wanted(),
            packets: terms.map(|terms| terms.packets),
            opus: terms.and_then(|terms| terms.opus),
            source: session.remote_signaling().ip(),
        };
        for codec in codecs.filter(|codec| self.settings.media.codecs.contains(codec)) {
            if able.count < able.codecs.len() && !able.codecs[..able.count].contains(&codec) {
                able.codecs[able.count] = codec;
                able.count += 1;
            }
        }
        able
    }
}

impl Session {
    /// What was agreed on, also where the media plane has yet to carry out the peer's answer.
    pub(crate) fn agreement(&self) -> Option<&Negotiated> {
        self.negotiation.answered().or(self.sdp.agreed())
    }

    /// What the other side may be offered: before the answer all that the caller has offered, whatever it has been told early.
    pub(crate) fn takes(&self) -> Option<&Negotiated> {
        let offered = self.incoming.as_ref().and_then(|incoming| incoming.offer()).map(|offer| offer.agreed());
        offered.or_else(|| self.agreement())
    }
}

/// Whether two sides can hear each other without transcoding: what each sends first, the other one takes.
pub(crate) fn fits(one: &Negotiated, other: &Negotiated) -> bool {
    let takes = |here: &Negotiated, codec| here.payloads.iter().any(|(_, other, _)| other == codec);
    let speaks = |here: &Negotiated| here.payloads.audio().map(|(_, codec)| codec);
    match (speaks(one), speaks(other)) {
        (Some(first), Some(second)) => takes(other, first) && takes(one, second),
        _ => false,
    }
}

/// The same flow seen from the other side of a call: what comes in here goes out there.
pub(crate) fn mirrored(direction: Direction) -> Direction {
    match direction {
        Direction::Send => Direction::Receive,
        Direction::Receive => Direction::Send,
        same => same,
    }
}
