mod quality;

pub use quality::{LegQuality, LegStream, QualityChange, QualityClass, StreamQuality};

use crate::{Address, LegRef, PortRef};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One row of the leg table: what a worker knows of a leg, published for anybody to read (at most a second old).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LegRow {
    /// The leg.
    pub leg: LegRef,
    /// The local port pair that it has.
    pub port: PortRef,
    /// Where we send now.
    pub remote: Address,
    /// The leg that we relay to or from, if any.
    pub peer: LegRef,
    /// When it was opened, monotonic nanoseconds.
    pub opened_at_ns: u64,
    /// When the last RTP packet came, monotonic nanoseconds; 0: none yet.
    pub last_received_at_ns: u64,
    /// RTP of the peer.
    pub received: ReceivedCounts,
    /// RTP that we sent.
    pub sent: SentCounts,
    /// What the peer reports of it.
    pub reported: PeerReport,
    /// How good both streams sound.
    pub quality: LegQuality,
    /// A [`crate::Codec`] as number: what the leg receives or, before the first packet, what it sends.
    pub codec: u8,
    /// A [`LegState`] as number.
    pub state: u8,
    /// The worker that runs it.
    pub worker: u8,
    /// A [`crate::Direction`] as number.
    pub direction: u8,
    /// Of a member of a room: how loud it has been lately, decibels below full scale; -127: silence.
    pub level_dbov: i8,
    /// Of a member of a room: 1 while it speaks.
    pub is_speaking: u8,
    /// Zero.
    pub reserved: u16,
}

/// What a leg has received.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReceivedCounts {
    /// RTP packets taken.
    pub packets: u64,
    /// RTP payload and header bytes taken.
    pub bytes: u64,
    /// Packets dropped: from a stranger, malformed, of an unknown payload type, or against the direction.
    pub dropped_packets: u64,
    /// Expected less received (RFC 3550 §A.3); negative when duplicates outnumber losses.
    pub lost_packets: i64,
    /// Packets that came more than once.
    pub duplicate_packets: u32,
    /// Packets that came after a later one.
    pub reordered_packets: u32,
    /// Interarrival jitter (RFC 3550 §6.4.1), microseconds.
    pub jitter_us: u32,
    /// Zero.
    pub reserved: u32,
}

/// What a leg has sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SentCounts {
    /// RTP packets.
    pub packets: u64,
    /// RTP payload and header bytes.
    pub bytes: u64,
}

/// What the peer reports by RTCP of what we send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PeerReport {
    /// Round-trip time, microseconds; 0: not known.
    pub round_trip_us: u32,
    /// Loss, in 1/256.
    pub loss_fraction: u32,
    /// Jitter, microseconds.
    pub jitter_us: u32,
    /// Rating by the peer's own VoIP metrics (RFC 3611 §4.7), 0 to 100; 127: the peer does not know it.
    pub r_factor: u8,
    /// Listening quality by them, times 10: 10 to 50; 127: the peer does not know it.
    pub mos_lq_x10: u8,
    /// Conversational quality by them, likewise.
    pub mos_cq_x10: u8,
    /// 1: the peer has sent VoIP metrics; 0: none yet, and the fields before this one are 0.
    pub has_metrics: u8,
}

/// Where a leg is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum LegState {
    /// Never opened, or the row of an earlier life was cleared.
    Free = 0,
    /// Runs.
    Open = 1,
    /// Stopped by its media timeout, waits for `Close`.
    TimedOut = 2,
    /// Closed; the numbers are final.
    Closed = 3,
}

impl LegRow {
    /// Where the leg is in its life.
    pub fn state(&self) -> LegState {
        use LegState::*;
        [Free, Open, TimedOut, Closed][usize::from(self.state & 3)]
    }
}
