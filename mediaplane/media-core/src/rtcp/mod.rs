//! RTCP, sent and received, and how good the streams sound.

pub(crate) mod extended;
pub(crate) mod incoming;
pub(crate) mod peer_reports;
pub(crate) mod quality;
pub(crate) mod reports;
pub(crate) mod row;
pub(crate) mod watch;

#[cfg(test)]
mod tests;
