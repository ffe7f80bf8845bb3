//! The worker: a table of legs, and who is woken when.

use crate::decoding::coders::Coders;
use crate::incoming::packets;
use crate::incoming::packets::{Tally, Turn};
use crate::incoming::sinks;
use crate::io::{Buffers, Output, Received};
use crate::latching::probation::Probation;
use crate::leg::{Leg, LegIndex};
use crate::outgoing::pace::Pace;
use crate::random::Random;
use crate::rooms::Rooms;
use crate::timers::Timers;
use crate::voice::Voices;
use crate::{QualityLimits, WorkerConfig};
use audio::{Prompt, Tones};
use clock::{Duration, Instant, WallTime};
use contract::{Command, Event, LegRef, LegRow, LegState, PortRef, RefuseReason};
use stats::{Counts, MediaCounter};
use std::sync::Arc;

/// No port pair, no leg.
const NO_PAIR: u16 = u16::MAX;

/// What all workers have ready to be played.
#[derive(Debug)]
pub(crate) struct Sounds {
    pub(crate) prompts: Arc<[Prompt]>,
    pub(crate) tones: Arc<Tones>,
}

/// What RTCP of all legs has in common.
#[derive(Debug)]
pub(crate) struct RtcpSettings {
    /// Our name (RFC 3550 §6.5.1).
    pub(crate) cname: Box<str>,
    /// Mean time between two reports of a leg.
    pub(crate) interval: Duration,
    /// When the streams of legs are judged, and by what.
    pub(crate) quality: QualityLimits,
}

/// All legs of one pinned worker, in virtual time.
///
/// A turn: [`Worker::handle_packets`] with what came, [`Worker::handle_command`] for each command,
/// [`Worker::run_due`], then [`crate::io::PacketIo::submit`], then wait until [`Worker::deadline`]. The legs of one turn
/// see one `now`.
#[derive(Debug)]
pub struct Worker {
    pub(crate) legs: Vec<Leg>,
    pub(crate) free: Vec<LegIndex>,
    /// By port pair, for packets.
    pub(crate) by_pair: Box<[LegIndex]>,
    /// By row of the leg table, for commands.
    by_row: Box<[LegIndex]>,
    pair_by_port: Box<[u16]>,
    pub(crate) leg_limit: usize,
    /// Sources that may be the peer of a leg.
    pub(crate) probation: Probation,
    /// Legs whose peer has just shown that it is at its address.
    pub(crate) proved: Vec<LegIndex>,
    pub(crate) coders: Coders,
    pub(crate) rooms: Rooms,
    pub(crate) voices: Voices,
    pub(crate) pace: Pace,
    pub(crate) timers: Timers,
    pub(crate) counts: Counts<MediaCounter>,
    pub(crate) random: Random,
    pub(crate) sounds: Sounds,
    pub(crate) rtcp: RtcpSettings,
    pub(crate) index: u8,
}

impl Worker {
    /// A worker without legs. All its memory is set aside now, under 1 KB for each leg of the limit; a leg that
    /// sends digits takes a little more.
    ///
    /// Panics where the configuration breaks its own rules: odd or double ports, a CNAME of over 255 bytes.
    pub fn new(config: WorkerConfig) -> Self {
        assert!(config.ports.len() < usize::from(NO_PAIR), "more port pairs than there are ports");
        assert!(config.cname.len() <= 255, "a CNAME has at most 255 bytes (RFC 3550 §6.5.1)");
        let mut pair_by_port = vec![NO_PAIR; 1 << 15].into_boxed_slice();
        for (pair, port) in config.ports.iter().enumerate() {
            let place = &mut pair_by_port[usize::from(*port / 2)];
            assert!(port % 2 == 0 && *port != 0 && *place == NO_PAIR, "RTP port {port} is odd, 0 or there twice");
            *place = pair as u16;
        }
        Self {
            legs: Vec::with_capacity(config.leg_limit),
            free: Vec::with_capacity(config.leg_limit),
            by_pair: vec![LegIndex::NONE; config.ports.len()].into(),
            by_row: vec![LegIndex::NONE; config.leg_rows].into(),
            pair_by_port,
            leg_limit: config.leg_limit,
            probation: Probation::new(config.leg_limit),
            proved: Vec::with_capacity(config.leg_limit),
            coders: Coders::new(config.transcoder_limit),
            rooms: Rooms::default(),
            voices: Voices::new(config.voice_limit),
            pace: Pace::default(),
            timers: Timers::default(),
            counts: Counts::default(),
            random: Random::new(config.seed),
            sounds: Sounds { prompts: config.prompts, tones: config.tones },
            rtcp: RtcpSettings { cname: config.cname.into(), interval: config.rtcp_interval, quality: config.quality },
            index: config.index,
        }
    }

