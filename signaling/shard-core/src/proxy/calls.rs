//! Calls that the proxy sets up, as operators see them and end them.

use super::Relay;
use crate::call_row::CallRow;
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
    /// How many calls are meant that were answered a moment ago. A proxy has no dialog in which it could send BYE.
    pub up_count: usize,
}

impl Relay {
    /// Calls without a final answer. What becomes of an answered call is not known to a proxy.
    pub fn call_rows(&self, now: Instant, shard: usize) -> impl Iterator<Item = CallRow> {
        self.proxy.open_calls().map(move |(request, call)| self.row(now, shard, request, &call))
    }

    /// Ends the calls that are meant, as far as a proxy can.
    pub fn hang_up(
        &mut self,
        now: Instant,
        shard: usize,
        is_meant: impl Fn(&CallRow) -> bool,
        out: &mut ProxyOutput,
    ) -> HungUp {
        let rows = |(request, call): (ProxyId, ProxyStory<'_>)| (request, self.row(now, shard, request, &call));
        let open: Vec<_> = self.proxy.open_calls().map(rows).filter(|(_, row)| is_meant(row)).collect();
        let up_count = self.proxy.answered_calls().map(rows).filter(|(_, row)| is_meant(row)).count();
        let mut ended = Vec::new();
        for (request, row) in open {
            // One that is ending already needs no second word.
            let ends = (HUNG_UP_STATUS, now + HANG_UP_PATIENCE);
            if self.proxy.call_off(now, request, ends, out).is_ok() {
                ended.push(row);
            }
        }
        HungUp { ended, up_count }
    }

    fn row(&self, now: Instant, shard: usize, request: ProxyId, call: &ProxyStory<'_>) -> CallRow {
        let uri = Message::parse(call.request).and_then(|message| message.request_uri()).map(|uri| Called::of(&uri));
        let route = uri.ok().and_then(|called| self.routes.ways_of(&called)).map(|(route, _)| route.to_string());
        CallRow::proxied(now, format!("{shard}-{request}"), route, call)
    }
}
