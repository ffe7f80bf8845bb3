//! Recordings: both directions of a leg, as a WAV file.
//!
//! The control client opens the file and hands its descriptor over the control socket, so that the file is made with the
//! client's rights and from its directory, whether the media plane is threads in its process or another process. Then it
//! has the leg's worker begin, by a command.
//!
//! A worker copies the packets of recorded legs into a bounded lock-free queue and does nothing else for them (no
//! allocation, lock or system call). The one writer thread empties the queues, finds each
//! packet's place in time, decodes and writes. A disk that is slow delays the writer alone: queues that overflow mean
//! silence in recordings, counted, and never a late packet in a call.
//!
//! Read [`Recorder`] first (what workers and the writer share), then `writer.rs`, `track.rs` (where a packet belongs) and
//! `tape.rs` (how it gets into the file).

mod commands;
mod queues;
mod tape;
#[cfg(test)]
mod tests;
mod track;
mod writer;

pub(crate) use commands::RecordingRequest;
pub(crate) use queues::Recorder;
pub(crate) use writer::{Writer, run};
