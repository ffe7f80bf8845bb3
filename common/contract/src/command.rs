use crate::{GRACE_MS_MAX, Invalid, LegRef, LegSpec, RECORDING_SECONDS_MAX, RecordingLayout, SLOT_BYTES};
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
    /// Write both directions of the leg into the file that was handed over on the control socket under this number, for
    /// so long at most. Answered by `RecordingStarted`, and by `RecordingEnded` when it is over or cannot begin.
    StartRecording { leg: LegRef, tag: u64, recording: u64, layout: RecordingLayout, limit_s: u32 },
    /// Stop a recording. Answered by `RecordingEnded`, once the file is whole; by nothing where it is over already.
    StopRecording { leg: LegRef, tag: u64, recording: u64 },
    /// Once this client has hung up, the worker goes on with all legs of it for so long, at most [`GRACE_MS_MAX`], and ends
    /// those that no other client has adopted by then. 0: end them at once, as without this command. Each worker has to be
    /// told. Answered by `Kept`.
    KeepLegs { tag: u64, grace_ms: u32 },
    /// Take over a leg, with its port, that a client which has hung up left behind. Answered by `Adopted` or `Refused`.
    Adopt { leg: LegRef, tag: u64 },
}

/// A [`Command`] in the fixed layout of a queue's slot.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CommandSlot {
    kind: u32,
    /// Digit, worker or layout.
    number: u16,
    duration_ms: u16,
    leg: LegRef,
    tag: u64,
    recording: u64,
    /// Seconds of a recording, or milliseconds of grace.
    limit: u32,
    spec: LegSpec,
    reserved: [u8; SLOT_BYTES - 36 - size_of::<LegSpec>()],
}

const _: () = assert!(size_of::<CommandSlot>() == SLOT_BYTES);

impl Command {
    /// The leg it is about; none where it is about the client.
    pub fn leg(&self) -> LegRef {
        match *self {
            Self::Open { leg, .. }
            | Self::Update { leg, .. }
            | Self::Close { leg, .. }
            | Self::SendDigit { leg, .. }
            | Self::Move { leg, .. }
            | Self::StartRecording { leg, .. }
            | Self::StopRecording { leg, .. }
            | Self::Adopt { leg, .. } => leg,
            Self::KeepLegs { .. } => LegRef::NONE,
        }
    }

    /// The tag to give back in the answer.
    pub fn tag(&self) -> u64 {
        match *self {
            Self::Open { tag, .. }
            | Self::Update { tag, .. }
            | Self::Close { tag, .. }
            | Self::SendDigit { tag, .. }
            | Self::Move { tag, .. }
            | Self::StartRecording { tag, .. }
            | Self::StopRecording { tag, .. }
            | Self::KeepLegs { tag, .. }
            | Self::Adopt { tag, .. } => tag,
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
            Self::StartRecording { recording, layout, limit_s, .. } => {
                CommandSlot { kind: 6, number: layout as u16, recording, limit: limit_s, ..slot }
            }
            Self::StopRecording { recording, .. } => CommandSlot { kind: 7, recording, ..slot },
            Self::KeepLegs { grace_ms, .. } => CommandSlot { kind: 8, limit: grace_ms, ..slot },
            Self::Adopt { .. } => CommandSlot { kind: 9, ..slot },
        }
    }

    /// The command in a popped slot, every field checked.
    pub fn read(slot: &CommandSlot) -> Result<Self, Invalid> {
        let (leg, tag, spec) = (slot.leg, slot.tag, slot.spec);
        if leg.is_none() != (slot.kind == 8) || leg.port % 2 != 0 {
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
            6 if !(1..=RECORDING_SECONDS_MAX).contains(&slot.limit) => return Err(Invalid::Field("limit_s")),
            6 => {
                let layout = RecordingLayout::from_number(slot.number).ok_or(Invalid::Field("layout"))?;
                Self::StartRecording { leg, tag, recording: slot.recording, layout, limit_s: slot.limit }
            }
            7 => Self::StopRecording { leg, tag, recording: slot.recording },
            8 if slot.limit <= GRACE_MS_MAX => Self::KeepLegs { tag, grace_ms: slot.limit },
            8 => return Err(Invalid::Field("grace_ms")),
            9 => Self::Adopt { leg, tag },
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
            Command::StartRecording { leg, tag, recording: 9, layout: RecordingLayout::Mono, limit_s: 60 },
            Command::StopRecording { leg, tag, recording: 9 },
            Command::KeepLegs { tag, grace_ms: 30_000 },
            Command::Adopt { leg, tag },
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
        let (leg, layout) = (LegRef::new(10_000, 1), RecordingLayout::Stereo);
        let endless = Command::StartRecording { leg, tag: 0, recording: 1, layout, limit_s: RECORDING_SECONDS_MAX + 1 };
        assert_eq!(Command::read(&endless.write()), Err(Invalid::Field("limit_s")));
        let endless = Command::KeepLegs { tag: 0, grace_ms: GRACE_MS_MAX + 1 };
        assert_eq!(Command::read(&endless.write()), Err(Invalid::Field("grace_ms")));
        let nobody = Command::Adopt { leg: LegRef::NONE, tag: 0 };
        assert_eq!(Command::read(&nobody.write()), Err(Invalid::Field("leg")));
    }
}
