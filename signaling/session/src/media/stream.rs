//! The sound of a session goes to a program and comes from it.

use crate::{Operation, SessionError, SessionId, Sessions, Turn};
use media_control::LegError;
use std::fs::File;

impl Sessions {
    /// Hands the media plane's end of a stream of audio over, for the leg of a session that is up. Whether the leg has it, and
    /// all that follows, is told through the socket: it is not an affair of signaling.
    pub fn open_stream(&mut self, turn: &mut Turn<'_>, id: SessionId, socket: File) -> Result<(), SessionError> {
        let operation = Operation::ChangeMedia;
        self.check(id, operation)?;
        let leg = self.table.get(id).and_then(|session| session.leg.id()).ok_or(SessionError::Busy(operation))?;
        self.legs.open_stream(&mut turn.media(), leg, socket).map_err(|error| match error {
            LegError::File => {
                SessionError::Media("the media plane does not take the stream now: it is gone or overloaded; try again")
            }
            _ => SessionError::Busy(operation),
        })
    }
}
