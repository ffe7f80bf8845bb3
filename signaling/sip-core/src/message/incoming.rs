//! A received request, with the header fields that every rule looks at read once.

use crate::endpoint::dialogs::session_timer::Refresher;
use crate::endpoint::requests::Asked;
use crate::flow::{Flow, Transport};
use crate::output::Output;
use crate::table::hash::{Key, Keyed};
use crate::transactions::proven;
use crate::transactions::quota::source_key;
use clock::Instant;
use sip_wire::{Address, ErrorKind, Host, Message, Method, Name, ParseError, Reply, ResponseWriter, StatusCode, Via};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Deref;

/// A request on its way through the layers: when and how it came, the key of its transaction, and its fields.
pub(crate) struct Incoming<'a, 'm> {
    pub(crate) now: Instant,
    pub(crate) flow: &'m Flow,
    /// Of its transaction; an ACK has that of its INVITE.
    pub(crate) key: Key,
    pub(crate) request: Request<'a, 'm>,
    pub(crate) sender: OnceCell<Sender>,
    pub(crate) merge_key: OnceCell<Key>,
}

/// Where a request came from, with the keys of what is known of that source.
pub(crate) struct Sender {
    /// Where its responses go.
    pub(crate) flow: Flow,
    /// The other end of that flow.
    pub(crate) address: proven::Address,
    /// The key under which the requests of the source are counted.
    pub(crate) source: Key,
}

impl<'a, 'm> Incoming<'a, 'm> {
    /// A request that has just been read.
    pub(crate) fn new(now: Instant, flow: &'m Flow, key: Key, request: Request<'a, 'm>) -> Self {
        Self { now, flow, key, request, sender: OnceCell::new(), merge_key: OnceCell::new() }
    }

    /// Two requests with this key and different branches took two ways to us: the later is merged (RFC 3261 §8.2.2.2).
    pub(crate) fn merge_key(&self, keyed: &Keyed) -> Key {
        *self.merge_key.get_or_init(|| self.merge_key_as(keyed, self.method))
    }

    /// Its sender. The keys are hashed the first time: copies of a request and ACKs do without.
    pub(crate) fn sender(&self, keyed: &Keyed) -> &Sender {
        self.sender.get_or_init(|| {
            let flow = self.response_flow(self.flow);
            let address = proven::Address::of(keyed, &flow);
            Sender { flow, address, source: source_key(keyed, flow.remote.ip()) }
        })
    }
}

impl<'a, 'm> Deref for Incoming<'a, 'm> {
    type Target = Request<'a, 'm>;
    fn deref(&self) -> &Self::Target {
        &self.request
    }
}

/// The fields of a request that every rule looks at.
pub(crate) struct Request<'a, 'm> {
    pub(crate) message: &'m Message<'a>,
    pub(crate) method: Method,
    pub(crate) uri: &'a [u8],
    pub(crate) via: Via<'a>,
    pub(crate) from: &'a [u8],
    pub(crate) from_tag: &'a [u8],
    pub(crate) to: &'a [u8],
    pub(crate) to_tag: Option<&'a [u8]>,
    pub(crate) call_id: &'a [u8],
    pub(crate) cseq: u32,
}

impl<'a, 'm> Request<'a, 'm> {
    /// Reads what is needed; fails where no response could be made from it.
    pub(crate) fn new(message: &'m Message<'a>) -> Result<Self, ParseError> {
        Ok(Self {
            // RFC 2543 peers may send no tag: an absent one is an empty one.
            from_tag: only_tag(&message.from()?, Name::From)?.unwrap_or_default(),
            to_tag: only_tag(&message.to()?, Name::To)?,
            call_id: message.call_id()?,
            cseq: message.cseq()?.number,
            ..Self::unread(message)?
        })
    }

    /// Reads what a 400 can be made from: what is broken or missing stays out of it.
    pub(crate) fn broken(message: &'m Message<'a>) -> Result<Self, ParseError> {
        let to_tag = message.to().ok().and_then(|to| to.tag());
        Ok(Self { to_tag, ..Self::unread(message)? })
    }

    /// With its fields as they came, none of them looked into but the top Via.
    fn unread(message: &'m Message<'a>) -> Result<Self, ParseError> {
        Ok(Self {
            message,
            method: message.method().ok_or(ParseError::message(sip_wire::ErrorKind::NotSip))?,
            uri: message.request_uri_raw(),
            via: message.top_via()?,
            from: message.header(Name::From).unwrap_or_default(),
            from_tag: &[],
            to: message.header(Name::To).unwrap_or_default(),
            to_tag: None,
            call_id: message.header(Name::CallId).unwrap_or_default(),
            cseq: 0,
        })
    }

