//! Calls of ours: INVITE out, its dialogs, ACK and CANCEL (RFC 3261 §9.1, §13.2).

use crate::content::{Content, Refused};
use crate::endpoint::Endpoint;
use crate::endpoint::NewRequest;
use crate::endpoint::calls::call::Call;
use crate::endpoint::requests::outgoing::OutOfDialog;
use crate::endpoint::requests::{Dispatch, Purpose};
use crate::event::{CallId, DialogId};
use crate::output::Output;
use crate::table::slab::Handle;
use clock::Instant;
use sip_wire::Method;

impl Endpoint {
    /// Places a call. `Progress` events, then `Answered` or `Failed` follow.
    pub fn invite(&mut self, now: Instant, request: &NewRequest<'_>, out: &mut Output) -> Result<CallId, Refused> {
        if self.dialogs.is_full() {
            return Err(Refused::Full);
        }
        let mut lines = Vec::new();
        self.put_session_request(None, &mut lines);
        if self.config.reliability == crate::config::Reliability::Required {
            lines.extend_from_slice(b"Require: 100rel\r\n");
        }
        let call = Call {
            transaction: None,
            forks: Vec::new(),
            call_id: Box::default(),
            from: request.from.as_bytes().into(),
            tag: self.transactions.tokens.next(),
            has_offer: !request.content.body.is_empty(),
            ended_by_us: None,
            passing_count: 0,
            is_told: false,
        };
        let handle = self.calls.insert(call).map_err(|_| Refused::Full)?;
        let id = CallId(handle);
        let invite = OutOfDialog { method: Method::Invite, purpose: Purpose::Call(id), lines: &lines, request };
        match self.send_new(now, &invite, out) {
            Ok((transaction, written)) => {
                if let Some(call) = self.calls.get_mut(handle) {
                    call.transaction = Some(transaction);
                    call.call_id = written.call_id;
                    call.tag = written.tag;
                }
                Ok(id)
            }
            Err(refused) => {
                self.calls.remove(handle);
                Err(refused)
            }
        }
    }

    /// Gives a call up. `Failed` with 487 follows; an answer that crosses is acknowledged and ended with BYE.
    pub fn cancel(&mut self, now: Instant, call: CallId, out: &mut Output) -> Result<(), Refused> {
        self.cancel_saying(now, call, &Content::NONE, out)
    }

    /// The same with the header fields of `content` in the CANCEL, as why (RFC 3326).
    pub fn cancel_saying(
        &mut self,
        now: Instant,
        call: CallId,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refused> {
        content.check()?;
        let open = self.calls.get_mut(call.0).ok_or(Refused::Gone)?;
        if open.is_told || open.ended_by_us.is_some() {
            return Err(Refused::WrongState);
        }
        open.ended_by_us = Some(487);
        let transaction = open.transaction;
        if let Some(transaction) = transaction {
            if let Some(transaction) =
                self.transactions.clients.get_mut(transaction).filter(|_| !content.headers.is_empty())
            {
                let mut lines = Vec::new();
                crate::message::compose::put_headers(&mut lines, content);
                transaction.cancel_lines = lines.into_boxed_slice();
            }
            self.cancel_client(now, transaction, out);
        }
        Ok(())
    }

    /// Acknowledges a 2xx whose event said `wants_ack`; the content is the answer.
    pub fn ack(
        &mut self,
        now: Instant,
        dialog: DialogId,
        content: Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refused> {
        content.check()?;
        let open = self.dialogs.get(dialog.0).ok_or(Refused::Gone)?;
        if !open.ack.is_owed {
            return Err(Refused::WrongState);
        }
        self.send_ack(now, dialog.0, &content, out);
        Ok(())
    }

    /// The ACK for the 2xx to the INVITE whose number the dialog has noted ([`Ack::invite_cseq`]).
    ///
    /// [`Ack::invite_cseq`]: crate::endpoint::dialogs::in_flight::Ack::invite_cseq
    pub(crate) fn send_ack(&mut self, now: Instant, handle: Handle, content: &Content<'_>, out: &mut Output) {
        let span = self.put_ack(handle, content, out);
        let until = now + self.config.timers.give_up();
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        dialog.ack.request = Some(out.bytes(span).into());
        dialog.ack.is_owed = false;
        dialog.ack.until = until;
        let flow = dialog.route.flow;
        if self.dispatch(handle, out) == Dispatch::Sent {
            out.send(flow, span);
        }
        self.arm_dialog(handle);
    }
}
