//! What a message carries: a body of one part or of several (RFC 2046 §5.1, RFC 5621), and the part that its reader
//! understands.
//!
//! RFC 5621 §8.2 calls every part required that does not say otherwise. Gateways and emergency phones do not say
//! otherwise of what they do not mean to be required (ISUP, locations), so a part without `handling` beside one that is
//! understood is left out; one that says `handling=required` is not. Where nothing is understood, all of it counts.

use crate::{MediaType, Message, Name, TokenValue, scan};

/// Most parts of one body, those of nested ones included.
pub const BODY_PARTS_MAX: usize = 16;
/// How deep bodies of several parts may be nested.
pub const BODY_DEPTH_MAX: usize = 3;
/// Longest boundary; RFC 2046 §5.1.1 allows 70.
const BOUNDARY_BYTES_MAX: usize = 200;
const SDP: MediaType<'static> = MediaType { kind: b"application", subtype: b"sdp", params: crate::Params::NONE };

/// Why a body is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyError {
    /// Without a type, or without the boundary between its parts (400).
    Malformed,
    /// Of a type that the reader does not understand, and required (415 with Accept).
    Type,
    /// Compressed or otherwise encoded (415 with Accept-Encoding).
    Encoding,
}

/// One part, or a whole body.
#[derive(Clone, Copy)]
struct Part<'a> {
    kind: Option<MediaType<'a>>,
    disposition: Option<TokenValue<'a>>,
    is_encoded: bool,
    body: &'a [u8],
}

/// What was found so far, and how much may still be looked at.
struct Search<'a, F> {
    is_understood: F,
    found: Option<&'a [u8]>,
    parts_left: usize,
}

impl<'a> Message<'a> {
    /// The session description in the body; `None` where it has none, and needs none.
    pub fn session_description(&self) -> Result<Option<&'a [u8]>, BodyError> {
        self.understood_body(|kind| kind.is("application", "sdp"))
    }

    /// The body, or the part of it, whose type is understood; `None` where there is none and all is optional.
    pub fn understood_body(
        &self,
        is_understood: impl Fn(&MediaType<'a>) -> bool,
    ) -> Result<Option<&'a [u8]>, BodyError> {
        if self.body().is_empty() {
            return Ok(None);
        }
        let codings = self.tokens(Name::ContentEncoding).filter(|coding| !coding.is_empty());
        let whole = Part {
            kind: self.content_type().map_err(|_| BodyError::Malformed)?.or_else(|| sniffed(self.body())),
            disposition: self.content_disposition().ok().flatten(),
            is_encoded: codings.into_iter().any(|coding| !coding.eq_ignore_ascii_case(b"identity")),
            body: self.body(),
        };
        let mut search = Search { is_understood, found: None, parts_left: BODY_PARTS_MAX };
        match search.look_at(&whole, 0) {
            Err(_) if whole.has_handling(b"optional") => Ok(None),
            Err(BodyError::Type) if whole.kind.is_none() => Err(BodyError::Malformed),
            Err(error) => Err(error),
            Ok(()) => Ok(search.found),
        }
    }
}

