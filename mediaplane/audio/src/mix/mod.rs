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
use limiter::{Limiter, Talk};
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

/// How much quieter the talk is under an announcement that is to be understood: 12 dB.
const DUCKED_GAIN: f32 = 0.25;

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
    /// Whether the talk is ducked for this member alone.
    is_ducked: bool,
    /// The same in the frame before this one.
    was_ducked: bool,
}

impl Member {
    fn new() -> Self {
        Self {
            loudness: Loudness::default(),
            gain: 1.0,
            is_muted: false,
            is_deaf: false,
            was_deaf: true,
            is_always_heard: false,
            heard_by: HeardBy::All,
            is_ducked: false,
            was_ducked: false,
        }
    }
}

/// A conference, frame by frame.
#[derive(Clone, Debug)]
pub struct Mixer {
    limits: MixerLimits,
    ramp_samples: usize,
    /// Behind the places of members those of announcers.
    members: Vec<Option<Member>>,
    /// Voices in the mix: those that are heard, and those that fade in this frame.
    voices: Vec<Voice>,
    /// Whether the talk is ducked for all.
    is_ducked: bool,
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
            members: vec![None; usize::from(limits.members)],
            voices: vec![Voice::new(frame); 2 * limits.speakers],
            is_ducked: false,
            sum: vec![0; frame].into_boxed_slice(),
            common: vec![0; frame].into_boxed_slice(),
            limiter: Limiter::new(frame, per_ms),
        }
    }

    /// Takes a member in; `None` if there is no place left.
    pub fn join(&mut self) -> Option<MemberSlot> {
        let free = self.members[..usize::from(self.limits.members)].iter().position(Option::is_none)?;
        self.members[free] = Some(Member::new());
        Some(MemberSlot(free as u16))
    }

    /// Adds a place for announcements, which is heard beside the speakers, hears nothing and is no member. Takes memory
    /// for its voice.
    pub fn add_announcer(&mut self) -> MemberSlot {
        let slot = MemberSlot(self.members.len() as u16);
        self.members.push(Some(Member { is_deaf: true, is_muted: true, is_always_heard: true, ..Member::new() }));
        self.voices.push(Voice::new(self.limits.frame_samples));
        slot
    }

    /// Makes the talk of the members quieter under an announcement, for all or for one member.
    pub fn set_ducked(&mut self, heard_by: HeardBy, is_ducked: bool) {
        match heard_by {
            HeardBy::All => self.is_ducked = is_ducked,
            HeardBy::Only(slot) => self.change(slot, |member| member.is_ducked = is_ducked),
        }
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
        self.members[..usize::from(self.limits.members)].iter().flatten().count()
    }

    /// How loud a member has been lately, in dB below full scale of a square wave; it falls by 20 dB in 600 ms. -127: silence.
    pub fn loudness_dbov(&self, slot: MemberSlot) -> i8 {
        let member = self.members.get(slot.index()).and_then(Option::as_ref).filter(|member| !member.is_muted);
        member.map_or(-127, |member| member.loudness.dbov())
    }

    /// Whether a member has a voice in the mix.
    pub fn is_heard(&self, slot: MemberSlot) -> bool {
        self.voices.iter().any(|voice| voice.heard().is_some_and(|(heard, _)| heard == slot))
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
        speakers::choose(&mut self.members, &mut self.voices, self.limits);
        self.sum.fill(0);
        let ducked = if self.is_ducked { DUCKED_GAIN } else { 1.0 };
        for voice in &mut self.voices {
            let Some(slot) = voice.slot() else {
                voice.fade(self.ramp_samples);
                voice.add_to(&mut self.sum);
                continue;
            };
            let gain = self.members[slot.index()].as_ref().map_or(0.0, |member| member.gain);
            let gain = if slot.0 < self.limits.members { gain * ducked } else { gain };
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
        let is_own = member.is_ducked || member.was_ducked || self.voices.iter().any(|voice| voice.matters_to(slot));
        if is_own || member.is_deaf != member.was_deaf { Hears::Own } else { Hears::Common }
    }

    /// Writes what a member hears: all that are heard but itself, and what is for it alone. To be called once a frame for
    /// each member that has a sound of its own.
    pub fn write(&mut self, slot: MemberSlot, frame: &mut [i16]) {
        let Some(Some(member)) = self.members.get_mut(slot.index()) else { return frame.fill(0) };
        let was_deaf = std::mem::replace(&mut member.was_deaf, member.is_deaf);
        let was_ducked = std::mem::replace(&mut member.was_ducked, member.is_ducked);
        let (is_deaf, is_ducked) = (member.is_deaf, member.is_ducked);
        let count = frame.len().min(self.common.len());
        let (sound, rest) = frame.split_at_mut(count);
        rest.fill(0);
        if is_deaf && was_deaf {
            return sound.fill(0);
        }
        let ducked = |is_ducked| if is_ducked { DUCKED_GAIN } else { 1.0 };
        let talk = Talk { from: ducked(was_ducked), to: ducked(is_ducked), ramp_samples: self.ramp_samples };
        if was_ducked || is_ducked || self.voices.iter().any(|voice| voice.matters_to(slot)) {
            let voices = self.voices.iter();
            self.limiter.write_own((&self.sum, talk), voices.filter_map(|voice| voice.change_for(slot)), sound);
        } else {
            sound.copy_from_slice(&self.common[..count]);
        }
        if is_deaf != was_deaf {
            voice::swell(sound, self.ramp_samples, is_deaf);
        }
    }

    /// The members that are heard, the loudest first, as far as `speakers` reaches; gives how many there are.
    pub fn speakers(&self, speakers: &mut [MemberSlot]) -> usize {
        speakers::heard(&self.members[..usize::from(self.limits.members)], &self.voices, speakers)
    }
}
