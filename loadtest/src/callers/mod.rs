//! Callers: SIP calls with media on every one, thousands at once, from one thread and the media generator's.

mod call;
mod html;
mod load;
mod message;
mod quality;
mod report;

pub use html::page;
pub use load::{CallPlan, call};
pub use quality::mos;
pub use report::CallsReport;
