//! A leg as a few bytes, from which it can be opened again.

mod restore;

pub use restore::Restoration;

use crate::wish::{Formats, Rtcp, Transport};
use crate::{EdgeKind, Player, Port, SOURCES_MAX, SnapshotError};
use contract::{
    Address, ClockRate, Codec, DigitRules, Direction, FormatId, Latching, LegRef, NamedTone, OpusParameters,
    PayloadMap, PayloadMapping, PlayerId, PortRef, PromptPlay, RoomMember, VoiceProcessing,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::Deref;

/// Bytes of a snapshot of a leg without a source.
pub const SNAPSHOT_BYTES_MIN: usize = FIXED_BYTES + CHECKSUM_BYTES;
/// Bytes of a snapshot of a leg with as many sources as it may have.
pub const SNAPSHOT_BYTES_MAX: usize = SNAPSHOT_BYTES_MIN + SOURCES_MAX * SOURCE_BYTES;
/// The layout that this version writes, and the only one that it reads.
const VERSION: u8 = 12;
/// Bytes of a payload type: its number, its codec, its clock, and which format that is only relayed it is.
const ENTRY_BYTES: usize = 7;
/// Bytes before the sources; the last one counts them.
const FIXED_BYTES: usize = 255;
/// Bytes of a source: the kind of its edge, its leg.
const SOURCE_BYTES: usize = 9;
/// Bytes of the checksum, which comes last.
const CHECKSUM_BYTES: usize = 4;

/// All that is wanted of a leg, with its port. A recording is not part of it: its file cannot be handed over again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    pub(crate) owner: u64,
    pub(crate) port: Port,
    pub(crate) transport: Transport,
    pub(crate) formats: Formats,
    pub(crate) direction: Direction,
    pub(crate) is_muted: bool,
    pub(crate) is_held: bool,
    pub(crate) is_continuous: bool,
    pub(crate) digits: DigitRules,
    pub(crate) player: Option<Player>,
    /// The id that its player has in the media plane.
    pub(crate) playing: PlayerId,
    /// In the order in which they were connected, none before another.
    pub(crate) sources: [Option<(LegRef, EdgeKind)>; SOURCES_MAX],
}

/// A snapshot as bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotBytes {
    bytes: [u8; SNAPSHOT_BYTES_MAX],
    count: usize,
}

impl Deref for SnapshotBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.count]
    }
}

impl Snapshot {
    /// What the owner of the leg called it.
    pub fn owner(&self) -> u64 {
        self.owner
    }

    /// The port that the leg had, and its worker.
    pub fn port(&self) -> Port {
        self.port
    }

