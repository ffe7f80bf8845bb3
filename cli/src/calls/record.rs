//! `ringplane record`: writes a call into a file of `[recording] folder`.

use crate::{Failure, operator::Question, output};
use clap::Args;

/// Which call, and whether to begin or to stop.
#[derive(Args)]
pub(crate) struct Record {
    /// The call: what `ringplane calls` shows as leg or call, or its Call-ID. Of a call with two legs the caller's is recorded,
    /// which has the sound of both
    call: String,
    /// End the recording of the call
    #[arg(long)]
    stop: bool,
    #[command(flatten)]
    question: Question,
}

pub(crate) fn run(wanted: &Record) -> Result<(), Failure> {
    if wanted.call.contains(char::is_control) {
        return Err(Failure::new("a name of a call has no control characters"));
    }
    let what = if wanted.stop { "stop" } else { "call" };
    let answer = wanted.question.ask(&format!("record {what} {}", wanted.call))?;
    if wanted.question.json {
        return output::print(&format!("{answer}\n"));
    }
    let text = |key: &str| crate::table::escaped(answer[key].as_str().unwrap_or("?"));
    output::print(&match wanted.stop {
        true => format!("the recording of {} has ended\n", text("id")),
        false => format!("{} is recorded into {}\n", text("id"), text("file")),
    })
}
