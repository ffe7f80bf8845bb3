//! A database that cannot be opened is said at once. How it decides about calls is tested beside the other examples, which
//! need it built: `cargo test` builds a program for tests of its own package.

use std::process::Command;

#[test]
fn a_database_that_cannot_be_opened_is_said_at_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_database_decision"))
        .arg("/nonexistent/calls.db")
        .output()
        .expect("the example is built");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && words.contains("unable to open database file"), "{output:?}");
}
