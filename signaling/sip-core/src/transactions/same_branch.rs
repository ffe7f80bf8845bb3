//! Requests on the branch of one that was sent before: CANCEL, and the ACK for a refusal.

use crate::content::Content;
use crate::message::compose::{put, put_content, put_cseq};
use crate::message::incoming::put_unfolded;
use sip_wire::{BRANCH_COOKIE, Message, Method, Name};

/// ACK for a 3xx-6xx to this INVITE (RFC 3261 §17.1.1.3), with the response's To, or CANCEL (§9.1): the same Request-URI, Via,
/// From, Call-ID, CSeq number and Route, and one Via only. `further`: complete header lines. Gives the branch without its
/// cookie.
pub(crate) fn put_same_branch(
    invite: &[u8],
    method: Method,
    to: Option<&[u8]>,
    further: &[u8],
    out: &mut Vec<u8>,
) -> Option<Vec<u8>> {
    let request = Message::parse(invite).ok()?;
    let via = request.raw_values(Name::Via).next()?;
    let branch = request.top_via().ok()?.rfc3261_branch()?.get(BRANCH_COOKIE.len()..)?.to_vec();
    let (cseq, from, call_id) =
        (request.cseq().ok()?.number, request.header(Name::From)?, request.header(Name::CallId)?);
    let to = to.or(request.header(Name::To))?;
    put(out, &[method.as_bytes(), b" ", request.request_uri_raw(), b" SIP/2.0\r\nVia: ", via, b"\r\n"]);
    put_cseq(out, cseq, method.as_bytes());
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    for route in request.header_lines(Name::Route) {
        put_line(out, b"Route: ", route);
    }
    put_line(out, b"From: ", from);
    put_line(out, b"To: ", to);
    put_line(out, b"Call-ID: ", call_id);
    out.extend_from_slice(further);
    put_content(out, &Content::NONE);
    Some(branch)
}

fn put_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    put_unfolded(out, value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] =
        b"INVITE sip:bob@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1;rport\r\nv: SIP/2.0/UDP c\r\n\
        CSeq: 7 INVITE\r\nMax-Forwards: 9\r\nf: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: x\r\nRoute: <sip:p;lr>\r\n\
        Content-Type: a/b\r\nContent-Length: 4\r\n\r\nTo:x";

    fn text(method: Method, to: Option<&[u8]>, further: &[u8]) -> String {
        let mut out = Vec::new();
        assert_eq!(put_same_branch(INVITE, method, to, further, &mut out).as_deref(), Some(&b"1"[..]));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cancel_and_ack_keep_branch_number_and_route() {
        assert_eq!(
            text(Method::Cancel, None, b"Reason: SIP;cause=200\r\n"),
            "CANCEL sip:bob@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1;rport\r\nCSeq: 7 CANCEL\r\n\
             Max-Forwards: 70\r\nRoute: <sip:p;lr>\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: x\r\n\
             Reason: SIP;cause=200\r\nContent-Length: 0\r\n\r\n"
        );
        let ack = text(Method::Ack, Some(b"<sip:b>;tag=9"), b"");
        assert!(ack.starts_with("ACK sip:bob@b SIP/2.0\r\n") && ack.contains("To: <sip:b>;tag=9\r\n"));
        assert_eq!(put_same_branch(b"x", Method::Ack, None, b"", &mut Vec::new()), None);
    }
}
