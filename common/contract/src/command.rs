use crate::{
    Announcement, COMMAND_BYTES, FlowSpec, FormatSpec, GRACE_MS_MAX, Invalid, LegRef, LegSpec, LegUpdate, PayloadMap,
    PlayerId, RECORDING_SECONDS_MAX, RecordingFormat, RecordingLayout, RecordingShape, TransportSpec,
};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// What signaling asks of one media worker. The client counts its commands; an answer repeats the `number` of the command
/// that it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Start the leg, on the port of its transport. Answered by `Opened` or `Refused`.
    Open { leg: LegRef, number: u64, spec: LegSpec },
    /// Replace some parts of what is known of the leg, at once; SSRC, sequence and timestamp go on without a break. Answered
    /// by `Updated` or `Refused`.
    Update { leg: LegRef, number: u64, update: LegUpdate },
    /// RTCP BYE, then silence, at once. Answered by `Closed`; the leg and its port may go back to their pools then.
    Close { leg: LegRef, number: u64 },
    /// Send one telephone event (RFC 4733): 0-9, 10 `*`, 11 `#`, 12-15 A-D. Several wait for each other. Answered by
    /// `Refused` only.
    SendDigit { leg: LegRef, number: u64, digit: u8, duration_ms: u16 },
    /// Hand the leg to another worker without losing a packet. Answered by `Moved` from the new worker, or `Refused`.
    Move { leg: LegRef, number: u64, worker: u8 },
    /// Write both directions of the leg, its sound or its packets, into the file that was handed over on the control socket
    /// under this number, for so long at most. Recordings of packets that name one file share it. Answered by `RecordingStarted`, and by `RecordingEnded` when it is over or cannot begin.
    StartRecording { leg: LegRef, number: u64, recording: u64, shape: RecordingShape, limit_s: u32 },
    /// Stop a recording. `RecordingEnded` follows once the file is whole, with the number of the command that began it;
    /// nothing where it is over already.
    StopRecording { leg: LegRef, number: u64, recording: u64 },
    /// Leave silence in a recording's file in place of what comes from now on, or go on with the sound. Answered by
    /// `Refused` only.
    PauseRecording { leg: LegRef, number: u64, recording: u64, paused: bool },
    /// Play this in the room of which the leg is a member, or have it wait for those before it. Answered by
    /// `AnnouncementEnded` when it is over, which follows also if the leg leaves the room, or by `Refused`.
    Announce { leg: LegRef, number: u64, announcement: Announcement },
    /// End an announcement in the room of the leg, or take it off those that wait; none: all of that room. Each is told by
    /// `AnnouncementEnded`. Answered by `Refused` only, where the leg is in no room.
    StopAnnouncement { leg: LegRef, number: u64, id: PlayerId },
    /// Once this client has hung up, the worker goes on with all legs of it for so long, at most [`GRACE_MS_MAX`], and ends
    /// those that no other client has adopted by then. 0: end them at once, as without this command. Each worker has to be
    /// told. Answered by `Kept`.
    KeepLegs { number: u64, grace_ms: u32 },
    /// Take over a leg, with its port, that a client which has hung up left behind. Answered by `Adopted` or `Refused`.
    Adopt { leg: LegRef, number: u64 },
}

/// Bytes of the slot that are zero, until what they are for can be said: SDES keys of both directions with their master key
/// identifiers (RFC 4568), ICE credentials of both sides (RFC 8839), and the fingerprint of the peer's certificate with its
/// hash and DTLS role (RFC 8122, RFC 5763).
const SECURITY_BYTES: usize = 2 * SDES_BYTES + 2 * ICE_BYTES + FINGERPRINT_BYTES;
/// Key and salt of AES-256 (RFC 6188: 32 + 14), suite, and an identifier of up to 128 bits.
const SDES_BYTES: usize = 64;
/// A user fragment of up to 32 and a password of up to 64 characters; the shortest allowed ones have 4 and 22.
const ICE_BYTES: usize = 96;
/// Hash and role, and up to 64 bytes of SHA-512.
const FINGERPRINT_BYTES: usize = 72;
/// Bytes of codec parameters (`fmtp`) for each payload type, zero until a codec has any.
const PARAMETER_BYTES: usize = 16;

const PARTS_BYTES: usize = size_of::<TransportSpec>() + size_of::<FormatSpec>() + size_of::<FlowSpec>();
const REST_BYTES: usize = COMMAND_BYTES - HEAD_BYTES - PARTS_BYTES;
const HEAD_BYTES: usize = 48;

const _: () = assert!(
    SECURITY_BYTES + PARAMETER_BYTES * PayloadMap::CAPACITY <= REST_BYTES,
    "keys, ICE credentials, a fingerprint and codec parameters have room in a command"
);

