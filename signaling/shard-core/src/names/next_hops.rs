//! Paths to the next hops of dialogs, where a message of the peer does not show them: another transport, another address
//! of ours, or a name.

use crate::shard::io::ShardOutput;
use clock::Instant;
use session::Host;
use sip_core::{DialogId, Endpoint};
use std::collections::HashMap;

/// The names of next hops that are being looked up, by the number of the question. [`Questions`](crate::names::Questions) bounds them.
#[derive(Default)]
pub struct NextHops {
    asked: HashMap<u64, DialogId>,
}

impl NextHops {
    /// Finds the path of a dialog at once, or asks for it. What cannot be found or asked is answered with nothing: the
    /// endpoint has another way then.
    pub fn find(
        &mut self,
        now: Instant,
        dialog: DialogId,
        endpoint: &mut Endpoint,
        host: &mut dyn Host,
        out: &mut ShardOutput,
    ) {
        // Of two questions about a dialog the later one counts.
        self.asked.retain(|_, asked| *asked != dialog);
        let Some(info) = endpoint.dialog_info(dialog) else { return };
        let uri = String::from_utf8_lossy(info.next_hop).into_owned();
        let path = match host.paths_to(&uri) {
            Some(paths) => paths.first().copied(),
            None => match host.look_up(&[uri.into()]) {
                Some(ticket) => {
                    self.asked.insert(ticket, dialog);
                    return;
                }
                None => None,
            },
        };
        endpoint.set_path(now, dialog, path, &mut out.sip);
    }

    /// The dialog that this question was about, if it was one of these.
    pub fn found(&mut self, ticket: u64) -> Option<DialogId> {
        self.asked.remove(&ticket)
    }
}
