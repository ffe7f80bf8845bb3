//! INVITE, re-INVITE, ACK and CANCEL from a peer (RFC 3261 §9.2, §13.3, §14.2).

use crate::endpoint::dialogs::dialog::{Dialog, Path, Seed, State};
use crate::endpoint::dialogs::ending::Ending;
use crate::endpoint::dialogs::next_hop::{self, Hop, Origin};
use crate::endpoint::requests::{Kind, Received};
use crate::endpoint::server::Response;
use crate::endpoint::{Endpoint, NewCalls};
use crate::event::{Cause, DialogId, Event, InviteId};
use crate::message::incoming::{Incoming, unfolded};
use crate::message::route::Routes;
use crate::output::Output;
use crate::table::slab::Handle;
use crate::transactions::{Server, ServerInput};
use clock::Instant;
use sip_wire::{Method, Name};

impl Endpoint {
    /// A new call.
    pub(crate) fn receive_invite(&mut self, inc: &Incoming<'_, '_>, out: &mut Output) {
        let Some(target) = inc.contact_uri() else {
            return self.transactions.refuse(inc, 400, b"", out); // RFC 3261 §8.1.1.8: an INVITE has exactly one
        };
        let replaces = match self.replaced_dialog(inc) {
            Ok(replaces) => replaces,
            Err(status) => return self.transactions.refuse(inc, status, b"", out),
        };
        if self.dialogs.is_full() || !self.table_has_room_for(inc) {
            return self.transactions.refuse_overload(inc, out);
        }
        if self.new_calls == NewCalls::Refused || !self.has_room_for(inc) {
            self.transactions.counters.source_limited += 1;
            return self.transactions.reply_overload(inc, out);
        }
        let tag = self.transactions.tokens.next();
        let Some(mut dialog) = self.callee_dialog(inc, target, tag.as_str()) else {
            return self.transactions.refuse(inc, 513, b"", out);
        };
        let Some(transaction) = self.open_server(inc, tag.as_str(), out) else { return };
        dialog.in_flight.server_invite = Some(transaction);
        dialog.has_session = true;
        dialog.user.is_announced = true;
        let Some(dialog) = self.add_dialog(dialog) else {
            self.forget_server(transaction);
            return;
        };
        if let Some(transaction) = self.transactions.servers.get_mut(transaction) {
            transaction.dialog = Some(dialog);
        }
        let message = Self::keep(inc.message, out);
        out.event(Event::Invite { invite: InviteId(transaction), dialog: DialogId(dialog), message, replaces });
    }

    /// The dialog that a request asks for, with us as the callee (RFC 3261 §12.1.1).
    pub(crate) fn callee_dialog(&self, inc: &Incoming<'_, '_>, target: &[u8], local_tag: &str) -> Option<Dialog> {
        let routes = Routes::new(inc.message.raw_values(Name::RecordRoute));
        let mut dialog = Dialog::new(Seed {
            call_id: inc.call_id,
            local: &unfolded(inc.to),
            local_tag: local_tag.as_bytes(),
            remote: &unfolded(inc.from),
            remote_tag: inc.from_tag,
            target: &unfolded(target),
            routes,
            flow: *inc.flow,
            local_cseq: 0,
            remote_cseq: Some(inc.cseq),
        })?;
        let hop = next_hop::decide(dialog.next_hop(), &Origin::of(inc), self.config.media_ports.as_ref());
        if hop != Hop::Source {
            dialog.route.path = Path::Unproven(Box::new(hop));
        }
        dialog.peer_takes_update = inc.says(Name::Allow, "UPDATE");
        Some(dialog)
    }

    pub(crate) fn add_dialog(&mut self, dialog: Dialog) -> Option<Handle> {
        let key = dialog.identity.key(&self.transactions.keyed);
        let handle = self.dialogs.insert(dialog).ok()?;
        self.dialog_index.insert(key, handle);
        Some(handle)
    }

    /// The dialog that Replaces names (RFC 3891 §3): 481 when there is none, 486 when it may not be replaced.
    fn replaced_dialog(&self, inc: &Incoming<'_, '_>) -> Result<Option<DialogId>, u16> {
        if inc.message.count_of(Name::Replaces) > 1 {
            return Err(400);
        }
        let Some(replaces) = inc.message.replaces().map_err(|_| 400u16)? else { return Ok(None) };
        // The header's to-tag is our tag, its from-tag the peer's.
        let Some(id) = self.find_dialog(replaces.call_id, replaces.to_tag, replaces.from_tag) else { return Err(481) };
        let Some(dialog) = self.dialogs.get(id.0) else { return Err(481) };
        match dialog.state {
            State::Terminating => Err(603), // RFC 3891 §3: it has ended already
            State::Confirmed if replaces.early_only => Err(486),
            // An early dialog can only be taken over by the side that made it.
            State::Early if !dialog.is_caller => Err(481),
            State::Early | State::Confirmed => Ok(Some(id)),
        }
    }

