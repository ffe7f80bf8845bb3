//! How many messages were parsed, counted with debug assertions only.

use core::cell::Cell;

thread_local! {
    static PARSE_COUNT: Cell<u64> = const { Cell::new(0) };
}

/// How many messages this thread has parsed. For tests that a message is parsed once and handed on parsed, so it is there
/// with debug assertions only.
pub fn parse_count() -> u64 {
    PARSE_COUNT.with(Cell::get)
}

/// A message is about to be parsed.
pub(crate) fn note() {
    PARSE_COUNT.with(|count| count.set(count.get() + 1));
}
