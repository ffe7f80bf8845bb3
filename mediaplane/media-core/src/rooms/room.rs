//! One room: its mixer, and what is encoded once for many.

use super::announcer::{Announcer, Play};
use super::chimes::Chime;
use super::member::{Ear, Lead, Member, MemberIndex};
use super::recorded::Recorded;
use super::speaking::LOOK_FRAMES;
use super::{FRAME_MS, FRAME_SAMPLES, RATE, SPEAKERS, Said, format_in_room};
use crate::outgoing::pace::instant_of;
use crate::worker::Sounds;
use audio::{HeardBy, Hears, MemberSlot, Mixer, MixerLimits};
use contract::{Event, LegRef, PlayerId, RoomMember};

/// Formats in which the same sound is encoded once; members with further ones have it encoded each for itself.
const SHARED_MAX: usize = 8;
/// Room for a payload of 20 ms: any packet of Opus (RFC 6716 §3.2.1).
const PAYLOAD_BYTES: usize = 1_275;
/// Frames that are mixed later than they were due: those of a packet of 60 ms, or of a worker that is late. What is older is left
/// out.
const CATCH_UP_MAX: u64 = 5;

#[derive(Debug)]
pub(super) struct Room {
    number: u32,
    mixer: Mixer,
    /// By the mixer's slots.
    members: Vec<MemberIndex>,
    /// Members that one other member alone hears.
    whispers: Vec<Whisper>,
    /// The frame that was mixed last, counted from the beginning of time; `None` before the first.
    mixed: Option<u64>,
    /// What all heard in the frame before that.
    before: Box<[i16]>,
    /// For members with a sound of their own.
    own: Box<[i16]>,
    shared: Vec<Shared>,
    /// What the room tells its members; none before the first announcement or tone.
    announcer: Option<Box<Announcer>>,
    recorded: Option<Box<Recorded>>,
    /// Members that hear a tone while they are alone.
    waiting_count: u16,
}

/// A member that one other alone hears.
#[derive(Clone, Copy, Debug)]
struct Whisper {
    slot: MemberSlot,
    to: LegRef,
    is_muted: bool,
}

/// What all hear that are not heard themselves, in one format.
#[derive(Debug)]
struct Shared {
    said: Said,
    ear: Ear,
    /// The frame that the payload is of.
    frame: Option<u64>,
    payload: Box<[u8]>,
    bytes: usize,
}

impl Room {
    pub(super) fn new(number: u32) -> Self {
        let limits = MixerLimits {
            rate: RATE,
            frame_samples: FRAME_SAMPLES,
            members: RoomMember::COUNT_MAX,
            speakers: SPEAKERS,
        };
        Self {
            number,
            mixer: Mixer::new(limits),
            members: vec![MemberIndex::NONE; usize::from(RoomMember::COUNT_MAX)],
            whispers: Vec::new(),
            mixed: None,
            before: vec![0; FRAME_SAMPLES].into(),
            own: vec![0; FRAME_SAMPLES].into(),
            shared: Vec::new(),
            announcer: None,
            recorded: None,
            waiting_count: 0,
        }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn count(&self) -> usize {
        self.mixer.member_count()
    }

    /// A place for one more, which [`Self::seat`] gives to it.
    pub(super) fn take_in(&mut self) -> Option<MemberSlot> {
        self.mixer.join()
    }

    pub(super) fn seat(&mut self, slot: MemberSlot, index: MemberIndex, (part, said): (&RoomMember, Said)) {
        self.members[slot.index()] = index;
        self.set_part(slot, part);
        self.be_able_to_share(said);
        self.waiting_count += u16::from(part.hears_waiting);
        if part.hears_waiting {
            self.announcer();
        }
        if part.is_announced && self.count() > 1 {
            self.announcer().ring(Chime::Joined);
        }
    }

    pub(super) fn let_go(&mut self, slot: MemberSlot, part: &RoomMember) {
        self.mixer.leave(slot);
        self.members[slot.index()] = MemberIndex::NONE;
        self.whispers.retain(|whisper| whisper.slot != slot);
        self.waiting_count -= u16::from(part.hears_waiting);
        if part.is_announced && self.count() > 0 {
            self.announcer().ring(Chime::Left);
        }
    }

    /// The room is over: what is announced is not heard to its end.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) {
        if let Some(announcer) = &self.announcer {
            announcer.end_all(events);
        }
    }

