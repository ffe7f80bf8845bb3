//! One room: its mixer, and what is encoded once for many.

use super::member::{Ear, Member, MemberIndex};
use super::{FRAME_MS, FRAME_SAMPLES, RATE, SPEAKERS, Said, format_in_room};
use crate::outgoing::pace::instant_of;
use audio::{HeardBy, Hears, MemberSlot, Mixer, MixerLimits};
use contract::{LegRef, RoomMember};

/// Formats in which the same sound is encoded once; members with further ones have it encoded each for itself.
const SHARED_MAX: usize = 8;
/// Room for a payload of 20 ms: any packet of Opus (RFC 6716 §3.2.1).
const PAYLOAD_BYTES: usize = 1_275;
/// Frames that a late worker has its members say unheard, so that they do not lag behind for ever.
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
    /// For members with a sound of their own.
    own: Box<[i16]>,
    shared: Vec<Shared>,
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
            own: vec![0; FRAME_SAMPLES].into(),
            shared: Vec::new(),
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
    }

    pub(super) fn let_go(&mut self, slot: MemberSlot) {
        self.mixer.leave(slot);
        self.members[slot.index()] = MemberIndex::NONE;
        self.whispers.retain(|whisper| whisper.slot != slot);
    }

    pub(super) fn set_part(&mut self, slot: MemberSlot, part: &RoomMember) {
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

    /// Mixes the frame in which `due_ms` lies, unless that was done.
    pub(super) fn be_mixed(&mut self, due_ms: u64, members: &mut [Option<Member>]) {
        let frame = due_ms / u64::from(FRAME_MS);
        let missed = match self.mixed {
            Some(mixed) if frame <= mixed => return,
            Some(mixed) => (frame - mixed - 1).min(CATCH_UP_MAX),
            None => 0,
        };
        self.mixed = Some(frame);
        let now = instant_of(due_ms);
        let of = |index: MemberIndex| index.get();
        for place in self.members.iter().copied().filter_map(of) {
            let Some(member) = members.get_mut(place).and_then(Option::as_mut) else { continue };
            (0..=missed).for_each(|_| member.speak(now));
        }
        let member_at = |index: &MemberIndex| index.get().and_then(|place| members.get(place)?.as_ref());
        for Whisper { slot, to, is_muted } in &self.whispers {
            let hears = self.members.iter().filter_map(member_at).find(|member| member.leg == *to);
            // Without the one that it is for nobody hears it.
            self.mixer.set_muted(*slot, *is_muted || hears.is_none());
            if let Some(listener) = hears {
                self.mixer.set_heard_by(*slot, HeardBy::Only(listener.slot));
            }
        }
        let by_slot = &self.members;
        self.mixer.mix(|slot| by_slot.get(slot.index()).and_then(member_at)?.frame());
    }

    /// The payload of what a member hears in the frame that was mixed last.
    pub(super) fn say_to(&mut self, member: &mut Member, is_muted: bool, payload: &mut [u8]) -> usize {
        let hears = self.mixer.hears(member.slot);
        if !is_muted && hears == Hears::Common {
            let frame = self.mixed;
            if let Some(shared) = self.shared.iter_mut().find(|shared| shared.said == member.said()) {
                if shared.frame != frame {
                    shared.frame = frame;
                    shared.bytes = shared.ear.encode(self.mixer.common(), &mut shared.payload);
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
        if is_muted {
            self.own.fill(0);
        }
        member.ear.encode(&self.own, payload)
    }

    /// Sees to it that there is an encoder for all that are sent this, up to [`SHARED_MAX`] of them.
    pub(super) fn be_able_to_share(&mut self, said: Said) {
        let is_there = self.shared.iter().any(|shared| shared.said == said);
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
