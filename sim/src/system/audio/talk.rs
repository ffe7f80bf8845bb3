//! What one phone says in one call: packets that carry which packet of which call they are, and telephone events.

use super::{FRAME, Side};
use crate::system::phone::description::{Directions, EVENT_PAYLOAD, Ways};
use clock::{Duration, Instant};
use sip_core::DialogId;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

pub(super) const HEADER_BYTES: usize = 12;
const PAYLOAD_BYTES: usize = 160;
const MARK: &[u8; 4] = b"sim:";
/// Packets of a telephone event: its duration grows in four of them, and its end is said three times (RFC 4733 §2.5.1.4).
const EVENT_PACKETS: u16 = 7;
const EVENT_ENDS_AT: u16 = 4;
/// After its first ten seconds a phone speaks for one second out of five: fewer packets, the same changes between them.
const FULL_SPEECH_FRAMES: u32 = 500;
const SPURT_FRAMES: u32 = 50;
const SPURT_EVERY_FRAMES: u32 = 250;

/// Packets of a telephone event that the switch makes have at most this distance, and audio waits as long behind the last.
const AROUND_EVENTS: Duration = Duration::from_millis(60);
/// The network delays a packet by at most this more than another one.
const DELAY_DIFFERENCE: Duration = Duration::from_millis(1_500);

/// What one phone says and hears in one call.
pub(in crate::system) struct Talk {
    pub(in crate::system) phone: usize,
    pub(in crate::system) dialog: DialogId,
    pub(in crate::system) rtp: SocketAddr,
    pub(in crate::system) remote: SocketAddr,
    pub(in crate::system) since: Instant,
    pub(in crate::system) is_over: bool,
    /// When the phone ended the call, and had the answer of the switch to that.
    pub(super) hung_up_at: Option<Instant>,
    /// Telephone events were agreed on with the phone; without that it takes none.
    pub(in crate::system) has_events: bool,
    /// What the phone and the switch have told each other about the direction, and since when nothing else.
    pub(super) directions: Directions,
    pub(super) told_since: Instant,
    /// Which ways were agreed on, seen from the phone, each with its beginning; none while they may be changing.
    flows: Vec<(Instant, Ways)>,
    /// Since when the phone is to hear nothing, by its own word or by that of the switch.
    pub(super) deaf_since: Option<Instant>,
    /// By the number of a packet: when its first copy arrived at the switch.
    pub(super) arrived: Vec<Option<Instant>>,
    /// By the number of a packet: its RTP timestamp.
    times: Vec<u32>,
    /// By the number of a packet: whether the switch sent it on.
    pub(super) relayed: Vec<bool>,
    pub(super) digits: Digits,
    frames: u32,
    seq: u16,
}

/// The digits that the user of a phone presses and is told in one call.
#[derive(Default)]
pub(super) struct Digits {
    /// Digits that its user pressed, whichever way they go.
    pub(super) pressed: Vec<u8>,
    /// By RTP timestamp, the telephone events of this phone that arrived at the switch.
    pub(super) events: BTreeMap<u32, ArrivedEvent>,
    /// Digits that the switch has taken by INFO and answered 200, and when the phone had that answer.
    pub(super) taken: Vec<(u8, Instant)>,
    /// By RTP timestamp, the telephone events that were sent to this phone.
    pub(super) heard_events: BTreeMap<u32, HeardEvent>,
    /// When telephone events were sent to this phone: audio gives way to those that the switch makes of an INFO.
    pub(super) told_at: Vec<Instant>,
    /// All digits that it was told.
    pub(super) heard: Vec<u8>,
    /// A digit that is being sent, and its packets so far.
    key: Option<(u8, u32, u16)>,
    /// Digits that wait for those before them.
    keys: VecDeque<u8>,
}

/// A telephone event at the switch.
#[derive(Clone, Copy)]
pub(super) struct ArrivedEvent {
    pub(super) digit: u8,
    pub(super) packets: u16,
    pub(super) has_end: bool,
    pub(super) at: Instant,
}

