//! Where results go, and the little arithmetic that they need.

use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The middle value; the mean of the two middle ones of an even count; 0 of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// Writes `value` as `folder/name.json`, complete or not at all.
pub fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let (unfinished, path) = (folder.join(format!(".{name}.json")), folder.join(format!("{name}.json")));
    fs::write(&unfinished, serde_json::to_vec_pretty(value)?)?;
    fs::rename(unfinished, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }
}
