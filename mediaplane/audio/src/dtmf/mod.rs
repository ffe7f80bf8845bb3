//! Digits as tones in the sound (ITU-T Q.23): detected within the tolerances of ITU-T Q.24, and generated.
//!
//! Digits are numbered like the events of RFC 4733: 0 to 9, then 10 for `*`, 11 for `#`, 12 to 15 for A to D.

mod decimate;
mod detect;
mod generate;
#[cfg(test)]
mod tests;

pub use detect::{DtmfDetector, DtmfEvent};
pub use generate::DtmfGenerator;

/// Frequencies of the rows and of the columns.
const LOW_HERTZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HERTZ: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// The numbers of the keypad, row by row.
const KEYPAD: [[u8; 4]; 4] = [[1, 2, 3, 12], [4, 5, 6, 13], [7, 8, 9, 14], [10, 0, 11, 15]];

const DIGITS: &[u8; 16] = b"0123456789*#ABCD";

/// The digit with a number of RFC 4733.
pub fn dtmf_char(number: u8) -> Option<char> {
    DIGITS.get(usize::from(number)).map(|digit| char::from(*digit))
}

/// The number of a digit in RFC 4733; letters may be small.
pub fn dtmf_number(digit: char) -> Option<u8> {
    let position = DIGITS.iter().position(|known| char::from(*known) == digit.to_ascii_uppercase());
    position.map(|position| position as u8)
}

/// Row and column of a digit.
fn row_and_column(number: u8) -> Option<(usize, usize)> {
    KEYPAD.iter().enumerate().find_map(|(row, keys)| Some((row, keys.iter().position(|key| *key == number)?)))
}
