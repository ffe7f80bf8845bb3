//! Chooses the members that are heard: the loudest, with a bonus for those that are heard already.

use super::voice::Voice;
use super::{HeardBy, Member, MemberSlot, MixerLimits};

/// A member that is heard counts as this many times louder (6 dB) than it is.
const HELD: f32 = 2.0;
/// A loudness falls to a tenth within this time.
const DECAY_MS: f32 = 600.0;
/// Mean of the absolute samples below which a member does not take the place of another: about -58 dBov.
const LEAST_LOUDNESS: f32 = 35.0;

/// How loud a member has been lately: the mean of its absolute samples, which rises at once and falls slowly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loudness(f32);

impl Loudness {
    pub(super) fn hear(&mut self, sound: &[i16], limits: MixerLimits) {
        let sum: u32 = sound.iter().map(|sample| u32::from(sample.unsigned_abs())).sum();
        let now = sum as f32 / limits.frame_samples as f32;
        let frame_ms = limits.frame_samples as f32 * 1_000.0 / limits.rate as f32;
        // For frames much shorter than the decay this is e^x.
        let kept = 1.0 - std::f32::consts::LN_10 * frame_ms / DECAY_MS;
        self.0 = (self.0 * kept.max(0.0)).max(now);
    }

    /// In dB below the mean of a full-scale square wave; at least -127.
    pub(super) fn dbov(self) -> i8 {
        (20.0 * (self.0 / 32_768.0).log10()).clamp(-127.0, 0.0) as i8
    }
}

/// What decides between members: those that are always heard first.
fn rank(member: &Member, is_heard: bool) -> f32 {
    if member.is_muted {
        return 0.0;
    }
    if member.is_always_heard {
        return f32::MAX;
    }
    let loudness = member.loudness.0 * member.gain;
    match is_heard {
        true => (loudness * HELD).max(LEAST_LOUDNESS),
        false => loudness,
    }
}

/// Gives voices to the members that are to be heard, and lets the others' voices end. Announcers, whose places are behind those
/// of members, are heard beside the loudest.
pub(super) fn choose(members: &mut [Option<Member>], voices: &mut [Voice], limits: MixerLimits) {
    let is_announcer = |slot: MemberSlot| slot.0 >= limits.members;
    for voice in &mut *voices {
        voice.free_if_faded();
        let Some((slot, heard_by)) = voice.heard() else { continue };
        let member = members[slot.index()].as_ref();
        if member.is_none_or(|member| member.is_muted || member.heard_by != heard_by) {
            voice.end();
        }
    }
    for _ in 0..voices.len() {
        let heard = |slot: MemberSlot| voices.iter().any(|voice| voice.heard().is_some_and(|(heard, _)| heard == slot));
        let Some((next, next_rank, heard_by)) = loudest_unheard(members, heard) else { return };
        let is_speaker = |voice: &Voice| voice.heard().is_some_and(|(slot, _)| !is_announcer(slot));
        let count = voices.iter().filter(|voice| is_speaker(voice)).count();
        if count >= limits.speakers && !is_announcer(next) {
            let quietest = voices.iter_mut().filter(|voice| is_speaker(voice)).filter_map(|voice| {
                let (slot, _) = voice.heard()?;
                Some((rank(members[slot.index()].as_ref()?, true), voice))
            });
            let Some((least_rank, quietest)) = quietest.min_by(|(one, _), (other, _)| one.total_cmp(other)) else {
                return;
            };
            if least_rank >= next_rank {
                return;
            }
            quietest.end();
        }
        let Some(free) = voices.iter_mut().find(|voice| voice.is_free()) else { return };
        free.begin(next, heard_by);
    }
}

/// The loudest of the members that are not heard and not muted.
fn loudest_unheard(
    members: &[Option<Member>],
    heard: impl Fn(MemberSlot) -> bool,
) -> Option<(MemberSlot, f32, HeardBy)> {
    let mut loudest: Option<(MemberSlot, f32, HeardBy)> = None;
    for (index, member) in members.iter().enumerate() {
        let slot = MemberSlot(index as u16);
        let Some(member) = member.as_ref().filter(|member| !member.is_muted) else { continue };
        let rank = rank(member, false);
        if loudest.is_none_or(|(_, most, _)| rank > most) && !heard(slot) {
            loudest = Some((slot, rank, member.heard_by));
        }
    }
    loudest
}

/// Writes the members that are heard, the loudest first.
pub(super) fn heard(members: &[Option<Member>], voices: &[Voice], out: &mut [MemberSlot]) -> usize {
    let mut count = 0;
    let loudness = |slot: MemberSlot| members[slot.index()].as_ref().map_or(0.0, |member| member.loudness.0);
    let is_member = |slot: &MemberSlot| slot.index() < members.len();
    for (slot, _) in voices.iter().filter_map(Voice::heard).filter(|(slot, _)| is_member(slot)) {
        if loudness(slot) < LEAST_LOUDNESS {
            continue;
        }
        let place = out[..count].iter().position(|other| loudness(*other) < loudness(slot)).unwrap_or(count);
        if place == out.len() {
            continue;
        }
        count = (count + 1).min(out.len());
        out[place..count].rotate_right(1);
        out[place] = slot;
    }
    count
}