impl<'a, F: Fn(&MediaType<'a>) -> bool> Search<'a, F> {
    /// The error: the part is not understood.
    fn look_at(&mut self, part: &Part<'a>, depth: usize) -> Result<(), BodyError> {
        if part.is_encoded {
            return Err(BodyError::Encoding);
        }
        let kind = part.kind.ok_or(BodyError::Type)?;
        if kind.kind.eq_ignore_ascii_case(b"multipart") {
            return self.look_into(part, &kind, depth);
        }
        // An early session (RFC 3959) is another one than that of the call.
        if !(self.is_understood)(&kind) || part.disposition.is_some_and(|disposition| disposition.is("early-session")) {
            return Err(BodyError::Type);
        }
        self.found = Some(part.body);
        Ok(())
    }

    fn look_into(&mut self, whole: &Part<'a>, kind: &MediaType<'a>, depth: usize) -> Result<(), BodyError> {
        let boundary = kind.params.get("boundary").map(scan::trim).unwrap_or_default();
        if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
            return Err(BodyError::Malformed);
        }
        if depth >= BODY_DEPTH_MAX {
            return Err(BodyError::Type);
        }
        // RFC 2046 §5.1.4: of alternatives the last one that is understood; otherwise the first one counts.
        let are_alternatives = kind.subtype.eq_ignore_ascii_case(b"alternative");
        let (before, mut all_optional, count) = (self.found, true, self.parts_left);
        for bytes in (Parts { rest: whole.body, boundary, is_within: false }) {
            if self.parts_left == 0 {
                return Err(BodyError::Type);
            }
            self.parts_left -= 1;
            let (part, earlier) = (Part::parse(bytes), self.found);
            let is_understood = self.look_at(&part, depth + 1);
            if earlier.is_some() && !(are_alternatives && earlier != before) {
                self.found = earlier;
            }
            all_optional &= part.has_handling(b"optional");
            match is_understood {
                Err(error) if !are_alternatives && part.has_handling(b"required") => return Err(error),
                _ => {}
            }
        }
        match () {
            () if self.found.is_some() => Ok(()),
            () if self.parts_left == count => Err(BodyError::Malformed), // no part at all
            () if all_optional => Ok(()),
            () => Err(BodyError::Type),
        }
    }
}

impl<'a> Part<'a> {
    /// Header fields, a blank line, and what they are about.
    fn parse(bytes: &'a [u8]) -> Self {
        let mut part = Part { kind: None, disposition: None, is_encoded: false, body: bytes };
        loop {
            let (line, rest) = header_line(part.body);
            if scan::trim(line).is_empty() {
                part.body = rest;
                break;
            }
            let Some(colon) = memchr::memchr(b':', line).filter(|colon| scan::is_token(scan::trim(&line[..*colon])))
            else {
                break; // no header field, so the blank line was forgotten
            };
            let (name, value) = (scan::trim(&line[..colon]), scan::trim(&line[colon + 1..]));
            part.body = rest;
            let is = |long: &str, short: &[u8]| {
                name.eq_ignore_ascii_case(long.as_bytes()) || name.eq_ignore_ascii_case(short)
            };
            if is("Content-Type", b"c") {
                part.kind = MediaType::parse(value);
            } else if is("Content-Disposition", b"") {
                part.disposition = TokenValue::parse(value);
            } else if is("Content-Encoding", b"e") {
                part.is_encoded |= !value.eq_ignore_ascii_case(b"identity");
            } else if is("Content-Transfer-Encoding", b"") {
                // Only these three leave a body as it is (RFC 2045 §6.2).
                let plain: [&[u8]; 3] = [b"7bit", b"8bit", b"binary"];
                part.is_encoded |= !plain.iter().any(|plain| value.eq_ignore_ascii_case(plain));
            }
        }
        part.kind = part.kind.or_else(|| sniffed(part.body));
        part
    }

    fn has_handling(&self, handling: &[u8]) -> bool {
        let said = self.disposition.and_then(|disposition| disposition.params.get("handling"));
        said.is_some_and(|said| said.eq_ignore_ascii_case(handling))
    }
}

/// A session description shows by its first line, where its type was forgotten.
fn sniffed(body: &[u8]) -> Option<MediaType<'static>> {
    body.trim_ascii_start().starts_with(b"v=0").then_some(SDP)
}

