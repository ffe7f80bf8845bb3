//! What a proxy checks of a request (RFC 3261 §16.3).

use crate::message::incoming::Request;
use crate::proxy::Proxy;
use crate::table::token::Token;
use sip_wire::Name;

/// A refusal by rule: status and complete header lines.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) lines: Vec<u8>,
}

impl Proxy {
    pub(crate) fn inspect(&self, inc: &Request<'_, '_>) -> Option<Refusal> {
        if inc.message.max_forwards().ok().flatten() == Some(0) {
            return Some(Refusal { status: 483, lines: Vec::new() });
        }
        if inc.message.max_breadth().ok().flatten() == Some(0) {
            return Some(Refusal { status: 440, lines: Vec::new() });
        }
        if self.is_loop(inc) {
            return Some(Refusal { status: 482, lines: Vec::new() });
        }
        let mut lines = Vec::new();
        let supports =
            |option: &[u8]| self.config.supported.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(option));
        for option in inc.message.tokens(Name::ProxyRequire).filter(|option| !supports(option)) {
            lines.extend_from_slice(if lines.is_empty() { b"Unsupported: " } else { b", " });
            lines.extend_from_slice(option);
        }
        if lines.is_empty() {
            return None;
        }
        lines.extend_from_slice(b"\r\n");
        Some(Refusal { status: 420, lines })
    }

    /// Whether it was here before, on its way to the same place.
    pub(crate) fn is_loop(&self, inc: &Request<'_, '_>) -> bool {
        let mark = self.loop_mark(inc);
        let is_ours = |branch: &[u8]| branch.ends_with(mark.as_str().as_bytes());
        inc.message.vias().flatten().any(|via| via.branch().is_some_and(is_ours))
    }

    /// A request that comes back with the same mark would be routed as before (RFC 5393 §4.2.1). A spiral, which comes
    /// back with another target, has another one.
    pub(crate) fn loop_mark(&self, inc: &Request<'_, '_>) -> Token {
        let routes: Vec<&[u8]> = inc.message.raw_values(Name::Route).collect();
        let cseq = inc.cseq.to_be_bytes();
        let names = [b"loop", inc.uri, inc.call_id, inc.from_tag, inc.to_tag.unwrap_or_default(), &cseq];
        self.transactions.tokens.derived(&[&names[..], &routes].concat())
    }
}
