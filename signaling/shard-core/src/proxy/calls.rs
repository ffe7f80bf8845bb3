//! Calls that the proxy sets up, as operators see them and end them.

use super::Relay;
use crate::call_row::{CallNames, CallRow};
use crate::dialplan::routes::Called;
use clock::{Duration, Instant};
use sip_core::proxy::{ProxyId, ProxyOutput, ProxyStory};
use sip_wire::Message;

/// What a caller is told whose call an operator ends.
const HUNG_UP_STATUS: u16 = 480;
/// How long targets may take to say that they have stopped ringing, before the caller is told all the same.
const HANG_UP_PATIENCE: Duration = Duration::from_secs(1);

/// What an operator's order to end calls came to, at the proxy.
#[derive(Default)]
pub struct HungUp {
    /// Calls that were being set up and are being ended: their targets are cancelled and their callers refused.
    pub ended: Vec<CallRow>,
    /// Where none is being set up, how many calls are meant that were answered a moment ago. A proxy has no dialog in which it
    /// could send BYE.
    pub up_count: usize,
}

impl Relay {
    /// Calls without a final answer. What becomes of an answered call is not known to a proxy.
    pub fn call_rows(&self, now: Instant, shard: usize) -> impl Iterator<Item = CallRow> {
        self.proxy.open_calls().map(move |(request, call)| self.row(now, shard, request, &call))
    }