/// The format of a recording lies in these bits of the choice, above its layout.
const FORMAT_SHIFT: u32 = 8;
/// The bit of the choice that says that a recording continues its file.
const CONTINUES: u16 = 1 << 15;

/// A [`Command`] in the fixed layout of a queue's slot.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CommandSlot {
    kind: u16,
    /// Which parts of the spec are there: bit 0 transport, bit 1 formats, bit 2 flow.
    parts: u16,
    /// Digit, worker, layout and format, whether it is paused, or whether an announcement ducks the talk.
    choice: u16,
    duration_ms: u16,
    leg: LegRef,
    number: u64,
    recording: u64,
    /// Seconds of a recording, milliseconds of grace, or of the tone of an announcement.
    limit: u32,
    /// Megabytes of a recording's file.
    file_mb_max: u32,
    /// The member that alone hears an announcement.
    to: LegRef,
    transport: TransportSpec,
    formats: FormatSpec,
    flow: FlowSpec,
    rest: [u8; REST_BYTES],
}

const _: () = assert!(size_of::<CommandSlot>() == COMMAND_BYTES);

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
            | Self::PauseRecording { leg, .. }
            | Self::Announce { leg, .. }
            | Self::StopAnnouncement { leg, .. }
            | Self::Adopt { leg, .. } => leg,
            Self::KeepLegs { .. } => LegRef::NONE,
        }
    }

    /// The number that its answer repeats.
    pub fn number(&self) -> u64 {
        match *self {
            Self::Open { number, .. }
            | Self::Update { number, .. }
            | Self::Close { number, .. }
            | Self::SendDigit { number, .. }
            | Self::Move { number, .. }
            | Self::StartRecording { number, .. }
            | Self::StopRecording { number, .. }
            | Self::PauseRecording { number, .. }
            | Self::Announce { number, .. }
            | Self::StopAnnouncement { number, .. }
            | Self::KeepLegs { number, .. }
            | Self::Adopt { number, .. } => number,
        }
    }

    /// The slot to push.
    pub fn write(&self) -> CommandSlot {
        let slot = CommandSlot { leg: self.leg(), number: self.number(), ..CommandSlot::new_zeroed() };
        match *self {
            Self::Open { spec, .. } => CommandSlot { kind: 1, ..slot.with_parts(&spec.into()) },
            Self::Update { update, .. } => CommandSlot { kind: 2, ..slot.with_parts(&update) },
            Self::Close { .. } => CommandSlot { kind: 3, ..slot },
            Self::SendDigit { digit, duration_ms, .. } => {
                CommandSlot { kind: 4, choice: digit.into(), duration_ms, ..slot }
            }
            Self::Move { worker, .. } => CommandSlot { kind: 5, choice: worker.into(), ..slot },
            Self::StartRecording { recording, shape, limit_s, .. } => {
                let continues = if shape.continues { CONTINUES } else { 0 };
                let choice = shape.layout as u16 | (shape.format as u16) << FORMAT_SHIFT | continues;
                let file_mb_max = shape.file_mb_max;
                CommandSlot { kind: 6, choice, recording, limit: limit_s, file_mb_max, ..slot }
            }
            Self::StopRecording { recording, .. } => CommandSlot { kind: 7, recording, ..slot },
            Self::KeepLegs { grace_ms, .. } => CommandSlot { kind: 8, limit: grace_ms, ..slot },
            Self::Adopt { .. } => CommandSlot { kind: 9, ..slot },
            Self::Announce { announcement, .. } => {
                let Announcement { id, to, is_ducking, .. } = announcement;
                let (source, limit) = announcement.source();
                let flow = FlowSpec { source: source.into(), player: id, ..slot.flow };
                CommandSlot { kind: 11, choice: is_ducking.into(), limit, to, flow, ..slot }
            }
            Self::StopAnnouncement { id, .. } => {
                CommandSlot { kind: 12, flow: FlowSpec { player: id, ..slot.flow }, ..slot }
            }
            Self::PauseRecording { recording, paused, .. } => {
                CommandSlot { kind: 10, choice: paused.into(), recording, ..slot }
            }
        }
    }

    /// The command in a popped slot, every field checked.
    pub fn read(slot: &CommandSlot) -> Result<Self, Invalid> {
        let (leg, number) = (slot.leg, slot.number);
        if leg.is_none() != (slot.kind == 8) {
            return Err(Invalid::Field("leg"));
        }
        if !slot.to.is_none() && slot.kind != 11 {
            return Err(Invalid::Field("to"));
        }
        if (slot.kind != 6 && slot.file_mb_max != 0) || slot.rest.iter().any(|byte| *byte != 0) {
            return Err(Invalid::Field("reserved"));
        }
        Ok(match slot.kind {
            1 => match slot.parts()? {
                LegUpdate { transport: Some(transport), formats: Some(formats), flow: Some(flow) } => {
                    Self::Open { leg, number, spec: LegSpec { transport, formats, flow } }
                }
                _ => return Err(Invalid::Field("parts")),
            },
            2 => Self::Update { leg, number, update: slot.parts()? },
            3 => Self::Close { leg, number },
            4 if slot.choice <= 15 && (40..=5_000).contains(&slot.duration_ms) => {
                Self::SendDigit { leg, number, digit: slot.choice as u8, duration_ms: slot.duration_ms }
            }
            4 => return Err(Invalid::Field("digit")),
            5 if slot.choice < 256 => Self::Move { leg, number, worker: slot.choice as u8 },
            5 => return Err(Invalid::Field("worker")),
            6 if !(1..=RECORDING_SECONDS_MAX).contains(&slot.limit) => return Err(Invalid::Field("limit_s")),
            6 => {
                let layout = RecordingLayout::from_number(slot.choice & ((1 << FORMAT_SHIFT) - 1));
                let format = RecordingFormat::from_number((slot.choice & !CONTINUES) >> FORMAT_SHIFT);
                let shape = RecordingShape {
                    layout: layout.ok_or(Invalid::Field("layout"))?,
                    format: format.ok_or(Invalid::Field("format"))?,
                    continues: slot.choice & CONTINUES != 0,
                    file_mb_max: slot.file_mb_max,
                };
                Self::StartRecording { leg, number, recording: slot.recording, shape, limit_s: slot.limit }
            }
            7 => Self::StopRecording { leg, number, recording: slot.recording },
            8 if slot.limit <= GRACE_MS_MAX => Self::KeepLegs { number, grace_ms: slot.limit },
            8 => return Err(Invalid::Field("grace_ms")),
            9 => Self::Adopt { leg, number },
            10 if slot.choice <= 1 => {
                Self::PauseRecording { leg, number, recording: slot.recording, paused: slot.choice == 1 }
            }
            10 => return Err(Invalid::Field("paused")),
            11 if slot.choice <= 1 => {
                let source = slot.flow.source.get().ok_or(Invalid::Field("source"))?;
                let sound = Announcement::sound_of(source, slot.limit)?;
                let (id, to, is_ducking) = (slot.flow.player, slot.to, slot.choice == 1);
                if id.is_none() {
                    return Err(Invalid::Field("player"));
                }
                Self::Announce { leg, number, announcement: Announcement { id, sound, to, is_ducking } }
            }
            11 => return Err(Invalid::Field("ducking")),
            12 => Self::StopAnnouncement { leg, number, id: slot.flow.player },
            kind => return Err(Invalid::Kind(kind.into())),
        })
    }
}

