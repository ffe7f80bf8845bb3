//! What a call can go through.

use super::account::Account;
use crate::peers::{MediaPlane, OwnLeg, RtpEngine, leg_towards};
use contract::{RtcpMode, Source};
use std::io;
use std::net::SocketAddr;

/// Something between A and B.
pub trait Relay {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// The process that pays for it, if it has one.
    fn pid(&self) -> Option<u32>;
    /// Opens a call between two sockets; returns where A sends to and where B sends to.
    fn open(&mut self, a: SocketAddr, b: SocketAddr) -> io::Result<(SocketAddr, SocketAddr)>;
    /// Ends all calls.
    fn close_all(&mut self) -> io::Result<()>;
    /// What it counted since it started.
    fn account(&mut self) -> Account {
        Account::default()
    }
}

/// Nothing between: the generator and the kernel alone, which every other figure contains.
pub struct Straight;

impl Relay for Straight {
    fn name(&self) -> &'static str {
        "straight"
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    fn open(&mut self, a: SocketAddr, b: SocketAddr) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((b, a))
    }

    fn close_all(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// rtpengine, by its control protocol.
pub struct ThroughRtpEngine {
    engine: RtpEngine,
    calls: Vec<String>,
}

impl ThroughRtpEngine {
    /// Takes over a running one.
    pub fn new(engine: RtpEngine) -> Self {
        Self { engine, calls: Vec::new() }
    }
}

impl Relay for ThroughRtpEngine {
    fn name(&self) -> &'static str {
        "rtpengine"
    }

    fn pid(&self) -> Option<u32> {
        Some(self.engine.pid())
    }

    fn open(&mut self, a: SocketAddr, b: SocketAddr) -> io::Result<(SocketAddr, SocketAddr)> {
        let call = format!("load-{}", self.calls.len());
        let (to_a, to_b) = self.engine.ng.open_call(&call, a, b)?;
        self.calls.push(call);
        Ok((SocketAddr::new(a.ip(), to_a), SocketAddr::new(b.ip(), to_b)))
    }

    fn close_all(&mut self) -> io::Result<()> {
        for call in std::mem::take(&mut self.calls) {
            self.engine.ng.delete_call(&call)?;
        }
        Ok(())
    }
}

/// ringplane's media plane, over its shared memory.
pub struct ThroughMediaPlane {
    plane: MediaPlane,
    legs: Vec<OwnLeg>,
}

impl ThroughMediaPlane {
    /// Takes over a running one.
    pub fn new(plane: MediaPlane) -> Self {
        Self { plane, legs: Vec::new() }
    }

    /// The media plane, to read its counters.
    pub fn plane(&mut self) -> &mut MediaPlane {
        &mut self.plane
    }
}

impl Relay for ThroughMediaPlane {
    fn name(&self) -> &'static str {
        "ringplane"
    }

    fn pid(&self) -> Option<u32> {
        Some(self.plane.pid())
    }

    /// Both legs on one worker: A's leg first, without a source, then B's that sends what A's gets, then A's likewise.
    fn open(&mut self, a: SocketAddr, b: SocketAddr) -> io::Result<(SocketAddr, SocketAddr)> {
        let worker = self.plane.next_worker();
        let (leg_a, leg_b) = (self.plane.take_port(worker)?, self.plane.take_port(worker)?);
        let relay =
            |remote, source| leg_towards(remote, source).with(|spec| spec.transport.rtcp = RtcpMode::RelayPair as u8);
        self.plane.open(leg_a, relay(a, Source::None))?;
        self.legs.push(leg_a);
        self.plane.open(leg_b, relay(b, Source::Leg(leg_a.leg)))?;
        self.legs.push(leg_b);
        self.plane.update(leg_a, relay(a, Source::Leg(leg_b.leg)))?;
        Ok((SocketAddr::new(a.ip(), leg_a.port.rtp), SocketAddr::new(b.ip(), leg_b.port.rtp)))
    }

    fn account(&mut self) -> Account {
        Account::of(&mut self.plane)
    }

    fn close_all(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.legs).into_iter().try_for_each(|leg| self.plane.close(leg))
    }
}
