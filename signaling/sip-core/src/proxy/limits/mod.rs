//! What requests may take of the proxy: those of one source, those of sources that have shown nothing, and all of them.

pub(crate) mod admission;
pub(crate) mod giving_way;
pub(crate) mod strangers;
