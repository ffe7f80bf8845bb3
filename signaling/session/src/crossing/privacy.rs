//! What a caller wants to be hidden (RFC 3323 §4.2, RFC 3325 §9.3, RFC 7044 §10.1).

use sip_wire::{Message, Name};

/// The values of Privacy, each a bit. A back-to-back user agent gives `session` privacy by itself: media and Contact are
/// its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Privacy(u8);

const CALLER: u8 = 1;
const HISTORY: u8 = 2;
const NONE: u8 = 4;

impl Privacy {
    pub(crate) fn of(message: &Message<'_>) -> Self {
        let mut wanted = 0;
        for line in message.header_lines(Name::Privacy) {
            for value in line.split(|byte| matches!(byte, b';' | b',')) {
                wanted |= match value.trim_ascii().to_ascii_lowercase().as_slice() {
                    b"id" | b"user" | b"header" => CALLER,
                    b"history" => HISTORY,
                    b"none" => NONE,
                    _ => 0,
                };
            }
        }
        Self(wanted)
    }

    /// Only trusted peers may learn who calls.
    pub(crate) fn hides_caller(self) -> bool {
        self.0 & CALLER != 0
    }

    /// Only trusted peers may learn of earlier targets.
    pub(crate) fn hides_history(self) -> bool {
        self.0 & HISTORY != 0
    }

    /// The caller wants no privacy (`none`).
    pub(crate) fn is_waived(self) -> bool {
        self.0 == NONE
    }
}
