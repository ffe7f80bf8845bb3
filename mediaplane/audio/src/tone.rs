//! Tones as loops that are encoded once.

use crate::call_tones::{CallTone, ToneGenerator, ToneSignal, tone_countries};
use crate::{Law, MOST_FRAME_SAMPLES, SAMPLE_RATE};
use std::f64::consts::TAU;
use std::sync::OnceLock;

/// Level of our tones: -10 dBm0, where a sine of full scale is +3.14 dBm0 (ITU-T G.711 §4).
const TONE_AMPLITUDE: f64 = 7_210.0;

/// Sound that repeats, encoded by both laws. Any frame of it lies in one piece.
#[derive(Clone, Debug)]
pub struct Loop {
    /// A period, then the first frame's worth of it again; by law.
    codes: [Box<[u8]>; 2],
    period: usize,
}

impl Loop {
    /// Of the samples of one period.
    pub fn new(samples: &[i16]) -> Self {
        assert!(!samples.is_empty(), "a loop has at least one sample");
        let longer: Vec<i16> = samples.iter().copied().cycle().take(samples.len() + MOST_FRAME_SAMPLES).collect();
        Self { codes: Law::ALL.map(|law| law.encode_all(&longer)), period: samples.len() }
    }

    /// Copies the frame that starts `position` samples after the beginning. A frame is at most
    /// [`MOST_FRAME_SAMPLES`] long; what is longer is filled up with silence.
    #[inline]
    pub fn copy_frame(&self, law: Law, position: u64, frame: &mut [u8]) {
        let start = (position % self.period as u64) as usize;
        let (sound, rest) = frame.split_at_mut(frame.len().min(MOST_FRAME_SAMPLES));
        sound.copy_from_slice(&self.codes[law as usize][start..start + sound.len()]);
        rest.fill(law.silence());
    }
}

/// The tones of every worker.
#[derive(Clone, Debug)]
pub struct Tones {
    /// 440 Hz: 11 periods in 200 samples.
    pub a440: Loop,
    /// The European ringing tone: 425 Hz for 1 s, then 4 s of silence (ETSI TR 101 041-2).
    pub ringing: Loop,
    /// Those of the countries, five each, made when they are played for the first time: some 50 KB each.
    of_countries: Box<[OnceLock<Loop>]>,
}

/// A tone of a country among [`Tones`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ToneIndex(u16);

impl Tones {
    /// A tone of a country, by its two letters of ISO 3166; `None` if its tones are not known. The first time in a process it is made, which
    /// takes up to a millisecond.
    pub fn of_country(&self, country: &str, tone: CallTone) -> Option<ToneIndex> {
        let place = tone_countries().position(|known| known.eq_ignore_ascii_case(country))?;
        let index = place * CallTone::ALL.len() + tone as usize;
        self.of_countries.get(index)?.get_or_init(|| {
            let signal = ToneSignal::of_country(country, tone).expect("the country is in the table");
            Loop::new(&a_period_of(&signal))
        });
        Some(ToneIndex(index as u16))
    }

    /// Copies the frame of a tone of a country that starts `position` samples after its beginning.
    pub fn copy_tone(&self, ToneIndex(index): ToneIndex, law: Law, position: u64, frame: &mut [u8]) {
        match self.of_countries.get(usize::from(index)).and_then(OnceLock::get) {
            Some(tone) => tone.copy_frame(law, position, frame),
            None => frame.fill(law.silence()),
        }
    }
}

/// The samples after which a tone of the table repeats: a second of one that never ends, for its frequencies are whole hertz.
fn a_period_of(signal: &ToneSignal) -> Vec<i16> {
    let mut generator = ToneGenerator::new(signal, SAMPLE_RATE);
    let second = SAMPLE_RATE as usize;
    match signal.period() {
        Some(period) => {
            let mut samples = vec![0; period.as_millis() as usize * second / 1_000];
            generator.fill(&mut samples);
            samples
        }
        None => {
            // The beginning swells.
            let mut samples = vec![0; 2 * second];
            generator.fill(&mut samples);
            samples.split_off(second)
        }
    }
}

