//! `ringplane hangup`: ends calls, and says what became of them.

use crate::{Failure, operator::Question, output};
use clap::Args;
use serde_json::Value;
use std::io::{IsTerminal, Write};

/// Which calls to end.
#[derive(Args)]
pub(crate) struct HangUp {
    /// The call: what `ringplane calls` shows as leg or call, or its Call-ID. Both its legs end
    #[arg(required_unless_present_any = ["all", "peer"], conflicts_with_all = ["all", "peer"])]
    call: Option<String>,
    /// All calls of the switch; asks first
    #[arg(long, conflicts_with = "peer")]
    all: bool,
    /// All calls with this peer: an address, with or without a port
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    peer: Option<String>,
    /// Do not ask before all calls end
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    question: Question,
}

pub(crate) fn run(wanted: &HangUp) -> Result<(), Failure> {
    if wanted.all && !wanted.yes && !is_confirmed() {
        return Err(Failure::new("nothing was ended; `--yes` answers the question beforehand"));
    }
    let which = match (&wanted.call, &wanted.peer) {
        (Some(call), _) => format!("call {call}"),
        (None, Some(peer)) => format!("peer {peer}"),
        (None, None) => "all".to_owned(),
    };
    if which.contains(char::is_control) {
        return Err(Failure::new("a name of a call has no control characters"));
    }
    let answer = wanted.question.ask(&format!("hangup {which}"))?;
    if wanted.question.json {
        return output::print(&format!("{answer}\n"));
    }
    let ended = answer.as_array().map_or(&[][..], Vec::as_slice);
    if ended.is_empty() {
        return Err(Failure::new(format!("{}; `ringplane calls` lists them", wanted.none())));
    }
    output::print(&ended.iter().map(line).collect::<String>())
}

impl HangUp {
    /// That nothing was there to end.
    fn none(&self) -> String {
        match (&self.call, &self.peer) {
            (Some(call), _) => format!("no such call: {call}"),
            (None, Some(peer)) => format!("no calls with the peer {peer}"),
            (None, None) => "no calls".to_owned(),
        }
    }
}

fn line(call: &Value) -> String {
    let text = |key: &str| crate::table::escaped(call[key].as_str().unwrap_or("?"));
    let end = if call["is_over"] == true { "it is over" } else { "the peer has not answered yet" };
    format!("{} ({}) {} > {}: {}, {end}\n", text("id"), text("call"), text("from"), text("to"), text("done"))
}

fn is_confirmed() -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    let _ = write!(std::io::stderr(), "End all calls of the switch? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        hangup: HangUp,
    }

    #[test]
    fn what_was_not_found_is_named_as_it_was_typed() {
        let none = |typed: &[&str]| Typed::parse_from(["hangup"].iter().chain(typed)).hangup.none();
        assert_eq!(none(&["nosuch"]), "no such call: nosuch");
        assert_eq!(none(&["--peer", "192.0.2.7"]), "no calls with the peer 192.0.2.7");
        assert_eq!(none(&["--all"]), "no calls");
    }
}
