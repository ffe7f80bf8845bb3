//! What broke a rule before the rule was there, with its count. These lists only shrink: a change that mends an entry
//! takes it out or lowers its number; a change that moves code takes its number along.

/// Folders with more files than a folder may have.
pub(crate) const FOLDERS: &[(&str, usize)] = &[];

/// Structs with more fields than a struct may have, by crate.
pub(crate) const STRUCTS: &[(&str, usize)] = &[("src: SessionConfig", 25)];

/// Comments with riddles, by crate.
pub(crate) const WORDS: &[(&str, usize)] = &[];