/// The parts between the lines of a boundary; what comes before the first and after the last one is for nobody.
struct Parts<'a> {
    rest: &'a [u8],
    boundary: &'a [u8],
    is_within: bool,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest;
        let mut at = 0;
        while at < start.len() {
            let end = memchr::memchr(b'\n', &start[at..]).map_or(start.len(), |end| at + end + 1);
            let (was_within, is_last) = match self.delimits(&start[at..end]) {
                None => {
                    at = end;
                    continue;
                }
                Some(is_last) => (self.is_within, is_last),
            };
            let part = without_line_end(&start[..at]);
            (self.rest, self.is_within) = (if is_last { &[] } else { &start[end..] }, !is_last);
            if was_within {
                return Some(part);
            }
            return if is_last { None } else { self.next() };
        }
        // The last line is missing: what is there is the last part.
        self.rest = &[];
        (std::mem::replace(&mut self.is_within, false) && !start.is_empty()).then_some(start)
    }
}

impl Parts<'_> {
    /// Whether a line stands between two parts, and whether it is the last such.
    fn delimits(&self, line: &[u8]) -> Option<bool> {
        let rest = line.strip_prefix(b"--")?.strip_prefix(self.boundary)?;
        match rest.strip_prefix(b"--") {
            Some(rest) if rest.trim_ascii().is_empty() => Some(true),
            _ => rest.trim_ascii().is_empty().then_some(false),
        }
    }
}

/// The line end before a boundary belongs to that (RFC 2046 §5.1.1).
fn without_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

