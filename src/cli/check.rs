//! `ringplane check FILE`: every mistake of a configuration at once.

use super::Failure;
use std::path::Path;

pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    let config = super::options::load(Some(file))?;
    if let Some(warning) = config.warning(file) {
        eprintln!("warning: {warning}");
    }
    println!("{}: no mistakes", file.display());
    Ok(())
}
