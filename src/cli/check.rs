//! `ringplane check FILE`: every mistake of a configuration at once.

use super::Failure;
use std::path::Path;

pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    let config = super::options::load(Some(file))?;
    if let Some(warning) = config.warning(file) {
        super::output::complain(&format!("warning: {warning}"));
    }
    super::output::print(&format!("{}: no mistakes\n", file.display()))
}
