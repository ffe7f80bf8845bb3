//! Recordings: one or both directions of a leg, as WAV or as Opus in Ogg, or its packets as pcapng (`packets/`).
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
//! Read [`Recorder`] first (what workers and the writer share), then `writer.rs`, `direction.rs` (from packets to samples),
//! `track.rs` (where a packet belongs), `tape.rs` (how it gets into the file) and `ogg_opus.rs`.

mod commands;
mod direction;
mod ogg_opus;
mod packets;
mod pauses;
mod queues;
mod sound;
mod tape;
#[cfg(test)]
mod tests;
mod track;
mod writer;

pub(crate) use commands::RecordingRequest;
pub(crate) use packets::Captures;
pub(crate) use queues::Recorder;
pub(crate) use writer::{Writer, run};