    /// As bytes.
    pub fn write(&self) -> SnapshotBytes {
        let mut writer = Writer { bytes: [0; SNAPSHOT_BYTES_MAX], at: 0 };
        let flags = u8::from(self.is_muted) | u8::from(self.is_held) << 1 | u8::from(self.is_continuous) << 2;
        writer.put(&[VERSION, flags, self.port.worker]);
        writer.put(&self.owner.to_le_bytes());
        writer.leg(self.port.leg);
        writer.port(self.port.pair);
        let transport = &self.transport;
        for address in [transport.remote_rtp, transport.remote_rtcp, transport.signaling] {
            writer.address(address);
        }
        writer.put(&[transport.rtcp.to_byte(), transport.latching as u8, transport.dscp, transport.negotiation]);
        writer.put(&transport.unproven_bytes.to_le_bytes());
        writer.put(&transport.media_timeout_ms.to_le_bytes());
        let mut payloads = [0; ENTRY_BYTES * PayloadMap::CAPACITY];
        for (entry, it) in payloads.chunks_exact_mut(ENTRY_BYTES).zip(self.formats.payloads.entries()) {
            entry[..3].copy_from_slice(&[it.payload_type, it.codec as u8, it.clock_rate.number() as u8]);
            entry[3..].copy_from_slice(&it.format.to_bytes());
        }
        writer.put(&payloads);
        writer.put(&self.formats.opus.to_bytes());
        writer.put(&[self.formats.ptime_ms, self.formats.voice.to_byte()]);
        writer.put(&[self.direction as u8, self.digits.to_byte()]);
        let mut play = PromptPlay::once(0);
        let (kind, number) = match self.player {
            None => (0, 0),
            Some(Player::Silence) => (1, 0),
            Some(Player::Tone440) => (2, 0),
            Some(Player::Ringing) => (3, 0),
            Some(Player::Prompt(number)) => (4, number),
            Some(Player::Echo) => (5, 0),
            Some(Player::Room(member)) => (6, member.room),
            Some(Player::PromptPlay(it)) => {
                play = it;
                (7, it.prompt)
            }
            Some(Player::CallTone(tone)) => (8, tone.number()),
        };
        writer.put(&[kind]);
        writer.put(&number.to_le_bytes());
        let member = match self.player {
            Some(Player::Room(member)) => member,
            _ => RoomMember::of(0),
        };
        let part = [
            member.is_muted,
            member.is_deaf,
            member.is_always_heard,
            member.is_announced,
            member.hears_waiting,
            member.tells_speaking,
        ];
        let part = part.iter().enumerate().map(|(bit, is_set)| u8::from(*is_set) << bit).sum();
        writer.put(&[part, member.gain_db.to_le_bytes()[0]]);
        writer.leg(member.heard_by);
        writer.put(&play.start_ms.to_le_bytes());
        writer.put(&play.times.to_le_bytes());
        writer.put(&play.gain_db.to_le_bytes());
        writer.put(&self.playing.get().to_le_bytes());
        writer.put(&[self.sources.iter().flatten().count() as u8]);
        for (source, kind) in self.sources.iter().flatten() {
            writer.put(&[match kind {
                EdgeKind::Relay => 1,
            }]);
            writer.leg(*source);
        }
        let sum = checksum(&writer.bytes[..writer.at]);
        writer.put(&sum.to_le_bytes());
        SnapshotBytes { bytes: writer.bytes, count: writer.at }
    }