    /// Takes the packets of a turn, oldest first: measures, relays, answers.
    pub fn handle_packets(
        &mut self,
        now: Instant,
        buffers: &mut impl Buffers,
        received: &[Received],
        out: &mut Output,
    ) {
        if received.is_empty() {
            return;
        }
        let tally = Tally::default();
        let Self { probation, proved, coders, rooms, voices, .. } = self;
        let mut turn = Turn { now, buffers, out, tally, probation, proved, coders, rooms, voices };
        packets::take_batch(&mut self.legs, &self.by_pair, received, &mut turn);
        turn.tally.add_to(&mut self.counts);
        self.counts.set(MediaCounter::TranscodersWorking, self.coders.count() as u64);
        // Nothing of our own was made for these until now.
        while let Some(place) = self.proved.pop().and_then(LegIndex::get) {
            self.place_in_frame(place, now);
            if self.legs[place].hearing.is_some() {
                self.plan_timer(place, now);
            }
        }
    }

    /// Carries out a command, or refuses it: then nothing has changed.
    pub fn handle_command(&mut self, now: Instant, command: Command, buffers: &mut impl Buffers, out: &mut Output) {
        let (leg, number) = (command.leg(), command.number());
        let done = match command {
            Command::Open { spec, .. } => self.open(now, leg, number, &spec, out),
            Command::Update { update, .. } => self.update(now, leg, number, &update, out),
            Command::Close { .. } => self.close(now, leg, number, buffers, out),
            Command::SendDigit { digit, duration_ms, .. } => self.send_digit(now, leg, digit, duration_ms),
            Command::Move { worker, .. } if worker == self.index => self.find(leg).map(|_| {
                out.events.push(Event::Moved { leg, number, worker });
            }),
            // Only who runs several workers can do this: with `extract` here and `insert` there.
            Command::Move { .. } => self.find(leg).and(Err(RefuseReason::Invalid)),
            Command::Adopt { .. } => self.find(leg).map(|place| self.adopt(place, number, out)),
            Command::Announce { announcement, .. } => self.announce(leg, &announcement),
            Command::StopAnnouncement { id, .. } => self.stop_announcement(leg, id),
            // Only who knows the clients can do this.
            Command::KeepLegs { .. } => Err(RefuseReason::Invalid),
            // Only who has files can do this: with `tap`.
            Command::StartRecording { .. } | Command::StopRecording { .. } | Command::PauseRecording { .. } => {
                self.find(leg).and(Err(RefuseReason::Invalid))
            }
        };
        self.count_rooms();
        out.events.append(&mut self.rooms.events);
        if let Err(reason) = done {
            self.counts.add(MediaCounter::CommandsRefused, 1);
            out.events.push(Event::Refused { leg, number, reason });
        }
    }

    /// Makes the frames and reports that are due, and ends what timed out.
    pub fn run_due(&mut self, now: Instant, wall_now: WallTime, buffers: &mut impl Buffers, out: &mut Output) {
        self.counts.add(MediaCounter::Turns, 1);
        self.make_frames(now, buffers, out);
        self.tell_of_rooms(buffers, out);
        while let Some(place) = self.timers.pop(&mut self.legs, now) {
            self.look_after(place, now, wall_now, buffers, out);
        }
    }

