//! Two sessions that hear each other: both legs on one worker, each sending what the other one receives.

use crate::leg::{AnswerTo, Leg};
use crate::session::Session;
use crate::{BridgeId, SessionId, Sessions, Turn};
use contract::{Codec, Direction, PayloadMap};
use sdp_core::{Negotiated, Settings};

/// The other session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    pub(crate) peer: SessionId,
    pub(crate) tie: Tie,
}

/// What holds two sessions together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tie {
    /// They are the two sides of one call: requests cross, and neither outlives the other.
    Call,
    /// They were put together, and go on alone.
    Bridge(BridgeId),
}

/// What a session can offer, and accept.
pub(crate) struct Able {
    codecs: [Codec; PayloadMap::CAPACITY],
    count: usize,
    order: sdp_core::CodecOrder,
    telephone_event: bool,
    pub(crate) direction: Direction,
}

impl Able {
    pub(crate) fn settings(&self) -> Settings<'_> {
        Settings {
            codecs: &self.codecs[..self.count],
            order: self.order,
            telephone_event: self.telephone_event,
            direction: self.direction,
        }
    }
}

impl Sessions {
    /// Makes two sessions the sides of one call.
    pub(crate) fn tie(&mut self, one: SessionId, other: SessionId) {
        self.join(one, other, Tie::Call);
    }

    pub(crate) fn join(&mut self, one: SessionId, other: SessionId, tie: Tie) {
        for (id, peer) in [(one, other), (other, one)] {
            if let Some(session) = self.table.get_mut(id) {
                session.link = Some(Link { peer, tie });
            }
        }
    }

    /// Takes two sessions apart; gives what held them together.
    pub(crate) fn untie(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Option<Link> {
        let link = self.table.get_mut(id)?.link.take()?;
        if let Some(peer) = self.table.get_mut(link.peer) {
            peer.link = None;
        }
        self.keep_crossing(turn, id);
        self.keep_crossing(turn, link.peer);
        Some(link)
    }

    /// The other side of the same call.
    pub(crate) fn other_side(&self, id: SessionId) -> Option<SessionId> {
        let link = self.table.get(id)?.link.filter(|link| link.tie == Tie::Call)?;
        Some(link.peer)
    }

    pub(crate) fn linked(&self, session: &Session) -> Option<&Session> {
        self.table.get(session.link?.peer)
    }

    /// The session whose audio this one sends: linked, and ready on the same worker.
    pub(crate) fn giver(&self, session: &Session) -> Option<&Session> {
        let peer = self.linked(session)?;
        let (Leg::Open(here), Leg::Open(there)) = (session.leg, peer.leg) else { return None };
        let is_still = !session.is_moving && !peer.is_moving;
        let is_ready = here.worker == there.worker && is_still && peer.agreement().is_some();
        is_ready.then_some(peer)
    }

    /// What the session can do: with a linked session nothing that the other one has not got, in its order.
    pub(crate) fn media_of(&self, session: &Session) -> Able {
        let ours = &self.settings.codecs;
        let other = self.linked(session).or_else(|| self.table.get(session.will_hear?));
        let theirs = other.and_then(Session::agreement);
        let mut able = Able {
            codecs: [Codec::Other; PayloadMap::CAPACITY],
            count: 0,
            order: self.settings.codec_order,
            telephone_event: self.settings.telephone_event
                && theirs.is_none_or(|agreed| agreed.payloads.telephone_event().is_some()),
            direction: session.wanted,
        };
        let common = theirs.into_iter().flat_map(|agreed| agreed.payloads.iter().map(|(_, codec, _)| codec));
        let common = common.filter(|codec| ours.contains(codec));
        for codec in common.chain(ours.iter().copied().filter(|_| theirs.is_none())).take(able.codecs.len()) {
            able.codecs[able.count] = codec;
            able.count += 1;
        }
        able
    }
}

impl Session {
    /// What counts towards the other side: what was agreed on, also where the media plane has yet to carry it out.
    pub(crate) fn agreement(&self) -> Option<&Negotiated> {
        let coming = self.change.as_ref().filter(|change| change.answer_to == AnswerTo::Nobody);
        coming.map(|change| &change.agreed).or(self.agreed.as_ref())
    }
}

/// The payload types of `here` with the numbers that they have `there`. What only one side knows keeps its number: the
/// other one ignores it.
pub(crate) fn mapped(here: &Negotiated, there: &Negotiated) -> PayloadMap {
    let mut map = PayloadMap::default();
    for (number, codec, _) in here.payloads.iter() {
        let same = there.payloads.iter().find(|(_, other, _)| *other == codec);
        map.push_mapped(number, codec, same.map_or(number, |(number, ..)| number));
    }
    map
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
