use crate::{ClockRate, Invalid};
use clock::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most recordings of one media plane at once.
pub const RECORDINGS_MAX: usize = 1_000;
/// Longest recording, in seconds: a day, whose stereo file of G.711 has 2.8 GB. A file of a higher rate that reaches
/// the 4 GiB of a WAV header earlier ends there, by [`RecordingEnd::LimitReached`].
pub const RECORDING_SECONDS_MAX: u32 = 86_400;

/// How the two directions of a leg lie in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum RecordingLayout {
    /// Left what the leg receives, right what it sends.
    Stereo = 1,
    /// Both added up.
    Mono = 2,
    /// What the leg receives alone.
    Received = 3,
    /// What the leg sends alone.
    Sent = 4,
    /// Left what the leg sends, right what it receives.
    Reversed = 5,
    /// All that is said in the room of which the leg is a member, until the room is empty or the leg is gone.
    Room = 6,
}

impl RecordingLayout {
    /// From the layout's number.
    pub fn from_number(number: u16) -> Option<Self> {
        let all = [Self::Stereo, Self::Mono, Self::Received, Self::Sent, Self::Reversed, Self::Room];
        all.into_iter().find(|layout| *layout as u16 == number)
    }

    /// Samples at each point of time.
    pub fn channel_count(self) -> u16 {
        match self {
            Self::Stereo | Self::Reversed => 2,
            Self::Mono | Self::Received | Self::Sent | Self::Room => 1,
        }
    }
}

/// What the file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u16)]
pub enum RecordingFormat {
    /// RIFF WAVE, PCM of 16 bits.
    #[default]
    Wav = 0,
    /// Opus in Ogg (RFC 7845).
    OggOpus = 1,
    /// The RTP and RTCP packets of the leg with their addresses and times, as pcapng. It has both directions, whatever the
    /// layout.
    Pcapng = 2,
}

/// What of a leg a recording keeps. A leg has one recording of each kind at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecordingKind {
    /// Its sound.
    Sound,
    /// Its packets.
    Packets,
}

impl RecordingKind {
    /// All of them, in the order of [`Self::index`].
    pub const ALL: [Self; 2] = [Self::Sound, Self::Packets];

    /// Its place in an array with one entry for each kind.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl RecordingFormat {
    /// From the format's number.
    pub fn from_number(number: u16) -> Option<Self> {
        [Self::Wav, Self::OggOpus, Self::Pcapng].into_iter().find(|format| *format as u16 == number)
    }

    /// What a file of this format keeps.
    pub fn kind(self) -> RecordingKind {
        match self {
            Self::Wav | Self::OggOpus => RecordingKind::Sound,
            Self::Pcapng => RecordingKind::Packets,
        }
    }
}

/// How a recording lies in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordingShape {
    /// Where the two directions are.
    pub layout: RecordingLayout,
    /// What the file is.
    pub format: RecordingFormat,
    /// The recording goes on at the end of what the file has already, in the rate of that. WAV with a header as the media
    /// plane writes it, or pcapng; a file of Opus begins anew.
    pub continues: bool,
    /// The recording ends once its file has so many megabytes (of 1,000,000 bytes); 0: it may have any.
    pub file_mb_max: u32,
}

impl From<RecordingLayout> for RecordingShape {
    /// As WAV.
    fn from(layout: RecordingLayout) -> Self {
        Self { layout, format: RecordingFormat::Wav, continues: false, file_mb_max: 0 }
    }
}

impl From<RecordingFormat> for RecordingShape {
    /// In stereo.
    fn from(format: RecordingFormat) -> Self {
        Self { format, ..RecordingLayout::Stereo.into() }
    }
}

impl RecordingShape {
    /// Most bytes of the file.
    pub fn file_bytes_max(&self) -> u64 {
        if self.file_mb_max == 0 { u64::MAX } else { u64::from(self.file_mb_max) * 1_000_000 }
    }
}

/// What a descriptor that a client hands over is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FilePurpose {
    /// The file of a recording, before the command that begins it.
    Recording,
    /// The socket of a stream of audio, whose first message is in it ([`crate::ProgramMessage`]). No command follows.
    Stream,
}

/// Which leg and what a descriptor is for: said on the control socket, with the descriptor beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FileOffer {
    magic: [u8; 8],
    /// The leg to be recorded, or that has the stream.
    pub leg: crate::LegRef,
    /// The number that the command has as well; 0 of a stream.
    pub recording: u64,
}

const MAGIC: [u8; 8] = *b"ringfile";
const STREAM_MAGIC: [u8; 8] = *b"ringstrm";

impl FileOffer {
    /// For a recording of a leg.
    pub fn new(leg: crate::LegRef, recording: u64) -> Self {
        Self { magic: MAGIC, leg, recording }
    }

    /// For a stream of audio of a leg.
    pub fn for_stream(leg: crate::LegRef) -> Self {
        Self { magic: STREAM_MAGIC, leg, recording: 0 }
    }

    /// What the descriptor is for.
    pub fn purpose(&self) -> FilePurpose {
        if self.magic == STREAM_MAGIC { FilePurpose::Stream } else { FilePurpose::Recording }
    }

    /// Looks at what came as if a stranger had sent it.
    pub fn check(self) -> Result<Self, Invalid> {
        match (self.magic == MAGIC || self.magic == STREAM_MAGIC, self.leg.is_none()) {
            (true, false) => Ok(self),
            (false, _) => Err(Invalid::Field("magic")),
            (true, true) => Err(Invalid::Field("leg")),
        }
    }
}