/// A telephone event that was sent to a phone.
#[derive(Clone, Copy)]
pub(super) struct HeardEvent {
    pub(super) digit: u8,
    pub(super) has_end: bool,
    /// Its first packet.
    pub(super) at: Instant,
}

impl Talk {
    pub(in crate::system) fn new(
        now: Instant,
        (phone, dialog): (usize, DialogId),
        rtp: SocketAddr,
        remote: SocketAddr,
    ) -> Self {
        Self {
            phone,
            dialog,
            rtp,
            remote,
            since: now,
            is_over: false,
            hung_up_at: None,
            has_events: true,
            directions: Directions::BOTH,
            told_since: now,
            flows: vec![(now, Ways::BOTH)],
            deaf_since: None,
            arrived: Vec::new(),
            times: Vec::new(),
            relayed: Vec::new(),
            digits: Digits::default(),
            frames: 0,
            seq: 0,
        }
    }

    /// The user presses a key; it is sent as a telephone event once those before it are.
    pub(super) fn press(&mut self, digit: u8) {
        self.digits.keys.push_back(digit);
        self.digits.pressed.push(digit);
    }

    /// The packet of this frame, and when the next one comes.
    pub(super) fn next_packet(&mut self, now: Instant, side: Side) -> (Vec<u8>, Instant) {
        let time = self.frames * 160;
        self.frames += 1;
        let ssrc = ssrc_of(side);
        let is_first = self.digits.key.is_none();
        if is_first && let Some(digit) = self.digits.keys.pop_front() {
            self.digits.key = Some((digit, time, 0));
        }
        let mut packet = vec![0x80, 0];
        packet.extend(self.seq.to_be_bytes());
        self.seq = self.seq.wrapping_add(1);
        if let Some((digit, began, count)) = self.digits.key {
            packet[1] = EVENT_PAYLOAD | if is_first { 0x80 } else { 0 };
            packet.extend(began.to_be_bytes());
            packet.extend(ssrc.to_be_bytes());
            let is_end = count >= EVENT_ENDS_AT;
            let duration = 160 * (count + 1).min(EVENT_ENDS_AT + 1);
            packet.extend([digit, if is_end { 0x80 | 10 } else { 10 }]);
            packet.extend(duration.to_be_bytes());
            self.digits.key = (count + 1 < EVENT_PACKETS).then_some((digit, began, count + 1));
            return (packet, now + FRAME);
        }
        packet.extend(time.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.extend(MARK);
        packet.extend(side.0.to_be_bytes());
        packet.push(u8::from(side.1));
        packet.extend((self.arrived.len() as u32).to_be_bytes());
        packet.resize(HEADER_BYTES + PAYLOAD_BYTES, 0xd5);
        self.arrived.push(None);
        self.times.push(time);
        self.relayed.push(false);
        let is_pause = self.frames > FULL_SPEECH_FRAMES && self.frames % SPURT_EVERY_FRAMES >= SPURT_FRAMES;
        if is_pause && self.digits.keys.is_empty() {
            let pause = SPURT_EVERY_FRAMES - self.frames % SPURT_EVERY_FRAMES;
            self.frames += pause;
            return (packet, now + FRAME * (pause + 1));
        }
        (packet, now + FRAME)
    }

    /// What was agreed on has changed, or is about to.
    pub(in crate::system) fn agree(&mut self, now: Instant, directions: Directions) {
        let flow = directions.flow();
        (self.directions, self.told_since) = (directions, now);
        self.flows.push((now, flow));
        let is_deaf = directions.is_settled && !flow.receives;
        self.deaf_since = if is_deaf { self.deaf_since.or(Some(now)) } else { None };
    }

    /// Which ways were agreed on at this time, and had been for so long.
    pub(super) fn flow(&self, at: Instant, since: Duration) -> Ways {
        let last = self.flows.iter().rev().find(|(from, _)| *from <= at);
        last.filter(|(from, _)| at.since(*from) >= since).map_or(Ways::NONE, |(_, flow)| *flow)
    }
}

impl Talk {
    /// When what was agreed on changed, or the phone was told a digit.
    pub(super) fn changes(&self) -> impl Iterator<Item = Instant> + '_ {
        self.flows.iter().skip(1).map(|(at, _)| *at).chain(self.digits.told_at.iter().copied())
    }

