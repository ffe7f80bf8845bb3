//! The jitter buffer: packets of one stream, as they come, to packets in time, as they are played.
//!
//! A packet waits as long as all but one in [`ONE_IN`] of the last packets needed, beside the fastest (`delay.rs`). Who
//! plays asks for the next packet each time that it needs sound ([`JitterBuffer::next`]) and is told what to do where
//! none is there: [`Next::Lost`] within the stream, [`Next::Nothing`] at its end. What comes out of time is put right a
//! little at a time: each packet says how much [`Slack`] it had, and the player leaves out or repeats a period of sound.
//! So a clock that is off by some hundred ppm needs no special care.
//!
//! Numbers wrap, jump and run backwards (RFC 3550 A.1): what does not continue is believed when a second packet follows
//! it. Nothing is allocated after the beginning, and no packet can make it wait longer than [`DELAY_MAX`].

mod delay;
mod packets;

use crate::io::{Buffers, Received};
use clock::{Duration, Instant};
use delay::Delays;
use packets::{Packets, Refused};
use rtp_wire::{Header, RtpTime, Seq, Ssrc};

/// One packet of so many may come too late to be played.
pub const ONE_IN: u32 = 50;
/// Each packet waits so long on the most even network.
pub const DELAY_MIN: Duration = delay::CLASS;
/// No packet waits longer than this.
pub const DELAY_MAX: Duration = Duration::from_millis(300);
/// A sequence number may be this far ahead without a second packet that follows it (RFC 3550 A.1, MAX_DROPOUT).
const DROPOUT_MAX: i16 = 3_000;
/// And this far behind (MAX_MISORDER).
const MISORDER_MAX: i16 = 100;
/// Timestamps of neighbours may be this far apart, silence included, before the stream's clock is taken to have jumped.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// A packet of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// When it came.
    pub at: Instant,
    /// Sequence number.
    pub seq: Seq,
    /// Sampling instant of its first sample.
    pub time: RtpTime,
    /// Source.
    pub ssrc: Ssrc,
    /// Payload type: given back with the payload.
    pub payload_type: u8,
    /// The encoded sound.
    pub payload: &'a [u8],
}

impl<'a> Arrival<'a> {
    /// A packet of a turn, whose bytes lie in its buffers.
    pub(crate) fn of(received: &Received, header: &Header, buffers: &'a impl Buffers) -> Self {
        Self {
            at: received.at,
            seq: header.seq,
            time: header.time,
            ssrc: header.ssrc,
            payload_type: header.payload_type,
            payload: header.payload(buffers.bytes(received.span)),
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inserted {
    /// It waits to be played.
    Kept,
    /// It is there already, or was played.
    Duplicate,
    /// Its time is over: what came instead was played.
    Late,
    /// Too much waits.
    Full,
    /// Its number does not continue the stream; it is believed when the next one follows it.
    Doubtful,
    /// A stream that begins: what waited of another one is gone.
    Begun,
    /// It has no sound in it.
    Empty,
}

/// A time in ticks of a stream's clock: how long a packet could have waited beyond what the network makes necessary.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Slack(pub i64);

/// What is to be played next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next<'a> {
    /// This packet. [`JitterBuffer::played`] says how long it was.
    Packet {
        /// Payload type.
        payload_type: u8,
        /// The encoded sound.
        payload: &'a [u8],
        /// How long before it was needed the packet should have been here: negative where it, and those that follow, may
        /// come too late.
        slack: Slack,
    },
    /// A packet is missing, and later ones are there.
    Lost {
        /// The one right after it, which may say what the missing one said (in-band FEC of Opus, RFC 6716 §2.1.7).
        following: Option<&'a [u8]>,
    },
    /// The sender was silent in between: the packet that waits continues the numbers, and its time has not come.
    Silence,
    /// Nothing is there: the stream is late or at its end, or has not begun.
    Nothing,
}

/// Counters of one stream since it began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JitterCounts {
    /// Packets that waited and were played.
    pub played: u64,
    /// Packets whose time was over when they came.
    pub late: u64,
    /// Copies.
    pub duplicates: u64,
    /// Packets that found no room.
    pub full: u64,
    /// Packets that never came before later ones were played.
    pub missing: u64,
    /// Packets that were left out because those behind them had waited too long.
    pub skipped: u64,
    /// Streams that began: at first, by another SSRC, or by a jump of the numbers.
    pub begun: u64,
}

/// Where a stream stands: its numbers, unwrapped.
#[derive(Clone, Copy, Debug)]
struct Position {
    ssrc: Ssrc,
    /// The latest packet.
    seq: Seq,
    time: RtpTime,
    unwrapped_seq: i64,
    unwrapped_time: i64,
}

/// What is played.
#[derive(Clone, Copy, Debug)]
struct Playing {
    /// The packet that was played last.
    seq: i64,
    /// The sampling instant of the next sample that is due.
    due: i64,
    /// Ticks that were made up since the last packet.
    made_up: i64,
}

/// The packets of one stream.
#[derive(Debug)]
pub struct JitterBuffer {
    clock_hz: u32,
    packets: Packets,
    delays: Delays,
    position: Option<Position>,
    playing: Option<Playing>,
    /// A packet that did not continue the stream: the number that would follow it, and its source.
    doubtful: Option<(Seq, Ssrc)>,
    counts: JitterCounts,
}

impl JitterBuffer {
    /// For a stream whose RTP clock ticks `clock_hz` times a second (not 0).
    pub fn new(clock_hz: u32) -> Self {
        assert!(clock_hz > 0, "an RTP clock ticks");
        Self {
            clock_hz,
            packets: Packets::new(),
            delays: Delays::new(),
            position: None,
            playing: None,
            doubtful: None,
            counts: JitterCounts::default(),
        }
    }