    fn announcer(&mut self) -> &mut Announcer {
        let mixer = &mut self.mixer;
        self.announcer.get_or_insert_with(|| Box::new(Announcer::new(mixer)))
    }

    /// `false`: as many wait as may.
    pub(super) fn announce(&mut self, play: Play) -> bool {
        self.announcer().push(play)
    }

    pub(super) fn stop_announcement(&mut self, id: PlayerId, events: &mut Vec<Event>) {
        if let Some(announcer) = &mut self.announcer {
            announcer.stop(id, events);
        }
    }

    pub(super) fn record(&mut self, recorded: Option<Recorded>) {
        self.recorded = recorded.map(Box::new);
    }

    pub(super) fn recorded(&mut self) -> Option<&mut Recorded> {
        self.recorded.as_deref_mut()
    }

    /// Gives a member another part than the one that it has.
    pub(super) fn change_part(&mut self, slot: MemberSlot, (before, part): (&RoomMember, &RoomMember)) {
        self.waiting_count -= u16::from(before.hears_waiting);
        self.waiting_count += u16::from(part.hears_waiting);
        if part.hears_waiting {
            self.announcer();
        }
        self.set_part(slot, part);
    }

    fn set_part(&mut self, slot: MemberSlot, part: &RoomMember) {
        self.mixer.set_muted(slot, part.is_muted);
        self.mixer.set_deaf(slot, part.is_deaf);
        self.mixer.set_always_heard(slot, part.is_always_heard || !part.heard_by.is_none());
        self.mixer.set_gain_db(slot, part.gain_db.into());
        self.whispers.retain(|whisper| whisper.slot != slot);
        if part.heard_by.is_none() {
            self.mixer.set_heard_by(slot, HeardBy::All);
        } else {
            // Until it is known that the one is there.
            self.mixer.set_muted(slot, true);
            self.whispers.push(Whisper { slot, to: part.heard_by, is_muted: part.is_muted });
        }
    }

    /// Mixes the frames up to the one in which `due_ms` lies, unless that was done. `true`: a recording has frames from now on.
    pub(super) fn be_mixed(
        &mut self,
        due_ms: u64,
        members: &mut [Option<Member>],
        sounds: &Sounds,
        events: &mut Vec<Event>,
    ) -> bool {
        let last = due_ms / u64::from(FRAME_MS);
        let first = match self.mixed {
            Some(mixed) if last <= mixed => return false,
            Some(mixed) => (mixed + 1).max(last.saturating_sub(CATCH_UP_MAX)),
            None => last,
        };
        let mut shows = false;
        for frame in first..=last {
            let now = instant_of(due_ms - (last - frame) * u64::from(FRAME_MS));
            for place in self.members.iter().filter_map(|index| index.get()) {
                if let Some(member) = members.get_mut(place).and_then(Option::as_mut) {
                    member.speak(now);
                }
            }
            self.before.copy_from_slice(self.mixer.common());
            self.mix(members, sounds, events);
            self.mixed = Some(frame);
            if let Some(recorded) = &mut self.recorded {
                shows |= recorded.take(frame, self.mixer.common());
            }
            self.keep_for_other_lengths(members);
            if frame.is_multiple_of(LOOK_FRAMES) {
                self.look_at_speakers(frame, members, events);
            }
        }
        shows
    }