impl CommandSlot {
    fn with_parts(self, update: &LegUpdate) -> Self {
        let LegUpdate { transport, formats, flow } = *update;
        let is_there = [transport.is_some(), formats.is_some(), flow.is_some()];
        Self {
            parts: is_there.iter().enumerate().map(|(bit, is_there)| u16::from(*is_there) << bit).sum(),
            transport: transport.unwrap_or(self.transport),
            formats: formats.unwrap_or(self.formats),
            flow: flow.unwrap_or(self.flow),
            ..self
        }
    }

    /// The parts that are there, each checked.
    fn parts(&self) -> Result<LegUpdate, Invalid> {
        let is_there = |bit: u16| self.parts & (1 << bit) != 0;
        if !(1..8).contains(&self.parts) {
            return Err(Invalid::Field("parts"));
        }
        let update = LegUpdate {
            transport: is_there(0).then_some(self.transport),
            formats: is_there(1).then_some(self.formats),
            flow: is_there(2).then_some(self.flow),
        };
        update.check()?;
        Ok(update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnnouncedSound, NamedTone, PortRef, PromptPlay, ToneMeaning};

    #[test]
    fn commands_come_back_as_they_went() {
        let (leg, number, spec) = (LegRef::new(10_002, 3), 77, LegSpec::default());
        let (transport, formats, flow) = (Some(spec.transport), Some(spec.formats), Some(spec.flow));
        let none = LegUpdate::default();
        let sound = AnnouncedSound::Prompt(PromptPlay { start_ms: 7, times: 0, gain_db: -3, prompt: 2 });
        let prompt = Announcement { id: PlayerId::new(9), sound, to: LegRef::NONE, is_ducking: true };
        let tone = NamedTone { country: *b"gb", meaning: ToneMeaning::Busy };
        let tone = Announcement { sound: AnnouncedSound::Tone(tone, 500), to: leg, is_ducking: false, ..prompt };
        for command in [
            Command::Open { leg, number, spec },
            Command::Update { leg, number, update: spec.into() },
            Command::Update { leg, number, update: LegUpdate { transport, ..none } },
            Command::Update { leg, number, update: LegUpdate { formats, flow, ..none } },
            Command::Close { leg, number },
            Command::SendDigit { leg, number, digit: 11, duration_ms: 100 },
            Command::Move { leg, number, worker: 1 },
            Command::StartRecording { leg, number, recording: 9, shape: RecordingLayout::Mono.into(), limit_s: 60 },
            Command::StartRecording {
                leg,
                number,
                recording: 9,
                shape: RecordingShape { format: RecordingFormat::OggOpus, ..RecordingLayout::Sent.into() },
                limit_s: 60,
            },
            Command::StartRecording {
                leg,
                number,
                recording: 9,
                shape: RecordingShape {
                    continues: true,
                    file_mb_max: u32::MAX,
                    layout: RecordingLayout::Reversed,
                    ..RecordingFormat::Pcapng.into()
                },
                limit_s: 60,
            },
            Command::PauseRecording { leg, number, recording: 9, paused: true },
            Command::StopRecording { leg, number, recording: 9 },
            Command::KeepLegs { number, grace_ms: 30_000 },
            Command::Adopt { leg, number },
            Command::Announce { leg, number, announcement: prompt },
            Command::Announce { leg, number, announcement: tone },
            Command::StopAnnouncement { leg, number, id: PlayerId::new(9) },
            Command::StopAnnouncement { leg, number, id: PlayerId::NONE },
        ] {
            assert_eq!(Command::read(&command.write()), Ok(command));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let read = |bytes: &[u8; COMMAND_BYTES]| Command::read(&CommandSlot::read_from_bytes(bytes).unwrap());
        assert!(read(&[0; COMMAND_BYTES]).is_err());
        assert!(read(&[0xff; COMMAND_BYTES]).is_err());
        let none = Command::Close { leg: LegRef::NONE, number: 0 };
        assert_eq!(Command::read(&none.write()), Err(Invalid::Field("leg")));
        let mut spec = LegSpec::default();
        spec.transport.port = PortRef::new(10_001, 1);
        let odd = Command::Open { leg: LegRef::new(0, 1), number: 0, spec };
        assert_eq!(Command::read(&odd.write()), Err(Invalid::Field("port")));
        let (leg, shape) = (LegRef::new(10_000, 1), RecordingLayout::Stereo.into());
        let limit_s = RECORDING_SECONDS_MAX + 1;
        let endless = Command::StartRecording { leg, number: 0, recording: 1, shape, limit_s };
        assert_eq!(Command::read(&endless.write()), Err(Invalid::Field("limit_s")));
        let endless = Command::KeepLegs { number: 0, grace_ms: GRACE_MS_MAX + 1 };
        assert_eq!(Command::read(&endless.write()), Err(Invalid::Field("grace_ms")));
        let tone = NamedTone { country: *b"gb", meaning: ToneMeaning::Busy };
        let announcement = Announcement {
            id: PlayerId::new(1),
            sound: AnnouncedSound::Tone(tone, Announcement::TONE_MS_MAX + 1),
            to: LegRef::NONE,
            is_ducking: false,
        };
        let endless = Command::Announce { leg, number: 0, announcement };
        assert_eq!(Command::read(&endless.write()), Err(Invalid::Field("sound")));
        let sound = AnnouncedSound::Tone(tone, 100);
        let nameless = Announcement { id: PlayerId::NONE, sound, ..announcement };
        let nameless = Command::Announce { leg, number: 0, announcement: nameless };
        assert_eq!(Command::read(&nameless.write()), Err(Invalid::Field("player")));
        let none = Command::Adopt { leg: LegRef::NONE, number: 0 };
        assert_eq!(Command::read(&none.write()), Err(Invalid::Field("leg")));
        let spec = LegSpec::default();
        let half = CommandSlot { parts: 5, ..Command::Open { leg, number: 1, spec }.write() };
        assert_eq!(Command::read(&half), Err(Invalid::Field("parts")));
        let nothing = Command::Update { leg, number: 1, update: LegUpdate::default() };
        assert_eq!(Command::read(&nothing.write()), Err(Invalid::Field("parts")));
        let mut early = Command::Close { leg, number: 1 }.write();
        early.rest[REST_BYTES - 1] = 1;
        assert_eq!(Command::read(&early), Err(Invalid::Field("reserved")));
        let sized = CommandSlot { file_mb_max: 1, ..Command::Close { leg, number: 1 }.write() };
        assert_eq!(Command::read(&sized), Err(Invalid::Field("reserved")));
        let broken = Command::Open { leg, number: 1, spec: spec.with(|spec| spec.formats.ptime_ms = 21) };
        assert_eq!(Command::read(&broken.write()), Err(Invalid::Field("ptime_ms")));
    }
}
