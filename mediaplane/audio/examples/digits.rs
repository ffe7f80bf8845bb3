//! Writes digits as tones to a WAV file, or finds those in one, so that other programs can check them:
//! `cargo run -p ringplane-audio --example digits -- write OUT.wav RATE DIGITS` or `... -- find IN.wav`.

use audio::{DtmfDetector, DtmfEvent, DtmfGenerator, dtmf_char, dtmf_number};
use std::error::Error;
use std::time::Duration;

const TONE: Duration = Duration::from_millis(70);
const PAUSE: Duration = Duration::from_millis(70);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", file, rate, digits] => write(file, rate.parse()?, digits),
        ["find", file] => find(file),
        _ => Err("write OUT.wav RATE DIGITS, or find IN.wav".into()),
    }
}

fn write(file: &str, rate: u32, digits: &str) -> Result<(), Box<dyn Error>> {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(file, spec)?;
    let mut generator = DtmfGenerator::new(rate);
    let mut frame = vec![0; rate as usize / 50];
    for digit in digits.chars() {
        let number = dtmf_number(digit).ok_or_else(|| format!("{digit} is no digit"))?;
        generator.start(number, TONE, PAUSE);
        while generator.is_playing() {
            generator.fill(&mut frame);
            frame.iter().try_for_each(|sample| writer.write_sample(*sample))?;
        }
    }
    Ok(writer.finalize()?)
}

fn find(file: &str) -> Result<(), Box<dyn Error>> {
    let mut reader = hound::WavReader::open(file)?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 || !matches!(spec.sample_rate, 8_000 | 16_000 | 24_000 | 48_000)
    {
        return Err("a mono WAV file of 16 bits at 8, 16, 24 or 48 kHz is needed".into());
    }
    let samples = reader.samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    let mut found = String::new();
    DtmfDetector::new(spec.sample_rate).hear(&samples, |event| {
        if let DtmfEvent::Began { number, .. } = event {
            found.extend(dtmf_char(number));
        }
    });
    println!("{found}");
    Ok(())
}
