//! A leg on its way from one worker to another, or from one client to another.

use crate::Worker;
use crate::incoming::sinks;
use crate::io::Output;
use crate::leg::{Leg, LegIndex, Links, NOWHERE, Sound};
use crate::voice::MovingVoice;
use clock::Instant;
use contract::{Address, Event, LegRef, LegState, RefuseReason, Source};

/// A leg with all its counters and clocks, and what its voice processing has learned, on no worker. Its sockets are as they
/// were: opened, and connected where the leg had settled.
#[derive(Debug)]
pub struct MovingLeg(Box<Leg>, Option<MovingVoice>);

impl MovingLeg {
    /// The leg that moves.
    pub fn leg(&self) -> LegRef {
        self.0.leg
    }

    /// The other leg that it relays from: move both, and the relay goes on.
    pub fn peer(&self) -> Option<LegRef> {
        match self.0.flow.source() {
            Source::Leg(peer) if peer != self.0.leg => Some(peer),
            _ => None,
        }
    }

    /// Whether the RTP and the RTCP socket are connected, to set up others like them.
    pub fn connected(&self) -> (Address, Address) {
        (self.0.connected(false), self.0.connected(true))
    }

    /// Whether RTCP has the socket above.
    pub fn uses_rtcp_socket(&self) -> bool {
        self.0.uses_rtcp_socket()
    }
}

impl Leg {
    /// The peer that the socket of RTP, or of RTCP, is connected to; none where it takes packets from anybody.
    fn connected(&self, is_rtcp: bool) -> Address {
        let filter = &self.filter;
        match is_rtcp {
            false if filter.connected => filter.accepted,
            true if filter.rtcp_connected => filter.rtcp_accepted,
            _ => Address::NONE,
        }
    }
}

impl Worker {
    /// The peer that a socket of a leg is connected to: who has sent what names no sender, and gets what names no destination.
    pub fn connected(&self, leg: LegRef, is_rtcp: bool) -> Address {
        self.find(leg).map_or(Address::NONE, |place| self.legs[place].connected(is_rtcp))
    }

    /// Takes a leg out without a word to anybody. Legs that send what it receives fall silent until it is back, or until
    /// they follow it.
    pub fn extract(&mut self, leg: LegRef) -> Option<MovingLeg> {
        let place = self.find(leg).ok()?;
        let slot = self.legs[place].links.slot;
        let voice = self.voices.suspend(&mut self.legs[place].links.voice);
        let mut moving = self.unseat(place);
        moving.links = Links { slot, ..Links::none(moving.links.pair) };
        Some(MovingLeg(Box::new(moving), voice))
    }

    /// Goes on with a leg of another worker, answered by `Moved` with `number`; gives it back where that cannot be.
    pub fn insert(
        &mut self,
        now: Instant,
        moving: MovingLeg,
        number: u64,
        out: &mut Output,
    ) -> Result<(), (MovingLeg, RefuseReason)> {
        let pair = match self.free_pair(moving.leg(), moving.0.transport.port) {
            Ok(pair) => pair,
            Err(reason) => return Err((moving, reason)),
        };
        let MovingLeg(leg, voice) = moving;
        let mut leg = *leg;
        let slot = leg.links.slot;
        leg.links = Links::none(pair);
        let leg_ref = leg.leg;
        let place = self.seat(leg);
        let it = &mut self.legs[place];
        if it.making.sound == Sound::Room && !it.be_member(&mut self.rooms) {
            // Its room is full here.
            it.making.sound = Sound::Silence;
        }
        self.count_rooms();
        if let Some(voice) = voice {
            self.voices.resume(&mut self.legs[place].links.voice, voice);
        }
        self.follow_voice(place, out);
        let it = &mut self.legs[place];
        it.watch_sound(it.payloads.watches_sound);
        self.relink(place);
        if slot != NOWHERE {
            self.pace.rejoin(&mut self.legs, LegIndex::new(place), slot);
        }
        self.plan_timer(place, now);
        out.events.push(Event::Moved { leg: leg_ref, number, worker: self.index });
        Ok(())
    }

    /// Another client goes on with a leg. It hears what the one before may not have heard: that the peer has fallen silent, or
    /// that the player has come to its end.
    pub(crate) fn adopt(&mut self, place: usize, number: u64, out: &mut Output) {
        let it = &self.legs[place];
        let leg = it.leg;
        out.events.push(Event::Adopted { leg, number });
        if it.state == LegState::TimedOut {
            out.events.push(Event::MediaTimeout { leg });
        }
        let has_played = it.flow.source().prompt().is_some() && !matches!(it.making.sound, Sound::Prompt(_));
        if has_played {
            out.events.push(Event::PlayerEnded { leg, player: it.flow.player });
        }
    }

    /// Finds the legs again that this one takes from or gives to, without a change of source in either stream.
    fn relink(&mut self, place: usize) {
        let me = self.legs[place].leg;
        if let Source::Leg(source_leg) = self.legs[place].flow.source()
            && let Ok(source_leg) = self.find(source_leg)
        {
            sinks::relink(&mut self.legs, source_leg, place);
        }
        for other in 0..self.legs.len() {
            let waits = other != place
                && self.legs[other].state != contract::LegState::Free
                && self.legs[other].links.source_leg == LegIndex::NONE
                && self.legs[other].flow.source() == Source::Leg(me);
            if waits {
                sinks::relink(&mut self.legs, place, other);
            }
        }
    }
}
