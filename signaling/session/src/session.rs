//! One session: a call leg on the SIP side and its leg on the media side.

use crate::admission::address_validation::Proof;
use crate::admission::source_limit::Seat;
use crate::bridge::link::Link;
use crate::crossing::Crossing;
use crate::crossing::info::RelayedInfo;
use crate::dtmf::DigitSender;
use crate::invite::early_dialogs::EarlyAnswer;
use crate::invite::outgoing::Outgoing;
use crate::leg::Leg;
use crate::lifecycle::call_story::Trail;
use crate::negotiation::exchange::Negotiation;
use crate::negotiation::sdp_state::SdpState;
use crate::timers::probing::Probing;
use crate::timers::timer::Timers;
use crate::transfer::received_refer::{Referral, Referred};
use crate::transfer::sent_refer::Transfer;
use crate::{BridgeId, CallNumber, EndReason, Plan, PlannedSource, SessionId, SessionState};
use clock::Instant;
use contract::{Direction, LegRef, LegSpec};
use sdp_core::{Offer, Origin};
use sip_core::{DialogId, InviteId};
use std::net::{IpAddr, SocketAddr};

/// A call as this switch sees it: who with, where in its life, with which media.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: SessionId,
    pub(crate) number: CallNumber,
    pub(crate) state: SessionState,
    /// None until an outgoing call is answered.
    pub(crate) dialog: Option<DialogId>,
    /// The first INVITE of an incoming call, until it has its final answer.
    pub(crate) invite: Option<InviteId>,
    pub(crate) is_outgoing: bool,
    /// What an outgoing call needs until it is answered.
    pub(crate) out: Option<Box<Outgoing>>,
    pub(crate) parties: Parties,
    pub(crate) remote_signaling: SocketAddr,
    /// Our address for session descriptions.
    pub(crate) local_ip: IpAddr,
    pub(crate) created_at: Instant,
    pub(crate) connected_at: Option<Instant>,
    /// What is sent while nobody else's audio is.
    pub(crate) plan: Plan,
    /// We hold the peer.
    pub(crate) holds: bool,
    /// What is sent while we do.
    pub(crate) hold_source: PlannedSource,
    /// Which ways we want media to flow: less than both while anybody on our side holds the peer.
    pub(crate) wanted: Direction,
    pub(crate) is_muted: bool,
    /// Who holds whom, as users were told: we the peer, the peer us.
    pub(crate) shown_hold: (bool, bool),
    /// Hops that its INVITE might still have taken.
    pub(crate) hops_left: u8,
    /// It is to be answered as soon as its leg runs and its provisional responses are confirmed.
    pub(crate) wants_answer: bool,
    /// It is heard before it is answered.
    pub(crate) is_early: bool,
    /// What its caller knows of our answer before the call is up.
    pub(crate) early_answer: EarlyAnswer,
    /// It waits for a decision and has a port already.
    pub(crate) is_reserved: bool,
    /// The number of its recording.
    pub(crate) recording: Option<u64>,
    /// What the caller offered, until the call has been decided on.
    pub(crate) offer: Option<Box<Offer>>,
    /// The same as it came, for a call that goes on to somewhere else.
    pub(crate) raw_offer: Box<[u8]>,
    /// What the INVITE takes along if the call goes on, until that is decided.
    pub(crate) crossing: Option<Box<Crossing>>,
    /// The caller asked for privacy: nobody is told its address.
    pub(crate) hides_caller: bool,
    /// Our description for the 2xx, until it is sent.
    pub(crate) description: Option<Box<str>>,
    /// Header fields of a user for it.
    pub(crate) answer_headers: crate::invite::answering::Headers,
    /// What offers and answers have settled.
    pub(crate) sdp: SdpState,
    /// The offer that is open, and what waits for its end.
    pub(crate) negotiation: Negotiation,
    /// What the peer has shown of being where it says.
    pub(crate) proof: Proof,
    /// What the leg was told last.
    pub(crate) spec: LegSpec,
    pub(crate) leg: Leg,
    /// The leg, also after its end.
    pub(crate) last_leg: Option<LegRef>,
    /// `Update` commands on their way; the answers come in order.
    pub(crate) updates_open: u32,
    /// Whom it hears.
    pub(crate) link: Option<Link>,
    pub(crate) bridge: Option<BridgeId>,
    /// The leg is on its way to another worker, or has to go there.
    pub(crate) is_moving: bool,
    pub(crate) move_to: Option<u8>,
    /// INFO of the other side that waits for this peer's answer.
    pub(crate) relayed: RelayedInfo,
    /// We asked the peer to call somebody else.
    pub(crate) transfer: Option<Box<Transfer>>,
    /// What became of a REFER of the peer.
    pub(crate) referred: Referred,
    /// This is such a call; once it is answered it hears the one that `will_hear` names.
    pub(crate) referral: Option<Box<Referral>>,
    pub(crate) will_hear: Option<SessionId>,
    /// Digits that are being sent.
    pub(crate) dtmf: DigitSender,
    /// The dialog to end once this call is up (`Replaces`).
    pub(crate) replaces: Option<DialogId>,
    pub(crate) reason: Option<EndReason>,
    /// What will be told of its end beside that.
    pub(crate) trail: Option<Box<Trail>>,
    /// The dialog has ended.
    pub(crate) is_sip_over: bool,
    pub(crate) timers: Timers,
    /// There only while it is asked, or has missed a question.
    pub(crate) probing: Option<Box<Probing>>,
    /// Among the calls of its source that wait for its ACK.
    pub(crate) seat: Seat,
    /// The user whose calls it counts among.
    pub(crate) counts_for: Option<Box<str>>,
}

