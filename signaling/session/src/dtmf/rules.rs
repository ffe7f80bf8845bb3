//! Which way the digits of a peer come, and which way those for a peer go.

use crate::bridge::link::Tie;
use crate::{Session, Sessions};
use contract::{DigitPassing, DigitRules};
use sdp_core::Negotiated;

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
            DigitWay::Auto | DigitWay::Events => !session.admitted.refuses_digits() || !has_tones(session.agreement()),
        }
    }

    /// What becomes of the digits of this session's peer.
    pub(crate) fn digit_passing(&self) -> DigitPassing {
        self.settings.media.digit_passing
    }

    /// What the leg of a session does with digits, by what was agreed on with its peer.
    pub(crate) fn digit_rules(&self, session: &Session, agreed: Option<&Negotiated>) -> DigitRules {
        let passing = self.digit_passing();
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
