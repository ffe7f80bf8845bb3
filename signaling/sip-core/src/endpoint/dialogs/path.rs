//! The path that the requests of a dialog take: chosen when the peer names a target ([`crate::endpoint::dialogs::next_hop`]), asked for when
//! it is needed, and replaced when its connection is lost.

use crate::endpoint::Endpoint;
use crate::endpoint::dialogs::dialog::{Awaited, Otherwise, Path, State};
use crate::endpoint::dialogs::next_hop::{self, Hop, Origin};
use crate::endpoint::requests::{Dispatch, Kind, Purpose};
use crate::endpoint::responses::Outcome;
use crate::event::{DialogId, Event};
use crate::flow::Flow;
use crate::message::compose::{put_contact, put_via};
use crate::output::Output;
use crate::table::slab::Handle;
use crate::transactions::is_same_path;
use clock::Instant;

/// Where the peer says that requests go from now on.
#[derive(Clone, Copy)]
pub(crate) struct NewTarget<'a> {
    /// Its Contact; `None`: as before.
    pub(crate) uri: Option<&'a [u8]>,
    /// How the message came that says so.
    pub(crate) origin: &'a Origin,
}

impl Endpoint {
    /// Takes the path to a dialog's next hop, after [`Event::PathWanted`]; `None`: nothing leads there. What waits for it
    /// goes out, over the path on which the peer was heard where there is no better one.
    pub fn set_path(&mut self, now: Instant, dialog: DialogId, path: Option<Flow>, out: &mut Output) {
        let Some(open) = self.dialogs.get_mut(dialog.0) else { return };
        if !matches!(open.route.path, Path::Awaited(_)) {
            return; // a later target has settled it
        }
        let Path::Awaited(awaited) = std::mem::replace(&mut open.route.path, Path::Source) else { return };
        match (path, awaited.otherwise) {
            (Some(flow), otherwise) => {
                open.route.flow = flow;
                open.route.path = if otherwise == Otherwise::Fail { Path::Replaced } else { Path::Settled };
            }
            (None, Otherwise::Source) => {}
            (None, Otherwise::Fail) => return self.fail_waiting(now, &awaited.transactions, out),
        }
        self.release(now, dialog.0, &awaited.transactions, out);
    }

    /// The peer has named a target, or its request shows that it is behind another path than before.
    pub(crate) fn retarget(&mut self, now: Instant, handle: Handle, target: &NewTarget<'_>, out: &mut Output) {
        let NewTarget { uri, origin } = *target;
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        let before = dialog.next_hop().to_vec();
        if let Some(uri) = uri {
            dialog.route.target = crate::message::incoming::unfolded(uri).as_ref().into();
        }
        let is_same = dialog.next_hop() == before;
        let is_kept = match dialog.route.path {
            // It was found to be reachable there alone; an answer does not say that this has changed.
            Path::Source if origin.is_answer() => is_same || next_hop::is_same_host(&before, dialog.next_hop()),
            Path::Source => false,
            _ => is_same,
        };
        if !is_kept {
            self.aim(now, handle, origin, out);
        }
    }

    /// Chooses the path to a dialog's next hop anew.
    pub(crate) fn aim(&mut self, now: Instant, handle: Handle, origin: &Origin, out: &mut Output) {
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        let hop = next_hop::decide(dialog.next_hop(), origin, self.config.media_ports.as_ref());
        let before = std::mem::replace(&mut dialog.route.path, Path::Source);
        dialog.take_hop(hop, origin.flow);
        let Path::Awaited(awaited) = before else { return };
        if hop == Hop::Elsewhere {
            dialog.route.path = Path::Awaited(Box::new(Awaited { otherwise: Otherwise::Source, ..*awaited }));
            return out.event(Event::PathWanted { dialog: DialogId(handle) });
        }
        self.release(now, handle, &awaited.transactions, out);
    }

    /// A peer that has come back over a new connection is reached by that, where it can be reached by nothing else.
    pub(crate) fn follow_connection(&mut self, now: Instant, handle: Handle, origin: &Origin, out: &mut Output) {
        let Some(dialog) = self.dialogs.get(handle) else { return };
        let is_open = matches!(dialog.route.path, Path::Source | Path::Unknown | Path::Awaited(_));
        if is_open
            && origin.flow.transport.is_reliable()
            && origin.flow != dialog.route.flow
            && next_hop::decide(dialog.next_hop(), origin, self.config.media_ports.as_ref()) == Hop::Source
        {
            self.aim(now, handle, origin, out);
        }
    }

