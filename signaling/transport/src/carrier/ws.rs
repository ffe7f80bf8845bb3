//! WebSocket (RFC 7118): one SIP message is one WebSocket message.

use super::{Carrier, End, Writing, ws_end};
use crate::carrier::reassembly::{Fault, Piece, is_start_line};
use crate::config::Origins;
use crate::outbox::Kind;
use futures_util::{Sink, Stream};
use sip_wire::limits::MESSAGE_MAX_BYTES;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::handshake::client;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Utf8Bytes, http};

/// The subprotocol of RFC 7118 §4.
const SUBPROTOCOL: &str = "sip";
/// First read buffer of a connection; it grows with a message up to the largest one.
const READ_BYTES: usize = 1_024;

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MESSAGE_MAX_BYTES)
        .max_message_size(Some(MESSAGE_MAX_BYTES))
        .max_frame_size(Some(MESSAGE_MAX_BYTES))
}

fn offers_sip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    let mut names = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    names.any(|name| name.trim() == SUBPROTOCOL)
}

/// The server's handshake: the peer must offer the subprotocol `sip`.
#[expect(clippy::result_large_err, reason = "the type of the library's callback")]
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    origins: &Origins,
) -> Result<WebSocketStream<Metered<S>>, Box<Error>> {
    let check = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        if !origins.allow(request.headers().get_all(header::ORIGIN).iter().map(HeaderValue::as_bytes)) {
            return Err(refusal(StatusCode::FORBIDDEN, "this Origin may not open WebSockets here\n"));
        }
        if !offers_sip(request.headers()) {
            let words = "Sec-WebSocket-Protocol must offer \"sip\" (RFC 7118)\n";
            return Err(refusal(StatusCode::BAD_REQUEST, words));
        }
        let name = HeaderValue::from_static(SUBPROTOCOL);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, name);
        Ok(response)
    };
    let stream = Metered::new(stream);
    let mut accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, check, Some(config())).await?;
    accepted.get_mut().forget();
    Ok(accepted)
}

fn refusal(status: StatusCode, words: &str) -> ErrorResponse {
    let mut refusal = ErrorResponse::new(Some(words.to_owned()));
    *refusal.status_mut() = status;
    refusal.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(words.len()));
    refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    refusal
}

/// The client's handshake.
pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    authority: &str,
    is_secure: bool,
) -> Result<WebSocketStream<Metered<S>>, Box<Error>> {
    let uri = format!("{}://{authority}/", if is_secure { "wss" } else { "ws" });
    let uri: http::Uri = uri.parse().map_err(|error: http::uri::InvalidUri| Box::new(error.into()))?;
    let request: client::Request = tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(
        ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL),
    )?;
    let stream = Metered::new(stream);
    let (mut stream, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config())).await?;
    stream.get_mut().forget();
    Ok(stream)
}

/// Counts what is read, so that a message that never ends is noticed.
pub(crate) struct Metered<S> {
    stream: S,
    /// Bytes of what is not whole.
    read_bytes: usize,
    /// Those of them that [`Carrier::poll_receive`] has told of.
    reported_bytes: usize,
}

impl<S> Metered<S> {
    fn new(stream: S) -> Self {
        Self { stream, read_bytes: 0, reported_bytes: 0 }
    }

    /// The handshake was read.
    fn forget(&mut self) {
        self.read_bytes = 0;
    }

