//! Who speaks in a room, looked at ten times a second.

use super::FRAME_MS;

/// Frames between two looks.
pub(super) const LOOK_FRAMES: u64 = 100 / FRAME_MS as u64;
/// Frames for which a member at least stays one that speaks, or one that does not.
const CHANGE_FRAMES: u64 = 500 / FRAME_MS as u64;
/// A member that is heard and has been this loud lately speaks. The loudness falls by 20 dB in 600 ms, so that pauses between
/// words are no change.
const LOUD_DBOV: i8 = -45;

/// Whether a member speaks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Speaking {
    level_dbov: i8,
    is_speaking: bool,
    /// The frame from which it may change again.
    may_change: u64,
}

impl Speaking {
    /// Before the first look.
    pub(super) const SILENT: Self = Self { level_dbov: -127, is_speaking: false, may_change: 0 };

    /// Looks at a member; whether it is another one than before.
    pub(super) fn look(&mut self, frame: u64, level_dbov: i8, is_heard: bool) -> bool {
        self.level_dbov = level_dbov;
        let speaks = is_heard && level_dbov > LOUD_DBOV;
        if speaks == self.is_speaking || frame < self.may_change {
            return false;
        }
        (self.is_speaking, self.may_change) = (speaks, frame + CHANGE_FRAMES);
        true
    }

    pub(super) fn is_speaking(&self) -> bool {
        self.is_speaking
    }

    pub(super) fn level_dbov(&self) -> i8 {
        self.level_dbov
    }
}
