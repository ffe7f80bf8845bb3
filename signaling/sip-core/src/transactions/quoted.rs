//! What an ICMP message quotes of a request of ours (RFC 792, RFC 4443): the only thing in it that a stranger cannot make up.
//!
//! Addresses and ports of a SIP peer are known or easily guessed, so the message alone proves nothing (RFC 5927). The branch of
//! the quoted request does: it has 70 random bits, and only those on the path have seen it.

use crate::table::token::TOKEN_BYTES;
use clock::Duration;
use sip_wire::BRANCH_COOKIE;

/// How long a request goes on after a message that quotes too little to tell whether it is true. Many hosts quote nothing of the
/// request. That is time for three copies, and any answer to one of them makes the message irrelevant.
pub(crate) const DOUBTFUL_PATIENCE: Duration = Duration::from_secs(2);

/// The beginning of a request, as far as it was quoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Quoted<'q> {
    /// Method and branch, without the cookie: what its transaction is known by (RFC 3261 §17.1.3).
    Request { method: &'q [u8], branch: &'q [u8] },
    /// Cut off before the end of its branch.
    Short,
    /// A response, or nothing that we send.
    Other,
}

impl<'q> Quoted<'q> {
    pub(crate) fn new(bytes: &'q [u8]) -> Self {
        if bytes.starts_with(b"SIP/") {
            return Self::Other;
        }
        let method = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
        let mut lines = bytes.split(|byte| *byte == b'\n').skip(1).peekable();
        while let Some(line) = lines.next() {
            let is_whole = lines.peek().is_some();
            let Some(via) = after_name(line) else {
                match is_whole {
                    true if line.trim_ascii().is_empty() => return Self::Other,
                    true => continue,
                    false => return Self::Short,
                }
            };
            let at = via.windows(BRANCH_COOKIE.len()).position(|window| window == BRANCH_COOKIE);
            let at = at.map(|at| at + BRANCH_COOKIE.len());
            let branch = at.and_then(|at| via.get(at..)).unwrap_or_default();
            let end = branch.iter().position(|byte| matches!(byte, b';' | b',' | b'\r' | b' '));
            return match end {
                Some(end) => Self::Request { method, branch: &branch[..end] },
                None if is_whole => Self::Other,
                None => Self::Short,
            };
        }
        Self::Short
    }
}

/// The value of a Via line, as we write it.
fn after_name(line: &[u8]) -> Option<&[u8]> {
    line.split_at_checked(4).filter(|(name, _)| name.eq_ignore_ascii_case(b"Via:")).map(|(_, value)| value)
}

/// The branch of a request that was quoted far enough, without the cookie of RFC 3261: it begins like the tags of the
/// [`Endpoint`](crate::Endpoint) that sent it, so that [`mark_of`](crate::mark_of) finds that one.
pub fn quoted_branch(bytes: &[u8]) -> Option<&[u8]> {
    match Quoted::new(bytes) {
        Quoted::Request { branch, .. } => Some(branch),
        Quoted::Short | Quoted::Other => None,
    }
}

/// The branch of the topmost Via of a response to a request of ours, as far as it is the token of the user that sent the
/// request: [`mark_of`](crate::mark_of) finds that one.
pub fn answered_branch(response: &[u8]) -> Option<&[u8]> {
    let mut lines = response.split(|byte| *byte == b'\n').skip(1).take_while(|line| !line.trim_ascii().is_empty());
    let via = lines.find_map(|line| after_name(line).or(line.strip_prefix(b"v:")))?;
    let at = via.windows(BRANCH_COOKIE.len()).position(|window| window == BRANCH_COOKIE)? + BRANCH_COOKIE.len();
    via.get(at..at + TOKEN_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_branch_and_a_piece_of_it_is_not() {
        let request = b"INVITE sip:b@192.0.2.9 SIP/2.0\r\nRecord-Route: <sip:a;lr>\r\n\
            Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKdef\r\n\r\n";
        let whole = Quoted::Request { method: b"INVITE", branch: b"abc" };
        let end = request.windows(4).position(|window| window == b"abc;").unwrap() + 4;
        for length in 0..request.len() {
            let expected = if length < end { Quoted::Short } else { whole };
            assert_eq!(Quoted::new(&request[..length]), expected, "{length}");
        }
        assert_eq!(quoted_branch(request), Some(&b"abc"[..]));
        for other in
            [&b"SIP/2.0 200 OK\r\nVia: x;branch=z9hG4bKabc;x\r\n"[..], b"x\r\n\r\nVia: x", b"x\nVia: a;branch=1\n\n"]
        {
            assert_eq!((Quoted::new(other), quoted_branch(other)), (Quoted::Other, None));
        }
    }
}
