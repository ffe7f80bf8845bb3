//! Whether a peer that sends no media is still there: OPTIONS in its dialog, where no media has to come (RFC 3261 §11, RFC 5057 §5.2).

use crate::timers::timer::Timer;
use crate::{EndReason, Session, SessionId, Sessions, Turn};
use clock::Duration;
use media_control::Legs;
use sip_core::{ClientRequestId, Content};
use sip_wire::Method;

/// How many OPTIONS in a row may have no answer before the peer counts as lost.
const MISSES_MAX: u8 = 2;
/// The pause after an OPTIONS without an answer, whose transaction took 64*T1.
const PAUSE_AFTER_MISS: Duration = Duration::from_secs(1);

/// The OPTIONS to a peer that sends no media.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Probing {
    request: Option<ClientRequestId>,
    missed: u8,
}

impl Sessions {
    /// Starts the pause until the next look at the call.
    pub(crate) fn probe_later(&mut self, turn: &Turn<'_>, id: SessionId) {
        let pause = self.settings.timeouts.probe_interval;
        if !pause.is_zero() {
            self.wake(id, Timer::Probe, Some(turn.now + pause));
        }
    }

    pub(crate) fn probe_due(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id).filter(|session| !session.state().is_ending()) else { return };
        let dialog = session.dialog().filter(|_| session.is_silent(&self.legs) && session.asked().is_none());
        let sent = dialog.map(|dialog| turn.sip.request_in(turn.now, dialog, Method::Options, Content::NONE));
        match (sent, self.table.get_mut(id)) {
            (Some(Ok(request)), Some(session)) => session.probing.get_or_insert_default().request = Some(request),
            // Media shows that the peer is there, or a table is full: the next look follows.
            _ => self.probe_later(turn, id),
        }
    }

    /// Any answer is a sign of life, a refusal too. `false`: it is to something else.
    pub(crate) fn probe_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: ClientRequestId,
        status: u16,
    ) -> bool {
        let Some(session) = self.table.get_mut(id).filter(|session| session.asked() == Some(request)) else {
            return false;
        };
        if status < 200 {
            return true;
        }
        let missed = session.probing.take().map_or(0, |probing| probing.missed);
        let missed = if status == 408 { missed + 1 } else { 0 };
        if missed > 0 {
            session.probing = Some(Box::new(Probing { request: None, missed }));
        }
        match (status, missed) {
            (481, _) | (408, MISSES_MAX..) => self.end(turn, id, EndReason::PeerLost),
            (408, _) => self.wake(id, Timer::Probe, Some(turn.now + PAUSE_AFTER_MISS)),
            _ => self.probe_later(turn, id),
        }
        true
    }
}

impl Session {
    /// The OPTIONS that has no answer yet.
    fn asked(&self) -> Option<ClientRequestId> {
        self.probing.as_ref()?.request
    }

    /// Whether the media plane has no timeout for the peer's media.
    fn is_silent(&self, legs: &Legs) -> bool {
        let transport = self.leg.id().and_then(|leg| legs.wanted_transport(leg));
        self.is_answered() && transport.is_none_or(|transport| transport.media_timeout_ms == 0)
    }
}