    /// From bytes that may be anybody's: every field is checked.
    pub fn read(bytes: &[u8]) -> Result<Self, SnapshotError> {
        if let Some(version) = bytes.first().filter(|version| **version != VERSION) {
            return Err(SnapshotError::Version(*version));
        }
        let source_count = bytes.get(FIXED_BYTES - 1).map_or(0, |count| usize::from(*count).min(SOURCES_MAX));
        let (expected, got) = (SNAPSHOT_BYTES_MIN + source_count * SOURCE_BYTES, bytes.len());
        let (fields, sum) = bytes.split_last_chunk().ok_or(SnapshotError::Length { expected, got })?;
        if got != expected {
            return Err(SnapshotError::Length { expected, got });
        }
        if *sum != checksum(fields).to_le_bytes() {
            return Err(SnapshotError::Checksum);
        }
        let mut reader = Reader { bytes: &fields[1..] };
        let [flags, worker] = reader.take()?;
        let flag = |bit: u8| flags & 1 << bit != 0;
        let owner = u64::from_le_bytes(reader.take()?);
        let port = Port { leg: reader.leg()?, pair: reader.port()?, worker };
        let [remote_rtp, remote_rtcp, signaling] = [reader.address()?, reader.address()?, reader.address()?];
        let [rtcp, latching, dscp, negotiation] = reader.take()?;
        let transport = Transport {
            remote_rtp,
            remote_rtcp,
            signaling,
            rtcp: Rtcp::from_byte(rtcp).ok_or(SnapshotError::Field("rtcp"))?,
            latching: of(latching, &LATCHINGS, "latching")?,
            unproven_bytes: u32::from_le_bytes(reader.take()?),
            media_timeout_ms: u32::from_le_bytes(reader.take()?),
            dscp,
            negotiation,
        };
        let payloads = reader.payloads()?;
        let opus = OpusParameters::from_bytes(reader.take()?).ok_or(SnapshotError::Field("opus"))?;
        let [ptime_ms, voice] = reader.take()?;
        let voice = VoiceProcessing::from_byte(voice).ok_or(SnapshotError::Field("voice"))?;
        let [direction, digits, player] = reader.take()?;
        let digits = DigitRules::from_byte(digits).ok_or(SnapshotError::Field("digits"))?;
        let number = u32::from_le_bytes(reader.take()?);
        let [part, gain_db] = reader.take()?;
        let member = RoomMember {
            room: number,
            is_muted: part & 1 != 0,
            is_deaf: part & 2 != 0,
            is_always_heard: part & 4 != 0,
            is_announced: part & 8 != 0,
            hears_waiting: part & 16 != 0,
            tells_speaking: part & 32 != 0,
            gain_db: i8::from_le_bytes([gain_db]),
            heard_by: reader.leg()?,
        };
        let is_member = part < 64 && number != 0 && RoomMember::GAIN_DB.contains(&member.gain_db);
        let play = PromptPlay {
            prompt: number,
            start_ms: u32::from_le_bytes(reader.take()?),
            times: u16::from_le_bytes(reader.take()?),
            gain_db: i8::from_le_bytes(reader.take()?),
        };
        if player != 7 && play != PromptPlay::once(number) {
            return Err(SnapshotError::Field("play"));
        }
        let player = match (player, number) {
            (6, _) if is_member => Some(Player::Room(member)),
            (6, _) => return Err(SnapshotError::Field("room")),
            _ if member != (RoomMember { room: number, ..RoomMember::of(0) }) => {
                return Err(SnapshotError::Field("room"));
            }
            (4, number) => Some(Player::Prompt(number)),
            (7, _) if PromptPlay::GAINS_DB.contains(&play.gain_db) => Some(Player::PromptPlay(play)),
            (7, _) => return Err(SnapshotError::Field("gain")),
            (8, number) => Some(Player::CallTone(NamedTone::from_number(number).ok_or(SnapshotError::Field("tone"))?)),
            (kind, 0) => of(kind, &PLAYERS, "player")?,
            _ => return Err(SnapshotError::Field("prompt")),
        };
        let playing = PlayerId::new(u64::from_le_bytes(reader.take()?));
        let sources = reader.sources(port.leg)?;
        let snapshot = Self {
            owner,
            port,
            transport,
            formats: Formats { payloads, ptime_ms, opus, voice },
            direction: of(direction, &DIRECTIONS, "direction")?,
            is_muted: flag(0),
            is_held: flag(1),
            is_continuous: flag(2),
            digits,
            player,
            playing,
            sources,
        };
        let rules = [
            ("flags", flags < 8),
            ("leg", !port.leg.is_none()),
            ("port", !port.pair.is_none() && port.pair.rtp.is_multiple_of(2)),
            ("ptime_ms", matches!(ptime_ms, 10 | 20 | 30 | 40 | 60)),
            ("dscp", dscp < 64),
        ];
        match rules.iter().find(|(_, holds)| !holds) {
            Some((field, _)) => Err(SnapshotError::Field(field)),
            None => Ok(snapshot),
        }
    }
}

const LATCHINGS: [Latching; 3] = [Latching::Off, Latching::Probation, Latching::NotYet];
const DIRECTIONS: [Direction; 4] = [Direction::Inactive, Direction::Send, Direction::Receive, Direction::Both];
/// By their numbers; 4 is a prompt, whose number follows.
const PLAYERS: [Option<Player>; 6] = [
    None,
    Some(Player::Silence),
    Some(Player::Tone440),
    Some(Player::Ringing),
    Some(Player::Prompt(0)),
    Some(Player::Echo),
];

fn of<T: Copy>(number: u8, all: &[T], field: &'static str) -> Result<T, SnapshotError> {
    all.get(usize::from(number)).copied().ok_or(SnapshotError::Field(field))
}

/// FNV-1a: finds a snapshot that was cut off or damaged; nobody has to be kept from making one.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

