//! Mixes a conference: each member hears all others that speak.
//!
//! Per frame the [`Mixer`] measures what the members say, chooses the loudest, adds them up once, and takes each
//! speaker's own voice out of what that speaker hears. All members that do not speak hear the same, so that it can be
//! encoded once for all of them ([`Hears::Common`]). A voice comes into the sum and leaves it in a ramp.

mod limiter;
mod speakers;
#[cfg(test)]
mod tests;
mod voice;

use crate::voice::samples_per_ms;
use limiter::Limiter;
use speakers::Loudness;
use voice::Voice;

/// Ramps of gain last this long, or a frame if that is shorter.
const RAMP_MS: usize = 10;
/// Greatest gain of a member: 12 dB.
const MOST_GAIN_DB: f32 = 12.0;

/// A member's place in its mixer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MemberSlot(u16);

impl MemberSlot {
    /// The place counted from 0, below the most members of the mixer.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Who hears a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HeardBy {
    /// All others.
    #[default]
    All,
    /// One member alone, as when a supervisor whispers to an agent.
    Only(MemberSlot),
}

/// What a member hears in this frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hears {
    /// What all hear that are not heard themselves: [`Mixer::common`].
    Common,
    /// A sound of its own: [`Mixer::write`].
    Own,
    /// Nothing: the member is deaf.
    Nothing,
}

/// How large a mixer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MixerLimits {
    /// 8, 16, 24 or 48 kHz.
    pub rate: u32,
    /// Samples of a frame.
    pub frame_samples: usize,
    /// Most members at a time.
    pub members: u16,
    /// Most members that are heard at a time; 3 is usual.
    pub speakers: usize,
}

#[derive(Clone, Debug)]
struct Member {
    loudness: Loudness,
    /// Linear gain.
    gain: f32,
    is_muted: bool,
    is_deaf: bool,
    /// Whether the member was deaf in the frame before this one: if that changed, its sound swells or fades.
    was_deaf: bool,
    is_always_heard: bool,
    heard_by: HeardBy,
}

/// A conference, frame by frame.
#[derive(Clone, Debug)]
pub struct Mixer {
    limits: MixerLimits,
    ramp_samples: usize,
    members: Box<[Option<Member>]>,
    /// Voices in the mix: those that are heard, and those that fade in this frame.
    voices: Box<[Voice]>,
    /// The voices that all hear.
    sum: Box<[i32]>,
    common: Box<[i16]>,
    limiter: Limiter,
}

impl Mixer {
    /// Takes all the memory that it will need.
    pub fn new(limits: MixerLimits) -> Self {
        let frame = limits.frame_samples;
        assert!(frame > 0 && limits.speakers > 0, "a frame has samples, and a conference speakers");
        let per_ms = samples_per_ms(limits.rate);
        Self {
            limits,
            ramp_samples: (RAMP_MS * per_ms).min(frame),
            members: vec![None; usize::from(limits.members)].into_boxed_slice(),
            voices: vec![Voice::new(frame); 2 * limits.speakers].into_boxed_slice(),
            sum: vec![0; frame].into_boxed_slice(),
            common: vec![0; frame].into_boxed_slice(),
            limiter: Limiter::new(frame, per_ms),
        }
    }

    /// Takes a member in; `None` if there is no place left.
    pub fn join(&mut self) -> Option<MemberSlot> {
        let free = self.members.iter().position(Option::is_none)?;
        self.members[free] = Some(Member {
            loudness: Loudness::default(),
            gain: 1.0,
            is_muted: false,
            is_deaf: false,
            was_deaf: true,
            is_always_heard: false,
            heard_by: HeardBy::All,
        });
        Some(MemberSlot(free as u16))
    }

    /// Lets a member go. Its voice fades within the next frame.
    pub fn leave(&mut self, slot: MemberSlot) {
        if let Some(member) = self.members.get_mut(slot.index()) {
            *member = None;
        }
        for voice in &mut self.voices {
            voice.lose(slot);
        }
    }

    /// Members at present.
    pub fn member_count(&self) -> usize {
        self.members.iter().flatten().count()
    }

    /// Makes a member louder or quieter for the others, by up to 12 dB more and any amount less.
    pub fn set_gain_db(&mut self, slot: MemberSlot, gain_db: f32) {
        let gain = 10f32.powf(gain_db.min(MOST_GAIN_DB) / 20.0);
        self.change(slot, |member| member.gain = if gain.is_finite() { gain } else { 1.0 });
    }

