//! Messages about one stream of audio between a program and the media plane, over a Unix socket that keeps message
//! boundaries (SOCK_SEQPACKET). The program makes a pair of sockets, writes [`ProgramMessage::Begin`] into one end and hands
//! the other end over on the control socket ([`crate::FileOffer::for_stream`]). Sound is 16-bit PCM, little endian, in frames of
//! 20 ms. The stream ends when either end of the socket is closed.

mod messages;

pub use messages::{MediaMessage, ProgramMessage};

/// Streams of one media plane at once.
pub const STREAMS_MAX: usize = 1_000;
/// Milliseconds of sound in a message.
pub const STREAM_FRAME_MS: u32 = 20;
/// Frames that a program may have sent beyond those that [`MediaMessage::Taken`] has told: the media plane refuses more.
pub const STREAM_FRAMES_AHEAD_MAX: u64 = 50;
/// Bytes before the samples of a message.
pub const STREAM_HEADER_BYTES: usize = 16;
/// Bytes of the longest message: 20 ms of 24 kHz.
pub const STREAM_MESSAGE_BYTES_MAX: usize = STREAM_HEADER_BYTES + 960;

/// Samples in a second of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum StreamRate {
    /// 8,000 Hz.
    #[default]
    Hz8000 = 8,
    /// 16,000 Hz.
    Hz16000 = 16,
    /// 24,000 Hz.
    Hz24000 = 24,
}

impl StreamRate {
    /// In Hz; `None` for a rate that streams do not have.
    pub fn from_hz(hz: u32) -> Option<Self> {
        [Self::Hz8000, Self::Hz16000, Self::Hz24000].into_iter().find(|rate| rate.hz() == hz)
    }

    /// In Hz.
    pub fn hz(self) -> u32 {
        u32::from(self as u8) * 1_000
    }

    /// Samples of a frame.
    pub fn frame_samples(self) -> usize {
        usize::from(self as u8) * STREAM_FRAME_MS as usize
    }
}

/// What a program hears of a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum StreamTracks {
    /// Nothing: the program only speaks.
    None = 0,
    /// What the leg receives: its peer.
    #[default]
    Received = 1,
    /// What the leg sends to its peer.
    Sent = 2,
    /// Both, in frames of their own.
    Both = 3,
    /// Both, added up.
    Mixed = 4,
}

impl StreamTracks {
    fn from_number(number: u8) -> Option<Self> {
        [Self::None, Self::Received, Self::Sent, Self::Both, Self::Mixed].into_iter().find(|it| *it as u8 == number)
    }

    /// Whether what the leg receives is heard.
    pub fn has_received(self) -> bool {
        !matches!(self, Self::None | Self::Sent)
    }

    /// Whether what the leg sends is heard.
    pub fn has_sent(self) -> bool {
        !matches!(self, Self::None | Self::Received)
    }
}

/// Which direction of the leg a frame is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum StreamTrack {
    /// What the leg received.
    Received = 1,
    /// What the leg sent.
    Sent = 2,
    /// Both.
    Mixed = 3,
}

/// Why the media plane ends a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum StreamEnd {
    /// The leg is closed.
    LegClosed = 1,
    /// The client has no such leg here.
    NoSuchLeg = 2,
    /// The leg has a stream already.
    AlreadyRunning = 3,
    /// [`STREAMS_MAX`] run already.
    Full = 4,
    /// A message of the program made no sense.
    BadMessage = 5,
    /// The media plane shuts down.
    Shutdown = 6,
}
