use super::*;
use crate::ToneMeter;
use crate::testing::{Noise, largest_bend, level_dbov, sine};
use std::collections::HashMap;

const FRAME: usize = 160;

fn mixer(members: u16, speakers: usize) -> Mixer {
    Mixer::new(MixerLimits { rate: 8_000, frame_samples: FRAME, members, speakers })
}

/// A conference of tones: each member plays one, and what each hears is kept.
struct Room {
    mixer: Mixer,
    tones: HashMap<MemberSlot, Vec<i16>>,
    heard: HashMap<MemberSlot, Vec<i16>>,
    frames: usize,
}

impl Room {
    fn new(speakers: usize) -> Self {
        Self { mixer: mixer(100, speakers), tones: HashMap::new(), heard: HashMap::new(), frames: 0 }
    }

    fn join(&mut self, hertz: f64, amplitude: f64) -> MemberSlot {
        let slot = self.mixer.join().expect("a place");
        self.tones.insert(slot, sine(8_000, hertz, amplitude, 80_000));
        // What it would have heard before.
        self.heard.insert(slot, vec![0; self.frames * FRAME]);
        slot
    }

    fn leave(&mut self, slot: MemberSlot) {
        self.mixer.leave(slot);
        self.tones.remove(&slot);
        self.heard.remove(&slot);
    }

    fn play(&mut self, frames: usize) {
        for _ in 0..frames {
            let at = self.frames * FRAME;
            self.mixer.mix(|slot| self.tones.get(&slot).map(|tone| &tone[at..at + FRAME]));
            for (slot, heard) in &mut self.heard {
                let mut frame = [7; FRAME];
                match self.mixer.hears(*slot) {
                    Hears::Common => frame.copy_from_slice(self.mixer.common()),
                    Hears::Own => self.mixer.write(*slot, &mut frame),
                    Hears::Nothing => frame.fill(0),
                }
                heard.extend(frame);
            }
            self.frames += 1;
        }
    }

    /// Amplitude of a tone in the last 100 ms that a member heard.
    fn hears(&self, slot: MemberSlot, hertz: f64) -> f64 {
        let heard = &self.heard[&slot];
        ToneMeter::new(hertz).amplitude(&heard[heard.len() - 800..])
    }
}

#[test]
fn each_hears_all_others_and_not_itself() {
    let mut room = Room::new(3);
    let hertz = [400.0, 700.0, 1_100.0];
    let slots = hertz.map(|hertz| room.join(hertz, 4_000.0));
    let listener = room.join(0.0, 0.0);
    room.play(20);
    for (listening, slot) in slots.iter().enumerate() {
        for (speaking, hertz) in hertz.iter().enumerate() {
            let amplitude = room.hears(*slot, *hertz);
            let expected = if listening == speaking { 0.0 } else { 4_000.0 };
            assert!((amplitude - expected).abs() < 10.0, "{listening} hears {speaking} with {amplitude}");
        }
        assert_eq!(room.mixer.hears(*slot), Hears::Own);
    }
    assert_eq!(room.mixer.hears(listener), Hears::Common, "encoded once for all that only listen");
    assert!(hertz.iter().all(|hertz| (room.hears(listener, *hertz) - 4_000.0).abs() < 10.0));
    let mut speakers = [listener; 5];
    assert_eq!(room.mixer.speakers(&mut speakers), 3);
    assert_eq!(room.mixer.member_count(), 4);
}

#[test]
fn loud_sums_are_neither_clipped_nor_pumped() {
    let mut room = Room::new(4);
    let slots = [300.0, 500.0, 900.0, 1_300.0].map(|hertz| room.join(hertz, 26_000.0));
    let listener = room.join(0.0, 0.0);
    room.play(100);
    let heard = &room.heard[&listener][8_000..];
    let peak = heard.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert!((20_000..32_767).contains(&peak), "{peak}");
    let pure: f64 = [300.0, 500.0, 900.0, 1_300.0].iter().map(|hertz| ToneMeter::new(*hertz).purity(heard)).sum();
    assert!(pure > 0.999, "the sum is not distorted: {pure}");
    let levels: Vec<f64> = heard.chunks_exact(FRAME).map(level_dbov).collect();
    let swing = levels.iter().copied().fold(f64::MIN, f64::max) - levels.iter().copied().fold(f64::MAX, f64::min);
    assert!(swing < 0.5, "an even sum stays even: {swing} dB");
    // The first frames, before the gain is down, are bent and not cut.
    let flat = room.heard[&listener].windows(3).filter(|three| three[0] == three[1] && three[1] == three[2]);
    assert!(flat.filter(|three| three[0].unsigned_abs() > 30_000).count() == 0);
    // A single voice of full scale is hardly changed.
    for slot in &slots[1..] {
        room.leave(*slot);
    }
    room.play(200);
    assert!((room.hears(listener, 300.0) - 26_000.0).abs() < 300.0, "{}", room.hears(listener, 300.0));
}

