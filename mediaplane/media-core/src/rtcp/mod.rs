//! RTCP, sent and received, and what it says about quality.

pub(crate) mod incoming;
pub(crate) mod quality;
pub(crate) mod reports;
