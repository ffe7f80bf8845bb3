//! `ringplane voice`: what is done to the sound of the phones of a call.

use crate::{Failure, operator::Question, output};
use clap::Args;

/// Which call, and what is done to it.
#[derive(Args)]
pub(crate) struct Voice {
    /// The leg or call: what `ringplane calls` shows, or a Call-ID. Of a call with two legs both are processed
    call: String,
    /// Take out the echo of what the phone hears
    #[arg(long)]
    echo: bool,
    /// Lower noise
    #[arg(long)]
    noise: bool,
    /// Bring speech to one level
    #[arg(long)]
    gain: bool,
    /// Let the sound be as it comes
    #[arg(long, conflicts_with_all = ["echo", "noise", "gain"], required_unless_present_any = ["echo", "noise", "gain"])]
    off: bool,
    #[command(flatten)]
    question: Question,
}

impl Voice {
    fn parts(&self) -> String {
        let parts = [(self.echo, "echo"), (self.noise, "noise"), (self.gain, "gain")];
        let wanted: Vec<_> = parts.iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, name)| *name).collect();
        if self.off { "off".to_owned() } else { wanted.join(",") }
    }
}

pub(crate) fn run(wanted: &Voice) -> Result<(), Failure> {
    if wanted.call.contains(char::is_control) {
        return Err(Failure::new("a name of a call has no control characters"));
    }
    let parts = wanted.parts();
    let answer = wanted.question.ask(&format!("voice {parts} {}", wanted.call))?;
    if wanted.question.json {
        return output::print(&format!("{answer}\n"));
    }
    let legs = answer["legs"].as_array().map_or(&[][..], Vec::as_slice);
    let lines = legs.iter().map(|leg| {
        let leg = crate::table::escaped(leg.as_str().unwrap_or("?"));
        match wanted.off {
            true => format!("{leg}: the sound is as it comes\n"),
            false => format!("{leg}: {}\n", parts.replace(',', ", ")),
        }
    });
    output::print(&lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        voice: Voice,
    }

    #[test]
    fn parts_or_off_have_to_be_typed() {
        let parts = |words: &[&str]| {
            Typed::try_parse_from(["voice", "0-1"].iter().chain(words)).ok().map(|typed| typed.voice.parts())
        };
        assert_eq!(parts(&["--gain", "--echo"]).as_deref(), Some("echo,gain"));
        assert_eq!(parts(&["--off"]).as_deref(), Some("off"));
        assert_eq!((parts(&[]), parts(&["--off", "--noise"])), (None, None));
    }
}
