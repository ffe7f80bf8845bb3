//! Session descriptions for programs that look after signaling or media themselves: our offer, our answer to one, and
//! media towards an address of theirs (RFC 3264).

use crate::invite::incoming_invite::{IncomingInvite, Stage};
use crate::negotiation::capabilities::Reach;
use crate::negotiation::pending_operations::{Carried, PendingOperation};
use crate::{Operation, Session, SessionError, SessionEvent, SessionId, Sessions, Turn};
use sdp_core::{Negotiated, Packets, Settings, read_answer, write_offer, write_offer_again};
use std::net::SocketAddr;

/// Where a session's media is to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remote<'r> {
    /// RTP to this address, by what was agreed on before.
    Address(SocketAddr),
    /// As the peer describes it.
    Description(&'r str),
}

/// A [`Remote`] that is kept while the operation waits.
#[derive(Debug)]
pub(crate) enum RemoteMedia {
    Address(SocketAddr),
    Description(Box<str>),
}

impl From<Remote<'_>> for RemoteMedia {
    fn from(remote: Remote<'_>) -> Self {
        match remote {
            Remote::Address(address) => Self::Address(address),
            Remote::Description(text) => Self::Description(text.into()),
        }
    }
}

impl Sessions {
    /// What a session would offer now: its own address, port, codecs and direction. A call that waits for a decision gets
    /// a port for that; where its caller has made an offer, this is the answer to it. Accept it with the text.
    pub fn offer_text(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Result<String, SessionError> {
        self.take_port(turn, id)?;
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        let local = session.local().ok_or(SessionError::Busy(Operation::ChangeMedia))?;
        let able = self.media_of(session, Reach::Transcoded);
        let mut origin = session.sdp.origin();
        let text = match (session.sdp.agreed(), session.offer()) {
            (Some(agreed), _) => write_offer_again(agreed, &able.settings(), session.sdp.others(), local, &mut origin),
            (None, Some(offer)) => offer.answer(local, &mut origin),
            (None, None) => write_offer(&able.settings(), session.sdp.others(), local, &mut origin),
        };
        self.keep_origin(id, origin);
        Ok(text)
    }

    /// The session's answer to an offer; the media of a call that is up stays as it is. For a call that waits for a
    /// decision, and whose caller has made an offer, this one counts from now on.
    pub fn answer_text(&mut self, turn: &mut Turn<'_>, id: SessionId, offer: &str) -> Result<String, SessionError> {
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        let offer = self.read_offer(session, offer.as_bytes(), None).map_err(SessionError::Description)?;
        self.take_port(turn, id)?;
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        let local = session.local().ok_or(SessionError::Busy(Operation::ChangeMedia))?;
        let mut origin = session.sdp.origin();
        let text = offer.answer(local, &mut origin);
        self.keep_origin(id, origin);
        let incoming = self.table.get_mut(id).and_then(|session| session.incoming.as_mut());
        let may_change =
            |incoming: &&mut Box<IncomingInvite>| incoming.stage() == Stage::Reserved && incoming.offer().is_some();
        if let Some(incoming) = incoming.filter(may_change) {
            incoming.set_offer(offer);
        }
        Ok(text)
    }

    /// Sends the session's media elsewhere, without a word to its peer. The next description of the peer's counts again.
    /// While a change of media is on its way this waits for its end.
    pub fn send_media_to(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        remote: Remote<'_>,
    ) -> Result<Carried, SessionError> {
        if let Remote::Address(address) = remote
            && (address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast())
        {
            return Err(SessionError::Argument("media goes to an IP address and port of one host"));
        }
        self.operate(turn, id, PendingOperation::Remote(remote.into()))
    }

    pub(crate) fn redirect_media(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        remote: &RemoteMedia,
    ) -> Result<(), SessionError> {
        self.take_port(turn, id)?;
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        if !session.negotiation.is_idle() || session.is_moving(&self.legs) {
            return Err(SessionError::Busy(Operation::ChangeMedia));
        }
        let able = self.media_of(session, Reach::Transcoded);
        let agreed = match remote {
            RemoteMedia::Address(address) => aimed(session, &able.settings(), *address),
            RemoteMedia::Description(text) => {
                let others = session.sdp.others();
                read_answer(text.as_bytes(), &able.settings(), others).map_err(SessionError::Description)?
            }
        };
        let has_changed = session.sdp.agreed() != Some(&agreed);
        if let Some(session) = self.table.get_mut(id).filter(|_| has_changed) {
            session.sdp.set_agreed(Some(agreed));
            turn.events.push(SessionEvent::MediaChanged { id });
        }
        self.sync(turn, id);
        Ok(())
    }

    /// A call that waits for a decision takes its port now, and keeps it when it is accepted.
    fn take_port(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Result<(), SessionError> {
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        if session.state().is_ending() || (session.leg().is_none() && !session.allows(Operation::Accept)) {
            session.check(Operation::ChangeMedia)?;
        }
        if session.leg().is_none() {
            if !self.reserve_leg(turn, id, None) {
                return Err(SessionError::Media("no media port is free, or no media plane is there"));
            }
            if let Some(incoming) = self.table.get_mut(id).and_then(|session| session.incoming.as_mut()) {
                incoming.reserve();
            }
            self.open_leg(turn, id);
        }
        Ok(())
    }

    /// Later descriptions of the session count on from this one.
    fn keep_origin(&mut self, id: SessionId, origin: sdp_core::Origin) {
        if let Some(session) = self.table.get_mut(id) {
            session.sdp.set_origin(origin);
        }
    }
}

/// What was agreed on, or all that we have, towards another address.
fn aimed(session: &Session, settings: &Settings<'_>, address: SocketAddr) -> Negotiated {
    match session.sdp.agreed().cloned() {
        Some(agreed) if agreed.remote_rtp == Some(address) => agreed,
        Some(agreed) => Negotiated {
            remote_rtp: Some(address),
            remote_rtcp: None,
            direction: if agreed.remote_rtp.is_none() { session.hold.wanted() } else { agreed.direction },
            ..agreed
        },
        None => Negotiated {
            remote_rtp: Some(address),
            remote_rtcp: None,
            payloads: session.offer().map_or_else(|| settings.payloads(), |offer| offer.agreed().payloads),
            relayed: session.offer().map_or_else(Default::default, |offer| offer.agreed().relayed.clone()),
            direction: settings.direction,
            ptime_ms: 20,
            opus: Default::default(),
            packets: Packets::default(),
            rtcp_mux: false,
            rtcp_xr: false,
        },
    }
}
