//! Recordings of a voice, and what PESQ says of what is left of them.

use super::media::RATE;
use crate::machine::root;
use loadtest::peers::{read_wav, write_wav};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Prompts of Debian's asterisk-core-sounds-en-wav, read by a professional speaker (CC BY-SA 3.0).
const FOLDER: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";
/// Silence before the speech: a jitter buffer has heard the network by then.
const LEAD_IN: usize = RATE as usize;

/// `seconds` of speech of 8 kHz after a second of silence; each number begins elsewhere.
pub(super) fn speech(number: usize, seconds: usize) -> Vec<i16> {
    let (file, from) =
        [("demo-congrats", 0), ("demo-instruct", 0), ("demo-congrats", 10), ("demo-instruct", 12)][number % 4];
    let path = Path::new(FOLDER).join(file).with_extension("wav");
    let (sound, rate) = read_wav(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; `make peers` installs the recordings", path.display()));
    assert_eq!(rate, RATE);
    let said = sound.iter().cycle().skip(from * RATE as usize).take(seconds * RATE as usize);
    std::iter::repeat_n(&0, LEAD_IN).chain(said).copied().collect()
}

/// The scores of what was heard beside what was said, in their order.
pub(super) fn scores<'s>(pairs: impl IntoIterator<Item = (&'s [i16], &'s [i16])>) -> Vec<f64> {
    let python = root().join("target/peers/python/bin/python");
    assert!(python.exists(), "{} is not there: `make peers` installs it", python.display());
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for (index, (said, heard)) in pairs.into_iter().enumerate() {
        let files = ["said", "heard"].map(|name| folder.path().join(format!("{name}-{index}.wav")));
        write_wav(&files[0], said).unwrap();
        // What came later than it was said is not cut off; without a sample there is nothing to score.
        write_wav(&files[1], if heard.is_empty() { &[0; RATE as usize] } else { heard }).unwrap();
        lines += &format!("{} {}\n", files[0].display(), files[1].display());
    }
    let mut judge = Command::new(python)
        .arg(root().join("cli/tests/peers/pesq_scores.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    judge.stdin.take().expect("it is piped").write_all(lines.as_bytes()).unwrap();
    let output = judge.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("{line}: {errors}"))).collect()
}

/// How many samples later than it was said a sound is heard, by the best fit of a second of it, up to `most`.
pub(super) fn lag(said: &[i16], heard: &[i16], most: usize) -> Option<usize> {
    let from = LEAD_IN + RATE as usize;
    let piece: Vec<f32> = said.get(from..from + RATE as usize)?.iter().map(|sample| f32::from(*sample)).collect();
    let heard: Vec<f32> = heard.get(from..)?.iter().take(piece.len() + most).map(|sample| f32::from(*sample)).collect();
    let likeness = |lag: &usize| -> f32 { piece.iter().zip(&heard[*lag..]).map(|(one, other)| one * other).sum() };
    (0..heard.len().checked_sub(piece.len())?).max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
}