/// Why a recording is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum RecordingEnd {
    /// It was asked to stop.
    Stopped = 1,
    /// Its leg closed: the call is over.
    LegClosed = 2,
    /// It is as long as it may be.
    LimitReached = 3,
    /// The file took no more: [`RecordingOutcome::os_error`] says why.
    WriteFailed = 4,
    /// It never began: no sound file came for it, or none that can be written at any place.
    NoFile = 5,
    /// It never began: no such leg here.
    NoSuchLeg = 6,
    /// It never began: [`RECORDINGS_MAX`] run already.
    Full = 7,
    /// It never began: the leg is being recorded.
    AlreadyRunning = 8,
    /// The media plane is gone; the file is a sound one and has what was written until then.
    MediaLost = 9,
}

impl RecordingEnd {
    /// All of them.
    pub const ALL: [Self; 9] = {
        use RecordingEnd::*;
        [Stopped, LegClosed, LimitReached, WriteFailed, NoFile, NoSuchLeg, Full, AlreadyRunning, MediaLost]
    };

    /// Whether there was a recording at all.
    pub fn has_begun(self) -> bool {
        !matches!(self, Self::NoFile | Self::NoSuchLeg | Self::Full | Self::AlreadyRunning)
    }
}

/// What became of a recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RecordingOutcome {
    /// Its length in points of time, each with one sample for each channel: ticks of [`Self::clock_rate`].
    pub sample_count: u64,
    /// Bytes of the file, its header included.
    pub file_bytes: u64,
    /// RTP packets of the leg's peer that were written.
    pub received_packets: u64,
    /// RTP packets of ours that were written.
    pub sent_packets: u64,
    /// RTP packets of the peer that never came; there is silence in their place.
    pub received_lost_packets: u64,
    /// RTP packets missing in what we sent, because they never came to us from elsewhere; silence in their place.
    pub sent_lost_packets: u64,
    /// Packets that the media plane had no room to write, because the disk was slow; silence in their place.
    pub overflow_packets: u64,
    /// Packets that came when the file was past their place.
    pub late_packets: u64,
    /// Packets of a codec that is not decoded.
    pub undecoded_packets: u64,
    /// A [`RecordingEnd`] as number.
    pub end: u32,
    /// The system's error number after [`RecordingEnd::WriteFailed`]; 0 otherwise.
    pub os_error: i32,
    /// The rate of the file, from its first sample to its last: that of the leg's format when the recording began.
    pub clock_rate: ClockRate,
    /// Zero.
    pub reserved: [u8; 3],
    /// Milliseconds in which it was paused: silence in the file.
    pub paused_ms: u32,
}

impl RecordingOutcome {
    /// Nothing recorded yet, over for this reason.
    pub fn new(end: RecordingEnd) -> Self {
        Self { end: end as u32, ..Self::default() }
    }

    /// Its length in time.
    pub fn duration(&self) -> Duration {
        self.clock_rate.time(self.sample_count)
    }

    /// Why it is over. A checked outcome always says so.
    pub fn end(&self) -> RecordingEnd {
        RecordingEnd::ALL.into_iter().find(|end| *end as u32 == self.end).unwrap_or(RecordingEnd::NoFile)
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let is_known = RecordingEnd::ALL.into_iter().any(|end| end as u32 == self.end);
        match (is_known, self.clock_rate.is_known()) {
            (true, true) => Ok(()),
            (false, _) => Err(Invalid::Field("end")),
            (true, false) => Err(Invalid::Field("clock_rate")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LegRef;

    #[test]
    fn offers_and_outcomes_are_checked() {
        let offer = FileOffer::new(LegRef::new(10_000, 1), 7);
        assert_eq!(FileOffer::read_from_bytes(offer.as_bytes()).unwrap().check(), Ok(offer));
        assert!(FileOffer::read_from_bytes(&[7; size_of::<FileOffer>()]).unwrap().check().is_err());
        for end in RecordingEnd::ALL {
            let outcome = RecordingOutcome::new(end);
            assert_eq!((outcome.end(), outcome.check()), (end, Ok(())));
        }
        assert!(RecordingOutcome::default().check().is_err());
        let unknown_rate = ClockRate::read_from_bytes(&[200]).unwrap();
        let outcome = RecordingOutcome { clock_rate: unknown_rate, ..RecordingOutcome::new(RecordingEnd::Stopped) };
        assert_eq!(outcome.check(), Err(Invalid::Field("clock_rate")));
        let g711 = crate::Codec::Pcma.clock_rate();
        let bytes = g711.ticks(Duration::from_secs(RECORDING_SECONDS_MAX.into())) * 4 + 44;
        assert!(bytes < u64::from(u32::MAX), "{bytes} bytes do not fit a WAV header");
    }

    #[test]
    fn the_length_is_counted_in_the_clock_of_the_file() {
        for (hz, seconds) in [(8_000, 6), (16_000, 3), (48_000, 1)] {
            let clock_rate = ClockRate::from_hz(hz).unwrap();
            let outcome = RecordingOutcome { sample_count: 48_000, clock_rate, ..RecordingOutcome::default() };
            assert_eq!(outcome.duration(), Duration::from_secs(seconds));
        }
    }
}
