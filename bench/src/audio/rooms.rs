//! What a member of a room costs: its packets decoded, mixed with those of the others, and what it hears encoded.

use super::AudioBench;
use super::coding::Coding;
use super::through::leg;
use super::traffic::{Counts, Traffic};
use clock::Duration;
use contract::{RoomMember, Source};
use loadtest::peers::MediaPlane;
use loadtest::usage;
use serde::Serialize;
use std::io;
use std::net::SocketAddr;

/// Members of a room, in each of the measurements.
pub(super) const SIZES: [usize; 3] = [3, 10, 100];

/// Rooms of one size; every member speaks and hears PCMU.
#[derive(Clone, Debug, Serialize)]
pub struct RoomRow {
    /// Members of each room.
    pub members: usize,
    /// Rooms at once.
    pub rooms: usize,
    /// CPU for 20 ms of one member, microseconds: a packet taken, mixed, and one sent.
    pub member_us: f64,
    /// Of what was sent to the rooms, how much less came back than one packet for each, parts of a million.
    pub missing_ppm: f64,
}

impl AudioBench {
    /// As many members as there are sides of calls, in rooms of this size.
    pub(super) fn rooms_of(&self, members: usize) -> io::Result<RoomRow> {
        let folder = tempfile::tempdir()?;
        let coding = Coding::Pcmu;
        let rooms = (2 * self.calls / members).max(1);
        let count = rooms * members / 2 * 2;
        let mut plane = MediaPlane::start(folder.path(), &self.program, self.workers, count, "")?;
        let mut traffic = Traffic::new([coding; 2])?;
        let at = traffic.addresses()?;
        let mut ports = Vec::new();
        let mut worker = plane.next_worker();
        for index in 0..count {
            if index > 0 && index % members == 0 {
                worker = plane.next_worker();
            }
            let own = plane.take_port(worker)?;
            let room = RoomMember::of((index / members) as u32 + 1);
            let remote = at[index % 2];
            plane.open(own, leg(remote, [coding; 2], Source::Room(room)))?;
            ports.push(SocketAddr::new(remote.ip(), own.port.rtp));
        }
        ports.chunks_exact(2).for_each(|pair| traffic.add([pair[0], pair[1]]));
        traffic.run(Duration::from_secs(3));
        let from = usage::of_process(plane.pid())?;
        let Counts { sent, received } = traffic.run(Duration::from_secs(self.seconds));
        let to = usage::of_process(plane.pid())?;
        Ok(RoomRow {
            members,
            rooms,
            member_us: (to.cpu_ns - from.cpu_ns) as f64 / 1e3 / sent.max(1) as f64,
            missing_ppm: sent.saturating_sub(received) as f64 * 1e6 / sent.max(1) as f64,
        })
    }
}