    /// Ends the calls that are meant, as far as a proxy can. Of the others nothing is parsed, and calls
    /// that were answered are looked at only where nothing was ended.
    pub fn hang_up(
        &mut self,
        now: Instant,
        shard: usize,
        is_meant: impl Fn(&CallNames<'_>) -> bool,
        out: &mut ProxyOutput,
    ) -> HungUp {
        let is_one = |(request, call): &(ProxyId, ProxyStory<'_>)| {
            let id = id_of(shard, *request);
            let call_id = String::from_utf8_lossy(sip_wire::call_id(call.request).unwrap_or_default());
            is_meant(&CallNames { id: &id, number: &id, call_id: &call_id, signaling: call.remote })
        };
        let meant = self.proxy.open_calls().filter(&is_one);
        let meant: Vec<_> = meant.map(|(request, call)| (request, self.row(now, shard, request, &call))).collect();
        let mut ended = Vec::new();
        for (request, row) in meant {
            // One that is ending already needs no second word.
            let ends = (HUNG_UP_STATUS, now + HANG_UP_PATIENCE);
            if self.proxy.call_off(now, request, ends, out).is_ok() {
                ended.push(row);
            }
        }
        let up_count = if ended.is_empty() { self.proxy.answered_calls().filter(is_one).count() } else { 0 };
        HungUp { ended, up_count }
    }

    fn row(&self, now: Instant, shard: usize, request: ProxyId, call: &ProxyStory<'_>) -> CallRow {
        let uri = Message::parse(call.request).and_then(|message| message.request_uri()).map(|uri| Called::of(&uri));
        let route = uri.ok().and_then(|called| self.routes.ways_of(&called)).map(|(route, _)| route.to_string());
        CallRow::proxied(now, id_of(shard, request), route, call)
    }
}

/// A call of the proxy, as operators name it.
fn id_of(shard: usize, request: ProxyId) -> String {
    format!("{shard}-{request}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::routes::Routes;
    use crate::log::Refusals;
    use crate::names::{Lookup, Lookups, PathFinder};
    use crate::proxy::RelayPlan;
    use config::Route;
    use session::Destinations;
    use sip_core::Flow;
    use sip_core::proxy::ProxyConfig;
    use sip_wire::{Reply, ResponseWriter, StatusCode};
    use std::cell::RefCell;
    use std::net::{IpAddr, SocketAddr};
    use std::sync::Arc;

    struct Nowhere;
    impl PathFinder for Nowhere {
        fn home(&self, _: SocketAddr) -> Option<Flow> {
            None
        }
        fn is_of_this_host(&self, _: IpAddr) -> bool {
            false
        }
        fn find_now(&self, _: &str) -> Option<Vec<Flow>> {
            Some(vec![target()])
        }
    }
    impl Lookups for Nowhere {
        fn ask(&self, _: Lookup) -> bool {
            false
        }
    }

    fn target() -> Flow {
        Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.1:5060".parse().unwrap())
    }

    fn relay() -> Relay {
        let route = Route { pattern: "*".into(), targets: vec![vec!["sip:bob@198.51.100.1".into()]] };
        let plan = RelayPlan {
            routes: Routes::new(&[route]).unwrap().lead_by(target()),
            is_redirecting: false,
            paths: Arc::new(Nowhere),
            lookups: Arc::new(Nowhere),
            names: Vec::new(),
            route_secret: [0; 32],
            trusted: Arc::new([]),
            destinations: Destinations::default(),
        };
        Relay::new(ProxyConfig::default(), 7, 0, &plan, None)
    }

    /// A call whose target answers with this status, or says nothing yet.
    fn call(relay: &mut Relay, number: u32, status: Option<u16>) {
        let (now, mut out, mut refused) = (Instant::ZERO, ProxyOutput::new(), Refusals::default());
        let flow = Flow { remote: format!("192.0.2.9:{}", 10_000 + number).parse().unwrap(), ..target() };
        let invite = format!(
            "INVITE sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@example.org>;tag=1\r\nTo: <sip:us@example.com>\r\nCall-ID: call{number}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.9:5062>\r\nContent-Length: 0\r\n\r\n"
        );
        relay.receive(now, &flow, &Message::parse(invite.as_bytes()).unwrap(), &mut out);
        relay.take_events(now, &mut out, &mut refused);
        let sent = out.bytes(out.transmits[0].bytes).to_vec();
        out.clear();
        if let Some(status) = status.and_then(StatusCode::new) {
            let (mut answer, sent) = (Vec::new(), Message::parse(&sent).unwrap());
            let reply = Reply { to_tag: Some(b"b"), source: None, reason: None };
            ResponseWriter::new(&mut answer, &sent, status, &reply).finish().unwrap();
            relay.receive(now, &target(), &Message::parse(&answer).unwrap(), &mut out);
            relay.take_events(now, &mut out, &mut refused);
        }
    }

    #[test]
    fn calls_that_are_over_are_not_looked_at() {
        let mut relay = relay();
        for number in 0..60 {
            call(&mut relay, number, Some(if number % 2 == 0 { 200 } else { 486 }));
        }
        call(&mut relay, 60, None);
        call(&mut relay, 61, None);
        let looked_at = RefCell::new(Vec::new());
        let mut hang_up = |name: &str| {
            looked_at.borrow_mut().clear();
            let is_meant = |call: &CallNames<'_>| {
                looked_at.borrow_mut().push(call.call_id.to_owned());
                call.has(name)
            };
            let hung_up = relay.hang_up(Instant::ZERO, 3, is_meant, &mut ProxyOutput::new());
            let ended: Vec<String> = hung_up.ended.iter().map(|row| row.call_id.to_string()).collect();
            (ended, hung_up.up_count, looked_at.borrow().len())
        };
        assert_eq!(hang_up("call60"), (vec!["call60".to_owned()], 0, 2));
        // Where nothing can be ended, the operator is told whether the call is up. One that was refused is no call any more.
        assert_eq!(hang_up("call8"), (vec![], 1, 2 + 30));
        assert_eq!(hang_up("call9"), (vec![], 0, 2 + 30));
        let ids: Vec<String> = relay.call_rows(Instant::ZERO, 3).map(|row| row.id).collect();
        let is_second = |call: &CallNames<'_>| call.signaling.port() == 10_061 && call.has(&ids[1]);
        assert_eq!(relay.hang_up(Instant::ZERO, 3, is_second, &mut ProxyOutput::new()).ended.len(), 1);
    }
}