    /// Whether a telephone event was being sent to this phone at this time: the audio of its peer gives way to it.
    pub(super) fn is_told_at(&self, at: Instant) -> bool {
        self.digits.told_at.iter().any(|told| at.since(*told) < AROUND_EVENTS && told.since(at) < AROUND_EVENTS)
    }
}

/// In which order the packets of a phone came to the switch.
pub(super) struct Arrivals<'t> {
    talk: &'t Talk,
    /// In order of time.
    times: Vec<Instant>,
    /// By the number of a packet: the earliest arrival of a later one.
    later: Vec<Option<Instant>>,
}

impl<'t> Arrivals<'t> {
    pub(super) fn of(talk: &'t Talk) -> Self {
        let mut times: Vec<Instant> = talk.arrived.iter().copied().flatten().collect();
        times.extend(talk.digits.events.values().map(|event| event.at));
        times.sort();
        let mut earliest: Option<Instant> = None;
        let mut later = Vec::with_capacity(talk.arrived.len());
        for arrived in talk.arrived.iter().rev() {
            later.push(earliest);
            earliest = earliest.into_iter().chain(*arrived).min();
        }
        later.reverse();
        Self { talk, times, later }
    }

    /// Whether a packet or telephone event that was sent later came before this packet, which came at `at`.
    pub(super) fn is_overtaken(&self, number: usize, at: Instant) -> bool {
        let by_audio = self.later[number].is_some_and(|later| later <= at);
        let mut events = self.talk.digits.events.range(self.talk.times[number]..).map(|(_, event)| event.at);
        by_audio || events.any(|event| event <= at)
    }

    /// Whether the order of a packet that comes at this time may be unknown after a change of the stream's source: the change
    /// takes `settled_after`, the stream begins anew with the packet that comes next, and older ones may follow for as long as
    /// the network delays them.
    pub(super) fn is_order_unknown(&self, at: Instant, change: Instant, settled_after: Duration) -> bool {
        let settled = change + settled_after;
        let first = self.times.partition_point(|time| *time < settled);
        let begins_anew = self.times.get(first).is_some_and(|first| at.since(*first) < DELAY_DIFFERENCE);
        change <= at && (at < settled || begins_anew)
    }
}

/// The SSRC of the stream that a phone sends in a call.
pub(super) fn ssrc_of(side: Side) -> u32 {
    side.0 * 2 + u32::from(side.1) + 1
}

/// Which packet of which side a packet is.
pub(super) fn packet_id(packet: &[u8]) -> Option<(Side, u32)> {
    let mark = packet.get(HEADER_BYTES..)?.strip_prefix(MARK)?;
    let number = |at: usize| Some(u32::from_be_bytes(mark.get(at..at + 4)?.try_into().ok()?));
    Some(((number(0)?, *mark.get(4)? == 1), number(5)?))
}

/// The timestamp, the digit and whether it says the end, of a telephone event.
pub(super) fn event_in(packet: &[u8]) -> Option<(u32, u8, bool)> {
    if packet.len() != HEADER_BYTES + 4 || packet[0] >> 6 != 2 || packet[1] & 0x7f != EVENT_PAYLOAD {
        return None;
    }
    let time = u32::from_be_bytes(packet[4..8].try_into().ok()?);
    Some((time, packet[HEADER_BYTES], packet[HEADER_BYTES + 1] & 0x80 != 0))
}
