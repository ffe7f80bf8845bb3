//! Staying in the path of a dialog (RFC 3261 §16.6 step 4, §16.7 step 8; RFC 5658): our values of Record-Route, in the
//! request for its target and in the responses for its sender.
//!
//! The request carries the proofs for the way back to its sender, which its target keeps. In responses they are exchanged
//! for those of the way to the target, which the sender keeps: only then it is known where that is.

use crate::flow::Flow;
use crate::message::incoming::Request;
use crate::message::route::uri_in;
use crate::proxy::routes::signed_route::{PARAMETER, Place, Proof, Side, Toward, exchange};
use crate::proxy::{Proxy, Standing};
use crate::table::hash::Key;
use crate::table::slab::Handle;
use crate::transactions::proven::status_of;
use sip_wire::{Message, Method, Name};

impl Proxy {
    /// Our values for a request, in the order in which they are put on top of each other: that of the sender's side, then
    /// that of the target's where it differs. None where we do not stay in the path.
    pub(crate) fn record_routes(
        &self,
        request: &Message<'_>,
        standing: Standing,
        in_flow: &Flow,
        out_flow: &Flow,
    ) -> Vec<Vec<u8>> {
        let is_wanted = self.config.record_route && request.method().is_some_and(|method| makes_route_set(&method));
        let (Some(sender), Ok(inc), true) = (sender(standing), Request::new(request), is_wanted) else {
            return Vec::new();
        };
        let proofs = self.proofs_to_sender(&inc, sender, in_flow, out_flow);
        let value = |flow: &Flow, proof: &Proof| {
            let mut value = b"<".to_vec();
            let token = self.flow_token(flow);
            crate::message::compose::put_own_uri(
                &mut value,
                token.as_deref().unwrap_or(""),
                self.config.advertise,
                flow,
            );
            crate::message::compose::put(&mut value, &[b";lr;", PARAMETER.as_bytes(), b"=", proof.as_bytes(), b">"]);
            value
        };
        let mut values = vec![value(in_flow, &proofs[0]), value(out_flow, &proofs[1])];
        values.dedup(); // RFC 5658: one for each side, where they differ
        values
    }

    /// The proofs in the values of the sender's side and of the target's.
    fn proofs_to_sender(&self, inc: &Request<'_, '_>, sender: Side, in_flow: &Flow, out_flow: &Flow) -> [Proof; 2] {
        let toward = Toward::new(sender, inc.call_id, inc.from_tag, inc.to_tag.unwrap_or_default());
        let back = next_hop_to_sender(inc);
        [in_flow, out_flow].map(|flow| self.proof_on(&toward, flow, back))
    }

    fn proof_on(&self, toward: &Toward<'_>, flow: &Flow, next_hop: &[u8]) -> Proof {
        let user = self.flow_token(flow).unwrap_or_default();
        self.route_key.proof(toward, user.as_bytes(), next_hop)
    }

    /// Remembers where a request in a dialog says that its sender is from now on (RFC 3261 §12.2.2), as long as the request
    /// may still be accepted: its target may send there before its 2xx comes by here.
    pub(crate) fn note_refresh(&mut self, inc: &Request<'_, '_>, from: Side) {
        if let Some((key, place)) = self.refreshed_place(inc, from) {
            self.refreshed_targets.note_offered(key, place);
        }
    }

    /// The side of a dialog that sent a request, and where the request says that this side is. Where another proxy stands
    /// between us and the sender, requests go on to that one.
    fn refreshed_place(&self, inc: &Request<'_, '_>, from: Side) -> Option<(Key, Place)> {
        if !refreshes_target(&inc.method) || inc.message.has(Name::RecordRoute) {
            return None;
        }
        let (contact, to_tag) = (inc.contact_uri()?, inc.to_tag?);
        let toward = Toward::new(from, inc.call_id, inc.from_tag, to_tag);
        Some((toward.key(&self.transactions.keyed), self.route_key.place(&toward, contact)))
    }