    /// The key of the server transaction that this request, were its method `method`, belongs to (RFC 3261 §17.2.3).
    pub(crate) fn key(&self, keyed: &Keyed, method: Method) -> Key {
        let method = if method == Method::Ack { Method::Invite } else { method };
        match self.via.rfc3261_branch() {
            Some(branch) => {
                let port = self.via.port_or_default().to_be_bytes();
                let host = host_bytes(&self.via.host);
                keyed.key(&[b"server", branch, &host, &port, method.as_bytes()])
            }
            None => keyed.key(&[
                b"2543",
                self.uri,
                self.from_tag,
                self.call_id,
                &self.cseq.to_be_bytes(),
                self.via.as_bytes(),
                method.as_bytes(),
            ]),
        }
    }

    /// The merge key ([`Incoming::merge_key`]) that it would have with this method.
    pub(crate) fn merge_key_as(&self, keyed: &Keyed, method: Method) -> Key {
        self.merge_key_of(keyed, self.cseq, method)
    }

    /// The merge key of another request of its sender in the same call.
    pub(crate) fn merge_key_of(&self, keyed: &Keyed, cseq: u32, method: Method) -> Key {
        keyed.key(&[b"merge", self.from_tag, self.call_id, &cseq.to_be_bytes(), method.as_bytes()])
    }

    /// Stands for the Request-URI.
    pub(crate) fn uri_key(&self, keyed: &Keyed) -> Key {
        keyed.key(&[b"uri", self.uri])
    }

    /// The key of the dialog that this request says it belongs to.
    pub(crate) fn dialog_key(&self, keyed: &Keyed) -> Key {
        crate::endpoint::dialogs::identity::key(keyed, self.call_id, self.to_tag.unwrap_or_default(), self.from_tag)
    }

