use crate::{Address, Invalid, LegRef, RecordingOutcome, SLOT_BYTES};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// What a media worker tells the control client that opened the leg. `tag` is the one of the leg's last command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The leg runs.
    Opened { leg: LegRef, tag: u64 },
    /// The leg runs by its new spec.
    Updated { leg: LegRef, tag: u64 },
    /// The command was not carried out; nothing changed.
    Refused { leg: LegRef, tag: u64, reason: RefuseReason },
    /// The leg has sent its last packet. Its row in the leg table keeps the final numbers until the port's next life.
    Closed { leg: LegRef, tag: u64, reason: CloseReason },
    /// Nothing came from the peer for the leg's media timeout; RTP has stopped, the leg waits for `Close`.
    MediaTimeout { leg: LegRef, tag: u64 },
    /// The peer's packets come from here, and the leg now sends there.
    Latched { leg: LegRef, tag: u64, address: Address },
    /// A telephone event was heard; told once per press, at its first packet.
    Digit { leg: LegRef, tag: u64, digit: u8 },
    /// The source came to its end (a prompt was played).
    SourceEnded { leg: LegRef, tag: u64 },
    /// The leg lives on this worker now.
    Moved { leg: LegRef, tag: u64, worker: u8 },
    /// Both directions of the leg are being written. `tag` is the one of the command, here and below.
    RecordingStarted { leg: LegRef, tag: u64, recording: u64 },
    /// The file is whole and closed, or the recording could not begin. May come after the leg has closed.
    RecordingEnded { leg: LegRef, tag: u64, recording: u64, outcome: RecordingOutcome },
    /// Once this client hangs up, its legs on this worker go on for the time of the command.
    Kept { tag: u64 },
    /// The leg belongs to this client now, as it is; its row tells what it does.
    Adopted { leg: LegRef, tag: u64 },
}

/// Why a command was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum RefuseReason {
    /// The handle names a leg that is not open here, or an earlier life of the port.
    NoSuchLeg = 1,
    /// `Open` for a leg that is already open.
    AlreadyOpen = 2,
    /// The worker has all the legs that it can have.
    Full = 3,
    /// The kernel refused (connect, socket option); the worker's log has the words.
    System = 4,
    /// A field of the command makes no sense here: unknown prompt, peer leg not on this worker, no such worker.
    Invalid = 5,
}

/// Why a leg closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum CloseReason {
    /// `Close` was asked for.
    Asked = 1,
    /// The media plane shuts down.
    Shutdown = 2,
    /// The worker failed and could not keep the leg.
    Failed = 3,
}

/// An [`Event`] in the fixed layout of a queue's slot.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EventSlot {
    kind: u32,
    /// Reason, digit or worker.
    number: u16,
    reserved: u16,
    leg: LegRef,
    tag: u64,
    address: Address,
    recording: u64,
    outcome: RecordingOutcome,
    rest: [u8; SLOT_BYTES - 32 - size_of::<Address>() - size_of::<RecordingOutcome>()],
}

const _: () = assert!(size_of::<EventSlot>() == SLOT_BYTES);

impl Event {
    fn parts(&self) -> (u32, LegRef, u64, u16, Address) {
        let none = Address::NONE;
        match *self {
            Self::Opened { leg, tag } => (1, leg, tag, 0, none),
            Self::Updated { leg, tag } => (2, leg, tag, 0, none),
            Self::Refused { leg, tag, reason } => (3, leg, tag, reason as u16, none),
            Self::Closed { leg, tag, reason } => (4, leg, tag, reason as u16, none),
            Self::MediaTimeout { leg, tag } => (5, leg, tag, 0, none),
            Self::Latched { leg, tag, address } => (6, leg, tag, 0, address),
            Self::Digit { leg, tag, digit } => (7, leg, tag, digit.into(), none),
            Self::SourceEnded { leg, tag } => (8, leg, tag, 0, none),
            Self::Moved { leg, tag, worker } => (9, leg, tag, worker.into(), none),
            Self::RecordingStarted { leg, tag, .. } => (10, leg, tag, 0, none),
            Self::RecordingEnded { leg, tag, .. } => (11, leg, tag, 0, none),
            Self::Kept { tag } => (12, LegRef::NONE, tag, 0, none),
            Self::Adopted { leg, tag } => (13, leg, tag, 0, none),
        }
    }

