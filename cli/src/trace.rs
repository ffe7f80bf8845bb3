//! `ringplane trace`: SIP messages as they come and go.

use super::operator::Place;
use super::{Failure, output};
use clap::Args;
use std::io::Read;

/// Which messages to show.
#[derive(Args)]
pub(crate) struct Trace {
    /// Only those of this call: what `ringplane calls` shows as leg or call, or its Call-ID
    #[arg(long)]
    call: Option<String>,
    /// Only those from and to this peer: an address, with or without a port
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    peer: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Until the switch ends, or the reader of our output has seen enough.
pub(crate) fn run(wanted: &Trace) -> Result<(), Failure> {
    let mut command = String::from("trace");
    for (name, value) in [("call", &wanted.call), ("peer", &wanted.peer)] {
        let Some(value) = value else { continue };
        if value.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err(Failure::new(format!("`{}` is neither a call nor a peer", value.escape_debug())));
        }
        command += &format!(" {name}={value}");
    }
    let mut socket = wanted.place.tell(&command)?;
    let (mut buffer, mut is_first) = (vec![0; 65_536], true);
    loop {
        let bytes = socket.read(&mut buffer).map_err(|error| Failure::new(format!("the trace broke off: {error}")))?;
        let text = String::from_utf8_lossy(&buffer[..bytes]);
        if is_first && text.starts_with("{\"error\"") {
            return Err(Failure::new(format!("the switch refuses: {}", text.trim())));
        }
        if bytes == 0 {
            return Ok(());
        }
        is_first = false;
        output::print(&text)?;
    }
}
