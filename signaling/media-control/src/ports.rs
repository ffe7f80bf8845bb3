//! Where legs get their ports from.

use contract::{LegRef, PortRef};
use std::fs::File;
use std::io;

/// What a leg needs of the media plane before it is opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Port {
    /// The handle that the media plane knows the leg by.
    pub leg: LegRef,
    /// The port pair of its transport.
    pub pair: PortRef,
    /// The worker that has the port's sockets.
    pub worker: u8,
}

/// The port pool and the control socket of the media plane.
///
/// A port is given back once: when the media plane has said that its leg is closed, or when it has not answered `Close` in
/// time. The pool lets a port rest before it is taken again.
pub trait Ports {
    /// A port of the least loaded worker; `None` at once when there is none, or no media plane.
    fn take(&mut self) -> Option<Port>;
    /// A port of this worker, or of another one where it has none.
    fn take_on(&mut self, worker: u8) -> Option<Port>;
    /// Whether the media plane has this worker.
    fn has_worker(&self, worker: u8) -> bool;
    /// A leg has gone from one worker to another.
    fn moved(&mut self, from: u8, to: u8) {
        let _ = (from, to);
    }
    /// A leg that an earlier client left behind is ours, and its port with it: it is given back as the others.
    fn adopted(&mut self, port: Port) {
        let _ = port;
    }
    /// Hands a file to the media plane, for a recording of a leg under this number. It neither waits nor touches the disk.
    fn hand_over(&mut self, leg: LegRef, recording: u64, file: File) -> io::Result<()> {
        let _ = (leg, recording, file);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Hands the media plane's end of a stream of audio to it, for a leg. It waits for nothing.
    fn hand_over_stream(&mut self, leg: LegRef, socket: File) -> io::Result<()> {
        let _ = (leg, socket);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// The leg is closed; the port may rest and then be used again.
    fn give_back(&mut self, port: Port);
}