    /// The leg it is about; none where it is about the client.
    pub fn leg(&self) -> LegRef {
        self.parts().1
    }

    /// The tag of the leg's last command.
    pub fn tag(&self) -> u64 {
        self.parts().2
    }

    /// The slot to push.
    pub fn write(&self) -> EventSlot {
        let (kind, leg, tag, number, address) = self.parts();
        let slot = EventSlot { kind, leg, tag, number, address, ..EventSlot::new_zeroed() };
        match *self {
            Self::RecordingStarted { recording, .. } => EventSlot { recording, ..slot },
            Self::RecordingEnded { recording, outcome, .. } => EventSlot { recording, outcome, ..slot },
            _ => slot,
        }
    }

    /// The event in a popped slot, every field checked.
    pub fn read(slot: &EventSlot) -> Result<Self, Invalid> {
        use RefuseReason::*;
        let (leg, tag, number) = (slot.leg, slot.tag, slot.number);
        let refusals = [NoSuchLeg, AlreadyOpen, Full, System, Invalid];
        let closings = [CloseReason::Asked, CloseReason::Shutdown, CloseReason::Failed];
        let reason = crate::Invalid::Field("reason");
        Ok(match slot.kind {
            1 => Self::Opened { leg, tag },
            2 => Self::Updated { leg, tag },
            3 => {
                let reason = refusals.into_iter().find(|known| *known as u16 == number).ok_or(reason)?;
                Self::Refused { leg, tag, reason }
            }
            4 => {
                let reason = closings.into_iter().find(|known| *known as u16 == number).ok_or(reason)?;
                Self::Closed { leg, tag, reason }
            }
            5 => Self::MediaTimeout { leg, tag },
            6 if !slot.address.is_none() => Self::Latched { leg, tag, address: slot.address },
            6 => return Err(crate::Invalid::Field("address")),
            7 if number <= 15 => Self::Digit { leg, tag, digit: number as u8 },
            7 => return Err(crate::Invalid::Field("digit")),
            8 => Self::SourceEnded { leg, tag },
            9 if number < 256 => Self::Moved { leg, tag, worker: number as u8 },
            9 => return Err(crate::Invalid::Field("worker")),
            10 => Self::RecordingStarted { leg, tag, recording: slot.recording },
            11 => {
                slot.outcome.check()?;
                Self::RecordingEnded { leg, tag, recording: slot.recording, outcome: slot.outcome }
            }
            12 => Self::Kept { tag },
            13 => Self::Adopted { leg, tag },
            kind => return Err(crate::Invalid::Kind(kind)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_as_they_went() {
        let (leg, tag) = (LegRef::new(10_002, 3), 77);
        let address = Address::from("192.0.2.1:4000".parse::<std::net::SocketAddr>().unwrap());
        let mut outcome = RecordingOutcome::new(crate::RecordingEnd::LegClosed);
        outcome.file_bytes = 44;
        for event in [
            Event::Opened { leg, tag },
            Event::Updated { leg, tag },
            Event::Refused { leg, tag, reason: RefuseReason::Full },
            Event::Closed { leg, tag, reason: CloseReason::Asked },
            Event::MediaTimeout { leg, tag },
            Event::Latched { leg, tag, address },
            Event::Digit { leg, tag, digit: 11 },
            Event::SourceEnded { leg, tag },
            Event::Moved { leg, tag, worker: 1 },
            Event::RecordingStarted { leg, tag, recording: 5 },
            Event::RecordingEnded { leg, tag, recording: 5, outcome },
            Event::Kept { tag },
            Event::Adopted { leg, tag },
        ] {
            assert_eq!(Event::read(&event.write()), Ok(event));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let slot = EventSlot::read_from_bytes(&[0xff; SLOT_BYTES]).unwrap();
        assert!(matches!(Event::read(&slot), Err(crate::Invalid::Kind(_))));
    }
}