#[test]
fn members_join_leave_and_are_muted_without_clicks() {
    let mut room = Room::new(3);
    let listener = room.join(0.0, 0.0);
    let one = room.join(440.0, 8_000.0);
    room.play(10);
    let two = room.join(610.0, 8_000.0);
    room.play(7);
    room.mixer.set_muted(one, true);
    room.play(7);
    assert!(room.hears(listener, 440.0) < 5.0 && room.hears(two, 440.0) < 5.0);
    room.mixer.set_muted(one, false);
    room.play(7);
    room.mixer.set_gain_db(two, -12.0);
    room.play(7);
    assert!((room.hears(listener, 610.0) - 2_009.0).abs() < 10.0, "{}", room.hears(listener, 610.0));
    room.mixer.set_gain_db(two, 0.0);
    room.mixer.set_deaf(listener, true);
    room.play(3);
    assert_eq!(room.mixer.hears(listener), Hears::Nothing);
    assert!(room.heard[&listener].ends_with(&[0; FRAME]));
    room.mixer.set_deaf(listener, false);
    room.play(7);
    room.leave(two);
    room.play(7);
    assert!(room.hears(listener, 610.0) < 5.0);
    // Packets that do not arrive leave no click either.
    let tone = room.tones.remove(&one).unwrap();
    room.play(3);
    room.tones.insert(one, tone);
    room.play(3);
    // A ramp begins and ends with a change of the slope, which bends less than the tones themselves.
    let steady = largest_bend(&sine(8_000, 440.0, 8_000.0, 800)) + largest_bend(&sine(8_000, 610.0, 8_000.0, 800));
    for (slot, heard) in &room.heard {
        assert!(largest_bend(heard) <= steady * 3 / 2, "{slot:?}: {} beside {steady}", largest_bend(heard));
    }
}

#[test]
fn the_loudest_are_heard_and_do_not_flutter() {
    let mut mixer = mixer(100, 3);
    let slots: Vec<MemberSlot> = (0..100).map(|_| mixer.join().unwrap()).collect();
    assert_eq!(mixer.join(), None);
    let mut noise = Noise::new(2);
    // Three talk, the others are quiet.
    let quiet = noise.samples(-65.0, FRAME);
    let loud: Vec<Vec<i16>> = (0..100).map(|_| noise.samples(-25.0, FRAME)).collect();
    let mut talking = vec![17, 40, 93];
    let heard = |mixer: &Mixer| {
        let mut heard = [slots[0]; 8];
        let count = mixer.speakers(&mut heard);
        let mut heard: Vec<usize> =
            heard[..count].iter().map(|slot| slots.iter().position(|known| known == slot).unwrap()).collect();
        heard.sort_unstable();
        heard
    };
    let play = |mixer: &mut Mixer, talking: &[usize], frames: usize| {
        for _ in 0..frames {
            mixer.mix(|slot| {
                let index = slots.iter().position(|known| *known == slot).unwrap();
                Some(if talking.contains(&index) { &loud[index][..] } else { &quiet[..] })
            });
            slots.iter().for_each(|slot| mixer.write(*slot, &mut [0; FRAME]));
        }
    };
    play(&mut mixer, &talking, 5);
    assert_eq!(heard(&mixer), talking);
    // A fourth that is as loud does not displace them.
    play(&mut mixer, &[17, 40, 93, 50], 50);
    assert_eq!(heard(&mixer), talking);
    // When one falls silent the fourth takes its place within half a second.
    talking = vec![17, 50, 93];
    play(&mut mixer, &talking, 25);
    assert_eq!(heard(&mixer), talking);
    let own = slots.iter().filter(|slot| mixer.hears(**slot) == Hears::Own).count();
    assert_eq!(own, 3, "97 of 100 hear the same sound");
}

#[test]
fn a_supervisor_whispers_to_one_and_an_announcement_is_always_heard() {
    let mut room = Room::new(2);
    let [agent, customer] = [500.0, 800.0].map(|hertz| room.join(hertz, 9_000.0));
    room.play(10);
    let supervisor = room.join(1_200.0, 3_000.0);
    room.mixer.set_heard_by(supervisor, HeardBy::Only(agent));
    room.mixer.set_always_heard(supervisor, true);
    room.mixer.set_always_heard(agent, true);
    room.play(20);
    assert!((room.hears(agent, 1_200.0) - 3_000.0).abs() < 20.0, "{}", room.hears(agent, 1_200.0));
    assert!(room.hears(customer, 1_200.0) < 5.0);
    assert!((room.hears(customer, 500.0) - 9_000.0).abs() < 20.0);
    // Barge in: the customer hears the supervisor too.
    room.mixer.set_heard_by(supervisor, HeardBy::All);
    room.play(20);
    assert!((room.hears(customer, 1_200.0) - 3_000.0).abs() < 20.0);
    assert!(room.hears(supervisor, 1_200.0) < 5.0);
}

