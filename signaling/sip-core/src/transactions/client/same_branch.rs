//! Requests on the branch of one that was sent before: CANCEL, and the ACK for a refusal.
//!
//! They are written from the bytes of that request, which are well formed: it was written here, or parsed and validated
//! before it was sent on. One pass finds the few header fields that are copied.

use crate::content::Content;
use crate::message::compose::{put, put_content};
use crate::message::incoming::put_unfolded;
use sip_wire::header_fields;

/// The header fields of an INVITE that CANCEL and ACK repeat.
#[derive(Default)]
struct Repeated<'a> {
    uri: &'a [u8],
    via: &'a [u8],
    cseq: &'a [u8],
    from: &'a [u8],
    to: &'a [u8],
    call_id: &'a [u8],
    has_route: bool,
}

impl<'a> Repeated<'a> {
    fn of(invite: &'a [u8]) -> Option<Self> {
        let uri = invite.split(|byte| *byte == b' ').nth(1)?;
        let mut repeated = Self { uri, ..Self::default() };
        for (name, value) in header_fields(invite) {
            let place = match name.len() {
                1 | 2 if is(name, b"To", b't') => &mut repeated.to,
                1 | 3 if is(name, b"Via", b'v') => &mut repeated.via,
                1 | 4 if is(name, b"From", b'f') => &mut repeated.from,
                1 | 7 if is(name, b"Call-ID", b'i') => &mut repeated.call_id,
                4 if name.eq_ignore_ascii_case(b"CSeq") => &mut repeated.cseq,
                5 => {
                    repeated.has_route |= name.eq_ignore_ascii_case(b"Route");
                    continue;
                }
                _ => continue,
            };
            // The topmost Via is ours and stands on a line of its own.
            if place.is_empty() {
                *place = value;
            }
        }
        let digits = repeated.cseq.iter().take_while(|byte| byte.is_ascii_digit()).count();
        repeated.cseq = &repeated.cseq[..digits];
        let needed = [repeated.via, repeated.cseq, repeated.from, repeated.to, repeated.call_id];
        needed.iter().all(|value| !value.is_empty()).then_some(repeated)
    }
}

fn is(name: &[u8], long: &[u8], compact: u8) -> bool {
    match name {
        [letter] => letter.eq_ignore_ascii_case(&compact),
        _ => name.eq_ignore_ascii_case(long),
    }
}

/// ACK for a 3xx-6xx to this INVITE (RFC 3261 §17.1.1.3), with the response's To, or CANCEL (§9.1): the same Request-URI, Via,
/// From, Call-ID, CSeq number and Route, and one Via only. `further`: complete header lines. Gives that Via; `None`: the
/// request lacks a header field, and nothing is written.
pub(crate) fn put_same_branch<'i>(
    invite: &'i [u8],
    method: &[u8],
    to: Option<&[u8]>,
    further: &[u8],
    out: &mut Vec<u8>,
) -> Option<&'i [u8]> {
    let Repeated { uri, via, cseq, from, to: called, call_id, has_route } = Repeated::of(invite)?;
    put(out, &[method, b" ", uri, b" SIP/2.0\r\nVia: ", via, b"\r\nCSeq: ", cseq, b" ", method]);
    put(out, &[b"\r\nMax-Forwards: 70\r\n"]);
    if has_route {
        for (_, route) in header_fields(invite).filter(|(name, _)| name.eq_ignore_ascii_case(b"Route")) {
            put_line(out, b"Route: ", route);
        }
    }
    put_line(out, b"From: ", from);
    put_line(out, b"To: ", to.unwrap_or(called));
    put_line(out, b"Call-ID: ", call_id);
    put(out, &[further]);
    put_content(out, &Content::NONE);
    Some(via)
}

/// The branch in the Via of a request of ours, without its cookie.
pub(crate) fn branch_in(via: &[u8]) -> Option<&[u8]> {
    via.split(|byte| *byte == b';').find_map(|param| param.strip_prefix(b"branch=z9hG4bK"))
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

    fn text(method: &[u8], to: Option<&[u8]>, further: &[u8]) -> String {
        let mut out = Vec::new();
        assert_eq!(
            put_same_branch(INVITE, method, to, further, &mut out),
            Some(&b"SIP/2.0/UDP a;branch=z9hG4bK1;rport"[..])
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cancel_and_ack_keep_branch_number_and_route() {
        assert_eq!(
            text(b"CANCEL", None, b"Reason: SIP;cause=200\r\n"),
            "CANCEL sip:bob@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1;rport\r\nCSeq: 7 CANCEL\r\n\
             Max-Forwards: 70\r\nRoute: <sip:p;lr>\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: x\r\n\
             Reason: SIP;cause=200\r\nContent-Length: 0\r\n\r\n"
        );
        let ack = text(b"ACK", Some(b"<sip:b>;tag=9"), b"");
        assert!(ack.starts_with("ACK sip:bob@b SIP/2.0\r\n") && ack.contains("To: <sip:b>;tag=9\r\n"));
        assert_eq!(branch_in(b"SIP/2.0/UDP a;branch=z9hG4bK1;rport"), Some(&b"1"[..]));
        assert_eq!(put_same_branch(b"x", b"ACK", None, b"", &mut Vec::new()), None);
    }
}