    /// Begins anew, for another stream: nothing waits.
    pub fn reset(&mut self, clock_hz: u32) {
        assert!(clock_hz > 0, "an RTP clock ticks");
        self.clock_hz = clock_hz;
        self.counts = JitterCounts::default();
        self.begin();
    }

    /// What has been counted since the beginning.
    pub fn counts(&self) -> JitterCounts {
        self.counts
    }

    /// How long packets wait, beside the fastest one.
    pub fn delay(&self) -> Duration {
        self.delays.within(ONE_IN).min(DELAY_MAX)
    }

    /// Takes a packet.
    pub fn insert(&mut self, arrival: &Arrival<'_>) -> Inserted {
        if arrival.payload.is_empty() {
            return Inserted::Empty;
        }
        let Some(position) = self.position.filter(|position| position.ssrc == arrival.ssrc) else {
            return self.begin_with(arrival);
        };
        let ahead = arrival.seq.since(position.seq);
        let ticks = arrival.time.since(position.time);
        let is_near = (-MISORDER_MAX..=DROPOUT_MAX).contains(&ahead);
        // Time that runs against the numbers, or away from them, is a clock that was set anew.
        let is_in_time = if ahead < 0 { ticks <= 0 } else { ticks >= 0 } && self.time_of(ticks.into()) <= SILENCE_MAX;
        if !is_near || !is_in_time {
            if self.doubtful == Some((arrival.seq, arrival.ssrc)) {
                return self.begin_with(arrival);
            }
            self.doubtful = Some((arrival.seq.next(), arrival.ssrc));
            return Inserted::Doubtful;
        }
        self.doubtful = None;
        let (seq, time) = (position.unwrapped_seq + i64::from(ahead), position.unwrapped_time + i64::from(ticks));
        if ahead > 0 {
            let Position { ssrc, .. } = position;
            let (unwrapped_seq, unwrapped_time) = (seq, time);
            self.position =
                Some(Position { ssrc, seq: arrival.seq, time: arrival.time, unwrapped_seq, unwrapped_time });
        }
        self.keep(arrival, seq, time)
    }

    /// What to play next, at `now`. The player wants `wanted` ticks at once, and makes up `ticks` of them where this is no
    /// packet.
    pub fn next(&mut self, now: Instant, ticks: u32, wanted: u32) -> Next<'_> {
        self.skip_overdue(now);
        let Some(first) = self.packets.first().copied() else {
            if let Some(playing) = &mut self.playing {
                playing.made_up = playing.made_up.saturating_add(ticks.into());
            }
            return Next::Nothing;
        };
        let Some(playing) = &mut self.playing else {
            // The beginning: the first packet waits as long as each one is to, and until those behind it are there that
            // the player wants together with it.
            let together = self.time_of(wanted.saturating_sub(ticks).into());
            if self.waited(now, first.time) < self.delay() + together {
                return Next::Nothing;
            }
            self.playing = Some(Playing { seq: first.seq - 1, due: first.time, made_up: 0 });
            return self.play(now, first);
        };
        let ahead = first.time - playing.due;
        if ahead <= 0 || playing.made_up >= ahead {
            return self.play(now, first);
        }
        playing.made_up = playing.made_up.saturating_add(ticks.into());
        if first.seq == playing.seq + 1 {
            return Next::Silence;
        }
        let follows = first.seq == playing.seq + 2;
        Next::Lost { following: follows.then(|| self.packets.payload(&first)) }
    }