#[test]
fn members_come_and_go_at_random() {
    let mut noise = Noise::new(77);
    let mut mixer = mixer(6, 2);
    let mut slots: Vec<MemberSlot> = Vec::new();
    let loud: Vec<i16> = (0..FRAME).map(|index| if index % 2 == 0 { 32_767 } else { -32_768 }).collect();
    for _ in 0..20_000 {
        let choice = (noise.next().abs() * 12.0) as usize;
        let slot = slots.get((noise.next().abs() * slots.len() as f64) as usize).copied();
        match (choice, slot) {
            (0, _) => slots.extend(mixer.join()),
            (1, Some(slot)) => {
                slots.retain(|other| *other != slot);
                mixer.leave(slot);
                mixer.leave(slot);
            }
            (2, Some(slot)) => mixer.set_muted(slot, noise.next() > 0.0),
            (3, Some(slot)) => mixer.set_deaf(slot, noise.next() > 0.0),
            (4, Some(slot)) => mixer.set_always_heard(slot, noise.next() > 0.0),
            (5, Some(slot)) => {
                mixer.set_heard_by(slot, if noise.next() > 0.0 { HeardBy::All } else { HeardBy::Only(slots[0]) })
            }
            (6, Some(slot)) => mixer.set_gain_db(slot, (noise.next() * 40.0) as f32),
            _ => {}
        }
        let length = (noise.next().abs() * 2.0 * FRAME as f64) as usize;
        mixer.mix(|slot| (slot.0 % 3 != 0 || length > FRAME).then(|| &loud[..length.min(FRAME)]));
        for slot in &slots {
            let mut frame = [0; FRAME + 3];
            mixer.write(*slot, &mut frame);
        }
    }
    assert!(mixer.member_count() == slots.len());
}

/// An announcement is heard beside as many speakers as there may be, is no member, and ducks the talk for all or for one.
#[test]
fn announcers_are_heard_beside_the_speakers_and_duck_the_talk() {
    let mut room = Room::new(2);
    let speakers = [500.0, 800.0].map(|hertz| room.join(hertz, 3_000.0));
    let listener = room.join(0.0, 0.0);
    room.play(20);
    let announcer = room.mixer.add_announcer();
    room.tones.insert(announcer, sine(8_000, 1_200.0, 2_000.0, 80_000));
    assert_eq!(room.mixer.member_count(), 3);
    room.play(10);
    assert!(room.hears(listener, 1_200.0) < 10.0, "nothing is announced yet");
    room.mixer.set_muted(announcer, false);
    room.play(20);
    for slot in [speakers[0], speakers[1], listener] {
        assert!((room.hears(slot, 1_200.0) - 2_000.0).abs() < 20.0);
    }
    assert!((room.hears(listener, 500.0) - 3_000.0).abs() < 20.0 && room.hears(speakers[0], 500.0) < 10.0);
    let mut heard = [listener; 4];
    assert_eq!(room.mixer.speakers(&mut heard), 2, "an announcement is no speaker");
    room.mixer.set_ducked(HeardBy::All, true);
    room.play(20);
    assert!(
        (room.hears(listener, 500.0) - 750.0).abs() < 20.0 && (room.hears(listener, 1_200.0) - 2_000.0).abs() < 20.0
    );
    // For one member alone.
    room.mixer.set_ducked(HeardBy::All, false);
    room.mixer.set_heard_by(announcer, HeardBy::Only(speakers[0]));
    room.mixer.set_ducked(HeardBy::Only(speakers[0]), true);
    room.play(20);
    assert!((room.hears(speakers[0], 1_200.0) - 2_000.0).abs() < 20.0);
    assert!((room.hears(speakers[0], 800.0) - 750.0).abs() < 20.0 && room.hears(speakers[0], 500.0) < 20.0);
    assert!((room.hears(listener, 500.0) - 3_000.0).abs() < 20.0 && room.hears(listener, 1_200.0) < 10.0);
    room.mixer.set_muted(announcer, true);
    room.mixer.set_ducked(HeardBy::Only(speakers[0]), false);
    room.play(20);
    assert!((room.hears(speakers[0], 800.0) - 3_000.0).abs() < 20.0);
    let tones = [(500.0, 3_000.0), (800.0, 3_000.0), (1_200.0, 2_000.0)];
    let steady: i32 = tones.iter().map(|(hertz, level)| largest_bend(&sine(8_000, *hertz, *level, 800))).sum();
    for (slot, heard) in &room.heard {
        assert!(largest_bend(heard) <= steady * 3 / 2, "{slot:?}: {} beside {steady}", largest_bend(heard));
    }
    assert!(room.mixer.loudness_dbov(speakers[0]) > -30 && room.mixer.loudness_dbov(listener) == -127);
}
