//! What the owner of a leg is told.

use crate::CommandNumber;
use contract::{Address, CloseReason, PlayerId, QualityChange, RecordingOutcome, RefuseReason};

/// What has become of a leg, or of something that it was to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LegEvent {
    /// The leg runs.
    Opened,
    /// The media plane does not open the leg. The leg is gone and its port given back.
    OpenRefused(RefuseReason),
    /// The media plane has not answered `Open` in time. The leg may run: close it.
    OpenTimedOut,
    /// The media plane does what was wanted when the command with this number was written, apart from what an earlier
    /// command has told it that is refused or not answered.
    Confirmed(CommandNumber),
    /// The media plane does not do what was wanted.
    Refused {
        /// The command that was refused.
        number: CommandNumber,
        /// Why.
        reason: RefuseReason,
        /// It is still what is wanted: nothing else has been wanted since.
        is_current: bool,
    },
    /// The media plane has not answered an update in time.
    UpdateTimedOut(CommandNumber),
    /// The leg is on the worker where it was to go.
    Moved,
    /// The leg stays where it is, and cannot hear or be heard by the legs that it was to meet.
    MoveRefused(RefuseReason),
    /// The media plane has not answered `Move` in time. Nobody knows where the leg is: close it.
    MoveTimedOut,
    /// The media plane says that it does not have the leg. The leg is gone and its port given back; of a leg that was to be
    /// adopted the port was never ours.
    Lost,
    /// The leg of an earlier client is ours, goes on as it was, and is told what is wanted of it.
    Adopted,
    /// The media plane has not answered `Adopt` in time. The leg may be ours: close it.
    AdoptTimedOut,
    /// The worker goes on with the legs of this client for a while once it is gone.
    LegsKept {
        /// The worker.
        worker: u8,
    },
    /// The leg is closed, gone, and its port given back.
    Closed(CloseReason),
    /// The media plane has not answered `Close` in time. The leg is gone and its port given back.
    CloseTimedOut,
    /// The peer has been silent for too long; the leg has stopped and waits to be closed.
    MediaTimeout,
    /// The player has come to its end.
    SourceEnded,
    /// The peer has pressed a key: 0 to 9, 10 `*`, 11 `#`, 12 to 15 A to D.
    Digit(u8),
    /// The key that was told last is no longer pressed.
    DigitEnded {
        /// The key.
        digit: u8,
        /// For how long it was pressed.
        duration_ms: u32,
    },
    /// The peer has begun to speak, or has ended.
    VoiceActivity {
        /// It speaks.
        is_speech: bool,
    },
    /// The worker has no place left to process the sound of the peer: it goes on as it is.
    VoiceRefused,
    /// An announcement is over, or was refused: there is no room, no such sound, or as many wait as may.
    AnnouncementEnded {
        /// The announcement.
        id: PlayerId,
        /// It was not played.
        is_refused: bool,
    },
    /// A member of a room has begun to speak, or has ceased to.
    Speaking {
        /// It speaks now.
        is_speaking: bool,
    },
    /// A digit was not sent.
    DigitRefused(RefuseReason),
    /// A stream of the leg sounds better or worse than before.
    QualityChanged(QualityChange),
    /// The peer's packets come from here.
    Latched(Address),
    /// The recording with this number has begun.
    RecordingStarted(u64),
    /// A recording is over, or could not begin. Its leg may be gone.
    RecordingEnded {
        /// Its number.
        recording: u64,
        /// What became of it.
        outcome: RecordingOutcome,
    },
    /// An answer that nothing waits for any more.
    Late,
}
