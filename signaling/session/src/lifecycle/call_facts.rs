//! What is known of a call for as long as it lasts: its parties, its dialog, its path, its times. None of it is work in
//! flight; a journal of calls would store it.

use crate::{CallNumber, Parties, Path, SessionId};
use clock::Instant;
use sip_core::DialogId;
use std::net::{IpAddr, SocketAddr};

/// The durable facts of one session.
#[derive(Debug)]
pub(crate) struct CallFacts {
    id: SessionId,
    number: CallNumber,
    /// None until an outgoing call is answered.
    dialog: Option<DialogId>,
    is_outgoing: bool,
    parties: Parties,
    remote_signaling: SocketAddr,
    /// Our address in session descriptions.
    local_ip: IpAddr,
    created_at: Instant,
    connected_at: Option<Instant>,
    /// The caller asked for privacy (RFC 3323): its address is not told to the other side.
    hides_caller: bool,
}

impl CallFacts {
    /// The same for a call that has come in as this dialog.
    pub(crate) fn incoming(self, dialog: DialogId) -> Self {
        Self { dialog: Some(dialog), is_outgoing: false, ..self }
    }

    /// Of a call that is placed.
    pub(crate) fn new(id: SessionId, number: CallNumber, now: Instant, parties: Parties, path: Path) -> Self {
        Self {
            id,
            number,
            dialog: None,
            is_outgoing: true,
            parties,
            remote_signaling: path.remote,
            local_ip: path.local,
            created_at: now,
            connected_at: None,
            hides_caller: false,
        }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    pub(crate) fn number(&self) -> CallNumber {
        self.number
    }

    pub(crate) fn dialog(&self) -> Option<DialogId> {
        self.dialog
    }

    pub(crate) fn is_outgoing(&self) -> bool {
        self.is_outgoing
    }

    pub(crate) fn parties(&self) -> &Parties {
        &self.parties
    }

    pub(crate) fn into_parties(self) -> Parties {
        self.parties
    }

    pub(crate) fn remote_signaling(&self) -> SocketAddr {
        self.remote_signaling
    }

    pub(crate) fn local_ip(&self) -> IpAddr {
        self.local_ip
    }

    pub(crate) fn created_at(&self) -> Instant {
        self.created_at
    }

    pub(crate) fn connected_at(&self) -> Option<Instant> {
        self.connected_at
    }

    pub(crate) fn hides_caller(&self) -> bool {
        self.hides_caller
    }

    /// The call was answered.
    pub(crate) fn connect(&mut self, now: Instant) {
        self.connected_at = Some(now);
    }

    /// A branch of our INVITE has answered with this dialog.
    pub(crate) fn set_dialog(&mut self, dialog: DialogId) {
        self.dialog = Some(dialog);
    }

    /// Targets may be of different families, or see us from different networks.
    pub(crate) fn set_local_ip(&mut self, ip: IpAddr) {
        self.local_ip = ip;
    }

    /// An INVITE with this Call-ID went to this address, and to the URI unless To was given.
    pub(crate) fn went_to(&mut self, remote: SocketAddr, call_id: Box<str>, to: Option<Box<str>>) {
        (self.remote_signaling, self.parties.call_id) = (remote, call_id);
        if let Some(to) = to {
            self.parties.to = to;
        }
    }

    pub(crate) fn hide_caller(&mut self, hides: bool) {
        self.hides_caller = hides;
    }

    #[cfg(test)]
    pub(crate) fn set_caller(&mut self, from: &str, remote: SocketAddr) {
        (self.parties.from, self.remote_signaling) = (from.into(), remote);
    }
}
