//! A leg settles on where its peer is, and follows it: what becomes of the packets, the kernel's sockets and what we send.

use crate::close::name_destination;
use crate::io::{Output, SocketAction};
use crate::latching::held_packets::{HELD_EARLY_MAX, HELD_MAX};
use crate::latching::probation::{Probation, RoomIndex};
use crate::latching::source_filter::{Judged, QUIET, Verdict};
use crate::leg::Leg;
use clock::Instant;
use contract::{Address, Event, Latching};
use rtp_wire::Header;

impl Leg {
    /// Looks at a sound packet whose source is not known.
    #[cold]
    pub(crate) fn judge(&mut self, from: Address, header: &Header, at: Instant, probation: &mut Probation) -> Verdict {
        let (leg, sdp, signaling) = (self.leg, self.transport.remote_rtp, self.transport.signaling);
        if self.payloads.find(header.payload_type).is_none() && !from.is_at(sdp) {
            return Verdict::Stranger;
        }
        let stream = self.receiving.point();
        self.filter.judge(&Judged { from, header, at, leg, sdp, signaling, stream }, probation)
    }

    /// Keeps a packet of a source that may be the peer.
    #[cold]
    pub(crate) fn hold(&self, place: usize, packet: &[u8], at: Instant, probation: &mut Probation) {
        let most = if self.filter.latching == Latching::Probation { HELD_MAX } else { HELD_EARLY_MAX };
        probation.hold(self.leg, self.filter.room, place, packet, at, most);
    }

    /// Forgets all sources that may have been the peer.
    pub(crate) fn forget_candidates(&mut self, probation: &mut Probation) {
        probation.leave(self.leg, std::mem::replace(&mut self.filter.room, RoomIndex::NONE));
    }

    /// This is the peer: send there, and take packets from there. Where it is the address of the session description the
    /// kernel drops all others; the peer of any other address may still be heard from that one.
    pub(crate) fn settle(&mut self, peer: Address, out: &mut Output) {
        let (before, is_said) = (self.filter.accepted, peer.is_at(self.transport.remote_rtp));
        if is_said && !before.is_none() && before != peer {
            (self.filter.former, self.filter.may_return) = (self.receiving.point(), false);
        }
        self.let_others_in(out);
        (self.filter.accepted, self.sending.remote, self.sending.named) = (peer, peer, true);
        if is_said {
            self.keep_others_out(out);
        }
        self.sending.ready = self.may_send();
        // RTCP of the place that the peer has left belongs to another.
        if before != peer && !(is_said && self.filter.rtcp_accepted.is_at(self.transport.remote_rtcp)) {
            self.disconnect_rtcp(out);
        }
    }

    /// A packet came from `peer`, which is where this leg has settled from now on.
    pub(crate) fn settle_on_heard(&mut self, peer: Address, out: &mut Output) {
        self.settle(peer, out);
        out.events.push(Event::Latched { leg: self.leg, address: peer });
    }

    /// The kernel drops what is not the peer's.
    fn keep_others_out(&mut self, out: &mut Output) {
        (self.filter.connected, self.sending.named) = (true, false);
        out.sockets.push(SocketAction::Connect { socket: self.rtp_socket(), to: self.filter.accepted });
    }

    /// The kernel lets everybody through; whose packets are taken stays as it is.
    pub(crate) fn let_others_in(&mut self, out: &mut Output) {
        if self.filter.connected {
            name_destination(out, self.rtp_socket(), self.filter.accepted);
            out.sockets.push(SocketAction::Disconnect { socket: self.rtp_socket() });
            (self.filter.connected, self.sending.named) = (false, true);
        }
    }

    /// A peer that is silent may have moved: the kernel lets others through until it is heard again.
    pub(crate) fn watch(&mut self, now: Instant, out: &mut Output) {
        let since = self.heard_at().max(self.listening_since);
        let is_quiet = now.since(since) >= QUIET;
        if self.filter.latching == Latching::Off || !self.filter.receives || self.filter.accepted.is_none() {
            return;
        }
        if self.filter.connected && is_quiet {
            self.let_others_in(out);
        } else if !self.filter.connected && !is_quiet && self.filter.accepted.is_at(self.transport.remote_rtp) {
            self.keep_others_out(out);
        }
    }

    /// When the peer was heard last, by whatever it sent.
    pub(crate) fn heard_at(&self) -> Instant {
        self.receiving.last_at.max(self.filter.alive_at)
    }

    /// The peer has sent something from exactly its address: what we send there has no limit any more. `true`: this is news
    /// that the leg waited for.
    pub(crate) fn prove(&mut self) -> bool {
        self.filter.is_proven = true;
        if !std::mem::take(&mut self.sending.allowance.bounded) {
            return false;
        }
        self.sending.ready = self.may_send();
        true
    }

    /// The peer's RTP, or a keep-alive beside it, has come from exactly its address: it is not behind a NAT that hides it.
    pub(crate) fn prove_by_rtp(&mut self) -> bool {
        self.filter.is_proven_by_rtp = true;
        self.prove()
    }

    /// The peer's RTCP comes from here.
    pub(crate) fn settle_rtcp(&mut self, peer: Address, out: &mut Output) {
        if self.filter.rtcp_accepted == peer {
            return;
        }
        self.disconnect_rtcp(out);
        self.filter.rtcp_accepted = peer;
        // As with RTP: who is not where it said is never the only one who is heard.
        if peer.is_at(self.rtcp_guess()) {
            self.filter.rtcp_connected = true;
            out.sockets.push(SocketAction::Connect { socket: self.rtcp_socket(), to: peer });
        }
    }

    /// Takes packets from anybody again, RTP and RTCP, and forgets who was heard.
    pub(crate) fn start_over(&mut self, probation: &mut Probation, out: &mut Output) {
        self.let_others_in(out);
        self.disconnect_rtcp(out);
        self.filter.accepted = Address::NONE;
        (self.filter.is_proven, self.filter.is_proven_by_rtp) = (false, false);
        (self.filter.former, self.filter.may_return) = (Default::default(), false);
        self.forget_candidates(probation);
    }

    pub(crate) fn disconnect_rtcp(&mut self, out: &mut Output) {
        if self.filter.rtcp_connected {
            name_destination(out, self.rtcp_socket(), self.filter.rtcp_accepted);
            out.sockets.push(SocketAction::Disconnect { socket: self.rtcp_socket() });
            self.filter.rtcp_connected = false;
        }
        self.filter.rtcp_accepted = Address::NONE;
    }
}
