//! Whether everybody heard the tone: calls held at once, judged from a capture and not from what we sent or counted.

mod checks;
mod evidence;
mod picture;
mod run;

pub use checks::{Check, checks, to_text};
pub use evidence::{Evidence, read_capture};
pub use picture::picture;
pub use run::{HeardPlan, HeardRun, hear};
