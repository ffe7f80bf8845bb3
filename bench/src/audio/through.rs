//! What transcodes.

use super::coding::Coding;
use contract::{LegSpec, PayloadMapping, RtcpMode, Source};
use loadtest::ng::Side;
use loadtest::peers::{MediaPlane, OwnLeg, RtpEngine, leg_towards};
use std::io;
use std::net::SocketAddr;

/// Something between the two sides of calls.
pub(super) trait Transcodes {
    fn name(&self) -> &'static str;
    fn pid(&self) -> u32;
    /// Opens a call; returns where A sends to and where B sends to.
    fn open(&mut self, at: [SocketAddr; 2], codings: [Coding; 2]) -> io::Result<[SocketAddr; 2]>;
}

pub(super) struct Rtpengine {
    engine: RtpEngine,
    count: usize,
}

impl Rtpengine {
    pub(super) fn new(engine: RtpEngine) -> Self {
        Self { engine, count: 0 }
    }
}

impl Transcodes for Rtpengine {
    fn name(&self) -> &'static str {
        "rtpengine"
    }

    fn pid(&self) -> u32 {
        self.engine.pid()
    }

    fn open(&mut self, at: [SocketAddr; 2], codings: [Coding; 2]) -> io::Result<[SocketAddr; 2]> {
        let side = |n: usize| Side {
            media: at[n],
            payload_type: codings[n].payload_type(),
            rtpmap: codings[n].rtpmap(),
            fmtp: codings[n].fmtp(),
        };
        self.count += 1;
        let call = format!("audio-{}", self.count);
        let (to_a, to_b) = self.engine.ng.open_transcoded_call(&call, &side(0), &side(1))?;
        Ok([SocketAddr::new(at[0].ip(), to_a), SocketAddr::new(at[1].ip(), to_b)])
    }
}

pub(super) struct Ringplane {
    plane: MediaPlane,
}

impl Ringplane {
    pub(super) fn new(plane: MediaPlane) -> Self {
        Self { plane }
    }
}

impl Transcodes for Ringplane {
    fn name(&self) -> &'static str {
        "ringplane"
    }

    fn pid(&self) -> u32 {
        self.plane.pid()
    }

    fn open(&mut self, at: [SocketAddr; 2], codings: [Coding; 2]) -> io::Result<[SocketAddr; 2]> {
        let worker = self.plane.next_worker();
        let legs: [OwnLeg; 2] = [self.plane.take_port(worker)?, self.plane.take_port(worker)?];
        for n in [0, 1] {
            self.plane.open(legs[n], leg(at[n], [codings[n], codings[1 - n]], Source::None))?;
        }
        for n in [0, 1] {
            let source = Source::Leg(legs[1 - n].leg);
            self.plane.update(legs[n], leg(at[n], [codings[n], codings[1 - n]], source))?;
        }
        Ok([0, 1].map(|n| SocketAddr::new(at[n].ip(), legs[n].port.rtp)))
    }
}

/// A leg with one codec; the other leg has another, or the same.
pub(super) fn leg(remote: SocketAddr, [own, other]: [Coding; 2], source: Source) -> LegSpec {
    leg_towards(remote, source).with(|spec| {
        let payload_type = own.payload_type();
        spec.transport.rtcp = RtcpMode::Pair as u8;
        spec.flow.rewriting = contract::Rewriting::Continuous as u8;
        spec.formats.opus = own.opus();
        spec.formats.payloads = Default::default();
        let peer_payload_type = if own == other { payload_type } else { PayloadMapping::NOT_THERE };
        let mapping = PayloadMapping { peer_payload_type, ..PayloadMapping::of(payload_type, own.codec()) };
        let is_taken = spec.formats.payloads.push_entry(mapping);
        debug_assert!(is_taken, "one payload type has room");
    })
}
