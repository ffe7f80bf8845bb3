use crate::{Invalid, LegRef, LegSpec, SLOT_BYTES};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// What signaling asks of one media worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Start the leg on its port. Answered by `Opened` or `Refused`. `tag` comes back in every event of this leg.
    Open { leg: LegRef, tag: u64, spec: LegSpec },
    /// Replace what is known of the leg; SSRC, sequence and timestamp go on without a break. Answered by `Updated` or
    /// `Refused`.
    Update { leg: LegRef, tag: u64, spec: LegSpec },
    /// RTCP BYE, then silence, at once. Answered by `Closed`; the port may go back to the pool then.
    Close { leg: LegRef, tag: u64 },
    /// Send one telephone event (RFC 4733): 0-9, 10 `*`, 11 `#`, 12-15 A-D. Several wait for each other.
    SendDigit { leg: LegRef, tag: u64, digit: u8, duration_ms: u16 },
    /// Hand the leg to another worker without losing a packet. Answered by `Moved` from the new worker, or `Refused`.
    Move { leg: LegRef, tag: u64, worker: u8 },
}

/// A [`Command`] in the fixed layout of a queue's slot.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CommandSlot {
    kind: u32,
    /// Digit or worker.
    number: u16,
    duration_ms: u16,
    leg: LegRef,
    tag: u64,
    spec: LegSpec,
    reserved: [u8; SLOT_BYTES - 24 - size_of::<LegSpec>()],
}

const _: () = assert!(size_of::<CommandSlot>() == SLOT_BYTES);

impl Command {
    /// The leg it is about.
    pub fn leg(&self) -> LegRef {
        match *self {
            Self::Open { leg, .. }
            | Self::Update { leg, .. }
            | Self::Close { leg, .. }
            | Self::SendDigit { leg, .. }
            | Self::Move { leg, .. } => leg,
        }
    }

    /// The tag to give back in the answer.
    pub fn tag(&self) -> u64 {
        match *self {
            Self::Open { tag, .. }
            | Self::Update { tag, .. }
            | Self::Close { tag, .. }
            | Self::SendDigit { tag, .. }
            | Self::Move { tag, .. } => tag,
        }
    }

    /// The slot to push.
    pub fn write(&self) -> CommandSlot {
        let slot = CommandSlot { leg: self.leg(), tag: self.tag(), ..CommandSlot::new_zeroed() };
        match *self {
            Self::Open { spec, .. } => CommandSlot { kind: 1, spec, ..slot },
            Self::Update { spec, .. } => CommandSlot { kind: 2, spec, ..slot },
            Self::Close { .. } => CommandSlot { kind: 3, ..slot },
            Self::SendDigit { digit, duration_ms, .. } => {
                CommandSlot { kind: 4, number: digit.into(), duration_ms, ..slot }
            }
            Self::Move { worker, .. } => CommandSlot { kind: 5, number: worker.into(), ..slot },
        }
    }

    /// The command in a popped slot, every field checked.
    pub fn read(slot: &CommandSlot) -> Result<Self, Invalid> {
        let (leg, tag, spec) = (slot.leg, slot.tag, slot.spec);
        if leg.is_none() || leg.port % 2 != 0 {
            return Err(Invalid::Field("leg"));
        }
        Ok(match slot.kind {
            1 | 2 => {
                spec.check()?;
                if slot.kind == 1 { Self::Open { leg, tag, spec } } else { Self::Update { leg, tag, spec } }
            }
            3 => Self::Close { leg, tag },
            4 if slot.number <= 15 && (40..=5_000).contains(&slot.duration_ms) => {
                Self::SendDigit { leg, tag, digit: slot.number as u8, duration_ms: slot.duration_ms }
            }
            4 => return Err(Invalid::Field("digit")),
            5 if slot.number < 256 => Self::Move { leg, tag, worker: slot.number as u8 },
            5 => return Err(Invalid::Field("worker")),
            kind => return Err(Invalid::Kind(kind)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_back_as_they_went() {
        let (leg, tag, spec) = (LegRef::new(10_002, 3), 77, LegSpec::default());
        for command in [
            Command::Open { leg, tag, spec },
            Command::Update { leg, tag, spec },
            Command::Close { leg, tag },
            Command::SendDigit { leg, tag, digit: 11, duration_ms: 100 },
            Command::Move { leg, tag, worker: 1 },
        ] {
            assert_eq!(Command::read(&command.write()), Ok(command));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let read = |bytes: &[u8; SLOT_BYTES]| Command::read(&CommandSlot::read_from_bytes(bytes).unwrap());
        assert!(read(&[0; SLOT_BYTES]).is_err());
        assert!(read(&[0xff; SLOT_BYTES]).is_err());
        let odd = Command::Close { leg: LegRef::new(10_001, 1), tag: 0 };
        assert_eq!(Command::read(&odd.write()), Err(Invalid::Field("leg")));
    }
}
