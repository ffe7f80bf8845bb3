use crate::{Address, EVENT_BYTES, Invalid, LegRef, PlayerId, QualityChange, RecordingOutcome};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// What a media worker tells the control client whose leg it is. An answer repeats the `number` of the command that it
/// answers; what answers no command has none, and is about the leg that it names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The leg runs.
    Opened { leg: LegRef, number: u64 },
    /// The leg runs by its new spec.
    Updated { leg: LegRef, number: u64 },
    /// The command was not carried out; nothing changed.
    Refused { leg: LegRef, number: u64, reason: RefuseReason },
    /// The leg has sent its last packet. Its row in the leg table keeps the final numbers until the row's next life. Unless
    /// `Close` asked for it, it answers no command, and `number` is 0.
    Closed { leg: LegRef, number: u64, reason: CloseReason },
    /// Nothing came from the peer for the leg's media timeout; RTP has stopped, the leg waits for `Close`.
    MediaTimeout { leg: LegRef },
    /// The peer's packets come from here, and the leg now sends there.
    Latched { leg: LegRef, address: Address },
    /// The peer presses a key: 0 to 9, 10 `*`, 11 `#`, 12 to 15 A to D. Told once per press, when the first packet of a telephone
    /// event comes or once its tones are certain.
    Digit { leg: LegRef, digit: u8 },
    /// The key that was told last is no longer pressed. Follows each `Digit` unless the leg closes before.
    DigitEnded { leg: LegRef, digit: u8, duration_ms: u32 },
    /// The leg's player came to its end (a prompt was played); the leg goes on with silence.
    PlayerEnded { leg: LegRef, player: PlayerId },
    /// The leg lives on this worker now.
    Moved { leg: LegRef, number: u64, worker: u8 },
    /// Both directions of the leg are being written.
    RecordingStarted { leg: LegRef, number: u64, recording: u64 },
    /// The file is whole and closed, or the recording could not begin. May come after the leg has closed. Answers
    /// `StartRecording` once more; a client that has adopted the leg since then hears nothing of it.
    RecordingEnded { leg: LegRef, number: u64, recording: u64, outcome: RecordingOutcome },
    /// Once this client hangs up, its legs on this worker go on for the time of the command.
    Kept { number: u64 },
    /// The leg belongs to this client now, as it is; its row tells what it does. `MediaTimeout` and `PlayerEnded` follow where
    /// they were told before, or would have been.
    Adopted { leg: LegRef, number: u64 },
    /// The peer has begun to speak, or has ended. Told where the leg's format asks for it, at most three times a second.
    VoiceActivity { leg: LegRef, is_speech: bool },
    /// The worker has all the voice processors that it can have: the sound of the leg's peer goes on as it is.
    VoiceRefused { leg: LegRef },
    /// A stream of the leg is in another class of quality, or has become degraded, or is so no longer.
    QualityChanged { leg: LegRef, change: QualityChange },
    /// An announcement that the leg's client asked for is over: it was played, stopped, or its room or the member that it was
    /// for is gone.
    AnnouncementEnded { leg: LegRef, id: PlayerId },
    /// A member of a room begins to speak, or has ceased to: at most twice a second for each member.
    Speaking { leg: LegRef, is_speaking: bool },
}

/// Why a command was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum RefuseReason {
    /// The handle names a leg that is not open here, or an earlier life of its row.
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
    /// Reason, digit, worker, or whether a member speaks.
    choice: u16,
    reserved: u16,
    leg: LegRef,
    number: u64,
    address: Address,
    /// The recording, the player, the announcement, milliseconds of a digit, or a change of quality.
    object: u64,
    outcome: RecordingOutcome,
    rest: [u8; EVENT_BYTES - 32 - size_of::<Address>() - size_of::<RecordingOutcome>()],
}

const _: () = assert!(size_of::<EventSlot>() == EVENT_BYTES);