    /// Whether requests of this dialog can go out at once; asks for the path otherwise.
    pub(crate) fn dispatch(&mut self, handle: Handle, out: &mut Output) -> Dispatch {
        let Some(dialog) = self.dialogs.get_mut(handle) else { return Dispatch::Sent };
        match dialog.route.path {
            Path::Unknown => {
                dialog.route.path = Path::Awaited(Box::default());
                out.event(Event::PathWanted { dialog: DialogId(handle) });
                Dispatch::Waiting
            }
            Path::Awaited(_) => Dispatch::Waiting,
            Path::Source | Path::Settled | Path::Replaced | Path::Unproven(_) => Dispatch::Sent,
        }
    }

    /// A request waits for the path of its dialog.
    pub(crate) fn wait_for_path(&mut self, handle: Handle, transaction: Handle) {
        if let Some(dialog) = self.dialogs.get_mut(handle)
            && let Path::Awaited(awaited) = &mut dialog.route.path
        {
            awaited.transactions.push(transaction);
        }
    }

    /// Sends the ACK of a dialog once more: a copy of the 2xx came. One that waits for its path is not sent yet.
    pub(crate) fn repeat_ack(&mut self, handle: Handle, out: &mut Output) {
        if let Some(dialog) = self.dialogs.get(handle)
            && !matches!(dialog.route.path, Path::Awaited(_))
            && let Some(ack) = &dialog.ack.request
        {
            out.send_copy(dialog.route.flow, ack);
        }
    }

    /// What waited for the path goes out.
    fn release(&mut self, now: Instant, handle: Handle, transactions: &[Handle], out: &mut Output) {
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        let flow = dialog.route.flow;
        if let Some(ack) = dialog.ack.request.take() {
            let ack = over(&self.config, &ack, &flow, &flow);
            out.send_copy(flow, &ack);
            dialog.ack.request = Some(ack);
        }
        // Those that get a higher CSeq go last: the peer refuses a number below the one before (RFC 3261 §12.2.2).
        let (anew, as_they_are): (Vec<Handle>, Vec<Handle>) =
            transactions.iter().copied().partition(|transaction| self.is_sent_anew(*transaction));
        for transaction in as_they_are {
            self.redirect(now, transaction, flow, out);
        }
        for transaction in anew {
            self.number_anew(transaction);
            self.redirect(now, transaction, flow, out);
        }
    }

    /// Whether the request goes over another path as a new one. The peer may have carried out an UPDATE whose connection broke.
    /// As a copy it would be refused then, because the peer's transaction ended with its answer (timer J is 0, RFC 3261
    /// §17.2.2), and both sides would disagree about the session. As a request of its own (§8.1.3.1, §17.1.4) it brings about
    /// the same session once more. A re-INVITE is answered again as a copy (RFC 6026 §7.1); what must not be done twice stays
    /// the copy that the peer refuses.
    fn is_sent_anew(&self, transaction: Handle) -> bool {
        let sent = self.transactions.clients.get(transaction);
        sent.is_some_and(|sent| sent.dispatch == Dispatch::Lost && sent.kind == Kind::Update)
    }

