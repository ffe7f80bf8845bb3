//! Requests made from one that was sent before: repetitions with another CSeq, and the same over another path.
//!
//! Our requests have a fixed shape: start line, our Via, CSeq, then the rest without folded lines. So this works on
//! lines and needs no parser.

/// The lines of a header section, each with its line end, without the empty one that ends it.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').take_while(|line| *line != b"\r\n")
}

fn is_named(line: &[u8], name: &str) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        && line.get(name.len()) == Some(&b':')
}

/// The branch of our Via, without the cookie.
pub(crate) fn branch_of(request: &[u8]) -> &[u8] {
    const MARK: &[u8] = b";branch=z9hG4bK";
    let via = lines(request).nth(1).unwrap_or_default();
    let start = via.windows(MARK.len()).position(|piece| piece == MARK).map_or(via.len(), |at| at + MARK.len());
    via.get(start..).and_then(|rest| rest.split(|byte| matches!(byte, b';' | b'\r')).next()).unwrap_or_default()
}

/// The Call-ID of a request of ours.
pub(crate) fn call_id_of(request: &[u8]) -> &[u8] {
    const NAME: &str = "Call-ID";
    let line = lines(request).find(|line| is_named(line, NAME)).unwrap_or_default();
    line.get(NAME.len() + 1..).unwrap_or_default().trim_ascii()
}

/// The lines of a request of ours with this name.
pub(crate) fn named_lines<'a>(request: &'a [u8], name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    lines(request).skip(1).filter(move |line| is_named(line, name))
}

/// The body of a request of ours.
pub(crate) fn body_of(request: &[u8]) -> &[u8] {
    let header_bytes: usize = lines(request).map(<[u8]>::len).sum();
    request.get(header_bytes + 2..).unwrap_or_default()
}

/// The method of a request of ours.
pub(crate) fn method_of(request: &[u8]) -> &[u8] {
    request.split(|byte| *byte == b' ').next().unwrap_or_default()
}

/// The Request-URI of a request of ours.
pub(crate) fn uri_of(request: &[u8]) -> &[u8] {
    request.split(|byte| *byte == b' ').nth(1).unwrap_or_default()
}

/// The same request once more with its own branch and CSeq. `replace` are complete header lines; those of the request
/// that have the name of one of them go.
pub(crate) fn put_again(request: &[u8], via: &[u8], cseq: u32, replace: &[u8], out: &mut Vec<u8>) {
    let mut header_bytes = 0;
    for (index, line) in lines(request).enumerate() {
        header_bytes += line.len();
        if index == 0 {
            out.extend_from_slice(line);
        } else if index == 1 {
            out.extend_from_slice(via);
        } else if is_named(line, "CSeq") {
            out.extend_from_slice(b"CSeq: ");
            crate::message::compose::put_number(out, cseq.into());
            let method = line.iter().rposition(|byte| *byte == b' ').map_or(&b" \r\n"[..], |space| &line[space..]);
            out.extend_from_slice(method);
            out.extend_from_slice(replace);
        } else if !lines(replace).any(|new| name_of(new).eq_ignore_ascii_case(name_of(line))) {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(request.get(header_bytes..).unwrap_or_default());
}

/// The same request over another path: with this Via, and `contact` in place of the line that showed the path before.
pub(crate) fn put_over(request: &[u8], via: &[u8], contact_before: &[u8], contact: &[u8], out: &mut Vec<u8>) {
    let mut header_bytes = 0;
    for (index, line) in lines(request).enumerate() {
        header_bytes += line.len();
        match index {
            1 => out.extend_from_slice(via),
            _ if line == contact_before => out.extend_from_slice(contact),
            _ => out.extend_from_slice(line),
        }
    }
    out.extend_from_slice(request.get(header_bytes..).unwrap_or_default());
}

fn name_of(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:bob@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1;rport\r\nCSeq: 7 INVITE\r\n\
        Max-Forwards: 70\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: x\r\nRoute: <sip:p;lr>\r\n\
        Content-Type: a/b\r\nContent-Length: 4\r\n\r\nTo:x";

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn another_path_shows_in_via_and_contact_alone() {
        let request = b"BYE sip:b SIP/2.0\r\nVia: old\r\nCSeq: 2 BYE\r\nContact: <sip:1>\r\nContact: <sip:x>\r\n\r\nContact: <sip:1>\r\n";
        assert_eq!(
            text(|out| put_over(request, b"Via: new\r\n", b"Contact: <sip:1>\r\n", b"Contact: <sip:2>\r\n", out)),
            "BYE sip:b SIP/2.0\r\nVia: new\r\nCSeq: 2 BYE\r\nContact: <sip:2>\r\nContact: <sip:x>\r\n\r\nContact: <sip:1>\r\n"
        );
    }

    #[test]
    fn a_repetition_has_its_own_branch_number_and_credentials() {
        let first = text(|out| put_again(INVITE, b"Via: new\r\n", 8, b"Authorization: one\r\n", out));
        let second = text(|out| put_again(first.as_bytes(), b"Via: newer\r\n", 9, b"Authorization: two\r\n", out));
        assert!(
            second.starts_with("INVITE sip:bob@b SIP/2.0\r\nVia: newer\r\nCSeq: 9 INVITE\r\nAuthorization: two\r\nMax")
        );
        assert!(!second.contains("one") && second.ends_with("Content-Length: 4\r\n\r\nTo:x"));
    }
}
