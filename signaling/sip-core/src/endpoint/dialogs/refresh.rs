//! The session timer in requests of ours and in the answers to them (RFC 4028 §7).

use crate::config::WithoutPeer;
use crate::endpoint::Endpoint;
use crate::endpoint::dialogs::dialog::Dialog;
use crate::endpoint::dialogs::session_timer::Refresher;
use crate::message::compose::put_number_line;
use crate::table::slab::Handle;
use clock::Instant;
use sip_wire::{Message, Name};

impl Endpoint {
    /// `Session-Expires` and `Min-SE` of a request of ours (RFC 4028 §7.1).
    pub(crate) fn put_session_request(&self, dialog: Option<&Dialog>, lines: &mut Vec<u8>) {
        let timer = &self.config.session_timer;
        let own = timer.interval.as_secs().min(u32::MAX.into()) as u32;
        let min_se = timer.min_se.as_secs().max(90);
        let running = dialog.map(|dialog| &dialog.session).filter(|session| session.is_on());
        match running {
            Some(session) => {
                let we_refresh = session.refresher() == Refresher::We;
                crate::endpoint::calls::put_session_expires(lines, session.interval_s(), we_refresh);
            }
            None if own > 0 => put_number_line(lines, b"Session-Expires", u64::from(own).max(min_se)),
            None => return,
        }
        if min_se > 90 {
            put_number_line(lines, b"Min-SE", min_se);
        }
    }

    pub(crate) fn session_lines(&self, dialog: Handle) -> Vec<u8> {
        let mut lines = Vec::new();
        self.put_session_request(self.dialogs.get(dialog), &mut lines);
        lines
    }

    /// A re-INVITE or UPDATE of ours was refused for now. If it was to refresh the session, another one is due before the
    /// session ends (RFC 4028 §7.4 leaves that open).
    pub(crate) fn retry_refresh(&mut self, now: Instant, handle: Handle, transaction: Handle) {
        let refreshes = self.transactions.clients.get(transaction).is_some_and(|sent| sent.kind.refreshes());
        if let Some(dialog) = self.dialogs.get_mut(handle).filter(|_| refreshes) {
            dialog.session.retry(now);
            self.arm_dialog(handle);
        }
    }

    /// The session timer that a 2xx to our INVITE or UPDATE sets (RFC 4028 §7.2).
    pub(crate) fn take_session_timer(&mut self, now: Instant, handle: Handle, message: &Message<'_>) {
        let own_s = self.config.session_timer.interval.as_secs().min(u32::MAX.into()) as u32;
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        dialog.peer_takes_update |= message.has_token(Name::Allow, "UPDATE");
        match message.session_expires() {
            // An interval of some seconds would be a flood of our own making: the RFC's floor is 90 s.
            Ok(Some(expires)) => {
                let refresher =
                    if expires.refresher == Some(sip_wire::Refresher::Uas) { Refresher::Peer } else { Refresher::We };
                dialog.session.start(now, expires.seconds.max(90), refresher);
            }
            // The peer does not know session timers: we refresh alone (RFC 4028 §7.2).
            _ if own_s > 0 && self.config.session_timer.without_peer == WithoutPeer::Refresh => {
                dialog.session.start(now, own_s.max(90), Refresher::We)
            }
            _ => dialog.session.stop(),
        }
        self.arm_dialog(handle);
    }
}
