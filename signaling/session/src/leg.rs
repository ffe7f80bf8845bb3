//! The media side of a session.

use crate::{Port, Session};

/// The media side of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leg {
    None,
    Opening(Port),
    Open(Port),
    Closing(Port),
}

impl Session {
    /// Its port, whatever becomes of it.
    pub(crate) fn port(&self) -> Option<Port> {
        match self.leg {
            Leg::None => None,
            Leg::Opening(port) | Leg::Open(port) | Leg::Closing(port) => Some(port),
        }
    }
}
