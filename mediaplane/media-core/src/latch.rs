//! Settling on a peer, and letting it go.

use crate::close::name_destination;
use crate::gate::same_host;
use crate::io::{Output, SocketAction};
use crate::leg::Leg;
use clock::Instant;
use contract::{Address, Event};
use rtp_wire::Header;

impl Leg {
    /// A sound packet of somebody who is not known. True: it was the peer, and the leg has settled.
    #[cold]
    pub(crate) fn try_source(&mut self, from: Address, header: &Header, at: Instant, out: &mut Output) -> bool {
        if self.payloads.find(header.payload_type).is_none()
            || !self.gate.try_source(from, self.spec.remote_rtp, header, at)
        {
            return false;
        }
        self.settle(from, out);
        out.events.push(Event::Latched { leg: self.leg, tag: self.tag, address: from });
        true
    }

    /// This is the peer: send there, take packets from there only, and have the kernel drop all others.
    pub(crate) fn settle(&mut self, peer: Address, out: &mut Output) {
        self.gate.accepted = peer;
        self.gate.connected = true;
        self.gate.forget_candidates();
        self.sending.remote = peer;
        self.sending.named = false;
        self.sending.ready = self.may_send();
        out.sockets.push(SocketAction::Connect { socket: self.rtp_socket(), to: peer });
        // RTCP of another host belongs to somebody else.
        if !self.gate.rtcp_accepted.is_none() && !same_host(self.gate.rtcp_accepted, peer) {
            self.disconnect_rtcp(out);
        }
    }

    /// The peer's RTCP comes from here.
    pub(crate) fn settle_rtcp(&mut self, peer: Address, out: &mut Output) {
        self.gate.rtcp_accepted = peer;
        self.gate.rtcp_connected = true;
        out.sockets.push(SocketAction::Connect { socket: self.rtcp_socket(), to: peer });
    }

    /// Takes packets from anybody again, RTP and RTCP.
    pub(crate) fn disconnect(&mut self, out: &mut Output) {
        if self.gate.connected {
            name_destination(out, self.rtp_socket(), self.gate.accepted);
            out.sockets.push(SocketAction::Disconnect { socket: self.rtp_socket() });
            self.gate.connected = false;
        }
        self.gate.accepted = Address::NONE;
        self.disconnect_rtcp(out);
    }

    pub(crate) fn disconnect_rtcp(&mut self, out: &mut Output) {
        if self.gate.rtcp_connected {
            name_destination(out, self.rtcp_socket(), self.gate.rtcp_accepted);
            out.sockets.push(SocketAction::Disconnect { socket: self.rtcp_socket() });
            self.gate.rtcp_connected = false;
        }
        self.gate.rtcp_accepted = Address::NONE;
    }
}