/// Who talks to whom.
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
    pub(crate) fn new(id: SessionId, now: Instant, parties: Parties, origin: Origin, path: crate::Path) -> Self {
        Self {
            id,
            number: CallNumber::default(),
            state: SessionState::Initializing,
            dialog: None,
            invite: None,
            is_outgoing: false,
            out: None,
            parties,
            remote_signaling: path.remote,
            local_ip: path.local,
            created_at: now,
            connected_at: None,
            plan: Plan::of(PlannedSource::Silence),
            holds: false,
            hold_source: PlannedSource::Silence,
            wanted: Direction::Both,
            is_muted: false,
            shown_hold: (false, false),
            hops_left: 70,
            wants_answer: false,
            is_early: false,
            early_answer: EarlyAnswer::Open,
            is_reserved: false,
            recording: None,
            offer: None,
            raw_offer: Box::default(),
            crossing: None,
            hides_caller: false,
            description: None,
            answer_headers: Box::default(),
            sdp: SdpState::new(origin),
            negotiation: Negotiation::default(),
            proof: Proof::Nothing,
            spec: LegSpec::default(),
            leg: Leg::None,
            last_leg: None,
            updates_open: 0,
            link: None,
            bridge: None,
            is_moving: false,
            move_to: None,
            relayed: RelayedInfo::default(),
            transfer: None,
            referred: Referred::Nothing,
            referral: None,
            will_hear: None,
            dtmf: DigitSender::default(),
            replaces: None,
            reason: None,
            trail: None,
            is_sip_over: false,
            timers: Timers::default(),
            probing: None,
            seat: Seat::None,
            counts_for: None,
        }
    }

    /// Moves on; a step that the matrix does not have is a mistake of ours.
    pub(crate) fn go(&mut self, next: SessionState) {
        assert!(self.state.can_transition_to(next), "{:?} cannot become {next:?}", self.state);
        self.state = next;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_session_stays_small() {
        let bytes = size_of::<super::Session>();
        println!("a session: {bytes} bytes, its names and what it waits for");
        assert!(
            bytes <= 896,
            "{bytes} bytes: the allocator's next size is 1024, of a budget of 3 KB for the whole call"
        );
    }
}
