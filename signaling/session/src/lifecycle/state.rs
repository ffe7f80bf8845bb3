//! Where a session is in its life, and what may be done with it there.

/// Where a session is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SessionState {
    /// The session has begun; nothing has been sent.
    Initializing,
    /// Our INVITE is on its way.
    Dialing,
    /// The called side rings.
    Ringing,
    /// Answered; media flows.
    Connected,
    /// Answered; one side holds the other.
    OnHold,
    /// A REFER of ours is on its way, or its new call is.
    Transferring,
    /// The end has been decided; the peer and the media plane are being told.
    Terminating,
    /// The session is over, and nothing of it is left.
    Terminated,
}

/// What a user may ask of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// Answer an incoming call.
    Accept,
    /// Refuse an incoming call.
    Reject,
    /// Hold the peer.
    Hold,
    /// End our hold.
    Resume,
    /// Transfer the call to another party.
    Transfer,
    /// Send digits.
    SendDtmf,
    /// Replace our audio by silence, or stop doing so.
    Mute,
    /// Change the source, the codec or the address of media.
    ChangeMedia,
    /// Record both sides into a file.
    StartRecording,
    /// End the recording.
    StopRecording,
    /// Write the packets of RTP and RTCP into a file.
    StartCapture,
    /// End that.
    StopCapture,
    /// Join a bridge.
    Bridge,
    /// End the call.
    Terminate,
}

impl SessionState {
    /// All states, in the order of a life.
    pub const ALL: [SessionState; 8] = {
        use SessionState::*;
        [Initializing, Dialing, Ringing, Connected, OnHold, Transferring, Terminating, Terminated]
    };

    /// Whether `next` may follow. A state never follows itself.
    pub fn can_transition_to(self, next: SessionState) -> bool {
        use SessionState::*;
        match self {
            Initializing => matches!(next, Dialing | Ringing | Terminating | Terminated),
            Dialing => matches!(next, Ringing | Connected | Terminating | Terminated),
            Ringing => matches!(next, Connected | Terminating | Terminated),
            Connected => matches!(next, OnHold | Transferring | Terminating),
            OnHold => matches!(next, Connected | Transferring | Terminating),
            // A transfer that fails brings the call back to where it was.
            Transferring => matches!(next, Connected | OnHold | Terminating),
            Terminating => matches!(next, Terminated),
            Terminated => false,
        }
    }

    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        self == Self::Terminated
    }

    /// Whether the end has been decided.
    pub fn is_ending(self) -> bool {
        matches!(self, Self::Terminating | Self::Terminated)
    }

    /// Whether the operation makes sense here.
    pub fn allows(self, operation: Operation) -> bool {
        use Operation::*;
        use SessionState::*;
        match operation {
            Accept | Reject => self == Ringing,
            // Both sides may hold.
            Hold => matches!(self, Connected | OnHold),
            Resume => self == OnHold,
            Transfer | Bridge => matches!(self, Connected | OnHold),
            SendDtmf | Mute | ChangeMedia | StartRecording | StopRecording | StartCapture | StopCapture => {
                matches!(self, Connected | OnHold | Transferring)
            }
            Terminate => !self.is_ending(),
        }
    }

    /// What may be asked here, for messages to users.
    pub fn allowed(self) -> Vec<Operation> {
        use Operation::*;
        let calls = [Accept, Reject, Hold, Resume, Transfer, SendDtmf, Mute, ChangeMedia];
        let others = [StartRecording, StopRecording, StartCapture, StopCapture, Bridge, Terminate];
        calls.into_iter().chain(others).filter(|operation| self.allows(*operation)).collect()
    }

    /// The state as operators see it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Dialing => "dialing",
            Self::Ringing => "ringing",
            Self::Connected => "connected",
            Self::OnHold => "on-hold",
            Self::Transferring => "transferring",
            Self::Terminating => "terminating",
            Self::Terminated => "terminated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, SessionState};

    /// Row: from; column: to, in the order of [`SessionState::ALL`].
    const MATRIX: [&str; 8] = [
        ".xx...xx", // Initializing
        "..xx..xx", // Dialing
        "...x..xx", // Ringing
        "....xxx.", // Connected
        "...x.xx.", // OnHold
        "...xx.x.", // Transferring
        ".......x", // Terminating
        "........", // Terminated
    ];

    #[test]
    fn the_whole_matrix_pair_by_pair() {
        for (from, row) in SessionState::ALL.into_iter().zip(MATRIX) {
            for (to, cell) in SessionState::ALL.into_iter().zip(row.chars()) {
                assert_eq!(from.can_transition_to(to), cell == 'x', "{from:?} to {to:?}");
            }
            assert_eq!(from.is_final(), !row.contains('x'), "{from:?}");
        }
    }

    #[test]
    fn operations_state_by_state() {
        use Operation::*;
        let media = [SendDtmf, Mute, ChangeMedia, StartRecording, StopRecording, StartCapture, StopCapture];
        let expected: [Vec<Operation>; 8] = [
            vec![Terminate],
            vec![Terminate],
            vec![Accept, Reject, Terminate],
            [vec![Hold, Transfer], media.to_vec(), vec![Bridge, Terminate]].concat(),
            [vec![Hold, Resume, Transfer], media.to_vec(), vec![Bridge, Terminate]].concat(),
            [media.to_vec(), vec![Terminate]].concat(),
            vec![],
            vec![],
        ];
        for (state, allowed) in SessionState::ALL.into_iter().zip(expected) {
            assert_eq!(state.allowed(), allowed, "{state:?}");
        }
    }
}
