//! What operators see and do: the socket of commands, reports, hang-ups, traces, and newer configurations.

pub(crate) mod hangup;
mod mask;
pub(crate) mod reload;
pub(crate) mod report;
mod socket;
pub(crate) mod trace;
mod voice;

pub(crate) use socket::Operator;
