//! What signaling and media say to each other through shared memory: commands, events and the leg table's rows.
//!
//! Every value has a fixed layout without padding, so that it can be copied into a slot of a queue and out again. What
//! comes out is a stranger's word until [`Command::read`] or [`Event::read`] has checked it. This crate holds no
//! memory, no queue and no socket; `shm` does. Read [`LegSpec`] first: it is all that media knows about a call.
//!
//! Tests: `cargo test -p ringplane-contract`.

#![forbid(unsafe_code)]

mod address;
mod audio_stream;
mod clock_rate;
mod codec;
mod command;
mod event;
mod flow;
mod format;
mod ids;
mod opus;
mod recording;
mod row;
mod spec;
mod transport;
mod voice;

pub use address::Address;
pub use audio_stream::{
    MediaMessage, ProgramMessage, STREAM_FRAME_MS, STREAM_FRAMES_AHEAD_MAX, STREAM_HEADER_BYTES,
    STREAM_MESSAGE_BYTES_MAX, STREAMS_MAX, StreamEnd, StreamRate, StreamTrack, StreamTracks,
};
pub use clock_rate::ClockRate;
pub use codec::{Codec, FormatId, PayloadMap, PayloadMapping};
pub use command::{Command, CommandSlot};
pub use event::{CloseReason, Event, EventSlot, RefuseReason};
pub use flow::{
    AnnouncedSound, Announcement, DigitPassing, DigitRules, Direction, FlowSpec, NamedTone, PromptPlay, Rewriting,
    RoomMember, Source, SourceSlot, ToneMeaning,
};
pub use format::FormatSpec;
pub use ids::{LegRef, PlayerId, PortRef};
pub use opus::OpusParameters;
pub use recording::{
    FileOffer, FilePurpose, RECORDING_SECONDS_MAX, RECORDINGS_MAX, RecordingEnd, RecordingFormat, RecordingKind,
    RecordingLayout, RecordingOutcome, RecordingShape,
};
pub use row::{
    LegQuality, LegRow, LegState, LegStream, PeerReport, QualityChange, QualityClass, ReceivedCounts, SentCounts,
    StreamQuality,
};
pub use spec::{LegSpec, LegUpdate};
pub use transport::{Latching, RtcpMode, TransportSpec};
pub use voice::VoiceProcessing;

/// Grows with every change of a layout in this crate or in `shm`. Both processes refuse to work with another version.
pub const LAYOUT_VERSION: u32 = 19;

/// Longest time that legs of a client which has hung up wait for another one, milliseconds.
pub const GRACE_MS_MAX: u32 = 60_000;

/// Bytes of one slot of a command queue.
pub const COMMAND_BYTES: usize = 1_024;

/// Bytes of one slot of an event queue.
pub const EVENT_BYTES: usize = 256;

/// Why a slot was refused: it came out of shared memory and makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Invalid {
    /// The kind is none that this version knows.
    #[error("unknown kind {0}")]
    Kind(u32),
    /// A field has a value outside its range.
    #[error("field `{0}` is out of range")]
    Field(&'static str),
}