impl Event {
    fn parts(&self) -> (u32, LegRef, u64, u16, Address) {
        let none = Address::NONE;
        match *self {
            Self::Opened { leg, number } => (1, leg, number, 0, none),
            Self::Updated { leg, number } => (2, leg, number, 0, none),
            Self::Refused { leg, number, reason } => (3, leg, number, reason as u16, none),
            Self::Closed { leg, number, reason } => (4, leg, number, reason as u16, none),
            Self::MediaTimeout { leg } => (5, leg, 0, 0, none),
            Self::Latched { leg, address } => (6, leg, 0, 0, address),
            Self::Digit { leg, digit } => (7, leg, 0, digit.into(), none),
            Self::PlayerEnded { leg, .. } => (8, leg, 0, 0, none),
            Self::Moved { leg, number, worker } => (9, leg, number, worker.into(), none),
            Self::RecordingStarted { leg, number, .. } => (10, leg, number, 0, none),
            Self::RecordingEnded { leg, number, .. } => (11, leg, number, 0, none),
            Self::Kept { number } => (12, LegRef::NONE, number, 0, none),
            Self::Adopted { leg, number } => (13, leg, number, 0, none),
            Self::DigitEnded { leg, digit, .. } => (14, leg, 0, digit.into(), none),
            Self::VoiceActivity { leg, is_speech } => (15, leg, 0, is_speech.into(), none),
            Self::VoiceRefused { leg } => (16, leg, 0, 0, none),
            Self::QualityChanged { leg, .. } => (17, leg, 0, 0, none),
            Self::AnnouncementEnded { leg, .. } => (18, leg, 0, 0, none),
            Self::Speaking { leg, is_speaking } => (19, leg, 0, is_speaking.into(), none),
        }
    }

    /// The leg it is about; none where it is about the client.
    pub fn leg(&self) -> LegRef {
        self.parts().1
    }

    /// The number of the command that it answers; `None` where there is no such command.
    pub fn number(&self) -> Option<u64> {
        let is_answer = match *self {
            Self::MediaTimeout { .. } | Self::Latched { .. } | Self::PlayerEnded { .. } => false,
            Self::VoiceActivity { .. } | Self::VoiceRefused { .. } => false,
            Self::Digit { .. } | Self::DigitEnded { .. } | Self::QualityChanged { .. } => false,
            Self::AnnouncementEnded { .. } | Self::Speaking { .. } => false,
            Self::Closed { reason, .. } => reason == CloseReason::Asked,
            _ => true,
        };
        is_answer.then(|| self.parts().2)
    }

    /// The slot to push.
    pub fn write(&self) -> EventSlot {
        let (kind, leg, number, choice, address) = self.parts();
        let slot = EventSlot { kind, leg, number, choice, address, ..EventSlot::new_zeroed() };
        match *self {
            Self::PlayerEnded { player, .. } => EventSlot { object: player.get(), ..slot },
            Self::QualityChanged { change, .. } => EventSlot { object: change.to_bits(), ..slot },
            Self::AnnouncementEnded { id, .. } => EventSlot { object: id.get(), ..slot },
            Self::DigitEnded { duration_ms, .. } => EventSlot { object: duration_ms.into(), ..slot },
            Self::RecordingStarted { recording, .. } => EventSlot { object: recording, ..slot },
            Self::RecordingEnded { recording, outcome, .. } => EventSlot { object: recording, outcome, ..slot },
            _ => slot,
        }
    }