/// The first line with those that continue it, and what comes after.
fn header_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let line_end = |at: usize| memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |size| at + size + 1);
    let mut end = line_end(0);
    let is_blank = bytes[..end].trim_ascii().is_empty();
    while !is_blank && matches!(bytes.get(end), Some(b' ' | b'\t')) {
        end = line_end(end);
    }
    bytes.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SDP_TEXT: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";

    fn message(headers: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKd\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
             Call-ID: e\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    fn found(headers: &str, body: &str) -> Result<Option<String>, BodyError> {
        let bytes = message(headers, body);
        let message = Message::parse(&bytes).expect("a message");
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        message.session_description().map(|body| body.map(text))
    }

    /// One of several parts, each with its header fields.
    fn several(kind: &str, parts: &[(&str, &str)]) -> Result<Option<String>, BodyError> {
        let part = |(headers, body): &(&str, &str)| format!("--b\r\n{headers}\r\n{body}\r\n");
        let body: String = parts.iter().map(part).collect();
        found(&format!("Content-Type: multipart/{kind};boundary=b\r\n"), &(body + "--b--\r\n"))
    }

    const IS_SDP: &str = "Content-Type: application/sdp\r\n";
    const ISUP: (&str, &str) = ("Content-Type: application/isup;version=itu-t92+\r\n", "\u{1}\u{2}");

    #[test]
    fn a_body_of_one_part() {
        let sdp = || Ok(Some(SDP_TEXT.to_owned()));
        for headers in [
            "Content-Type: application/sdp\r\n",
            "c: application/sdp\r\n",
            "Content-Type:Application/SDP ; charset=\"utf-8\"\r\n",
            "Content-Type: application / sdp\r\n",
            "Content-Type: application/sdp\r\nContent-Encoding: identity\r\nContent-Disposition: session\r\n",
            "Content-Type: application/sdp\r\nContent-Disposition: session;handling=required\r\n",
            "",
        ] {
            assert_eq!(found(headers, SDP_TEXT), sdp(), "{headers}");
        }
        assert_eq!(found("", &format!("\r\n{SDP_TEXT}")), Ok(Some(format!("\r\n{SDP_TEXT}"))));
        assert_eq!(found("", ""), Ok(None));
        assert_eq!(found("", "hello"), Err(BodyError::Malformed));
        assert_eq!(found("Content-Type: sdp\r\n", SDP_TEXT), Err(BodyError::Malformed));
        assert_eq!(found("Content-Type: text/plain\r\n", SDP_TEXT), Err(BodyError::Type));
        assert_eq!(found("e: gzip\r\nc: application/sdp\r\n", SDP_TEXT), Err(BodyError::Encoding));
        let optional = "Content-Disposition: render;handling=Optional\r\n";
        assert_eq!(found(&format!("c: text/plain\r\n{optional}"), "hello"), Ok(None));
        assert_eq!(found(&format!("c: application/sdp\r\ne: gzip\r\n{optional}"), "hello"), Ok(None));
        assert_eq!(
            found("c: application/sdp\r\nContent-Disposition: early-session\r\n", SDP_TEXT),
            Err(BodyError::Type)
        );
    }

    #[test]
    fn a_description_among_other_parts() {
        let sdp = || Ok(Some(SDP_TEXT.to_owned()));
        let description = (IS_SDP, SDP_TEXT);
        for kind in ["mixed", "alternative", "related", "MIXED", "x-unknown"] {
            assert_eq!(several(kind, &[description]), sdp(), "{kind}");
            assert_eq!(several(kind, &[description, ISUP]), sdp(), "{kind}");
            assert_eq!(several(kind, &[ISUP, description]), sdp(), "{kind}");
            assert_eq!(several(kind, &[ISUP, ("", SDP_TEXT), ISUP]), sdp(), "{kind}: found without a type");
        }
        let headers =
            "content-type:application/sdp\r\nContent-Length: 3\r\nContent-ID: <x>\r\nContent-Disposition: session\r\n";
        assert_eq!(several("mixed", &[ISUP, (headers, SDP_TEXT)]), sdp());
        assert_eq!(several("mixed", &[("c: application/sdp;\r\n charset=utf-8\r\n", SDP_TEXT)]), sdp());
        // Two descriptions: the first one, of alternatives the last one.
        let other = (IS_SDP, "v=0\r\nx\r\n");
        assert_eq!(several("mixed", &[description, other]), sdp());
        assert_eq!(several("alternative", &[other, description]), sdp());
        assert_eq!(
            several("mixed", &[("c: application/sdp\r\nContent-Disposition: early-session\r\n", "v=0"), description]),
            sdp()
        );
        // Encoded parts are understood by nobody.
        let coded = ("c: application/sdp\r\nContent-Transfer-Encoding: base64\r\n", "dj0w");
        assert_eq!(several("mixed", &[coded, description]), sdp());
        assert_eq!(several("mixed", &[coded]), Err(BodyError::Type));
    }

    #[test]
    fn what_has_to_be_understood() {
        let description = (IS_SDP, SDP_TEXT);
        let says = |handling: &str| format!("{}Content-Disposition: signal;handling={handling}\r\n", ISUP.0);
        let (required, optional) = (says("required"), says("optional"));
        let (required, optional) = ((&*required, ISUP.1), (&*optional, ISUP.1));
        assert_eq!(several("mixed", &[description, required]), Err(BodyError::Type));
        assert_eq!(several("related", &[required, description]), Err(BodyError::Type));
        assert!(several("alternative", &[required, description]).is_ok_and(|found| found.is_some()));
        assert!(several("mixed", &[optional, description]).is_ok_and(|found| found.is_some()));
        assert_eq!(several("mixed", &[optional]), Ok(None));
        assert_eq!(several("mixed", &[ISUP]), Err(BodyError::Type));
        assert_eq!(several("mixed", &[]), Err(BodyError::Malformed));
        // A part that has to be understood, within one that need not be.
        let inner = "c: multipart/mixed;boundary=c\r\nContent-Disposition: signal;handling=optional\r\n";
        let text = format!("--c\r\n{}\r\nx\r\n--c--", required.0);
        assert!(several("mixed", &[(inner, &text), description]).is_ok_and(|found| found.is_some()));
    }

    #[test]
    fn boundaries_are_as_peers_write_them() {
        let quoted = "Content-Type: multipart/mixed;\r\n boundary=\"a b'()+_,-./:=?\";x=y\r\n";
        let text = SDP_TEXT.trim_end();
        for (headers, body) in [
            (
                quoted,
                format!(
                    "preamble\r\n--a b'()+_,-./:=?\r\n{IS_SDP}\r\n{text}\r\n--a b'()+_,-./:=?--\r\nepilogue\r\n--x"
                ),
            ),
            ("c: multipart/mixed;boundary=b\r\n", format!("--b  \t\r\n{IS_SDP}\r\n{text}\r\n--b-- \r\n")),
            ("c: multipart/mixed;boundary=b\r\n", format!("\r\n\r\n--b\r\n{IS_SDP}\r\n{text}\r\n--b--")),
            ("c: multipart/mixed;boundary=b\r\n", format!("--b\n{IS_SDP}\n{text}\n--b--\n").replace("\r\n", "\n")),
            ("c: multipart/mixed;boundary=b\r\n", format!("--b\r\n{IS_SDP}\r\n{text}")),
            ("c: multipart/mixed;boundary=b\r\n", format!("--b\r\n\r\n{text}\r\n--b--")),
            ("c: multipart/mixed;boundary=b\r\n", format!("--b\r\n{text}\r\n--b--")),
            ("c: multipart/mixed;boundary=b\r\n", format!("--b1\r\nx\r\n--b\r\n{IS_SDP}\r\n{text}\r\n--b--")),
            (
                "c: multipart/mixed;boundary=b\r\n",
                format!(
                    "--b\r\nc: multipart/alternative;boundary=bb\r\n\r\n--bb\r\n{IS_SDP}\r\n{text}\r\n--bb--\r\n--b--"
                ),
            ),
        ] {
            let expected = if body.contains('\r') { text.to_owned() } else { text.replace("\r\n", "\n") };
            assert_eq!(found(headers, &body), Ok(Some(expected)), "{body}");
        }
        for headers in ["c: multipart/mixed\r\n", "c: multipart/mixed;boundary=\"\"\r\n"] {
            assert_eq!(found(headers, "--\r\n"), Err(BodyError::Malformed));
        }
        assert_eq!(found("c: multipart/mixed;boundary=b\r\n", "no boundary at all"), Err(BodyError::Malformed));
    }

    #[test]
    fn parts_and_their_depth_are_bounded() {
        let sdp = format!("--b\r\n{IS_SDP}\r\n{SDP_TEXT}\r\n");
        let many = |count: usize| format!("{}{sdp}--b--", "--b\r\nc: x/y\r\n\r\n\r\n".repeat(count));
        assert!(
            found("c: multipart/mixed;boundary=b\r\n", &many(BODY_PARTS_MAX - 1)).is_ok_and(|found| found.is_some())
        );
        assert_eq!(found("c: multipart/mixed;boundary=b\r\n", &many(BODY_PARTS_MAX)), Err(BodyError::Type));
        let mut body = SDP_TEXT.to_owned();
        let mut kind = IS_SDP.to_owned();
        for depth in 0..=BODY_DEPTH_MAX {
            let is_fine = found(&kind, &body).is_ok_and(|found| found.is_some());
            assert!(is_fine, "{depth} deep");
            body = format!("--b{depth}\r\n{kind}\r\n{body}\r\n--b{depth}--\r\n");
            kind = format!("Content-Type: multipart/mixed;boundary=b{depth}\r\n");
        }
        assert_eq!(found(&kind, &body), Err(BodyError::Type));
    }

    proptest! {
        #[test]
        fn no_body_can_hurt(pieces in proptest::collection::vec(
            "(--b|--|--b--|\r\n|\n|c: application/sdp|c: multipart/mixed;boundary=b|Content-Disposition: x;handling=required|v=0|[ -~]{0,6})",
            0..40,
        )) {
            let body = pieces.concat();
            for headers in ["c: multipart/mixed;boundary=b\r\n", "c: multipart/alternative; boundary=\"b\"\r\n", ""] {
                if let Ok(Some(sdp)) = found(headers, &body) {
                    prop_assert!(body.contains(&sdp));
                }
            }
        }
    }
}
