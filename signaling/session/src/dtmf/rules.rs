//! Which way the digits of a peer come, and which way those for a peer go.

use crate::admission::admitted::DigitInfo;
use crate::bridge::link::Tie;
use crate::{Session, SessionError, SessionId, Sessions, Turn};
use contract::{DigitPassing, DigitRules};
use sdp_core::Negotiated;
use sip_core::Span;
use sip_wire::{Message, Name};

/// How digits travel between the switch and its peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DigitWay {
    /// As telephone events (RFC 4733) where they are agreed on. Otherwise by INFO, or as tones once a peer has refused an INFO; and tones
    /// of a peer without telephone events are listened for, unless the other side of its
    /// call hears them as they are.
    #[default]
    Auto,
    /// As [`Self::Auto`], but tones are never listened for.
    Events,
    /// By INFO only: telephone events are not agreed on.
    Info,
    /// As tones only: telephone events are not agreed on.
    Tones,
}

impl DigitWay {
    /// Whether telephone events may be agreed on.
    pub(crate) fn has_events(self) -> bool {
        matches!(self, Self::Auto | Self::Events)
    }
}

/// Which INFO with a digit the sender of a message takes; `None`: it does not say.
fn digit_info_of(message: &Message<'_>) -> Option<DigitInfo> {
    let has_package = |name: &str| message.has_token(Name::RecvInfo, name);
    if has_package("infoDtmf") || has_package("dtmf") {
        return Some(DigitInfo::Relay);
    }
    if message.header(Name::Allow).is_some() && !message.has_token(Name::Allow, "INFO") {
        return Some(DigitInfo::Refused);
    }
    // Phones name the types that they take in INFO beside that of session descriptions.
    let accepts = |kind: &str| message.has_token(Name::Accept, kind);
    match (accepts("application/dtmf-relay"), accepts("application/dtmf")) {
        (true, _) => Some(DigitInfo::Relay),
        (false, true) => Some(DigitInfo::Plain),
        (false, false) => None,
    }
}

/// Whether telephone events were agreed on.
fn has_events(agreed: Option<&Negotiated>) -> bool {
    agreed.is_some_and(|agreed| agreed.payloads.telephone_event().is_some())
}

/// Whether the sound is of a codec in which the media plane finds and makes tones.
fn has_tones(agreed: Option<&Negotiated>) -> bool {
    agreed.is_some_and(|agreed| agreed.payloads.decodable().is_some())
}

impl Sessions {
    /// Whether digits reach this peer by telephone events.
    pub(super) fn takes_events(&self, session: &Session) -> bool {
        has_events(session.agreement())
    }

    /// Whether digits reach this peer, which has not agreed to telephone events, by INFO.
    pub(super) fn takes_info(&self, session: &Session) -> bool {
        match self.settings.media.digit_way {
            DigitWay::Info => true,
            DigitWay::Tones => !has_tones(session.agreement()),
            DigitWay::Auto | DigitWay::Events => {
                session.admitted.digit_info() != DigitInfo::Refused || !has_tones(session.agreement())
            }
        }
    }

    /// What becomes of the digits of this session's peer.
    pub(crate) fn digit_passing(&self, session: &Session) -> DigitPassing {
        session.dtmf.passing().unwrap_or(self.settings.media.digit_passing)
    }

    /// What becomes of the digits of this session's peer from now on, in its present call and in the next one after a
    /// transfer; none: what the settings say. A key that is pressed at this moment may be heard by the old rule.
    pub fn set_digit_passing(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        passing: Option<DigitPassing>,
    ) -> Result<(), SessionError> {
        if passing.is_some_and(|passing| matches!(passing, DigitPassing::Replace(16..))) {
            return Err(SessionError::Argument("digits are 0-9, *, #, A-D"));
        }
        let session = self.table.get_mut(id).filter(|session| !session.state().is_ending());
        session.ok_or(SessionError::SessionNotFound(id))?.dtmf.set_passing(passing);
        self.sync(turn, id);
        Ok(())
    }

    /// Reads what a peer says of the INFO that it takes (RFC 3261 §20.1, §20.5; RFC 6086 §5.3): nothing is sent to it that it
    /// leaves out. What it does not mention is tried.
    pub(crate) fn note_digit_abilities(&mut self, turn: &Turn<'_>, id: SessionId, message: Span) {
        let Some(message) = turn.sip.message(message) else { return };
        let Some(session) = self.table.get_mut(id) else { return };
        if let Some(digit_info) = digit_info_of(&message) {
            session.admitted.note_digit_info(digit_info);
        }
    }

    /// What the leg of a session does with digits, by what was agreed on with its peer.
    pub(crate) fn digit_rules(&self, session: &Session, agreed: Option<&Negotiated>) -> DigitRules {
        let passing = self.digit_passing(session);
        let other = session.link().filter(|link| link.tie == Tie::Call).and_then(|link| self.table.get(link.peer));
        let listens = has_tones(agreed)
            && match self.settings.media.digit_way {
                DigitWay::Tones => true,
                DigitWay::Events | DigitWay::Info => false,
                DigitWay::Auto => {
                    let hears_tones = other.is_some_and(|other| !has_events(other.agreement()));
                    !has_events(agreed) && (!hears_tones || passing != DigitPassing::Pass)
                }
            };
        // Between the sides of a call; in a bridge digits cross in the media alone.
        let by_info = session.link().is_some_and(|link| link.tie == Tie::Call) && self.takes_info(session);
        DigitRules::default().listening(listens).sent_by_signaling(by_info).with_passing(passing)
    }
}
