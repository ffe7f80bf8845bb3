//! Speech: the shipped prompt, a synthesiser of vowels and fricatives, and what Debian's packages bring where they are
//! installed: espeak-ng, and the recordings of a voice in asterisk-core-sounds-en-wav.

use super::Noise;
use std::f64::consts::{PI, TAU};
use std::path::Path;
use std::process::Command;

/// The samples of a sound file at 8 kHz.
fn samples_of(file: &[u8]) -> Result<Vec<i16>, crate::SoundError> {
    let sound = crate::file::decode(file)?;
    let samples = crate::resample::convert(&sound.samples, sound.rate, 8_000);
    Ok(samples.iter().map(|x| (x * 32_767.0).round() as i16).collect())
}

/// The shipped prompt at 8 kHz.
pub(crate) fn welcome() -> Vec<i16> {
    samples_of(crate::WELCOME_WAV).expect("the shipped prompt")
}

/// Formants of vowels in hertz.
const VOWELS: [[f64; 3]; 6] = [
    [730.0, 1_090.0, 2_440.0],
    [270.0, 2_290.0, 3_010.0],
    [300.0, 870.0, 2_240.0],
    [530.0, 1_840.0, 2_480.0],
    [570.0, 840.0, 2_410.0],
    [440.0, 1_020.0, 2_240.0],
];

/// Two poles.
#[derive(Clone, Copy, Default)]
struct Resonator {
    last: f64,
    before: f64,
}

impl Resonator {
    fn next(&mut self, input: f64, hertz: f64, bandwidth: f64, rate: f64) -> f64 {
        let radius = (-PI * bandwidth / rate).exp();
        let a = 2.0 * radius * (TAU * hertz / rate).cos();
        let out = (1.0 - a + radius * radius) * input + a * self.last - radius * radius * self.before;
        (self.before, self.last) = (self.last, out);
        out
    }
}

/// Syllables of a voice between 90 and 230 Hz, with pauses: a glottal pulse train through three formants, and noise.
pub(crate) fn speech(rate: u32, seconds: usize) -> Vec<i16> {
    let per_second = f64::from(rate);
    let mut noise = Noise::new(99);
    let (mut sound, mut resonators, mut phase) = (Vec::<f64>::new(), [Resonator::default(); 3], 0.0);
    let mut syllable = 0;
    while sound.len() < seconds * rate as usize {
        let pitch = 90.0 + 70.0 * (noise.next() + 1.0);
        let glide = 1.0 + 0.3 * noise.next();
        let from = VOWELS[syllable % 6];
        let to = VOWELS[(syllable * 5 + 1) % 6];
        let voiced = (0.12 + 0.05 * noise.next()) * per_second;
        for index in 0..voiced as usize {
            let part = index as f64 / voiced;
            phase += pitch * (1.0 + (glide - 1.0) * part) * (1.0 + 0.01 * noise.next()) / per_second;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase = phase.fract();
            let mut out = pulse * per_second / 100.0 + 0.05 * noise.next();
            for (formant, resonator) in resonators.iter_mut().enumerate() {
                let hertz = from[formant] + (to[formant] - from[formant]) * part;
                out = resonator.next(out, hertz, 60.0 + 40.0 * formant as f64, per_second);
            }
            sound.push(out * (PI * part).sin().sqrt());
        }
        if syllable % 3 == 1 {
            let fricative = 0.07 * per_second;
            let mut last = 0.0;
            for index in 0..fricative as usize {
                let new = noise.next();
                sound.push(0.1 * (new - last) * (PI * index as f64 / fricative).sin());
                last = new;
            }
        }
        let pause = if syllable % 7 == 6 { 0.25 } else { 0.02 } * per_second;
        sound.extend((0..pause as usize).map(|_| 0.0003 * noise.next()));
        syllable += 1;
    }
    sound.truncate(seconds * rate as usize);
    let peak = sound.iter().fold(0.0, |peak: f64, sample| peak.max(sample.abs()));
    sound.iter().map(|sample| (16_000.0 / peak * sample).round() as i16).collect()
}

/// What espeak-ng makes of a text, at 8 kHz; `None` where it is not installed.
pub(crate) fn espeak(voice: &str, pitch: u32, words_per_minute: u32, text: &str) -> Option<Vec<i16>> {
    let (pitch, speed) = (pitch.to_string(), words_per_minute.to_string());
    let output = Command::new("espeak-ng").args(["-v", voice, "-p", &pitch, "-s", &speed, "--stdout", text]).output();
    let file = output.ok().filter(|output| output.status.success())?.stdout;
    Some(samples_of(&file).expect("a WAV file by espeak-ng"))
}

/// Recordings of a human voice at 8 kHz, 25 minutes of it; none where they are not installed.
pub(crate) fn recordings() -> Vec<(String, Vec<i16>)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new("/usr/share/asterisk/sounds/en_US_f_Allison").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "wav") {
                let file = std::fs::read(&path).expect("a file of the package");
                // Some files of the package are empty.
                found.extend(samples_of(&file).ok().map(|sound| (path.display().to_string(), sound)));
            }
        }
    }
    found
}
