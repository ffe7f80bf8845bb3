//! Answers without any state: 503 to new work that a shard has no time for, 4xx to what has no usable length.

use crate::auth::Auth;
use clock::Instant;
use sip_core::Flow;
use sip_core::auth::{Judgement, Scope};
use sip_core::config::USER_AGENT;
use sip_wire::{Message, Method, Name, ParseError, Reply, ResponseWriter, StatusCode};
use std::net::SocketAddr;

/// Writes a 503 to a request outside of any dialog; gives the way that it has to go. `None`: this is no such request, or one
/// that has no such answer.
pub fn overloaded(flow: &Flow, message: &Message<'_>, retry_after_s: u64, out: &mut Vec<u8>) -> Option<Flow> {
    let is_new = has_answer(message) && message.to_tag().is_none() && message.validate_request().is_ok();
    let status = StatusCode::new(503).filter(|_| is_new)?;
    // The same tag for every copy of the request, as RFC 3261 §8.2.7 wants: we remember nothing, so it is always this.
    let reply = Reply { to_tag: Some(b"overload"), source: Some(flow.remote), reason: None };
    let mut response = ResponseWriter::new(out, message, status, &reply);
    response.number(Name::RetryAfter, retry_after_s);
    // A scan that meets an overload still learns what it has met.
    response.header(Name::Server, USER_AGENT);
    response.finish().ok()?;
    Some(flow.of_responses(&message.top_via().ok()?))
}

/// Writes the challenge to a request that needs credentials and has none (RFC 3261 §8.2.7); gives the way that it has to go.
/// `None`: it has some, or needs none, or is to be refused for another reason. `scope` says which requests need some; where
/// it says nothing, this one does not.
pub fn challenge(
    auth: &Auth,
    now: Instant,
    flow: &Flow,
    message: &Message<'_>,
    scope: impl FnOnce() -> Option<Scope>,
    out: &mut Vec<u8>,
) -> Option<Flow> {
    if !has_answer(message) || message.validate_request().is_err() {
        return None;
    }
    let asked = auth.challenge(now, message, flow.remote, scope()?)?;
    let Judgement::Challenge { status, header, values, .. } = asked else { return None };
    let status = StatusCode::new(status)?;
    let reply = Reply { to_tag: Some(b"challenge"), source: Some(flow.remote), reason: None };
    let mut response = ResponseWriter::new(out, message, status, &reply);
    for value in values {
        response.named(header, value);
    }
    response.finish().ok()?;
    Some(flow.of_responses(&message.top_via().ok()?))
}

/// Writes the answer to a request on a stream whose end cannot be found (RFC 3261 §18.3), as far as its head can be
/// read; `false`: there is none.
pub fn malformed(head: &[u8], source: SocketAddr, fault: &ParseError, out: &mut Vec<u8>) -> bool {
    let end = memchr::memmem::find(head, b"\r\n\r\n").map_or(head.len(), |at| at + 4);
    let Some(Ok(message)) = head.get(..end).map(Message::parse) else { return false };
    let Some(status) = message.answer_to(fault).filter(|_| has_answer(&message)) else { return false };
    let reason = fault.reason().to_string();
    let reply = Reply { to_tag: Some(b"malformed"), source: Some(source), reason: Some(&reason) };
    ResponseWriter::new(out, &message, status, &reply).finish().is_ok()
}

/// ACK is never answered; CANCEL is answered by the user that has the INVITE.
fn has_answer(message: &Message<'_>) -> bool {
    message.method().is_some_and(|method| !matches!(method, Method::Ack | Method::Cancel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_work_is_refused_and_the_rest_is_not() {
        let request = |method: &str, tag: &str| {
            format!(
                "{method} sip:tone@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;rport\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:tone@b>{tag}\r\nCall-ID: c1\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
                 Contact: <sip:a@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
            )
        };
        let flow = Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:5071".parse().unwrap());
        let overloaded =
            |text: &str, out: &mut Vec<u8>| overloaded(&flow, &Message::parse(text.as_bytes()).ok()?, 7, out);
        let mut out = Vec::new();
        assert_eq!(overloaded(&request("INVITE", ""), &mut out), Some(flow));
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("SIP/2.0 503 ") && text.contains("Retry-After: 7\r\n"), "{text}");
        assert!(text.contains("rport=5071") && text.contains("tag=overload"), "{text}");
        // Without rport it goes to the port of sent-by, and never to an address that the sender names (RFC 3261 §18.2.2).
        for (via, port) in [("", 5070), (";maddr=192.0.2.77", 5070), (";maddr=224.0.1.75;rport", 5071)] {
            let request = request("OPTIONS", "").replace(";rport", via);
            let way = overloaded(&request, &mut Vec::new()).unwrap();
            assert_eq!(way.remote, SocketAddr::new(flow.remote.ip(), port), "{via}");
        }
        let others = ["INVITE", "BYE"].map(|method| request(method, ";tag=2"));
        for other in
            others.into_iter().chain(["ACK", "CANCEL"].map(|method| request(method, ""))).chain(["\r\n".into()])
        {
            let mut out = Vec::new();
            assert!(overloaded(&other, &mut out).is_none() && out.is_empty(), "{other}");
        }
    }
}