    /// The event in a popped slot, every field checked.
    pub fn read(slot: &EventSlot) -> Result<Self, Invalid> {
        use RefuseReason::*;
        let (leg, number, choice) = (slot.leg, slot.number, slot.choice);
        let refusals = [NoSuchLeg, AlreadyOpen, Full, System, Invalid];
        let closings = [CloseReason::Asked, CloseReason::Shutdown, CloseReason::Failed];
        let reason = crate::Invalid::Field("reason");
        Ok(match slot.kind {
            1 => Self::Opened { leg, number },
            2 => Self::Updated { leg, number },
            3 => {
                let reason = refusals.into_iter().find(|known| *known as u16 == choice).ok_or(reason)?;
                Self::Refused { leg, number, reason }
            }
            4 => {
                let reason = closings.into_iter().find(|known| *known as u16 == choice).ok_or(reason)?;
                Self::Closed { leg, number, reason }
            }
            5 => Self::MediaTimeout { leg },
            6 if !slot.address.is_none() => Self::Latched { leg, address: slot.address },
            6 => return Err(crate::Invalid::Field("address")),
            7 if choice <= 15 => Self::Digit { leg, digit: choice as u8 },
            7 => return Err(crate::Invalid::Field("digit")),
            8 => Self::PlayerEnded { leg, player: PlayerId::new(slot.object) },
            9 if choice < 256 => Self::Moved { leg, number, worker: choice as u8 },
            9 => return Err(crate::Invalid::Field("worker")),
            10 => Self::RecordingStarted { leg, number, recording: slot.object },
            11 => {
                slot.outcome.check()?;
                Self::RecordingEnded { leg, number, recording: slot.object, outcome: slot.outcome }
            }
            12 => Self::Kept { number },
            13 => Self::Adopted { leg, number },
            14 if choice <= 15 => {
                let duration_ms = u32::try_from(slot.object).map_err(|_| crate::Invalid::Field("duration_ms"))?;
                Self::DigitEnded { leg, digit: choice as u8, duration_ms }
            }
            14 => return Err(crate::Invalid::Field("digit")),
            15 if choice <= 1 => Self::VoiceActivity { leg, is_speech: choice == 1 },
            15 => return Err(crate::Invalid::Field("is_speech")),
            16 => Self::VoiceRefused { leg },
            17 => Self::QualityChanged { leg, change: QualityChange::from_bits(slot.object)? },
            18 => Self::AnnouncementEnded { leg, id: PlayerId::new(slot.object) },
            19 if choice <= 1 => Self::Speaking { leg, is_speaking: choice == 1 },
            19 => return Err(crate::Invalid::Field("speaking")),
            kind => return Err(crate::Invalid::Kind(kind)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_as_they_went() {
        let (leg, number) = (LegRef::new(10_002, 3), 77);
        let address = Address::from("192.0.2.1:4000".parse::<std::net::SocketAddr>().unwrap());
        let mut outcome = RecordingOutcome::new(crate::RecordingEnd::LegClosed);
        outcome.file_bytes = 44;
        for event in [
            Event::Opened { leg, number },
            Event::Updated { leg, number },
            Event::Refused { leg, number, reason: RefuseReason::Full },
            Event::Closed { leg, number, reason: CloseReason::Asked },
            Event::MediaTimeout { leg },
            Event::Latched { leg, address },
            Event::Digit { leg, digit: 11 },
            Event::DigitEnded { leg, digit: 11, duration_ms: 120 },
            Event::PlayerEnded { leg, player: PlayerId::new(9) },
            Event::Moved { leg, number, worker: 1 },
            Event::RecordingStarted { leg, number, recording: 5 },
            Event::RecordingEnded { leg, number, recording: 5, outcome },
            Event::Kept { number },
            Event::Adopted { leg, number },
            Event::VoiceActivity { leg, is_speech: true },
            Event::VoiceRefused { leg },
            Event::QualityChanged { leg, change: QualityChange::from_bits(0x20_02_01_04_01_01_2c).unwrap() },
            Event::AnnouncementEnded { leg, id: PlayerId::new(7) },
            Event::Speaking { leg, is_speaking: true },
        ] {
            assert_eq!(Event::read(&event.write()), Ok(event));
        }
    }

    #[test]
    fn what_nobody_asked_for_answers_no_command() {
        let leg = LegRef::new(10_002, 3);
        assert_eq!(Event::Digit { leg, digit: 1 }.number(), None);
        assert_eq!(Event::Closed { leg, number: 0, reason: CloseReason::Failed }.number(), None);
        assert_eq!(Event::Closed { leg, number: 7, reason: CloseReason::Asked }.number(), Some(7));
    }

    #[test]
    fn nonsense_is_refused() {
        let slot = EventSlot::read_from_bytes(&[0xff; EVENT_BYTES]).unwrap();
        assert!(matches!(Event::read(&slot), Err(crate::Invalid::Kind(_))));
    }
}