    fn mix(&mut self, members: &[Option<Member>], sounds: &Sounds, events: &mut Vec<Event>) {
        let member_at = |index: &MemberIndex| index.get().and_then(|place| members.get(place)?.as_ref());
        let by_slot = &self.members;
        let slot_of = |leg: LegRef| {
            let mut all = by_slot.iter().filter_map(member_at);
            if leg.is_none() { None } else { all.find(|member| member.leg == leg).map(|member| member.slot) }
        };
        for Whisper { slot, to, is_muted } in &self.whispers {
            let listener = slot_of(*to);
            // Without the one that it is for nobody hears it.
            self.mixer.set_muted(*slot, *is_muted || listener.is_none());
            if let Some(listener) = listener {
                self.mixer.set_heard_by(*slot, HeardBy::Only(listener));
            }
        }
        let waits = self.waiting_count > 0 && self.mixer.member_count() == 1;
        if let Some(announcer) = &mut self.announcer {
            announcer.make(&mut self.mixer, sounds, (slot_of, waits), events);
        }
        let announcer = self.announcer.as_deref();
        self.mixer.mix(|slot| match by_slot.get(slot.index()) {
            Some(index) => member_at(index)?.frame(),
            None => announcer?.frame(slot),
        });
    }

    /// Members whose packets are not of one frame have what they hear kept until it is due.
    fn keep_for_other_lengths(&mut self, members: &mut [Option<Member>]) {
        for place in self.members.iter().filter_map(|index| index.get()) {
            let Some(member) = members.get_mut(place).and_then(Option::as_mut).filter(|it| it.keeps_sound()) else {
                continue;
            };
            match self.mixer.hears(member.slot) {
                Hears::Own => self.mixer.write(member.slot, &mut self.own),
                Hears::Common => self.own.copy_from_slice(self.mixer.common()),
                Hears::Nothing => self.own.fill(0),
            }
            member.keep(&self.own);
        }
    }

    fn look_at_speakers(&mut self, frame: u64, members: &mut [Option<Member>], events: &mut Vec<Event>) {
        for place in self.members.iter().filter_map(|index| index.get()) {
            let Some(member) = members.get_mut(place).and_then(Option::as_mut) else { continue };
            let (level, is_heard) = (self.mixer.loudness_dbov(member.slot), self.mixer.is_heard(member.slot));
            if member.speaking.look(frame, level, is_heard) && member.part.tells_speaking {
                events.push(Event::Speaking { leg: member.leg, is_speaking: member.speaking.is_speaking() });
            }
        }
    }

    /// The payload of what a member hears in the frame that was mixed last.
    pub(super) fn say_to(&mut self, member: &mut Member, is_muted: bool, payload: &mut [u8]) -> usize {
        if member.keeps_sound() {
            return member.say_kept(is_muted, payload);
        }
        let hears = self.mixer.hears(member.slot);
        let lead = Lead { number: self.mixed.unwrap_or(0), before: &self.before };
        if !is_muted && !member.was_silenced() && hears == Hears::Common {
            let frame = self.mixed;
            if let Some(shared) = self.shared.iter_mut().find(|shared| shared.said == member.said()) {
                if shared.frame != frame {
                    shared.frame = frame;
                    shared.bytes = shared.ear.encode_after(lead, self.mixer.common(), &mut shared.payload);
                }
                let Some(place) = payload.get_mut(..shared.bytes) else { return 0 };
                place.copy_from_slice(&shared.payload[..shared.bytes]);
                return shared.bytes;
            }
        }
        match hears {
            Hears::Own => self.mixer.write(member.slot, &mut self.own),
            Hears::Common => self.own.copy_from_slice(self.mixer.common()),
            Hears::Nothing => self.own.fill(0),
        }
        member.say(lead, &mut self.own, is_muted, payload)
    }

    /// Sees to it that there is an encoder for all that are sent this, up to [`SHARED_MAX`] of them.
    pub(super) fn be_able_to_share(&mut self, said: Said) {
        let is_there = said.ptime_ms != FRAME_MS || self.shared.iter().any(|shared| shared.said == said);
        let Some(format) = format_in_room(said.codec).filter(|_| !is_there) else { return };
        if self.shared.len() == SHARED_MAX {
            // The one that was of use longest ago.
            let oldest = (0..SHARED_MAX).min_by_key(|place| self.shared[*place].frame).unwrap_or(0);
            self.shared.swap_remove(oldest);
        }
        let payload = vec![0; PAYLOAD_BYTES].into();
        self.shared.push(Shared { said, ear: Ear::new(format, said), frame: None, payload, bytes: 0 });
    }
}
