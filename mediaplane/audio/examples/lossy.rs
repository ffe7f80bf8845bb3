//! Loses frames of a WAV file and conceals them, so that other tools (PESQ, ViSQOL, ears) can judge the result:
//! `cargo run -p ringplane-audio --example lossy -- IN.wav OUT.wav PERCENT [conceal|silence|repeat]`.

use audio::Concealer;
use std::error::Error;

/// Frames are as long as those of most calls.
const FRAMES_PER_SECOND: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, percent, rest @ ..] = &arguments[..] else {
        return Err("IN.wav OUT.wav PERCENT [conceal|silence|repeat]".into());
    };
    let (percent, way) = (percent.parse::<u32>()?, rest.first().map_or("conceal", String::as_str));
    let mut reader = hound::WavReader::open(input)?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 || !matches!(spec.sample_rate, 8_000 | 16_000 | 24_000 | 48_000)
    {
        return Err("a mono WAV file of 16 bits at 8, 16, 24 or 48 kHz is needed".into());
    }
    let mut samples = reader.samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    let mut concealer = Concealer::new(spec.sample_rate);
    let (mut random, mut last) = (1_u32, Vec::new());
    for frame in samples.chunks_exact_mut(spec.sample_rate as usize / FRAMES_PER_SECOND) {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let is_lost = (random >> 8) % 100 < percent;
        match (is_lost, way) {
            (true, "silence") => frame.fill(0),
            (true, "repeat") if last.len() == frame.len() => frame.copy_from_slice(&last),
            (true, "repeat") => frame.fill(0),
            (true, _) => concealer.conceal(frame),
            (false, "silence") => {}
            (false, "repeat") => last = frame.to_vec(),
            (false, _) => concealer.hear(frame),
        }
    }
    let mut writer = hound::WavWriter::create(output, spec)?;
    for sample in samples {
        writer.write_sample(sample)?;
    }
    Ok(writer.finalize()?)
}
