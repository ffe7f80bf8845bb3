//! One session: a call leg on the SIP side and its leg on the media side.

use crate::admission::admitted::Admitted;
use crate::bridge::membership::Membership;
use crate::crossing::info::RelayedInfo;
use crate::dtmf::DigitSender;
use crate::hold::Hold;
use crate::invite::incoming_invite::IncomingInvite;
use crate::invite::outgoing::Outgoing;
use crate::lifecycle::call_facts::CallFacts;
use crate::lifecycle::call_story::Trail;
use crate::lifecycle::life::Life;
use crate::media::leg::SessionLeg;
use crate::negotiation::exchange::Negotiation;
use crate::negotiation::sdp_state::SdpState;
use crate::playback::Playback;
use crate::timers::probing::Probing;
use crate::timers::timer::Timers;
use crate::transfer::transfers::Transfers;

/// A call as this switch sees it: who with, where in its life, with which media. Each field is a machine of its own, whose
/// parts no other code touches.
#[derive(Debug)]
pub struct Session {
    /// What is known for good: who, over which path, since when.
    pub(crate) facts: CallFacts,
    /// Its state, and why it ends.
    pub(crate) life: Life,
    /// What else is told of its end.
    pub(crate) trail: Option<Box<Trail>>,
    /// What its peer has shown, and the limits that it counts towards.
    pub(crate) admitted: Admitted,
    /// The INVITE of a call that comes in, until its final answer.
    pub(crate) incoming: Option<Box<IncomingInvite>>,
    /// The INVITEs of a call that we place, until one is answered.
    pub(crate) outgoing: Option<Box<Outgoing>>,
    /// What offers and answers have settled.
    pub(crate) sdp: SdpState,
    /// The offer that is open, and what waits for its end.
    pub(crate) negotiation: Negotiation,
    /// The hold of either side.
    pub(crate) hold: Hold,
    /// What is sent while no other session's audio is.
    pub(crate) playback: Playback,
    /// Digits that are being sent.
    pub(crate) dtmf: DigitSender,
    /// INFO of the other side that waits for this peer's answer.
    pub(crate) relayed: RelayedInfo,
    /// The group that it belongs to.
    pub(crate) membership: Membership,
    /// REFER, sent and received.
    pub(crate) transfers: Transfers,
    pub(crate) timers: Timers,
    /// There only while the peer is asked whether it is there, or has missed a question.
    pub(crate) probing: Option<Box<Probing>>,
    /// Its leg in the media plane.
    pub(crate) leg: SessionLeg,
}

/// Caller, called party and Call-ID of a session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parties {
    /// URI of From.
    pub from: Box<str>,
    /// URI of To.
    pub to: Box<str>,
    /// User part of the Request-URI.
    pub called_user: Box<str>,
    /// Call-ID.
    pub call_id: Box<str>,
}

impl Session {
    /// One that has just begun, without a leg.
    pub(crate) fn new(facts: CallFacts, admitted: Admitted, sdp: SdpState, playback: Playback) -> Self {
        Self {
            facts,
            life: Life::default(),
            trail: None,
            admitted,
            incoming: None,
            outgoing: None,
            sdp,
            negotiation: Negotiation::default(),
            hold: Hold::default(),
            playback,
            dtmf: DigitSender::default(),
            relayed: RelayedInfo::default(),
            membership: Membership::default(),
            transfers: Transfers::default(),
            timers: Timers::default(),
            probing: None,
            leg: SessionLeg::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_session_stays_small() {
        let bytes = size_of::<super::Session>();
        println!("a session: {bytes} bytes beside its names and what it waits for");
        assert!(
            bytes <= 640,
            "{bytes} bytes: the allocator's next size is 768, of a budget of 2 KB for the whole call"
        );
    }
}
