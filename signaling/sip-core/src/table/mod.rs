//! Tables and what they need: things by handle and by key, their deadlines, and tokens that nobody can guess.

pub(crate) mod deadlines;
pub(crate) mod hash;
pub(crate) mod slab;
pub(crate) mod token;
