//! Whether a recording contains a sound that was played.

/// How alike the best place in `recording` is to `piece`: 1 is the same but for loudness, 0 is unrelated.
pub fn likeness(recording: &[i16], piece: &[i16]) -> f64 {
    if piece.is_empty() || recording.len() < piece.len() {
        return 0.0;
    }
    let piece: Vec<f32> = piece.iter().map(|sample| f32::from(*sample)).collect();
    let energy = |samples: &[f32]| samples.iter().map(|sample| sample * sample).sum::<f32>();
    let piece_energy = energy(&piece);
    let recording: Vec<f32> = recording.iter().map(|sample| f32::from(*sample)).collect();
    let best = recording
        .windows(piece.len())
        .map(|window| {
            let product: f32 = window.iter().zip(&piece).map(|(a, b)| a * b).sum();
            let energies = (energy(window) * piece_energy).sqrt();
            if energies > 0.0 { product / energies } else { 0.0 }
        })
        .fold(0.0, f32::max);
    f64::from(best)
}

/// How many of the pieces that `played` is cut into are found in `recording`, 0 to 1. Silent pieces do not count.
pub fn share_found(recording: &[i16], played: &[i16], piece_samples: usize) -> f64 {
    const ALIKE: f64 = 0.8;
    /// Mean level under which a piece says nothing.
    const SILENCE: i64 = 100;
    let loud = |piece: &&[i16]| {
        piece.iter().map(|sample| i64::from(sample.unsigned_abs())).sum::<i64>() > SILENCE * piece.len() as i64
    };
    let pieces: Vec<&[i16]> = played.chunks_exact(piece_samples.max(1)).filter(loud).collect();
    let found = pieces.iter().filter(|piece| likeness(recording, piece) > ALIKE).count();
    found as f64 / pieces.len().max(1) as f64
}

/// A sound of `samples` at 8 kHz that is like nothing else, not even like itself a moment later: a sine that climbs from
/// 300 to 3,000 Hz and swells.
pub fn climbing_tone(samples: usize) -> Vec<i16> {
    let mut phase = 0.0f64;
    (0..samples)
        .map(|n| {
            let part = n as f64 / samples as f64;
            phase += std::f64::consts::TAU * (300.0 + 2_700.0 * part) / 8_000.0;
            (phase.sin() * (4_000.0 + 6_000.0 * part)) as i16
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_is_found_in_its_recording_and_not_in_another() {
        let played = climbing_tone(4_000);
        let recording: Vec<i16> = [vec![0; 500], played.iter().map(|s| s / 2).collect(), vec![3; 500]].concat();
        assert!(share_found(&recording, &played, 500) > 0.99);
        let other: Vec<i16> = (0..5_000).map(|n| if n % 20 < 10 { 5_000 } else { -5_000 }).collect();
        assert!(share_found(&other, &played, 500) < 0.3);
        assert_eq!(likeness(&[1], &[1, 2]), 0.0);
    }
}
