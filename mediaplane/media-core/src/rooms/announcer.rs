//! What a room tells its members beside what they say: prompts and tones of its client, to all or to one, and its own tones.

use super::chimes::{Chime, Chimes};
use super::{FRAME_MS, FRAME_SAMPLES, RATE};
use crate::outgoing::clip::Clip;
use crate::worker::Sounds;
use audio::{HeardBy, Law, MemberSlot, Mixer, Resampler, ToneIndex};
use contract::{AnnouncedSound, Announcement, Event, LegRef, PlayerId};
use std::collections::VecDeque;

/// Places for announcements that are heard at once: one for all members, the others for one member each.
const PLACES: usize = 3;
/// Samples of a frame at 8 kHz, in which positions in a sound are counted.
const STEP: u64 = 8 * FRAME_MS as u64;
/// Samples of a frame at the highest rate of a prompt.
const MADE_SAMPLES_MAX: usize = 48 * FRAME_MS as usize;

/// An announcement of which all is known that is needed to play it.
#[derive(Debug)]
pub(crate) struct Play {
    announcement: Announcement,
    /// The leg whose client has asked for it.
    by: LegRef,
    tone: Option<ToneIndex>,
    /// Of its sound.
    rate: u32,
    resampler: Option<Resampler>,
    /// Samples of 8 kHz that were heard.
    position: u64,
}

impl Play {
    /// `None`: its sound has a rate that cannot be converted. `tone`: the tone that it names. Takes memory.
    pub(crate) fn new(announcement: Announcement, by: LegRef, rate: u32, tone: Option<ToneIndex>) -> Option<Self> {
        let resampler = if rate == RATE { None } else { Some(Resampler::new(rate, RATE, 1)?) };
        let fits = rate as usize / 1_000 * usize::from(FRAME_MS) <= MADE_SAMPLES_MAX;
        fits.then_some(Self { announcement, by, tone, rate, resampler, position: 0 })
    }

    fn ended(&self) -> Event {
        Event::AnnouncementEnded { leg: self.by, id: self.announcement.id }
    }

    /// Makes the next frame; `true`: it is the last one.
    fn make(&mut self, sounds: &Sounds, frame: &mut [i16]) -> bool {
        let mut made = [0; MADE_SAMPLES_MAX];
        let made = &mut made[..self.rate as usize / 1_000 * usize::from(FRAME_MS)];
        let is_last = match (self.announcement.sound, self.tone) {
            (AnnouncedSound::Prompt(play), _) => match sounds.prompts.get(play.prompt as usize) {
                Some(prompt) => {
                    let (clip, is_last) = Clip::of(prompt, play, self.position, STEP);
                    clip.copy_samples(prompt, made);
                    is_last
                }
                None => true,
            },
            (AnnouncedSound::Tone(_, duration_ms), Some(tone)) => {
                let mut codes = [0; STEP as usize];
                sounds.tones.copy_tone(tone, Law::Mu, self.position, &mut codes);
                Law::Mu.decode_slice(&codes, made);
                self.position + STEP >= 8 * u64::from(duration_ms)
            }
            (AnnouncedSound::Tone(..), None) => true,
        };
        self.position += STEP;
        let count = match &mut self.resampler {
            None => {
                frame.copy_from_slice(made);
                frame.len()
            }
            Some(resampler) if resampler.output_samples(made.len()) <= frame.len() => resampler.push(made, frame),
            Some(_) => 0,
        };
        frame[count..].fill(0);
        is_last
    }
}

/// Where an announcement is heard.
#[derive(Debug)]
struct Place {
    slot: MemberSlot,
    playing: Option<Play>,
    /// The member that alone hears it.
    listener: Option<MemberSlot>,
    /// Its sound has come to its end.
    is_over: bool,
    /// This is the last frame of it: a voice that is muted fades within it.
    is_last: bool,
    frame: Box<[i16]>,
}

/// The announcements of a room.
#[derive(Debug)]
pub(super) struct Announcer {
    places: [Place; PLACES],
    waiting: VecDeque<Play>,
    chimes: Chimes,
    chime_slot: MemberSlot,
}

impl Announcer {
    /// Takes memory, in the mixer as well.
    pub(super) fn new(mixer: &mut Mixer) -> Self {
        let places = [(); PLACES].map(|()| {
            let (slot, frame) = (mixer.add_announcer(), vec![0; FRAME_SAMPLES].into());
            Place { slot, playing: None, listener: None, is_over: false, is_last: false, frame }
        });
        let waiting = VecDeque::with_capacity(Announcement::WAITING_MAX);
        Self { places, waiting, chimes: Chimes::new(), chime_slot: mixer.add_announcer() }
    }

