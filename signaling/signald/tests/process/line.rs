//! A connection of any transport with whole messages going both ways, and what is said on it.

use crate::PATIENCE;
use crate::phone::SDP;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tokio_rustls::rustls;
use tokio_tungstenite::tungstenite::{self, ClientRequestBuilder, WebSocket, http::Uri};
use transport::Transport;

trait Bytes: Read + Write + Send {}
impl<T: Read + Write + Send> Bytes for T {}

enum Kind {
    Bytes(Box<dyn Bytes>),
    Ws(Box<WebSocket<Box<dyn Bytes>>>),
}

pub(crate) struct Line {
    kind: Kind,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    buffer: Vec<u8>,
}

pub(crate) fn tcp(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Line {
    /// Connects; `tls` says which authority to trust and which certificate to show, for the secure ones.
    pub(crate) fn open(transport: Transport, to: SocketAddr, tls: Option<(&Arc<rustls::ClientConfig>, &str)>) -> Self {
        let stream = tcp(to);
        let local = stream.local_addr().unwrap();
        let mut bytes: Box<dyn Bytes> = Box::new(stream.try_clone().unwrap());
        if transport.is_secure() {
            let (config, name) = tls.expect("somebody to trust");
            let session = rustls::ClientConnection::new(config.clone(), name.to_owned().try_into().unwrap()).unwrap();
            bytes = Box::new(rustls::StreamOwned::new(session, stream));
        }
        let kind = match transport {
            Transport::Ws | Transport::Wss => {
                let request = ClientRequestBuilder::new(Uri::from_static("ws://sip.example.com/"));
                let (socket, _) = tungstenite::client(request.with_sub_protocol("sip"), bytes).unwrap();
                Kind::Ws(Box::new(socket))
            }
            _ => Kind::Bytes(bytes),
        };
        Self { kind, transport, local, buffer: Vec::new() }
    }

    /// Over a TCP connection that the switch opened.
    pub(crate) fn accepted(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let local = stream.local_addr().unwrap();
        Self { kind: Kind::Bytes(Box::new(stream)), transport: Transport::Tcp, local, buffer: Vec::new() }
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.kind {
            Kind::Bytes(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Kind::Ws(socket) => {
                let message = match std::str::from_utf8(bytes) {
                    Ok(text) => tungstenite::Message::text(text),
                    Err(_) => tungstenite::Message::binary(bytes.to_vec()),
                };
                socket.send(message).map_err(io::Error::other)
            }
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).unwrap();
    }

    /// The next whole message; `None`: the end.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.heard().unwrap_or_else(|error| panic!("nothing came: {error}"))
    }

    /// The next whole message or the end; an error: nothing came in [`PATIENCE`].
    pub(crate) fn heard(&mut self) -> io::Result<Option<String>> {
        let is_silence =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        let stream = match &mut self.kind {
            Kind::Bytes(stream) => stream,
            Kind::Ws(socket) => loop {
                match socket.read() {
                    Ok(tungstenite::Message::Text(text)) => return Ok(Some(text.as_str().to_owned())),
                    Ok(tungstenite::Message::Binary(bytes)) => {
                        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
                    }
                    Err(tungstenite::Error::Io(error)) if is_silence(&error) => return Err(error),
                    Ok(tungstenite::Message::Close(_)) | Err(_) => return Ok(None),
                    Ok(_) => {}
                }
            },
        };
        loop {
            // Pongs (RFC 5626 §3.5.1) stand between messages.
            let pongs = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.buffer.drain(..pongs);
            if let Some(end) = whole(&self.buffer) {
                let rest = self.buffer.split_off(end);
                let message = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some(String::from_utf8_lossy(&message).into_owned()));
            }
            let mut chunk = [0; 4_096];
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(bytes) => self.buffer.extend_from_slice(&chunk[..bytes]),
                Err(error) if is_silence(&error) => return Err(error),
                Err(_) => return Ok(None),
            }
        }
    }

    /// The next message that starts so; others are passed over.
    pub(crate) fn hear(&mut self, start: &str) -> String {
        loop {
            let message = self.next().unwrap_or_else(|| panic!("closed before {start}"));
            if message.starts_with(start) {
                return message;
            }
        }
    }

    pub(crate) fn request(&self, method: &str, call: &str, to_tag: &str, cseq: u32, body: &str) -> String {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let (name, local) = (self.transport.via_name(), self.local);
        format!(
            "{method} sip:tone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{name} {local};branch=z9hG4bK{call}{cseq}{method};rport\r\n\
             From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:tone@example.com>{to_tag}\r\nCall-ID: {call}\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:alice@{local};transport={}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            name.to_lowercase(),
            body.len()
        )
    }

    pub(crate) fn options(&mut self, call: &str) {
        self.send(&self.request("OPTIONS", call, "", 1, ""));
        assert!(self.hear("SIP/2.0 200").contains(&format!("Call-ID: {call}\r\n")));
    }

    /// Sets a call up; gives the To tag.
    pub(crate) fn call(&mut self, call: &str) -> String {
        self.send(&self.request("INVITE", call, "", 1, SDP));
        self.hear("SIP/2.0 180");
        let answer = self.hear("SIP/2.0 200");
        // A phone that says `sip:` over TLS is answered so, and can call back.
        assert!(answer.contains("Contact: <sip:"), "{answer}");
        let line = answer.lines().find(|line| line.starts_with("To:")).unwrap();
        let tag = format!(";tag={}", line.split("tag=").nth(1).unwrap());
        self.send(&self.request("ACK", call, &tag, 1, ""));
        tag
    }

    pub(crate) fn hang_up(&mut self, call: &str, tag: &str) {
        self.send(&self.request("BYE", call, tag, 2, ""));
        self.hear("SIP/2.0 200");
    }

    /// Takes a BYE and answers it.
    pub(crate) fn hear_bye(&mut self) -> String {
        let bye = self.hear("BYE ");
        let lines: Vec<&str> = bye
            .lines()
            .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)))
            .collect();
        self.send(&format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n")));
        bye
    }
}

/// Where the first message of a stream ends.
fn whole(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]);
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length:"));
    let end = head + length.map_or(0, |length| length.trim().parse::<usize>().unwrap());
    (buffer.len() >= end).then_some(end)
}