    /// The remote target that it names.
    pub(crate) fn contact_uri(&self) -> Option<&'a [u8]> {
        target_in(self.message)
    }

    pub(crate) fn says(&self, name: Name, token: &str) -> bool {
        self.message.has_token(name, token)
    }

    /// What it says about extensions.
    pub(crate) fn asked(&self) -> Asked {
        let expires = self.message.session_expires().ok().flatten();
        let requires = self.message.has(Name::Require);
        Asked {
            supports_100rel: self.says(Name::Supported, "100rel") || self.says(Name::Require, "100rel"),
            requires_100rel: requires && self.says(Name::Require, "100rel"),
            supports_timer: self.says(Name::Supported, "timer") || self.says(Name::Require, "timer"),
            session_expires_s: expires.map_or(0, |expires| expires.seconds),
            min_se_s: self.message.min_se().ok().flatten().unwrap_or(0),
            refresher: expires.and_then(|expires| expires.refresher).map(|refresher| match refresher {
                sip_wire::Refresher::Uac => Refresher::Peer,
                sip_wire::Refresher::Uas => Refresher::We,
            }),
            takes_update: self.says(Name::Allow, "UPDATE"),
        }
    }

    /// Where its responses go.
    pub(crate) fn response_flow(&self, flow: &Flow) -> Flow {
        flow.of_responses(&self.via)
    }

    /// Whether its sender wants the responses elsewhere; they do not go there ([`Flow::of_responses`]).
    pub(crate) fn has_foreign_maddr(&self, flow: &Flow) -> bool {
        let maddr = self.via.params.find("maddr").filter(|_| flow.transport == Transport::Udp);
        maddr.is_some() && self.via.maddr().and_then(|host| host.ip()) != Some(flow.remote.ip())
    }

    /// Writes what every response to it starts with (a 100 has no tag of ours: leave it empty), below the status line: each Via as it came (the top one with
    /// `received` and `rport`), From, To with our tag, Call-ID, CSeq (RFC 3261 §8.2.6.2).
    pub(crate) fn put_head(&self, flow: &Flow, to_tag: &str, out: &mut Vec<u8>) {
        use crate::message::compose::put;
        for (index, via) in self.message.raw_values(Name::Via).enumerate() {
            out.extend_from_slice(b"Via: ");
            if index == 0 {
                self.put_top_via(flow, out)
            } else {
                put_unfolded(out, via)
            }
            out.extend_from_slice(b"\r\n");
        }
        let cseq = self.message.header(Name::CSeq).unwrap_or_default();
        for (name, value) in [("From", self.from), ("To", self.to), ("Call-ID", self.call_id), ("CSeq", cseq)] {
            // Only the answer to a broken request lacks one of them.
            if value.is_empty() {
                continue;
            }
            put(out, &[name.as_bytes(), b": "]);
            put_unfolded(out, value);
            if name == "To" && self.to_tag.is_none() && !to_tag.is_empty() {
                put(out, &[b";tag=", to_tag.as_bytes()]);
            }
            out.extend_from_slice(b"\r\n");
        }
        // RFC 3261 §8.2.6.1: its sender measures the way by this.
        if let Ok(Some(timestamp)) = self.message.timestamp() {
            put(out, &[b"Timestamp: ", timestamp.time, b"\r\n"]);
        }
    }

    fn put_top_via(&self, flow: &Flow, out: &mut Vec<u8>) {
        use crate::message::compose::{put, put_ip, put_number};
        let raw = self.via.as_bytes();
        let sent_by = raw.len() - self.via.params.as_bytes().len();
        put_unfolded(out, raw[..sent_by.min(raw.len())].trim_ascii_end());
        let mut asks_rport = false;
        for param in self.via.params.iter() {
            if param.name.eq_ignore_ascii_case(b"received") {
                continue;
            }
            put(out, &[b";", param.name]);
            if param.name.eq_ignore_ascii_case(b"rport") {
                asks_rport = true;
                out.push(b'=');
                put_number(out, flow.remote.port().into());
            } else if let Some(value) = param.value {
                out.push(b'=');
                put_unfolded(out, value);
            }
        }
        let source = flow.remote.ip().to_canonical();
        if asks_rport || self.via.host.ip() != Some(source) {
            out.extend_from_slice(b";received=");
            put_ip(out, source);
        }
    }

    /// Writes its Record-Route, as responses that make a dialog copy it (RFC 3261 §12.1.1).
    pub(crate) fn put_record_route(&self, out: &mut Vec<u8>) {
        for value in self.message.header_lines(Name::RecordRoute) {
            out.extend_from_slice(b"Record-Route: ");
            put_unfolded(out, value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// The remote target that a message names: the URI of its first Contact, without the headers that a URI may have there and a
/// Request-URI may not (RFC 3261 §19.1.1, table 1).
pub(crate) fn target_in<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    let uri = message.contact().ok().flatten()?.uri;
    let question = uri.headers().len() + usize::from(!uri.headers().is_empty());
    uri.as_bytes().get(..uri.as_bytes().len().checked_sub(question)?)
}

/// The tag. With two of them (RFC 3261 §7.3.1 forbids it) others might take the other one.
fn only_tag<'a>(address: &Address<'a>, name: Name) -> Result<Option<&'a [u8]>, ParseError> {
    let is_tag = |param: &sip_wire::Param<'_>| param.name.eq_ignore_ascii_case(b"tag");
    match address.params.iter().filter(is_tag).count() {
        0 | 1 => Ok(address.tag()),
        _ => Err(ParseError::of(ErrorKind::Duplicate, name)),
    }
}

fn host_bytes<'h>(host: &'h Host<'_>) -> Cow<'h, [u8]> {
    match host {
        Host::Name(name) => Cow::Owned(name.to_ascii_lowercase().into_bytes()),
        Host::V4(ip) => Cow::Owned(ip.octets().to_vec()),
        Host::V6(ip) => Cow::Owned(ip.octets().to_vec()),
    }
}

/// Refuses a request whose topmost Via cannot be read: over a connection the answer knows its way all the same (RFC 4475
/// §3.1.2.1, RFC 3261 §18.2.2). Over UDP nobody says where it would go; it is dropped.
pub(crate) fn refuse_unreadable<E: Copy>(
    flow: &Flow,
    message: &Message<'_>,
    (status, fault): (StatusCode, &ParseError),
    tag: &str,
    out: &mut Output<E>,
) {
    if flow.transport == Transport::Udp {
        return;
    }
    let (mark, reason) = (out.mark(), fault.reason().to_string());
    let reply = Reply { to_tag: Some(tag.as_bytes()), source: Some(flow.remote), reason: Some(&reason) };
    if ResponseWriter::new(out.arena(), message, status, &reply).finish().is_ok() {
        let span = out.span_from(mark);
        out.send(*flow, span);
    }
}

/// A value on one line: what we keep and send again has no folds.
pub(crate) fn put_unfolded(out: &mut Vec<u8>, value: &[u8]) {
    if !value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        out.extend_from_slice(value);
        return;
    }
    out.extend(value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
}

pub(crate) fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        let mut line = Vec::with_capacity(value.len());
        put_unfolded(&mut line, value);
        Cow::Owned(line)
    } else {
        Cow::Borrowed(value)
    }
}
