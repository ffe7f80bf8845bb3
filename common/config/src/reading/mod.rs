//! From the text of a file to values and mistakes.

/// One mistake, all of them, and why a file could not be used.
pub(crate) mod mistake;
/// Lines, columns and entries.
pub(crate) mod place;
/// Takes values out of the document.
pub(crate) mod reader;
/// "Did you mean".
pub(crate) mod suggest;
/// What is left of a text that is no TOML.
pub(crate) mod syntax;
/// The values of all keys, to compare a newer file with.
pub(crate) mod written;