    /// Exchanges the proofs in a response, and remembers what it says about where its sender is. What a proof is for
    /// follows from the request as we know it: a response might say anything.
    pub(crate) fn turn_record_route(&mut self, context: Handle, out_flow: &Flow, response: &mut [u8]) {
        let status = status_of(response);
        let Some(open) = self.transactions.servers.get(context) else { return };
        let Some(sender) = sender(open.standing) else { return };
        let (Ok(request), Ok(parsed)) = (Message::parse(&open.request), Message::parse(response)) else { return };
        let (Ok(inc), Some(responder_tag)) = (Request::new(&request), parsed.to().ok().and_then(|to| to.tag())) else {
            return;
        };
        // Inside a dialog nobody takes a new route set from a response, only a new target.
        let is_in_dialog = inc.to_tag.is_some();
        let says_nothing = !is_in_dialog && !parsed.has(Name::RecordRoute);
        if !refreshes_target(&inc.method) || (status < 200 && inc.method != Method::Invite) || says_nothing {
            return;
        }
        let toward = Toward::new(sender.other(), inc.call_id, inc.to_tag.unwrap_or(responder_tag), inc.from_tag);
        let old = self.proofs_to_sender(&inc, sender, &open.in_flow, out_flow);
        let next_hop = next_hop_to_responder(&parsed, &old).unwrap_or_default();
        let place = self.route_key.place(&toward, next_hop);
        let new = [open.in_flow, *out_flow].map(|flow| self.proof_on(&toward, &flow, next_hop));
        let head_bytes = parsed.as_bytes().len() - parsed.after_headers().len();
        // Not everybody takes a new route set from the second response to the request that made the dialog.
        let is_another = open.place.is_some_and(|first| first != place);
        let is_success = (200..300).contains(&status);
        let accepted = if is_success && is_in_dialog { self.refreshed_place(&inc, sender) } else { None };
        if let Some((key, place)) = accepted {
            self.refreshed_targets.note(key, place);
        }
        // A refusal, and a response without Contact, moves nobody (RFC 3261 §12.2.1.2).
        if status < 300 && !next_hop.is_empty() && ((is_in_dialog && is_success) || is_another) {
            self.refreshed_targets.note(toward.key(&self.transactions.keyed), place);
        }
        if let Some(open) = self.transactions.servers.get_mut(context) {
            open.place.get_or_insert(place);
        }
        for (old, new) in old.iter().zip(&new) {
            exchange(response, head_bytes, old, new);
        }
    }
}

/// Which side of its dialog sent a request; `None`: nothing is known of the dialog.
fn sender(standing: Standing) -> Option<Side> {
    match standing {
        Standing::New | Standing::Prerouted => Some(Side::Caller),
        Standing::InDialog { from } => Some(from),
        Standing::Unproven => None,
    }
}

/// Methods whose Record-Route a peer keeps. A NOTIFY may be what makes a subscription's dialog (RFC 6665 §4.4.1).
fn makes_route_set(method: &Method) -> bool {
    method.creates_dialog() || *method == Method::Notify
}

/// Methods whose Contact, and that of their responses, is the new remote target (RFC 3261 §12.2, RFC 3311 §5.1, RFC 6665 §4.4.1).
fn refreshes_target(method: &Method) -> bool {
    makes_route_set(method) || *method == Method::Update
}

/// Where requests go from here that go back to the sender of a request: the proxy before us, else its Contact.
fn next_hop_to_sender<'a>(inc: &Request<'a, '_>) -> &'a [u8] {
    let before = inc.message.raw_values(Name::RecordRoute).next().map(uri_in);
    before.or(inc.contact_uri()).unwrap_or_default()
}

/// Where requests go from here that go to the sender of a response: the proxy behind us, else its Contact.
fn next_hop_to_responder<'a>(response: &Message<'a>, ours: &[Proof]) -> Option<&'a [u8]> {
    let is_ours = |value: &&[u8]| {
        let uri = sip_wire::Uri::parse(uri_in(value)).ok();
        let proof = uri.and_then(|uri| uri.params.get(PARAMETER));
        proof.is_some_and(|proof| ours.iter().any(|own| own.as_bytes() == proof))
    };
    let contact = || response.contact().ok().flatten().map(|contact| contact.uri.as_bytes());
    let values: Vec<&[u8]> = response.raw_values(Name::RecordRoute).collect();
    let before_ours = values.iter().position(is_ours).unwrap_or(0).checked_sub(1);
    before_ours.and_then(|index| values.get(index)).map(|value| uri_in(value)).or_else(contact)
}