impl Default for Tones {
    fn default() -> Self {
        let second = SAMPLE_RATE as usize;
        let mut ringing: Vec<i16> = (0..second).map(|index| sine(425.0, index)).collect();
        ringing.resize(5 * second, 0);
        Self {
            a440: Loop::new(&(0..200).map(|index| sine(440.0, index)).collect::<Vec<_>>()),
            ringing: Loop::new(&ringing),
            of_countries: vec![OnceLock::new(); tone_countries().count() * CallTone::ALL.len()].into(),
        }
    }
}

fn sine(hertz: f64, index: usize) -> i16 {
    (TONE_AMPLITUDE * (TAU * hertz * index as f64 / f64::from(SAMPLE_RATE)).sin()).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToneMeter;

    fn heard(tone: &Loop, law: Law, from: u64, count: usize) -> Vec<i16> {
        let mut samples = Vec::new();
        while samples.len() < count {
            let mut frame = [0; 160];
            tone.copy_frame(law, from + samples.len() as u64, &mut frame);
            samples.extend(frame.map(|code| law.decode(code)));
        }
        samples
    }

    #[test]
    fn a_long_tone_is_pure() {
        for law in Law::ALL {
            let samples = heard(&Tones::default().a440, law, 0, 16_000);
            assert!(ToneMeter::new(440.0).purity(&samples) > 0.999, "{law:?}");
            assert!(ToneMeter::new(425.0).purity(&samples) < 0.01);
        }
    }

    #[test]
    fn ringing_is_one_second_in_five() {
        let ringing = Tones::default().ringing;
        let meter = ToneMeter::new(425.0);
        assert!(meter.purity(&heard(&ringing, Law::A, 0, 8_000)) > 0.999);
        assert!(heard(&ringing, Law::A, 8_000, 31_840).iter().all(|sample| sample.abs() <= 8));
        assert!(meter.purity(&heard(&ringing, Law::Mu, 40_000, 8_000)) > 0.999);
    }

    #[test]
    fn frames_of_any_length_lie_in_one_piece() {
        let tone = Tones::default().a440;
        for position in [0, 1, 199, 200, u64::MAX] {
            let (mut long, mut short) = ([0; MOST_FRAME_SAMPLES], [0; 80]);
            tone.copy_frame(Law::Mu, position, &mut long);
            tone.copy_frame(Law::Mu, position, &mut short);
            assert_eq!(long[..80], short);
        }
        let mut oversized = [0; 600];
        tone.copy_frame(Law::Mu, 0, &mut oversized);
        assert!(oversized[480..].iter().all(|code| *code == 0xff));
    }

    #[test]
    fn tones_of_countries_go_on_as_their_generator_does() {
        let tones = Tones::default();
        for country in tone_countries() {
            for tone in CallTone::ALL {
                let signal = ToneSignal::of_country(country, tone).unwrap();
                let index = tones.of_country(country, tone).unwrap();
                let mut generator = ToneGenerator::new(&signal, SAMPLE_RATE);
                let (mut expected, mut frame) = ([0; 160], [0; 160]);
                for n in 0..700_u64 {
                    generator.fill(&mut expected);
                    tones.copy_tone(index, Law::A, 160 * n, &mut frame);
                    for (at, (code, sample)) in frame.iter().zip(&expected).enumerate() {
                        let difference = (i32::from(Law::A.decode(*code)) - i32::from(*sample)).abs();
                        // What the law rounds; a tone that never ends begins without a swell.
                        let is_at_its_begin = n == 0 && signal.period().is_none();
                        assert!(difference <= 300 || is_at_its_begin, "{country} {tone:?} {n} {at}: {difference}");
                    }
                }
            }
        }
        assert_eq!(tones.of_country("zz", CallTone::Busy), None);
    }
}