    /// A muted member is not heard.
    pub fn set_muted(&mut self, slot: MemberSlot, is_muted: bool) {
        self.change(slot, |member| member.is_muted = is_muted);
    }

    /// A deaf member hears nothing.
    pub fn set_deaf(&mut self, slot: MemberSlot, is_deaf: bool) {
        self.change(slot, |member| member.is_deaf = is_deaf);
    }

    /// A member that is always heard does not compete with the loudest: an announcement, a supervisor. It takes the place
    /// of a speaker.
    pub fn set_always_heard(&mut self, slot: MemberSlot, is_always_heard: bool) {
        self.change(slot, |member| member.is_always_heard = is_always_heard);
    }

    /// Says who hears a member.
    pub fn set_heard_by(&mut self, slot: MemberSlot, heard_by: HeardBy) {
        self.change(slot, |member| member.heard_by = heard_by);
    }

    fn change(&mut self, slot: MemberSlot, change: impl FnOnce(&mut Member)) {
        if let Some(Some(member)) = self.members.get_mut(slot.index()) {
            change(member);
        }
    }

    /// Mixes a frame of what the members say. `None` is silence: a voice that was heard fades. A frame that is too short
    /// ends in silence; what is too much in it is ignored.
    pub fn mix<'a>(&mut self, input: impl Fn(MemberSlot) -> Option<&'a [i16]>) {
        for (index, member) in self.members.iter_mut().enumerate() {
            if let Some(member) = member {
                let sound = input(MemberSlot(index as u16)).filter(|_| !member.is_muted);
                member.loudness.hear(sound.unwrap_or(&[]), self.limits);
            }
        }
        speakers::choose(&mut self.members, &mut self.voices, self.limits.speakers);
        self.sum.fill(0);
        for voice in &mut self.voices {
            let Some(slot) = voice.slot() else {
                voice.fade(self.ramp_samples);
                voice.add_to(&mut self.sum);
                continue;
            };
            let gain = self.members[slot.index()].as_ref().map_or(0.0, |member| member.gain);
            voice.speak(input(slot).unwrap_or(&[]), gain, self.ramp_samples);
            voice.add_to(&mut self.sum);
        }
        self.limiter.hear(&self.sum);
        self.limiter.write(&self.sum, &mut self.common);
    }

    /// What all members hear that are not heard themselves.
    pub fn common(&self) -> &[i16] {
        &self.common
    }

    /// What a member hears in this frame.
    pub fn hears(&self, slot: MemberSlot) -> Hears {
        let Some(Some(member)) = self.members.get(slot.index()) else { return Hears::Nothing };
        if member.is_deaf && member.was_deaf {
            return Hears::Nothing;
        }
        let is_own = self.voices.iter().any(|voice| voice.matters_to(slot));
        if is_own || member.is_deaf != member.was_deaf { Hears::Own } else { Hears::Common }
    }

    /// Writes what a member hears: all that are heard but itself, and what is for it alone. To be called once a frame for
    /// each member that has a sound of its own.
    pub fn write(&mut self, slot: MemberSlot, frame: &mut [i16]) {
        let Some(Some(member)) = self.members.get_mut(slot.index()) else { return frame.fill(0) };
        let was_deaf = std::mem::replace(&mut member.was_deaf, member.is_deaf);
        let is_deaf = member.is_deaf;
        let count = frame.len().min(self.common.len());
        let (sound, rest) = frame.split_at_mut(count);
        rest.fill(0);
        if is_deaf && was_deaf {
            return sound.fill(0);
        }
        if self.voices.iter().any(|voice| voice.matters_to(slot)) {
            let voices = self.voices.iter();
            self.limiter.write_own(&self.sum, voices.filter_map(|voice| voice.change_for(slot)), sound);
        } else {
            sound.copy_from_slice(&self.common[..count]);
        }
        if is_deaf != was_deaf {
            voice::swell(sound, self.ramp_samples, is_deaf);
        }
    }

    /// The members that are heard, the loudest first, as far as `speakers` reaches; gives how many there are.
    pub fn speakers(&self, speakers: &mut [MemberSlot]) -> usize {
        speakers::heard(&self.members, &self.voices, speakers)
    }
}