    /// When to call [`Worker::run_due`] next, unless something comes first; `None`: nothing to wait for.
    pub fn deadline(&self) -> Option<Instant> {
        match (self.pace.deadline(), self.timers.deadline()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// The row of a leg that is open.
    pub fn row(&self, leg: LegRef) -> Option<LegRow> {
        self.find(leg).ok().map(|place| self.row_of(place))
    }

    /// The row of the leg at `place`, 0 to [`Worker::place_count`]: to publish some of them in each turn.
    pub fn row_at(&self, place: usize) -> Option<LegRow> {
        let leg = self.legs.get(place)?;
        (leg.state != LegState::Free).then(|| self.row_of(place))
    }

    /// Places in the table of legs that were ever used.
    pub fn place_count(&self) -> usize {
        self.legs.len()
    }

    /// Legs that are open now.
    pub fn leg_count(&self) -> usize {
        self.legs.len() - self.free.len()
    }

    /// Transcoders at work.
    pub fn transcoder_count(&self) -> usize {
        self.coders.count()
    }

    /// Legs whose peer's sound is processed.
    pub fn voice_count(&self) -> usize {
        self.voices.count()
    }

    /// Counts what commands and ends of legs change.
    pub(crate) fn count_rooms(&mut self) {
        self.counts.set(MediaCounter::RoomsOpen, self.rooms.room_count() as u64);
        self.counts.set(MediaCounter::RoomMembers, self.rooms.member_count() as u64);
    }

    /// Rooms that have members, and their members.
    pub fn room_count(&self) -> (usize, usize) {
        (self.rooms.room_count(), self.rooms.member_count())
    }

    /// Gives back what legs needed, if none is open: their table is as good as new, and its pages go back to the system.
    /// Takes memory for the new one, so that it is for a worker that has nothing to do.
    pub fn give_back_memory(&mut self) {
        if self.leg_count() == 0 && !self.legs.is_empty() {
            self.legs = Vec::with_capacity(self.leg_limit);
            self.free = Vec::with_capacity(self.leg_limit);
        }
        self.coders.give_back_memory();
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts<MediaCounter> {
        &self.counts
    }

    /// Counts what only the back end knows, such as sends that the kernel did not take.
    pub fn count(&mut self, counter: MediaCounter, more: u64) {
        self.counts.add(counter, more);
    }

    /// The worker's port pair with this RTP port.
    pub fn pair_of(&self, port: u16) -> Option<u16> {
        let pair = *self.pair_by_port.get(usize::from(port / 2))?;
        (pair != NO_PAIR && port.is_multiple_of(2)).then_some(pair)
    }

    /// The place of an open leg.
    pub(crate) fn find(&self, leg: LegRef) -> Result<usize, RefuseReason> {
        let place = self.by_row.get(leg.row_index()).and_then(|index| index.get()).ok_or(RefuseReason::NoSuchLeg)?;
        if self.legs[place].leg == leg { Ok(place) } else { Err(RefuseReason::NoSuchLeg) }
    }

    /// The port pair of a leg that is to begin here, where that, its row and a place in the table are free.
    pub(crate) fn free_pair(&self, leg: LegRef, port: PortRef) -> Result<u16, RefuseReason> {
        let row = self.by_row.get(leg.row_index()).ok_or(RefuseReason::Invalid)?;
        let pair = self.pair_of(port.rtp).ok_or(RefuseReason::Invalid)?;
        if *row != LegIndex::NONE || self.by_pair[usize::from(pair)] != LegIndex::NONE {
            return Err(RefuseReason::AlreadyOpen);
        }
        if self.leg_count() == self.leg_limit {
            return Err(RefuseReason::Full);
        }
        Ok(pair)
    }

    /// A place for one more leg, already filled.
    pub(crate) fn seat(&mut self, leg: Leg) -> usize {
        let (pair, row) = (usize::from(leg.links.pair), leg.leg.row_index());
        let place = match self.free.pop().and_then(LegIndex::get) {
            Some(place) => {
                self.legs[place] = leg;
                place
            }
            None => {
                debug_assert!(self.legs.len() < self.leg_limit);
                self.legs.push(leg);
                self.legs.len() - 1
            }
        };
        (self.by_pair[pair], self.by_row[row]) = (LegIndex::new(place), LegIndex::new(place));
        self.counts.set(MediaCounter::LegsOpen, self.leg_count() as u64);
        self.legs[place].reports.watch.begin_counting(&mut self.counts);
        place
    }

    /// Takes a leg out of every list; its place is free for another.
    pub(crate) fn unseat(&mut self, place: usize) -> Leg {
        self.pace.leave(&mut self.legs, place);
        self.timers.cancel(&mut self.legs, place);
        sinks::unlink(&mut self.legs, place);
        sinks::unlink_all(&mut self.legs, place);
        self.legs[place].forget_candidates(&mut self.probation);
        self.counts.add(MediaCounter::DroppedStranger, self.probation.take_lost());
        let it = &mut self.legs[place];
        self.coders.release(&mut it.links.coder);
        self.rooms.leave(&mut it.links.member);
        self.voices.release(&mut it.links.voice);
        self.counts.set(MediaCounter::VoiceProcessing, self.voices.count() as u64);
        self.count_rooms();
        let it = &mut self.legs[place];
        it.reports.watch.end_counting(&mut self.counts);
        let (dialling, hearing) = (std::mem::take(&mut it.dialling), it.hearing.take());
        let listeners = std::mem::take(&mut it.listeners);
        let (receiving, reports) = (std::mem::take(&mut it.receiving), std::mem::take(&mut it.reports));
        let leg = Leg { dialling, hearing, listeners, receiving, reports, ..it.clone() };
        self.counts.set(MediaCounter::TranscodersWorking, self.coders.count() as u64);
        self.by_pair[usize::from(leg.links.pair)] = LegIndex::NONE;
        self.by_row[leg.leg.row_index()] = LegIndex::NONE;
        self.legs[place].state = LegState::Free;
        self.free.push(LegIndex::new(place));
        self.counts.set(MediaCounter::LegsOpen, self.leg_count() as u64);
        leg
    }
}
