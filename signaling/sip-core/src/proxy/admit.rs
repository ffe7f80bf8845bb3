//! What a proxy checks of a request (RFC 3261 §16.3), and how it reads its route (§16.4).

use super::Proxy;
use crate::compose::shown;
use crate::flow::Flow;
use crate::incoming::Incoming;
use crate::token::Token;
use sip_wire::{Host, Name, Rewrite, Uri};

/// A refusal by rule: status and complete header lines.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) lines: Vec<u8>,
}

/// The connection that our own Route value named, if one did.
#[derive(Clone, Copy, Default)]
pub(super) struct NextFlow(pub(super) Option<Flow>);

/// Our own Record-Routes come as two where the transports differ (RFC 5658); no message has more of them in a row.
const MAX_OWN_ROUTES_COUNT: usize = 2;

impl Proxy {
    pub(super) fn inspect(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
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
    pub(super) fn is_loop(&self, inc: &Incoming<'_, '_>) -> bool {
        let mark = self.loop_mark(inc);
        let is_ours = |branch: &[u8]| branch.ends_with(mark.as_str().as_bytes());
        inc.message.vias().flatten().any(|via| via.branch().is_some_and(is_ours))
    }

    /// A request that comes back with the same mark would be routed as before (RFC 5393 §4.2.1). A spiral, which comes
    /// back with another target, has another one.
    pub(super) fn loop_mark(&self, inc: &Incoming<'_, '_>) -> Token {
        let routes: Vec<&[u8]> = inc.message.raw_values(Name::Route).collect();
        let cseq = inc.cseq.to_be_bytes();
        let names = [b"loop", inc.uri, inc.call_id, inc.from_tag, inc.to_tag.unwrap_or_default(), &cseq];
        self.tokens.derived(&[&names[..], &routes].concat())
    }

    pub(super) fn is_ours_text(&self, flow: &Flow, uri: &[u8]) -> bool {
        Uri::parse(uri).is_ok_and(|uri| self.is_ours(flow, &uri))
    }

    /// Whether a URI names this proxy.
    pub(super) fn is_ours(&self, flow: &Flow, uri: &Uri<'_>) -> bool {
        let Some(host) = uri.host else { return false };
        let at = |address: std::net::SocketAddr| {
            host.ip() == Some(address.ip().to_canonical()) && uri.port_or_default() == address.port()
        };
        at(flow.local)
            || at(shown(self.config.advertise, flow))
            || self.config.names.iter().any(|name| {
                let (name, port) = match name.rsplit_once(':') {
                    Some((name, port)) if !name.ends_with(':') && port.parse::<u16>().is_ok() => {
                        (name, port.parse().ok())
                    }
                    _ => (name.as_str(), None),
                };
                Host::parse(name.as_bytes()).is_some_and(|name| name.same(&host))
                    && port.is_none_or(|port: u16| port == uri.port_or_default())
            })
    }

    /// Writes the request as it is worked on: `received` and `rport` filled, the Route values that name us gone, and a
    /// Request-URI that a strict router replaced by ours put back (RFC 3261 §16.4). `None` when it gets too long.
    pub(super) fn put_normal(&self, flow: &Flow, inc: &Incoming<'_, '_>, out: &mut Vec<u8>) -> Option<NextFlow> {
        let mut routes: Vec<&[u8]> = inc.message.raw_values(Name::Route).collect();
        let came_count = routes.len();
        let mut rewrite = Rewrite::new(inc.message);
        rewrite.via_source(flow.remote).for_stream();
        let by_strict_router =
            Uri::parse(inc.uri).is_ok_and(|uri| uri.user.is_none() && uri.is_loose() && self.is_ours(flow, &uri));
        if by_strict_router && let Some(last) = routes.pop() {
            rewrite.request_uri(crate::route::uri_in(last));
        }
        let mut named = NextFlow::default();
        for _ in 0..MAX_OWN_ROUTES_COUNT {
            let own = routes.first().and_then(|route| Uri::parse(crate::route::uri_in(route)).ok());
            if let Some(own) = own.filter(|uri| self.is_ours(flow, uri)) {
                // The value that was written for the side it goes to comes last.
                named.0 = own.user.and_then(|user| self.named_flow(user));
                routes.remove(0);
            }
        }
        let joined = crate::incoming::unfolded(&routes.join(&b", "[..])).into_owned();
        if routes.is_empty() {
            rewrite.remove(Name::Route);
        } else if routes.len() != came_count {
            rewrite.replace(Name::Route, &joined);
        }
        rewrite.write(out).is_ok().then_some(named)
    }
}
