//! What a session can offer and accept, and what two sessions that hear each other have in common (RFC 3264 §6).

use crate::Sessions;
use crate::session::Session;
use contract::{Codec, Direction, OpusParameters, PayloadMap, PayloadMapping};
use sdp_core::{AudioFormat, CodecOrder, Negotiated, Offer, Packets, RelayedFormats, SdpError, Settings};
use std::net::IpAddr;

/// What a session can offer, and accept.
pub(crate) struct Able {
    codecs: Vec<AudioFormat>,
    /// Formats that the media plane cannot decode are accepted for another side, which may have them.
    relays_all: bool,
    order: CodecOrder,
    telephone_event: bool,
    pub(crate) direction: Direction,
    packets: Option<Packets>,
    /// What the other side wants of Opus.
    opus: Option<OpusParameters>,
    source: IpAddr,
    rtcp_xr: sdp_core::RtcpXr,
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    payloads: PayloadMap,
    relayed: RelayedFormats,
    packets: Packets,
    /// What it wants of Opus; none: it has not got that.
    opus: Option<OpusParameters>,
}

impl Terms {
    pub(crate) fn of(agreed: &Negotiated) -> Self {
        let has_opus = agreed.payloads.iter().any(|(_, codec, _)| codec == Codec::Opus);
        let (payloads, relayed) = (agreed.payloads, agreed.relayed.clone());
        Self { payloads, relayed, packets: agreed.packets, opus: has_opus.then_some(agreed.opus) }
    }

    pub(crate) fn payloads(&self) -> &PayloadMap {
        &self.payloads
    }

    /// Its audio formats.
    fn codecs(&self) -> impl Iterator<Item = AudioFormat> + '_ {
        self.payloads.entries().filter_map(|mapping: PayloadMapping| match mapping.codec {
            Codec::TelephoneEvent => None,
            Codec::Other => self.relayed.find(mapping.format).cloned().map(AudioFormat::Relayed),
            codec => Some(AudioFormat::Known(codec, mapping.clock_rate)),
        })
    }
}

impl Able {
    /// These capabilities, and telephone events where `has_events` says so.
    pub(crate) fn or_telephone_event(self, has_events: bool) -> Self {
        Self { telephone_event: self.telephone_event || has_events, ..self }
    }

    pub(crate) fn settings(&self) -> Settings<'_> {
        Settings {
            codecs: &self.codecs,
            relays_all: self.relays_all,
            rtcp_xr: self.rtcp_xr,
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
        let later = session.transfers.will_hear().and_then(|peer| self.table.get(peer));
        let takes = later.and_then(|later| Some((later, later.takes()?)));
        match takes.map(|(later, takes)| (later, Terms::of(takes))) {
            Some((later, terms)) => {
                // A peer that has shown nothing that can be decoded will not come to any of these.
                let can_come = later.sdp.has_shown_decodable() || terms.payloads.decodable().is_some();
                let others = self.settings.media.codecs.iter().filter(|_| can_come).cloned();
                let all = terms.codecs().chain(others);
                self.able(session, all, Some(&terms))
            }
            None => {
                // A peer that hears itself, or nobody yet, keeps what it was granted.
                let own = session.sdp.agreed().map(Terms::of);
                let own = own.iter().flat_map(Terms::codecs).filter(|own| matches!(own, AudioFormat::Relayed(_)));
                self.able(session, self.settings.media.codecs.iter().cloned().chain(own), None)
            }
        }
    }

    /// What the session can offer by the terms of another one.
    pub(crate) fn able_by(&self, session: &Session, terms: &Terms, reach: Reach) -> Able {
        let media = &self.settings.media;
        // What the other side cannot be transcoded to is of no use to this one.
        let transcodes = media.transcoding && reach == Reach::Transcoded && terms.payloads.decodable().is_some();
        let others = media.codecs.iter().filter(|_| transcodes).cloned();
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
        let theirs = self.linked(session).and_then(Session::takes);
        let spoken = theirs.and_then(|theirs| theirs.payloads.decodable());
        let is_g711 = |codec: Codec| matches!(codec, Codec::Pcmu | Codec::Pcma);
        let is_g711_format = |format: &AudioFormat| matches!(format, AudioFormat::Known(codec, _) if is_g711(*codec));
        let all = || self.settings.media.codecs.iter().filter(|_| theirs.is_none() || spoken.is_some()).cloned();
        let (direction, telephone_event) = (relayed.direction, relayed.telephone_event);
        let able = match spoken {
            // Both laws of G.711 become each other in place; better codecs would only cost more here.
            Some((_, codec)) if is_g711(codec) => {
                let codecs = all().filter(is_g711_format).chain(all().filter(|format| !is_g711_format(format)));
                Able { order: CodecOrder::Ours, ..self.able(session, codecs, None) }
            }
            _ => self.able(session, all(), None),
        };
        Able { direction, telephone_event, ..able }
    }

    /// All codecs and both directions, independent of the other side.
    pub(crate) fn able_alone(&self, session: &Session) -> Able {
        let able = self.able(session, self.settings.media.codecs.iter().cloned(), None);
        Able { direction: Direction::Both, relays_all: self.settings.media.relays_all, ..able }
    }

    fn able(&self, session: &Session, codecs: impl Iterator<Item = AudioFormat>, terms: Option<&Terms>) -> Able {
        let events = terms.is_none_or(|terms| terms.payloads.telephone_event().is_some());
        let mut able = Able {
            codecs: Vec::with_capacity(self.settings.media.codecs.len() + 2),
            relays_all: false,
            order: self.settings.media.codec_order,
            telephone_event: self.settings.media.offers_events() && events,
            direction: session.hold.wanted(),
            packets: terms.map(|terms| terms.packets),
            opus: terms.and_then(|terms| terms.opus),
            source: session.remote_signaling().ip(),
            rtcp_xr: self.settings.media.rtcp_xr,
        };
        let is_allowed = |format: &AudioFormat| match format {
            AudioFormat::Known(..) => self.settings.media.codecs.contains(format),
            AudioFormat::Relayed(_) => self.settings.media.relays_all,
        };
        for format in codecs.filter(is_allowed) {
            if !able.codecs.contains(&format) {
                able.codecs.push(format);
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

/// Whether the media plane can decode what one side sends, and encode it for the other.
pub(crate) fn can_be_transcoded(one: &Negotiated, other: &Negotiated) -> bool {
    one.payloads.decodable().is_some() && other.payloads.decodable().is_some()
}

/// Whether two sides can hear each other without transcoding: what each sends first, the other one takes.
pub(crate) fn fits(one: &Negotiated, other: &Negotiated) -> bool {
    let takes = |here: &Negotiated, (codec, format)| {
        here.payloads.entries().any(|other| (other.codec, other.format) == (codec, format))
    };
    let speaks = |here: &Negotiated| {
        let first = here.payloads.entries().find(|it| it.codec != Codec::TelephoneEvent);
        first.map(|it| (it.codec, it.format))
    };
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
