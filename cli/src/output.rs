//! Standard output, where a reader may go away and a disk may be full.

use super::Failure;
use std::io::{self, Write};

/// Prints a text. A reader that has seen enough, as `head` has, ends the command quietly.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| failure(&error))
}

/// Prints a text of a process that goes on whether it is read or not.
pub(crate) fn tell(text: &str) {
    let _ = print(text);
}

/// Prints a complaint, where there is a place for it.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::quiet(),
        _ => Failure::new(format!("cannot write to standard output: {error}")),
    }
}
