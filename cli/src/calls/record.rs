//! `ringplane record`: writes the sound or the packets of a call into a file of `[recording] folder`.

use crate::{Failure, operator::Question, output};
use clap::Args;

/// Which call, and what to do.
#[derive(Args)]
pub(crate) struct Record {
    /// The call: what `ringplane calls` shows as leg or call, or its Call-ID. Of a call with two legs the caller's is recorded,
    /// which has the sound of both; packets are those of both legs
    call: String,
    /// Write the packets of RTP and RTCP, as pcapng, in place of the sound
    #[arg(long, visible_alias = "pcap")]
    packets: bool,
    /// End the recording of the call; with --packets that of its packets
    #[arg(long)]
    stop: bool,
    /// Leave silence in the file from now on, and packets out, while the caller says or keys the number of a card
    #[arg(long, conflicts_with_all = ["stop", "packets"])]
    pause: bool,
    /// Go on after --pause
    #[arg(long, conflicts_with_all = ["stop", "packets", "pause"])]
    resume: bool,
    #[command(flatten)]
    question: Question,
}

pub(crate) fn run(wanted: &Record) -> Result<(), Failure> {
    if wanted.call.contains(char::is_control) {
        return Err(Failure::new("a name of a call has no control characters"));
    }
    let what = match (wanted.stop, wanted.packets) {
        _ if wanted.pause => "pause",
        _ if wanted.resume => "resume",
        (true, true) => "stop-packets",
        (true, false) => "stop",
        (false, true) => "packets",
        (false, false) => "call",
    };
    let answer = wanted.question.ask(&format!("record {what} {}", wanted.call))?;
    if wanted.question.json {
        return output::print(&format!("{answer}\n"));
    }
    let text = |key: &str| crate::table::escaped(answer[key].as_str().unwrap_or("?"));
    let id = text("id");
    output::print(&match what {
        "pause" => format!("the recording of {id} pauses\n"),
        "resume" => format!("the recording of {id} goes on\n"),
        "packets" => format!("the packets of {id} are written into {}\n", text("file")),
        "call" => format!("{id} is recorded into {}\n", text("file")),
        _ => format!("the recording of {id} has ended\n"),
    })
}
