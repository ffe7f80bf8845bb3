use crate::{EndReason, SessionId, SessionState};
use contract::LegRef;

/// What users of sessions may want to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// It moved on.
    StateChanged {
        /// Which.
        id: SessionId,
        /// From here.
        old: SessionState,
        /// To here.
        new: SessionState,
    },
    /// The peer pressed a key.
    Digit {
        /// On which.
        id: SessionId,
        /// 0-9, 10 `*`, 11 `#`, 12-15 A-D.
        digit: u8,
    },
    /// It is over, and nothing of it is left. Told once for every session.
    Ended {
        /// Which.
        id: SessionId,
        /// Why.
        reason: EndReason,
        /// Its leg, if it had one; the leg's row has the final numbers for a while.
        leg: Option<LegRef>,
    },
}
