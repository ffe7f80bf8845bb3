//! What follows when a stream of a session sounds bad.

use crate::negotiation::local_offer::Wish;
use crate::{SessionEvent, SessionId, SessionState, Sessions, Turn};
use contract::{Codec, QualityChange};

/// The codec that copes best with loss: it carries copies of lost packets, and sends less where much is lost.
const ROBUST: Codec = Codec::Opus;

impl Sessions {
    pub(crate) fn quality_changed(&mut self, turn: &mut Turn<'_>, id: SessionId, change: QualityChange) {
        turn.events.push(SessionEvent::QualityChanged { id, change });
        if change.is_degraded && self.settings.media.codec_change {
            self.offer_robust_codec(turn, id);
        }
    }

    /// Offers the codec that copes with loss to a peer that has agreed to it and is sent another one: once in a call, and not
    /// while another offer is open; then the next change of quality tries again. A refusal leaves the call as it is.
    fn offer_robust_codec(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id) else { return };
        let agreed = session.sdp.agreed().map(|agreed| &agreed.payloads);
        let has_agreed = agreed.is_some_and(|payloads| payloads.iter().any(|(_, codec, _)| codec == ROBUST));
        let is_due = session.state() == SessionState::Connected && !session.leg.has_changed_codec();
        if !is_due || !has_agreed || session.codec() == Some(ROBUST) {
            return;
        }
        let wish = Wish { codec: Some(ROBUST), ..Wish::of(session.hold.wanted()) };
        if self.offer(turn, id, wish).is_ok() {
            if let Some(session) = self.table.get_mut(id) {
                session.leg.note_codec_change();
            }
            turn.events.push(SessionEvent::CodecChangeOffered { id, codec: ROBUST });
        }
    }
}
