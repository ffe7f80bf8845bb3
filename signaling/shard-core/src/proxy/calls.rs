//! Calls that the proxy sets up, as operators see them.

use super::Relay;
use crate::call_row::CallRow;
use crate::dialplan::routes::Called;
use clock::Instant;
use sip_wire::Message;

impl Relay {
    /// Calls without a final answer. What becomes of an answered call is not known to a proxy.
    pub fn call_rows(&self, now: Instant, shard: usize) -> impl Iterator<Item = CallRow> {
        self.proxy.open_calls().map(move |(request, call)| {
            let uri =
                Message::parse(call.request).and_then(|message| message.request_uri()).map(|uri| Called::of(&uri));
            let route = uri.ok().and_then(|called| self.routes.ways_of(&called)).map(|(route, _)| route.to_string());
            CallRow::proxied(now, format!("{shard}-{request}"), route, &call)
        })
    }
}
