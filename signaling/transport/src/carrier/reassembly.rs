//! Messages out of a byte stream, whatever the segments (RFC 3261 §18.3). No socket, no clock.

use sip_wire::{Framer, Framing, KeepAlive, ParseError};

/// Longest start line; a longer one without an end is not SIP.
const START_LINE_MAX_BYTES: usize = sip_wire::limits::URI_MAX_BYTES + 256;
/// What an emptied buffer may keep.
const KEPT_BYTES: usize = 2_048;

/// What a stream carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece<'a> {
    /// One whole message.
    Message(&'a [u8]),
    /// The peer wants a sign of life.
    Ping,
    /// The peer gives one.
    Pong,
    /// The peer wanted a sign of life and has been given one (a WebSocket ping).
    Alive,
    /// A message whose end cannot be found.
    Invalid { head: &'a [u8], error: ParseError },
}

/// Why nothing more can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Not SIP.
    Garbage,
    /// [`Piece::Invalid`] was delivered.
    Invalid,
    /// A rule of WebSocket was broken; with the code that says so (RFC 6455 §7.4.1).
    WebSocket(u16),
}

/// The unfinished message of one stream.
#[derive(Default, Debug)]
pub(crate) struct Reassembly {
    pending: Vec<u8>,
    framer: Framer,
    start_line: StartLine,
    /// The last thing that came was one CRLF; another one makes them a ping.
    half_ping: bool,
}

impl Reassembly {
    /// Takes what came and delivers what became whole.
    pub(crate) fn push(&mut self, chunk: &[u8], deliver: &mut dyn FnMut(Piece<'_>)) -> Result<(), Fault> {
        if self.pending.is_empty() {
            let taken = self.cut(chunk, deliver)?;
            self.pending.extend_from_slice(chunk.get(taken..).unwrap_or_default());
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(chunk);
        let taken = self.cut(&pending, deliver)?;
        pending.drain(..taken.min(pending.len()));
        if pending.is_empty() {
            pending.shrink_to(KEPT_BYTES);
        }
        self.pending = pending;
        Ok(())
    }

    /// Bytes of a message that is not whole yet.
    pub(crate) fn unfinished_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Gives spare memory back.
    pub(crate) fn release(&mut self) {
        self.pending.shrink_to_fit();
    }

    /// Delivers from the start of `buffer`; returns how many bytes are done with.
    fn cut(&mut self, buffer: &[u8], deliver: &mut dyn FnMut(Piece<'_>)) -> Result<usize, Fault> {
        let mut at = 0;
        while let Some(rest) = buffer.get(at..).filter(|rest| !rest.is_empty()) {
            self.start_line.check(rest)?;
            match self.framer.frame(rest) {
                Framing::Incomplete => break,
                Framing::Complete { bytes } => {
                    deliver(Piece::Message(rest.get(..bytes).unwrap_or(rest)));
                    at += bytes;
                }
                // As a pong it must not wait for the next byte, as half a ping (RFC 5626 §3.5.1) it must be remembered.
                Framing::KeepAlive { bytes, kind } => {
                    let is_ping = kind == KeepAlive::Ping || self.half_ping;
                    deliver(if is_ping { Piece::Ping } else { Piece::Pong });
                    self.half_ping = kind == KeepAlive::PongOrHalfPing && !is_ping;
                    at += bytes;
                    continue;
                }
                Framing::Invalid(error) => {
                    deliver(Piece::Invalid { head: rest, error });
                    return Err(Fault::Invalid);
                }
            }
            self.start_line = StartLine::default();
            self.half_ping = false;
        }
        Ok(at)
    }
}

/// Tells SIP from anything else (HTTP, a TLS handshake, line noise) at the first line of a message.
#[derive(Default, Debug)]
struct StartLine {
    searched: usize,
    is_sip: bool,
}

impl StartLine {
    fn check(&mut self, message: &[u8]) -> Result<(), Fault> {
        if self.is_sip || matches!(message.first(), Some(b'\r' | b'\n')) {
            return Ok(());
        }
        // A method or `SIP` (RFC 3261 §25.1 `token`).
        if message.first().is_some_and(|byte| !byte.is_ascii_graphic()) {
            return Err(Fault::Garbage);
        }
        let fresh = message.get(self.searched..).unwrap_or_default();
        match fresh.iter().position(|byte| *byte == b'\n') {
            Some(found) if is_start_line(message.get(..self.searched + found).unwrap_or_default()) => {
                self.is_sip = true;
                Ok(())
            }
            None if message.len() <= START_LINE_MAX_BYTES => {
                self.searched = message.len();
                Ok(())
            }
            _ => Err(Fault::Garbage),
        }
    }
}

/// Whether a first line names SIP, in any version: the wrong ones have answers (RFC 4475 §3.1.2.16).
pub(crate) fn is_start_line(line: &[u8]) -> bool {
    line.windows(4).any(|window| window.eq_ignore_ascii_case(b"SIP/"))
}

#[cfg(test)]
mod tests;