struct Writer {
    bytes: [u8; SNAPSHOT_BYTES_MAX],
    at: usize,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn leg(&mut self, leg: LegRef) {
        self.put(&leg.generation.to_le_bytes());
        self.put(&leg.row.to_le_bytes());
    }

    fn port(&mut self, port: PortRef) {
        self.put(&port.generation.to_le_bytes());
        self.put(&port.rtp.to_le_bytes());
    }

    /// Family, address, scope and port.
    fn address(&mut self, address: Address) {
        let (family, ip, scope, port) = match address.get() {
            None => (0, [0; 16], 0, 0),
            Some(SocketAddr::V4(v4)) => (4, v4.ip().to_ipv6_mapped().octets(), 0, v4.port()),
            Some(SocketAddr::V6(v6)) => (6, v6.ip().octets(), v6.scope_id(), v6.port()),
        };
        self.put(&[family]);
        self.put(&ip);
        self.put(&scope.to_le_bytes());
        self.put(&port.to_le_bytes());
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(SnapshotError::Field("length"))?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn leg(&mut self) -> Result<LegRef, SnapshotError> {
        let generation = u32::from_le_bytes(self.take()?);
        Ok(LegRef::new(u32::from_le_bytes(self.take()?), generation))
    }

    fn port(&mut self) -> Result<PortRef, SnapshotError> {
        let generation = u32::from_le_bytes(self.take()?);
        Ok(PortRef::new(u16::from_le_bytes(self.take()?), generation))
    }

    fn address(&mut self) -> Result<Address, SnapshotError> {
        let [family] = self.take()?;
        let ip = Ipv6Addr::from(self.take::<16>()?);
        let scope = u32::from_le_bytes(self.take()?);
        let port = u16::from_le_bytes(self.take()?);
        let mapped: Option<Ipv4Addr> = ip.to_ipv4_mapped();
        match (family, mapped, port) {
            (0, None, 0) if ip.is_unspecified() && scope == 0 => Ok(Address::NONE),
            (4, Some(v4), 1..) if scope == 0 => Ok(SocketAddr::new(IpAddr::V4(v4), port).into()),
            (6, None, 1..) => Ok(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope)).into()),
            _ => Err(SnapshotError::Field("address")),
        }
    }

    /// The sources of this leg: all of them others, each once.
    fn sources(&mut self, own: LegRef) -> Result<[Option<(LegRef, EdgeKind)>; SOURCES_MAX], SnapshotError> {
        let [count] = self.take()?;
        let mut sources = [None; SOURCES_MAX];
        let read = sources.get_mut(..usize::from(count)).ok_or(SnapshotError::Field("sources"))?;
        for at in 0..read.len() {
            let [kind] = self.take()?;
            let source = self.leg()?;
            let is_known = read[..at].iter().flatten().any(|(known, _)| *known == source);
            if kind != 1 || source.is_none() || source == own || is_known {
                return Err(SnapshotError::Field("sources"));
            }
            read[at] = Some((source, EdgeKind::Relay));
        }
        Ok(sources)
    }

    fn payloads(&mut self) -> Result<PayloadMap, SnapshotError> {
        let entries: [u8; ENTRY_BYTES * PayloadMap::CAPACITY] = self.take()?;
        let mut payloads = PayloadMap::default();
        let mut is_over = false;
        for entry in entries.chunks_exact(ENTRY_BYTES) {
            let clock_rate = ClockRate::ALL.get(usize::from(entry[2])).copied();
            let format = FormatId::from_bytes([entry[3], entry[4], entry[5], entry[6]]);
            let mapping = Codec::from_number(entry[1]).zip(clock_rate).map(|(codec, clock_rate)| PayloadMapping {
                clock_rate,
                format,
                ..PayloadMapping::of(entry[0], codec)
            });
            match mapping {
                None if *entry == [0; ENTRY_BYTES] => is_over = true,
                Some(mapping) if !is_over && payloads.push_entry(mapping) => {}
                _ => return Err(SnapshotError::Field("payloads")),
            }
        }
        Ok(payloads)
    }
}