    /// A re-INVITE. Its CSeq has been checked.
    pub(crate) fn receive_reinvite(&mut self, handle: Handle, inc: &Incoming<'_, '_>, out: &mut Output) {
        let Some(dialog) = self.dialogs.get(handle) else { return };
        let open = dialog.in_flight.server_invite.and_then(|open| self.transactions.servers.get(open));
        let now = inc.now;
        // RFC 3261 §14.2: one after the other. One that overtakes the answer to an UPDATE is handed up, and waits there.
        if open.is_some_and(|open| open.machine.is_waiting()) {
            return self.refuse_for_now(inc, out);
        }
        if dialog.in_flight.client_invite.is_some() || dialog.in_flight.client_update || dialog.state == State::Early {
            return self.refuse_statefully(inc, 491, b"", out);
        }
        if let Some(dialog) = self.dialogs.get(handle)
            && dialog.in_flight.late_bye.is_some()
        {
            // The peer has our 2xx, even if its ACK was lost: the BYE that waited for it goes out, and nothing changes
            // in a call that ends.
            if let Some(earlier) = dialog.in_flight.server_invite {
                self.acknowledged(now, handle, earlier, out);
            }
            self.refuse_statefully(inc, 481, b"", out);
            self.send_late_bye(now, handle, out);
            return;
        }
        let Some(transaction) = self.open_server(inc, "", out) else { return };
        let earlier =
            self.dialogs.get_mut(handle).and_then(|dialog| dialog.in_flight.server_invite.replace(transaction));
        if let Some(earlier) = earlier {
            // The peer goes on: it has our earlier 2xx, even if its ACK was lost.
            self.drive_server(now, earlier, ServerInput::Ack, out);
        }
        if let Some(transaction) = self.transactions.servers.get_mut(transaction) {
            transaction.dialog = Some(handle);
        }
        let message = Self::keep(inc.message, out);
        out.event(Event::Reinvite { invite: InviteId(transaction), dialog: DialogId(handle), message });
    }

    pub(crate) fn receive_ack(&mut self, inc: &Incoming<'_, '_>, out: &mut Output) {
        let now = inc.now;
        let waiting_for_refusal = || self.find_by_names(inc).filter(|handle| self.is_refused(*handle));
        if let Some(handle) = self.transactions.server_of(inc).or_else(waiting_for_refusal)
            && let Some(transaction) = self.transactions.servers.get(handle)
            && transaction.kind.is_invite()
            && !transaction.machine.is_accepted_invite()
        {
            // For a 3xx-6xx; a second one, or one before any final response, changes nothing.
            if crate::transactions::proven::is_acknowledged(&transaction.response, inc.to_tag) {
                self.got_ours(now, handle);
            }
            return self.drive_server(now, handle, ServerInput::Ack, out);
        }
        let waiting = self.dialog_index.get(&inc.dialog_key(&self.transactions.keyed)).copied().and_then(|dialog| {
            let transaction = self.dialogs.get(dialog)?.in_flight.server_invite?;
            let open = self.transactions.servers.get(transaction)?;
            (open.machine.is_accepted_invite() && open.cseq == inc.cseq).then_some((dialog, transaction))
        });
        let Some((dialog, transaction)) = waiting else {
            if !self.transactions.acknowledges_forgotten(inc) {
                self.transactions.counters.stray_acks += 1;
            }
            return;
        };
        // It names the tag that our 2xx gave, so that arrived.
        self.got_ours(now, transaction);
        self.acknowledged(now, dialog, transaction, out);
        let message = Self::keep(inc.message, out);
        out.event(Event::Acknowledged { dialog: DialogId(dialog), message });
        self.send_late_bye(now, dialog, out);
    }

    fn is_refused(&self, handle: Handle) -> bool {
        self.transactions.servers.get(handle).is_some_and(|open| open.machine.is_refused_invite())
    }

