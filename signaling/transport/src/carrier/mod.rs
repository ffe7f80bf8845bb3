//! How messages are carried: as bytes of a stream (TCP, TLS) or as WebSocket messages.

mod bytes;
pub(crate) mod reassembly;
mod ws;

pub(crate) use bytes::ByteCarrier;
pub(crate) use ws::{Metered, WsCarrier, accept as accept_ws, connect as connect_ws};

use crate::carrier::reassembly::{Fault, Piece};
use crate::connector::certificate_refusal;
use crate::error::CloseReason;
use crate::outbox::Batch;
use std::io;
use std::task::{Context, Poll};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Why nothing more can be read.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer has no more to send.
    Closed,
    Broken(io::ErrorKind),
    /// The peer does not accept our certificate, or misses one. In TLS 1.3 a client learns it after its handshake (RFC 8446
    /// §4.4.2.4): with what it reads first.
    Refused(CloseReason),
    Fault(Fault),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match certificate_refusal(&error) {
            Some(refusal) => End::Refused(refusal),
            None => End::Broken(error.kind()),
        }
    }
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        End::Fault(fault)
    }
}

/// A batch that is being written.
#[derive(Default, Debug)]
pub(crate) struct Writing {
    pub(crate) batch: Batch,
    /// Bytes that the transport below has taken.
    pub(crate) taken_bytes: usize,
    /// Entries that the transport below has taken (WebSocket).
    pub(crate) taken_count: usize,
}

/// One of the ways to carry messages.
pub(crate) trait Carrier: Unpin + Send + 'static {
    /// Reads once, delivers what is whole. Returns how many bytes came.
    fn poll_receive(&mut self, cx: &mut Context<'_>, deliver: &mut dyn FnMut(Piece<'_>)) -> Poll<Result<usize, End>>;
    /// Writes a batch; ready when all of it is on its way.
    fn poll_transmit(&mut self, cx: &mut Context<'_>, writing: &mut Writing) -> Poll<Result<(), io::ErrorKind>>;
    /// Whether the goodbye says why, so that it is worth saying to a peer that was never understood.
    fn says_why(&self) -> bool {
        false
    }
    /// Says goodbye.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    /// Reads and forgets until the peer has closed too.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    /// Bytes that came since the last whole message.
    fn unfinished_bytes(&self) -> usize;
    /// Whether an error leaves messages behind that were taken.
    fn takes_for_written(&self) -> bool;
    /// Gives spare memory back.
    fn release(&mut self);
}

/// A WebSocket error as an end.
fn ws_end(error: tungstenite::Error) -> End {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => End::Closed,
        Error::Protocol(ResetWithoutClosingHandshake) => End::Closed,
        Error::Io(error) => error.into(),
        Error::Capacity(_) => End::Fault(Fault::WebSocket(CloseCode::Size.into())),
        Error::Utf8(_) => End::Fault(Fault::WebSocket(CloseCode::Invalid.into())),
        _ => End::Fault(Fault::WebSocket(CloseCode::Protocol.into())),
    }
}