    /// Something became whole. A control frame may stand between the fragments of a message (RFC 6455 §5.4): only its
    /// own bytes are done with, so that pings do not give a message that never ends more time.
    fn taken(&mut self, message: &Message) {
        self.read_bytes = match message {
            // Two bytes of header, and four of mask, which our clients send and our servers do not.
            Message::Ping(payload) | Message::Pong(payload) => self.read_bytes.saturating_sub(payload.len() + 6),
            _ => 0,
        };
        self.reported_bytes = self.read_bytes;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.read_bytes += buffer.filled().len() - before;
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Messages as WebSocket messages.
pub(crate) struct WsCarrier<S> {
    socket: WebSocketStream<Metered<S>>,
    /// Why we close: what the peer did wrong.
    fault: Option<CloseCode>,
    /// The close frame is on its way.
    has_closed: bool,
}

impl<S> WsCarrier<S> {
    pub(crate) fn new(socket: WebSocketStream<Metered<S>>) -> Self {
        Self { socket, fault: None, has_closed: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WsCarrier<S> {
    /// Notes what the peer is told at the end.
    fn blame(&mut self, end: &End) {
        self.fault = match end {
            End::Fault(Fault::WebSocket(code)) => Some((*code).into()),
            // A message that is no SIP is data of a kind that we do not take.
            End::Fault(Fault::Garbage) => Some(CloseCode::Unsupported),
            _ => None,
        };
    }

    fn receive(&mut self, cx: &mut Context<'_>, deliver: &mut dyn FnMut(Piece<'_>)) -> Poll<Result<usize, End>> {
        let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Poll::Ready(Err(ws_end(error))),
            None => return Poll::Ready(Err(End::Closed)),
        };
        let metered = self.socket.get_mut();
        let read_bytes = metered.read_bytes - metered.reported_bytes;
        metered.taken(&message);
        match &message {
            Message::Text(text) => deliver_message(text.as_bytes(), deliver)?,
            Message::Binary(bytes) => deliver_message(bytes, deliver)?,
            // Answered by the library when it is next flushed, which reading on does.
            Message::Ping(_) => deliver(Piece::Alive),
            Message::Pong(_) => deliver(Piece::Pong),
            Message::Close(_) => return Poll::Ready(Err(End::Closed)),
            Message::Frame(_) => {}
        }
        Poll::Ready(Ok(read_bytes))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Carrier for WsCarrier<S> {
    fn poll_receive(&mut self, cx: &mut Context<'_>, deliver: &mut dyn FnMut(Piece<'_>)) -> Poll<Result<usize, End>> {
        let received = ready!(self.receive(cx, deliver));
        if let Err(end) = &received {
            self.blame(end);
        }
        Poll::Ready(received)
    }

    fn poll_transmit(&mut self, cx: &mut Context<'_>, writing: &mut Writing) -> Poll<Result<(), io::ErrorKind>> {
        let Writing { batch, taken_count, .. } = writing;
        while let Some((kind, bytes)) = batch.entry(*taken_count) {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(kind_of)?;
            // RFC 7118 §4.2.2: text as long as it is UTF-8.
            let message = match (kind, std::str::from_utf8(bytes)) {
                (Kind::Ping, _) => Message::Ping(Default::default()),
                (_, Ok(text)) => Message::text(text),
                (_, Err(_)) => Message::binary(bytes.to_vec()),
            };
            Pin::new(&mut self.socket).start_send(message).map_err(kind_of)?;
            *taken_count += 1;
        }
        Pin::new(&mut self.socket).poll_flush(cx).map_err(kind_of)
    }

    fn says_why(&self) -> bool {
        true
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(code) = self.fault else { return Pin::new(&mut self.socket).poll_close(cx).map(drop) };
        if !self.has_closed {
            self.has_closed = true;
            let frame = CloseFrame { code, reason: Utf8Bytes::default() };
            // It stays in the library's buffer when the stream takes nothing now.
            let _ = Pin::new(&mut self.socket).start_send(Message::Close(Some(frame)));
        }
        let _ = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        Pin::new(self.socket.get_mut()).poll_shutdown(cx).map(drop)
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Frames after a fault cannot be told apart, and closing with bytes unread would reset the connection, so that the
        // peer might never see why.
        let mut scratch = [0; 4_096];
        while self.fault.is_some() {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(self.socket.get_mut()).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        while let Some(Ok(_)) = ready!(Pin::new(&mut self.socket).poll_next(cx)) {}
        Poll::Ready(())
    }

    fn unfinished_bytes(&self) -> usize {
        self.socket.get_ref().read_bytes
    }

    fn takes_for_written(&self) -> bool {
        false
    }

    fn release(&mut self) {}
}

fn deliver_message(bytes: &[u8], deliver: &mut dyn FnMut(Piece<'_>)) -> Result<(), Fault> {
    match bytes {
        b"\r\n\r\n" => deliver(Piece::Ping),
        b"\r\n" | b"" => deliver(Piece::Pong),
        _ => {
            let line = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
            if !line.is_some_and(is_start_line) {
                return Err(Fault::Garbage);
            }
            deliver(Piece::Message(bytes));
        }
    }
    Ok(())
}

fn kind_of(error: Error) -> io::ErrorKind {
    match error {
        Error::Io(error) => error.kind(),
        _ => io::ErrorKind::BrokenPipe,
    }
}
