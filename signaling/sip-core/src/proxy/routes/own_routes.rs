//! How a proxy reads the route of a request (RFC 3261 §16.4), and what that shows of the request.

use crate::flow::Flow;
use crate::message::compose::shown;
use crate::message::incoming::Request;
use crate::message::route::uri_in;
use crate::proxy::routes::signed_route::{Side, Toward};
use crate::proxy::{Proxy, Standing};
use sip_wire::{Host, Message, Name, Rewrite, Uri};

/// Our own Record-Routes come as two where the transports differ (RFC 5658); no message has more of them in a row.
const MAX_OWN_ROUTES_COUNT: usize = 2;

/// A request's way as it came, without the values that name us.
pub(crate) struct Way<'a> {
    /// The values that named us: those of Route, and before them a Request-URI that a strict router put there.
    own: Vec<Uri<'a>>,
    /// The values that are left.
    rest: Vec<&'a [u8]>,
    has_route_changed: bool,
    /// The Request-URI that a strict router had moved to the end.
    restored_uri: Option<&'a [u8]>,
    /// The URI that the request goes to next.
    pub(crate) next_hop: &'a [u8],
}

/// A request as it is worked on.
pub(crate) struct Normal {
    pub(crate) standing: Standing,
    /// The connection that our own Route value named.
    pub(crate) flow: Option<Flow>,
    /// The URI that it goes to next: its first Route, or its Request-URI.
    pub(crate) next_hop: Vec<u8>,
}

impl Proxy {
    /// What a request is by its route and its tags.
    pub fn standing(&self, flow: &Flow, request: &Message<'_>) -> Standing {
        match Request::new(request) {
            Ok(inc) => self.standing_of(&inc, &self.way(flow, &inc)),
            Err(_) => Standing::Unproven,
        }
    }

    /// Whether its next hop is this proxy, by its own name.
    pub fn is_for_us(&self, flow: &Flow, request: &Message<'_>) -> bool {
        Request::new(request).is_ok_and(|inc| self.is_ours_text(flow, self.way(flow, &inc).next_hop))
    }

    pub(crate) fn is_ours_text(&self, flow: &Flow, uri: &[u8]) -> bool {
        Uri::parse(uri).is_ok_and(|uri| self.is_ours(flow, &uri))
    }

    /// Whether a URI names this proxy.
    fn is_ours(&self, flow: &Flow, uri: &Uri<'_>) -> bool {
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

    pub(crate) fn way<'a>(&self, flow: &Flow, inc: &Request<'a, '_>) -> Way<'a> {
        let mut rest: Vec<&[u8]> = inc.message.raw_values(Name::Route).collect();
        let came_count = rest.len();
        let (mut own, mut restored_uri) = (Vec::new(), None);
        let is_record_route = |uri: &Uri<'_>| uri.is_loose() && (uri.user.is_none() || is_signed(uri));
        if let Ok(uri) = Uri::parse(inc.uri)
            && is_record_route(&uri)
            && self.is_ours(flow, &uri)
            && let Some(last) = rest.pop()
        {
            own.push(uri);
            restored_uri = Some(uri_in(last));
        }
        for _ in 0..MAX_OWN_ROUTES_COUNT {
            let first = rest.first().and_then(|route| Uri::parse(uri_in(route)).ok());
            if let Some(first) = first.filter(|uri| self.is_ours(flow, uri)) {
                own.push(first);
                rest.remove(0);
            }
        }
        let next_hop = rest.first().map(|route| uri_in(route)).or(restored_uri).unwrap_or(inc.uri);
        Way { own, has_route_changed: rest.len() != came_count, rest, restored_uri, next_hop }
    }

    pub(crate) fn standing_of(&self, inc: &Request<'_, '_>, way: &Way<'_>) -> Standing {
        match inc.to_tag {
            None if way.rest.is_empty() => Standing::New,
            None => Standing::Prerouted,
            Some(to_tag) => {
                let proven = [Side::Callee, Side::Caller].into_iter().find(|side| {
                    let toward = Toward::new(*side, inc.call_id, to_tag, inc.from_tag);
                    self.is_proven(&toward, way)
                });
                proven.map_or(Standing::Unproven, |side| Standing::InDialog { from: side.other() })
            }
        }
    }

    /// Every value of ours was written for this dialog, and the last one for where the request goes now.
    fn is_proven(&self, toward: &Toward<'_>, way: &Way<'_>) -> bool {
        let key = &self.route_key;
        // A value without a proof only says that the way leads over us, as that of an outbound proxy does.
        let mut signed = way.own.iter().filter(|uri| is_signed(uri));
        let Some(last) = way.own.last().filter(|last| is_signed(last)) else { return false };
        if !signed.all(|uri| key.is_of_dialog(toward, uri)) {
            return false;
        }
        // A connection of ours leads to its peer, whatever the URI says.
        self.flow_named_by(last).is_some()
            || key.leads_to(toward, last, way.next_hop)
            || self.refreshed_targets.has(&toward.key(&self.transactions.keyed), &key.place(toward, way.next_hop))
    }

    fn flow_named_by(&self, own: &Uri<'_>) -> Option<Flow> {
        self.named_flow(own.user?)
    }

    /// Writes the request as it is worked on: `received` and `rport` filled, the Route values that name us gone, and a
    /// Request-URI that a strict router replaced by ours put back (RFC 3261 §16.4). `None` when it gets too long.
    pub(crate) fn put_normal(&self, flow: &Flow, inc: &Request<'_, '_>, out: &mut Vec<u8>) -> Option<Normal> {
        let way = self.way(flow, inc);
        let standing = self.standing_of(inc, &way);
        let mut rewrite = Rewrite::new(inc.message);
        rewrite.via_source(flow.remote).for_stream();
        if let Some(uri) = way.restored_uri {
            rewrite.request_uri(uri);
        }
        let joined = crate::message::incoming::unfolded(&way.rest.join(&b", "[..])).into_owned();
        if way.rest.is_empty() {
            rewrite.remove(Name::Route);
        } else if way.has_route_changed {
            rewrite.replace(Name::Route, &joined);
        }
        rewrite.write(out).ok()?;
        // The value that was written for the side it goes to comes last.
        let is_in_dialog = matches!(standing, Standing::InDialog { .. });
        let flow = way.own.last().filter(|_| is_in_dialog).and_then(|own| self.flow_named_by(own));
        Some(Normal { standing, flow, next_hop: way.next_hop.to_vec() })
    }
}

fn is_signed(uri: &Uri<'_>) -> bool {
    uri.params.has(crate::proxy::routes::signed_route::PARAMETER)
}
