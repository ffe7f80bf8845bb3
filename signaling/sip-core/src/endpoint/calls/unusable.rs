//! Answers to INVITEs of ours that cannot be used: one that breaks a rule, one of a dialog that has ended, one for which
//! there is no room. Each copy of them gets ACK and BYE without any state of ours, so that no peer is left with a call
//! that nobody else has (RFC 3261 §13.2.2.4).

use crate::content::Content;
use crate::endpoint::Endpoint;
use crate::endpoint::calls::call::Failure;
use crate::endpoint::client::InDialog;
use crate::endpoint::dialogs::dialog::{Dialog, Seed, State};
use crate::endpoint::dialogs::next_hop::{self, Hop, Origin};
use crate::endpoint::requests::Purpose;
use crate::event::{CallId, Cause, ClientRequestId, DialogId, Event};
use crate::message::incoming::{target_in, unfolded};
use crate::message::route::Routes;
use crate::output::Output;
use crate::table::slab::Handle;
use crate::transactions::{ClientInput, Heard};
use clock::Instant;
use sip_wire::{Message, Method, Name};

/// Answers of one call that are acknowledged without a dialog, for each early dialog that it may have: a peer that makes
/// up tags is not answered for ever.
const PASSING_PER_FORK: usize = 4;

impl Endpoint {
    /// A 2xx that breaks the rules of RFC 3261 where a peer could hang on to it.
    pub(crate) fn unusable_answer(&mut self, now: Instant, handle: Handle, message: &Message<'_>, out: &mut Output) {
        let Some(sent) = self.transactions.clients.get(handle).filter(|sent| sent.kind.is_invite()) else { return };
        let (purpose, dialog, cseq) = (sent.purpose, sent.dialog, sent.cseq);
        // It is an answer: the INVITE is not repeated any more.
        let heard = self.transactions.drive_client(now, handle, ClientInput::Response(200, message), out);
        self.settle_client(handle);
        match (purpose, dialog) {
            _ if heard == Heard::Nothing => {}
            // A damaged copy of an answer that was taken: the next one will be whole, and a call that is up goes on.
            (Purpose::Call(call), _) if self.has_taken(call, message) => {}
            (Purpose::Call(call), _) => {
                self.end_unusable(handle, message, out);
                // 502: what is behind us says nothing that makes sense (RFC 3261 §21.5.3).
                self.call_failed(now, call, Failure::without_message(502), out);
            }
            (_, Some(dialog)) => {
                let answered = self
                    .transactions
                    .clients
                    .get_mut(handle)
                    .map(|sent| std::mem::replace(&mut sent.is_answered, true));
                if answered == Some(true) {
                    return; // a damaged copy of what has been answered and acknowledged; the next one will be whole
                }
                if let Some(open) = self.dialogs.get_mut(dialog) {
                    open.ack.invite_cseq = cseq;
                }
                self.send_ack(now, dialog, &Content::NONE, out);
                if let Some(open) = self.dialogs.get_mut(dialog) {
                    open.in_flight.client_invite = None;
                    let is_confirmed = open.state == State::Confirmed;
                    // Every request of the user has an outcome, told before the end of its dialog.
                    if let Purpose::User(number) = purpose {
                        let (request, dialog) = (ClientRequestId(number), Some(DialogId(dialog)));
                        out.event(Event::Response { request, dialog, status: 502, message: None, wants_ack: false });
                    }
                    if is_confirmed {
                        // What the peer thinks is agreed on is not known.
                        self.end_with_bye(now, dialog, Cause::Lost(502), out);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether this call has a dialog that an answer with this To tag has confirmed.
    fn has_taken(&self, call: CallId, message: &Message<'_>) -> bool {
        let is_up = |dialog| self.dialogs.get(dialog).is_some_and(|dialog| dialog.state == State::Confirmed);
        self.calls.get(call.0).is_some_and(|call| {
            call.forks.iter().any(|fork| is_up(fork.dialog) && fork.is_of(&self.transactions.keyed, call, message))
        })
    }

    /// ACK and BYE for an answer to the INVITE of this transaction.
    pub(crate) fn end_unusable(&mut self, handle: Handle, message: &Message<'_>, out: &mut Output) {
        let Some(mut dialog) = self.passing_dialog(handle, message) else { return };
        self.transactions.counters.unusable_answers += 1;
        for method in [Method::Ack, Method::Bye] {
            let cseq = dialog.sequence.local;
            let branch = self.transactions.tokens.next();
            let mark = out.mark();
            self.put_in_dialog(&dialog, &InDialog::plain(method), (cseq, &branch), out.arena());
            let span = out.span_from(mark);
            out.send(dialog.route.flow, span);
            dialog.sequence.local = cseq.saturating_add(1);
        }
    }

    /// The ACK alone, for a copy of an answer whose dialog has had its BYE.
    pub(crate) fn acknowledge_copy(&mut self, handle: Handle, message: &Message<'_>, out: &mut Output) {
        let Some(dialog) = self.passing_dialog(handle, message) else { return };
        let branch = self.transactions.tokens.next();
        let mark = out.mark();
        let cseq = dialog.sequence.local;
        self.put_in_dialog(&dialog, &InDialog::plain(Method::Ack), (cseq, &branch), out.arena());
        let span = out.span_from(mark);
        out.send(dialog.route.flow, span);
    }

    /// The dialog that an answer would make, for as long as it takes to write requests in it.
    fn passing_dialog(&mut self, handle: Handle, message: &Message<'_>) -> Option<Dialog> {
        let sent = self.transactions.clients.get(handle)?;
        if let Purpose::Call(call) = sent.purpose {
            let call = self.calls.get_mut(call.0)?;
            let max_count = self.config.limits.max_forks.saturating_mul(PASSING_PER_FORK);
            if usize::from(call.passing_count) >= max_count {
                return None;
            }
            call.passing_count = call.passing_count.saturating_add(1);
        }
        let line = |name: &'static str| {
            let line = crate::message::derive::named_lines(&sent.bytes, name).next()?;
            line.get(name.len() + 1..).map(<[u8]>::trim_ascii)
        };
        let from = line("From")?;
        let tag_at = from.windows(5).rposition(|piece| piece == b";tag=")?;
        let contact = target_in(message).map(unfolded);
        let target = match contact {
            Some(contact) => contact.into_owned(),
            None => crate::message::derive::uri_of(&sent.bytes).to_vec(),
        };
        let mut dialog = Dialog::new(Seed {
            call_id: crate::message::derive::call_id_of(&sent.bytes),
            local: &from[..tag_at],
            local_tag: &from[tag_at + 5..],
            remote: &unfolded(message.header(Name::To).or_else(|| line("To"))?),
            remote_tag: message.to_tag().unwrap_or_default(),
            target: &target,
            routes: Routes::of_answer(message),
            flow: sent.flow,
            local_cseq: sent.cseq,
            remote_cseq: None,
        })?;
        let origin = Origin::answered(sent.flow);
        if let hop @ Hop::Udp(_) = next_hop::decide(dialog.next_hop(), &origin, self.config.media_ports.as_ref()) {
            dialog.take_hop(hop, sent.flow);
        }
        Some(dialog)
    }
}
