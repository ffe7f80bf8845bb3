//! TCP and TLS: messages are cut out of the bytes.

use super::{Carrier, End, Writing};
use crate::carrier::reassembly::{Piece, Reassembly};
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Read at once.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    /// Where a thread reads to: an idle connection needs no buffer of its own.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Runs `read` with the thread's buffer.
fn with_scratch<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut scratch = SCRATCH.take();
    scratch.resize(READ_BYTES, 0);
    let result = read(&mut scratch);
    SCRATCH.set(scratch);
    result
}

/// Messages as bytes of a stream.
pub(crate) struct ByteCarrier<S> {
    stream: S,
    reassembly: Reassembly,
    is_buffered: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> ByteCarrier<S> {
    /// `is_buffered`: what the stream has taken may still be in its own memory (TLS).
    pub(crate) fn new(stream: S, is_buffered: bool) -> Self {
        Self { stream, reassembly: Reassembly::default(), is_buffered }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Carrier for ByteCarrier<S> {
    fn poll_receive(&mut self, cx: &mut Context<'_>, deliver: &mut dyn FnMut(Piece<'_>)) -> Poll<Result<usize, End>> {
        with_scratch(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => Poll::Ready(Err(End::Closed)),
                Ok(()) => {
                    self.reassembly.push(buffer.filled(), deliver)?;
                    Poll::Ready(Ok(buffer.filled().len()))
                }
                // TLS without close_notify; a message says itself where it ends, so nothing can be cut off unnoticed.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Err(End::Closed)),
                Err(error) => Poll::Ready(Err(error.into())),
            }
        })
    }

    fn poll_transmit(&mut self, cx: &mut Context<'_>, writing: &mut Writing) -> Poll<Result<(), io::ErrorKind>> {
        while let Some(rest) = writing.batch.bytes().get(writing.taken_bytes..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero)),
                Ok(taken) => writing.taken_bytes += taken,
                Err(error) => return Poll::Ready(Err(error.kind())),
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx).map_err(|error| error.kind())
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.stream).poll_shutdown(cx).map(drop)
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        with_scratch(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            loop {
                buffer.clear();
                match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                    Ok(()) if !buffer.filled().is_empty() => {}
                    _ => return Poll::Ready(()),
                }
            }
        })
    }

    fn unfinished_bytes(&self) -> usize {
        self.reassembly.unfinished_bytes()
    }

    fn takes_for_written(&self) -> bool {
        !self.is_buffered
    }

    fn release(&mut self) {
        self.reassembly.release();
    }
}
