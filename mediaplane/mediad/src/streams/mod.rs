//! Streams of audio between legs and programs.
//!
//! A program hands one end of a Unix socket over on the control socket, for a leg of its client; sound and orders pass through
//! it as messages ([`contract::ProgramMessage`], [`contract::MediaMessage`]), without signaling.
//!
//! The leg's worker copies the packets of the leg into a bounded queue, and takes the program's sound out of another one, 10 ms at a
//! time ([`media_core::Program`]). It does nothing else for a stream: no allocation, lock or system call for a packet. One thread
//! puts packets into time, decodes, resamples, and talks to all programs without ever waiting for one. A program that does not read
//! loses its own oldest frames, counted; one that sends too much or nonsense loses its stream.
//!
//! Read [`Streams`] first (what workers and the thread share), then `server.rs` (the thread), `stream.rs` (one stream),
//! `hearing.rs` (from packets to frames) and `speaking.rs` (from frames to the leg).

mod commands;
mod hearing;
mod queues;
mod server;
mod speaking;
mod stream;

pub(crate) use queues::Streams;
pub(crate) use server::run;