    /// Gives a request another branch and the next CSeq.
    fn number_anew(&mut self, transaction: Handle) {
        let branch = self.transactions.tokens.next();
        let lines = self.credentials_anew(transaction);
        let Some(sent) = self.transactions.clients.get_mut(transaction) else { return };
        let Some(dialog) = sent.dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) else { return };
        sent.cseq = dialog.sequence.next_local();
        let (mut via, mut bytes) = (Vec::with_capacity(96), Vec::with_capacity(sent.bytes.len() + 32));
        put_via(&mut via, &self.config, &sent.flow, branch.as_str());
        crate::message::derive::put_again(&sent.bytes, &via, sent.cseq, &lines, &mut bytes);
        let key = self.transactions.client_key(branch.as_str().as_bytes(), crate::message::derive::method_of(&bytes));
        self.transactions.replace_request(transaction, key, bytes.into_boxed_slice());
    }

    fn redirect(&mut self, now: Instant, handle: Handle, flow: Flow, out: &mut Output) {
        let Some(transaction) = self.transactions.clients.get_mut(handle).filter(|sent| sent.machine.is_waiting())
        else {
            return;
        };
        transaction.bytes = over(&self.config, &transaction.bytes, &transaction.flow, &flow);
        (transaction.flow, transaction.dispatch) = (flow, Dispatch::Redirected);
        transaction.machine.start_again(now, &self.config.timers, flow.transport.is_reliable());
        out.send_copy(flow, &transaction.bytes);
        self.settle_client(handle);
    }

    /// A request whose connection is gone waits for another path to its next hop, once. `false`: there is no other.
    pub(crate) fn reroute(&mut self, handle: Handle, out: &mut Output) -> bool {
        let Some(sent) = self.transactions.clients.get(handle) else { return false };
        let Some(dialog) = sent.dialog else { return false };
        // A request that was answered with a provisional response was heard: it is not sent a second time.
        let is_fresh = sent.dispatch == Dispatch::Sent
            && sent.flow.transport.is_reliable()
            && !(sent.kind.is_invite() && sent.machine.is_proceeding())
            && !matches!(sent.purpose, Purpose::Call(_));
        if !is_fresh || !self.lose_path(dialog, out) {
            return false;
        }
        if let Some(sent) = self.transactions.clients.get_mut(handle) {
            sent.dispatch = Dispatch::Lost;
        }
        self.wait_for_path(dialog, handle);
        true
    }

    /// The connection that a dialog's requests took is gone: another path to its next hop is asked for. `false`: there can
    /// be none.
    fn lose_path(&mut self, handle: Handle, out: &mut Output) -> bool {
        let Some(dialog) = self.dialogs.get_mut(handle) else { return false };
        match dialog.route.path {
            Path::Awaited(_) => return true,
            Path::Replaced | Path::Unproven(_) => return false,
            Path::Source | Path::Settled | Path::Unknown => {}
        }
        if !next_hop::can_be_found(dialog.next_hop()) {
            return false;
        }
        dialog.route.path = Path::Awaited(Box::new(Awaited { transactions: Vec::new(), otherwise: Otherwise::Fail }));
        out.event(Event::PathWanted { dialog: DialogId(handle) });
        true
    }

    /// The ACKs that may have been lost with a connection go out over another one.
    pub(crate) fn reroute_acks(&mut self, flow: &Flow, out: &mut Output) {
        let mut lost: Vec<Handle> = Vec::new();
        for handle in self.transactions.clients.handles() {
            let Some(sent) = self.transactions.clients.get(handle).filter(|sent| sent.kind.is_invite()) else {
                continue;
            };
            let forks = match sent.purpose {
                Purpose::Call(call) => self.calls.get(call.0).map_or(&[][..], |call| &call.forks),
                _ => &[],
            };
            let dialogs = forks.iter().map(|fork| fork.dialog).chain(sent.dialog);
            lost.extend(dialogs.filter(|dialog| {
                self.dialogs.get(*dialog).is_some_and(|dialog| {
                    dialog.state != State::Early
                        && dialog.ack.request.is_some()
                        && dialog.route.flow.transport.is_reliable()
                        && is_same_path(&dialog.route.flow, flow)
                })
            }));
        }
        for dialog in lost {
            self.lose_path(dialog, out);
        }
    }

    fn fail_waiting(&mut self, now: Instant, transactions: &[Handle], out: &mut Output) {
        for handle in transactions {
            let Some(transaction) = self.transactions.clients.get_mut(*handle).filter(|sent| sent.machine.is_waiting())
            else {
                continue;
            };
            transaction.machine.abandon();
            self.hear(&Outcome::without_response(now, *handle, 503), out);
            self.settle_client(*handle);
        }
    }
}

/// A request of ours as it goes over another path: its Via and our Contact show where we are on it.
fn over(config: &crate::EndpointConfig, request: &[u8], before: &Flow, flow: &Flow) -> Box<[u8]> {
    let branch = String::from_utf8_lossy(crate::message::derive::branch_of(request));
    let is_sips = crate::message::compose::is_sips(crate::message::derive::uri_of(request));
    let (mut via, mut contact_before, mut contact) = (Vec::new(), Vec::new(), Vec::new());
    put_via(&mut via, config, flow, &branch);
    put_contact(&mut contact_before, config, before, is_sips);
    put_contact(&mut contact, config, flow, is_sips);
    let mut bytes = Vec::with_capacity(request.len() + 32);
    crate::message::derive::put_over(request, &via, &contact_before, &contact, &mut bytes);
    bytes.into_boxed_slice()
}