    /// Our 2xx has arrived: it is not repeated any more, and its bytes can go.
    pub(crate) fn acknowledged(&mut self, now: Instant, dialog: Handle, transaction: Handle, out: &mut Output) {
        self.drive_server(now, transaction, ServerInput::Ack, out);
        if let Some(transaction) = self.transactions.servers.get_mut(transaction) {
            transaction.response = Box::default();
        }
        self.recount(transaction);
        if let Some(dialog) = self.dialogs.get_mut(dialog) {
            dialog.is_proved();
            dialog.in_flight.server_invite = None;
        }
    }

    pub(crate) fn receive_cancel(&mut self, inc: &Incoming<'_, '_>, out: &mut Output) {
        let now = inc.now;
        let key = inc.key(&self.transactions.keyed, Method::Invite);
        let found = self.transactions.server_index.get(&key).copied().or_else(|| self.find_by_names(inc));
        let Some(handle) = found else {
            return match self.transactions.cancelled_by(inc) {
                // RFC 3261 §9.1: it has no effect on a request that is no INVITE.
                Some(other) => self.reply_to_cancel(inc, other, out),
                None => self.transactions.refuse(inc, 481, b"", out),
            };
        };
        // RFC 3261 §9.2: 200 whatever became of the INVITE, with the same To tag.
        self.reply_to_cancel(inc, handle, out);
        let Some(transaction) = self.transactions.servers.get(handle) else { return };
        if !transaction.machine.is_waiting() {
            return;
        }
        let kind = transaction.kind;
        let dialog = transaction.dialog;
        let message = Self::keep(inc.message, out);
        self.send_response(now, handle, &Response::of(487), out);
        if kind == Kind::Reinvite
            && let Some(dialog) = dialog
        {
            out.event(Event::ReinviteCancelled { invite: InviteId(handle), dialog: DialogId(dialog) });
        }
        self.invite_is_over(now, handle, Ending { cause: Cause::RemoteCancel, message: Some(message) }, out);
    }

    /// The INVITE of a CANCEL or ACK whose Via was rewritten on its way: that of its dialog, or the one with the same
    /// Call-ID, From tag, CSeq number and Request-URI (as RFC 3261 §17.2.3 has it for peers without a branch). Who knows
    /// these has seen the INVITE.
    fn find_by_names(&self, inc: &Incoming<'_, '_>) -> Option<Handle> {
        let of_dialog = || {
            let dialog =
                self.dialogs.get(self.dialog_index.get(&inc.dialog_key(&self.transactions.keyed)).copied()?)?;
            dialog
                .in_flight
                .server_invite
                .filter(|invite| self.transactions.servers.get(*invite).is_some_and(|open| open.cseq == inc.cseq))
        };
        if inc.to_tag.is_some()
            && let Some(handle) = of_dialog()
        {
            return Some(handle);
        }
        let handle =
            self.transactions.merge_index.get(&inc.merge_key_as(&self.transactions.keyed, Method::Invite)).copied()?;
        let is_same = |open: &Server<Received>| open.uri == Some(inc.uri_key(&self.transactions.keyed));
        self.transactions.servers.get(handle).is_some_and(is_same).then_some(handle)
    }

    fn reply_to_cancel(&mut self, inc: &Incoming<'_, '_>, invite: Handle, out: &mut Output) {
        let now = inc.now;
        let dialog = self.transactions.servers.get(invite).and_then(|invite| invite.dialog);
        let tag = match dialog.and_then(|dialog| self.dialogs.get(dialog)) {
            Some(dialog) => String::from_utf8_lossy(dialog.identity.local_tag()).into_owned(),
            None => self.transactions.tokens.derived(&[b"cancel", inc.call_id, inc.from_tag]).as_str().to_owned(),
        };
        if let Some(transaction) = self.open_server(inc, &tag, out) {
            self.send_response(now, transaction, &Response::of(200), out);
        }
    }

    /// An INVITE got its final refusal: its dialog ends with it, unless it was a re-INVITE.
    pub(crate) fn invite_is_over(&mut self, now: Instant, handle: Handle, ending: Ending, out: &mut Output) {
        let Some(transaction) = self.transactions.servers.get_mut(handle) else { return };
        transaction.unpracked = None;
        let Some(dialog) = transaction.dialog else { return };
        let kind = transaction.kind;
        if let Some(dialog) = self.dialogs.get_mut(dialog)
            && dialog.in_flight.server_invite == Some(handle)
        {
            dialog.in_flight.server_invite = None;
        }
        if kind == Kind::Invite {
            self.end_dialog(now, dialog, ending, out);
        }
    }
}