    /// The packet that [`Self::next`] gave was so many ticks long.
    pub fn played(&mut self, ticks: u32) {
        if let Some(playing) = &mut self.playing {
            playing.due += i64::from(ticks);
        }
    }

    fn play(&mut self, now: Instant, packet: packets::Packet) -> Next<'_> {
        let slack_us = self.waited_us(now, packet.time) - self.delay().as_micros() as i64;
        let slack = Slack(slack_us * i64::from(self.clock_hz) / 1_000_000);
        if let Some(playing) = &mut self.playing {
            self.counts.missing += (packet.seq - playing.seq - 1).max(0) as u64;
            *playing = Playing { seq: packet.seq, due: packet.time, made_up: 0 };
        }
        self.counts.played += 1;
        self.packets.drop_first();
        // Its bytes stay where they are until the next packet comes.
        Next::Packet { payload_type: packet.payload_type, payload: self.packets.payload(&packet), slack }
    }

    fn keep(&mut self, arrival: &Arrival<'_>, seq: i64, time: i64) -> Inserted {
        self.delays.arrived(arrival.at, self.micros(time));
        if self.playing.is_some_and(|playing| seq <= playing.seq) {
            // A copy of what was played is told from what came too late only roughly: both are of no use.
            self.counts.late += 1;
            return Inserted::Late;
        }
        match self.packets.insert(seq, time, arrival.payload_type, arrival.payload) {
            Ok(()) => Inserted::Kept,
            Err(Refused::Duplicate) => {
                self.counts.duplicates += 1;
                Inserted::Duplicate
            }
            Err(Refused::Full) => {
                self.counts.full += 1;
                Inserted::Full
            }
        }
    }

    fn begin_with(&mut self, arrival: &Arrival<'_>) -> Inserted {
        self.begin();
        self.counts.begun += 1;
        let Arrival { seq, time, ssrc, .. } = *arrival;
        self.position = Some(Position { ssrc, seq, time, unwrapped_seq: 0, unwrapped_time: 0 });
        match self.keep(arrival, 0, 0) {
            Inserted::Kept => Inserted::Begun,
            other => other,
        }
    }

    fn begin(&mut self) {
        self.packets.clear();
        self.delays = Delays::new();
        (self.position, self.playing, self.doubtful) = (None, None, None);
    }

    /// After a gap of the network all that it held up comes at once: the oldest of it is left out, so that nothing is
    /// heard later than [`DELAY_MAX`].
    fn skip_overdue(&mut self, now: Instant) {
        while let Some(first) = self.packets.first().copied().filter(|_| self.packets.count() > 1) {
            if self.waited(now, first.time) <= DELAY_MAX {
                return;
            }
            self.packets.drop_first();
            if let Some(playing) = &mut self.playing {
                // The sound before the next packet is not waited for.
                (playing.seq, playing.made_up) = (first.seq, i64::MAX);
            }
            self.counts.skipped += 1;
        }
    }

    fn waited(&self, now: Instant, time: i64) -> Duration {
        Duration::from_micros(self.waited_us(now, time).max(0) as u64)
    }

    /// How long what was sampled at `time` could have been here, had it come as fast as the fastest.
    fn waited_us(&self, now: Instant, time: i64) -> i64 {
        (now.as_nanos() / 1_000) as i64 - self.micros(time) - self.delays.fastest()
    }

    fn micros(&self, ticks: i64) -> i64 {
        (i128::from(ticks) * 1_000_000 / i128::from(self.clock_hz)) as i64
    }

    fn time_of(&self, ticks: i64) -> Duration {
        Duration::from_micros(self.micros(ticks).unsigned_abs())
    }
}

#[cfg(test)]
mod tests;
