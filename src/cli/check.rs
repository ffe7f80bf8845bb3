//! `ringplane check FILE`: every mistake of a configuration at once.

use super::Failure;
use std::path::Path;

pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    super::options::load(Some(file))?;
    println!("{}: no mistakes", file.display());
    Ok(())
}