    /// `false`: as many wait as may.
    pub(super) fn push(&mut self, play: Play) -> bool {
        if self.waiting.len() >= Announcement::WAITING_MAX {
            return false;
        }
        self.waiting.push_back(play);
        true
    }

    pub(super) fn ring(&mut self, chime: Chime) {
        self.chimes.ring(chime);
    }

    /// Ends an announcement, or all.
    pub(super) fn stop(&mut self, id: PlayerId, ended: &mut Vec<Event>) {
        let is_meant = |play: &Play| id.is_none() || play.announcement.id == id;
        self.waiting.retain(|play| {
            if is_meant(play) {
                ended.push(play.ended());
            }
            !is_meant(play)
        });
        for place in self.places.iter_mut().filter(|place| place.playing.as_ref().is_some_and(is_meant)) {
            place.is_last = true;
        }
    }

    /// All that is heard and waits is over: the room is.
    pub(super) fn end_all(&self, ended: &mut Vec<Event>) {
        let playing = self.places.iter().filter_map(|place| place.playing.as_ref());
        ended.extend(playing.chain(&self.waiting).map(Play::ended));
    }

    /// Makes the next frame of all that is heard. `slot_of` finds the place of a member in the mixer.
    pub(super) fn make(
        &mut self,
        mixer: &mut Mixer,
        sounds: &Sounds,
        (slot_of, waits): (impl Fn(LegRef) -> Option<MemberSlot>, bool),
        ended: &mut Vec<Event>,
    ) {
        for at in 0..PLACES {
            if self.places[at].playing.is_none() {
                self.begin_next(at);
            }
            let place = &mut self.places[at];
            place.make(mixer, sounds, &slot_of, ended);
        }
        let rings = self.chimes.make(waits);
        mixer.set_muted(self.chime_slot, !rings);
    }

    /// Takes the first that waits for this place: for all members, or for one that no other place speaks to.
    fn begin_next(&mut self, at: usize) {
        let is_told =
            |to: LegRef| self.places.iter().filter_map(|it| it.playing.as_ref()).any(|it| it.announcement.to == to);
        let suits = |play: &Play| (at == 0) == play.announcement.to.is_none() && !is_told(play.announcement.to);
        let next = self.waiting.iter().position(suits).and_then(|index| self.waiting.remove(index));
        self.places[at].playing = next;
    }

    pub(super) fn frame(&self, slot: MemberSlot) -> Option<&[i16]> {
        if slot == self.chime_slot {
            return Some(self.chimes.frame());
        }
        self.places.iter().find(|place| place.slot == slot).map(|place| &*place.frame)
    }
}

impl Place {
    fn make(
        &mut self,
        mixer: &mut Mixer,
        sounds: &Sounds,
        slot_of: impl Fn(LegRef) -> Option<MemberSlot>,
        ended: &mut Vec<Event>,
    ) {
        let Some(play) = &mut self.playing else { return };
        let to = play.announcement.to;
        let listener = slot_of(to);
        if !to.is_none() && listener != self.listener {
            self.duck(mixer, false);
        }
        let Some(play) = &mut self.playing else { return };
        self.listener = listener;
        if to.is_none() || listener.is_some() {
            self.is_last |= self.is_over;
            self.is_over = play.make(sounds, &mut self.frame);
            mixer.set_heard_by(self.slot, listener.map_or(HeardBy::All, HeardBy::Only));
        } else {
            // The one that it is for has left.
            (self.is_last, self.listener) = (true, None);
        }
        let (is_last, is_ducking) = (self.is_last, play.announcement.is_ducking);
        mixer.set_muted(self.slot, is_last);
        self.duck(mixer, is_ducking && !is_last);
        if self.is_last {
            ended.extend(self.playing.take().map(|play| play.ended()));
            (self.is_over, self.is_last, self.listener) = (false, false, None);
        }
    }

    fn duck(&self, mixer: &mut Mixer, is_ducked: bool) {
        let to = self.playing.as_ref().map_or(LegRef::NONE, |play| play.announcement.to);
        match self.listener {
            Some(listener) => mixer.set_ducked(HeardBy::Only(listener), is_ducked),
            None if to.is_none() => mixer.set_ducked(HeardBy::All, is_ducked),
            None => {}
        }
    }
}
