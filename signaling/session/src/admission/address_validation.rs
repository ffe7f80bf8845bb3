//! Whether a peer is at the address that it names, and how much media is sent there before that is proven: the one place
//! where the rule is written down.
//!
//! Over UDP a request may come from anywhere and name anybody's address for media. So until the peer has answered
//! something that was sent to its address, a call that comes in is sent
//!
//! - before it is answered: `[media] early_unproven_ms` of early media (160 ms by default: eight packets of G.711, 1,376
//!   bytes), whether it is ours or another peer's that we relay, and no RTCP;
//! - after our 2xx: nothing at all until the ACK. A prompt begins with the ACK, so that nothing of it is lost.
//!
//! There is no limit any more once one of these has come:
//!
//! - the ACK of our 2xx, a PRACK, or any other request with the tag that we gave the dialog;
//! - an answer to a challenge of ours, which went to where the INVITE came from;
//! - the INVITE itself where it came over TCP, TLS or WebSocket from the host that its description names;
//! - RTP, RTCP or STUN from exactly the address of its description, as the media plane sees it.
//!
//! A called side was sent our INVITE, so its answer proves its address. Sources of media other than the
//! one of the description are looked at once the call is up on both sides ([`Latching`]): after the ACK, or its answer.

use crate::invite::incoming_invite::Stage;
use crate::session::Session;
use crate::{Sessions, Turn};
use contract::Latching;
use media_control::Transport;
use sdp_core::Negotiated;
use sip_core::DialogId;

/// What is proven of a peer's address, in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Proof {
    /// Nothing: a datagram came, whose source may be forged.
    Nothing,
    /// The INVITE came over a connection, so a host has that address.
    Host,
    /// The peer has answered what was sent to where it signals.
    Address,
    /// It has acknowledged our answer, or given its own.
    Call,
}

impl Sessions {
    /// A request came in the dialog of a call.
    pub(crate) fn has_asked(&mut self, turn: &mut Turn<'_>, dialog: DialogId) {
        let Some(session) = self.find(dialog).and_then(|id| self.table.get_mut(id)) else { return };
        // RFC 3261 §14.1: it has our 2xx, even if its ACK was lost.
        let proof = if session.is_answered() { Proof::Call } else { Proof::Address };
        if !session.state().is_ending() && session.admitted.prove(proof) {
            let id = session.id();
            self.sync_one(turn, id);
        }
    }

    /// Limits what the leg sends by what is proven.
    pub(crate) fn limit_unproven(&self, session: &Session, agreed: Option<&Negotiated>, transport: &mut Transport) {
        let media_ip = agreed.and_then(|agreed| agreed.remote_rtp).map(|media| media.ip().to_canonical());
        let is_there = match session.admitted.proof() {
            Proof::Nothing => false,
            Proof::Host => media_ip == Some(session.remote_signaling().ip().to_canonical()),
            Proof::Address | Proof::Call => true,
        };
        let is_answered = session.is_answered() || session.is_at(Stage::Answering);
        transport.unproven_bytes = match (is_there, is_answered) {
            (true, _) => u32::MAX,
            (false, true) => 0,
            // Not 0: what plays goes on unheard, and comes to its end.
            (false, false) => self.settings.media.early_unproven_bytes().max(1),
        };
        if session.admitted.proof() < Proof::Call {
            transport.latching = Latching::NotYet;
        }
    }
}
