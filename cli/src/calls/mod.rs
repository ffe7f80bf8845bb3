//! `ringplane calls`: what is up now.

pub(crate) mod hangup;
mod quality;
pub(crate) mod record;
pub(crate) mod voice;

use crate::table::{self, Fit, escaped};
use crate::{Failure, operator::Question, output};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;
use signald::SessionState;
use std::net::{IpAddr, SocketAddr};

const HEADING: [&str; 15] = [
    "leg", "call", "state", "from", "to", "age", "codec", "peer", "local", "remote", "received", "sent", "lost",
    "jitter", "mos",
];
/// Columns of numbers.
const RIGHT: [usize; 6] = [5, 10, 11, 12, 13, 14];
/// What goes first where there is little room: addresses, then counts.
const MAY_GO: [usize; 10] = [9, 8, 1, 7, 11, 13, 10, 12, 6, 14];
const MAY_SHRINK: [usize; 2] = [3, 4];

/// Which calls to list.
#[derive(Args)]
pub(crate) struct Calls {
    /// Only calls whose caller's URI contains this
    #[arg(long, value_name = "TEXT")]
    from: Option<String>,
    /// Only calls whose called URI contains this
    #[arg(long, value_name = "TEXT")]
    to: Option<String>,
    /// Only calls in this state
    #[arg(long, ignore_case = true, value_parser = states())]
    state: Option<String>,
    /// Only calls with this peer: an address, with or without a port
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    peer: Option<String>,
    /// Only calls that began within this time, such as 90s, 5m, 2h or 1d
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    since: Option<u64>,
    /// How both directions of each leg sound: MOS now and of the whole call, R, loss, bursts, delay
    #[arg(long)]
    quality: bool,
    #[command(flatten)]
    question: Question,
}

fn states() -> PossibleValuesParser {
    PossibleValuesParser::new(SessionState::ALL.map(SessionState::name))
}

fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no time such as 90s, 5m, 2h or 1d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count = text[..text.len() - unit.len_utf8()].parse::<u64>().map_err(|_| wrong())?;
    count.checked_mul(factor).ok_or_else(wrong)
}

pub(crate) fn run(wanted: &Calls) -> Result<(), Failure> {
    if let Some(peer) = wanted.peer.as_deref().filter(|peer| !is_address(peer)) {
        return Err(Failure::new(format!("`{}` is no address, with or without a port", peer.escape_debug())));
    }
    let answer = wanted.question.ask("calls")?;
    let legs = wanted.chosen(answer.as_array().map_or(&[][..], Vec::as_slice));
    if wanted.question.json {
        return output::print(&format!("{}\n", Value::Array(legs)));
    }
    if legs.is_empty() {
        return output::print("no calls\n");
    }
    let show = if wanted.quality { quality::shown } else { shown };
    output::print(&show(&legs, table::terminal_width()))
}

fn shown(legs: &[Value], width: Option<usize>) -> String {
    let rows: Vec<_> = legs.iter().enumerate().map(|(index, leg)| row(leg, is_second(legs, index))).collect();
    let calls = (0..legs.len()).filter(|index| !is_second(legs, *index)).count();
    let fit = Fit { width, may_go: &MAY_GO, may_shrink: &MAY_SHRINK };
    let count = |count: usize, thing: &str| format!("{count} {thing}{}", if count == 1 { "" } else { "s" });
    format!("{}{}, {}\n", table::text(&HEADING, &RIGHT, &rows, fit), count(calls, "call"), count(legs.len(), "leg"))
}

/// Whether the leg before it belongs to the same call.
fn is_second(legs: &[Value], index: usize) -> bool {
    index.checked_sub(1).is_some_and(|before| legs[before]["call"] == legs[index]["call"])
}

impl Calls {
    /// The legs of calls of which one leg fits, the legs of a call one after the other, the caller's first.
    fn chosen(&self, legs: &[Value]) -> Vec<Value> {
        let fitting: Vec<&Value> = legs.iter().filter(|leg| self.fits(leg)).map(|leg| &leg["call"]).collect();
        let mut chosen: Vec<Value> = legs.iter().filter(|leg| fitting.contains(&&leg["call"])).cloned().collect();
        let age = |leg: &Value| std::cmp::Reverse(leg["age_s"].as_u64());
        let oldest = |call: &Value| legs.iter().filter(|leg| leg["call"] == *call).map(age).min();
        chosen.sort_by_key(|leg| (oldest(&leg["call"]), leg["call"].to_string(), leg["direction"] == "out"));
        chosen
    }

    fn fits(&self, leg: &Value) -> bool {
        let text = |key: &str| leg[key].as_str().unwrap_or_default();
        let has = |wanted: &Option<String>, key| wanted.as_ref().is_none_or(|part| text(key).contains(part.as_str()));
        has(&self.from, "from")
            && has(&self.to, "to")
            && self.state.as_ref().is_none_or(|state| text("state").eq_ignore_ascii_case(state))
            && self.peer.as_ref().is_none_or(|peer| is_peer(peer, text("signaling")))
            && self.since.is_none_or(|since| leg["age_s"].as_u64().is_some_and(|age| age <= since))
    }
}

fn is_address(peer: &str) -> bool {
    peer.parse::<SocketAddr>().is_ok() || bare(peer).is_some()
}

fn bare(peer: &str) -> Option<IpAddr> {
    let inside = peer.strip_prefix('[').and_then(|peer| peer.strip_suffix(']')).unwrap_or(peer);
    inside.parse().ok()
}

fn is_peer(wanted: &str, signaling: &str) -> bool {
    let Ok(at) = signaling.parse::<SocketAddr>() else { return false };
    bare(wanted).is_some_and(|ip| ip == at.ip()) || wanted.parse() == Ok(at)
}

fn row(leg: &Value, is_second: bool) -> Vec<String> {
    let text = |key: &str| match &leg[key] {
        Value::Null => "-".to_string(),
        Value::String(text) => escaped(text),
        other => other.to_string(),
    };
    let unit = |key: &str, unit: &str| if leg[key].is_null() { "-".into() } else { format!("{}{unit}", leg[key]) };
    let indent = if is_second { "  " } else { "" };
    vec![
        format!("{indent}{}", text("id")),
        text("call"),
        text("state"),
        text("from"),
        text("to"),
        unit("age_s", " s"),
        text("codec"),
        text("signaling"),
        text("local"),
        text("remote"),
        text("received_packets"),
        text("sent_packets"),
        text("lost_packets"),
        unit("jitter_us", " us"),
        both_scores(leg),
    ]
}

/// What the switch hears of the peer, and what the peer hears of the switch.
fn both_scores(leg: &Value) -> String {
    let [heard, sent] = ["mos", "mos_sent"].map(|key| quality::score(&leg[key]));
    if sent == "-" { heard } else { format!("{heard}/{sent}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        calls: Calls,
    }

    fn legs() -> Vec<Value> {
        let leg = |id: &str, call: &str, direction: &str, state: &str, peer: &str, age: u64| {
            json!({
                "id": id, "call": call, "direction": direction, "state": state, "age_s": age, "codec": "PCMU",
                "from": "sip:alice.with.a.long.name@example.com", "to": "sip:+4930123456789@example.net\u{1b}[2J",
                "signaling": peer, "local": "192.0.2.9:10000", "remote": "192.0.2.1:4000", "received_packets": 12345,
                "sent_packets": 12345, "lost_packets": 0, "jitter_us": 120,
                "mos": 4.38, "mos_sent": 3.9,
            })
        };
        vec![
            leg("0-2", "bbbb", "out", "ringing", "192.0.2.7:5060", 5),
            leg("1-9", "aaaa", "in", "connected", "[2001:db8::1]:5070", 100),
            leg("0-1", "bbbb", "in", "ringing", "192.0.2.1:5070", 5),
        ]
    }

    fn ids(arguments: &[&str]) -> Vec<String> {
        let typed = Typed::parse_from(["calls"].iter().chain(arguments));
        typed.calls.chosen(&legs()).iter().map(|leg| leg["id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_legs_of_a_call_stand_together_and_filters_keep_whole_calls() {
        assert_eq!(ids(&[]), ["1-9", "0-1", "0-2"]);
        assert_eq!(ids(&["--peer", "192.0.2.7"]), ["0-1", "0-2"], "the call with both its legs");
        assert_eq!(ids(&["--peer", "192.0.2.7:5061"]), [""; 0]);
        assert_eq!(ids(&["--peer", "2001:db8::1"]), ["1-9"]);
        assert_eq!(ids(&["--state", "Connected"]), ["1-9"]);
        let bogus = Typed::try_parse_from(["calls", "--state", "bogus"]).err().map(|error| error.to_string());
        assert!(bogus.is_some_and(|words| words.contains("ringing, connected, on-hold")), "the states are listed");
        assert_eq!(ids(&["--since", "1m"]), ["0-1", "0-2"]);
        assert_eq!((ids(&["--from", "alice"]).len(), ids(&["--to", "bob"]).len()), (3, 0));
        assert_eq!((seconds("2h"), seconds("1d")), (Ok(7_200), Ok(86_400)));
        assert!(["", "5", "m", "5x", "99999999999999999999s", "5µ"].iter().all(|wrong| seconds(wrong).is_err()));
    }

    #[test]
    fn the_table_fits_eighty_columns_and_is_whole_elsewhere() {
        let legs = Typed::parse_from(["calls"]).calls.chosen(&legs());
        let narrow = shown(&legs, Some(80));
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert!(
            narrow.contains("connected") && narrow.contains("  0-2") && narrow.ends_with("2 calls, 3 legs\n"),
            "{narrow}"
        );
        assert!(shown(&legs[..1], None).ends_with("1 call, 1 leg\n"));
        let whole = shown(&legs, None);
        assert!(
            whole.contains("[2001:db8::1]:5070")
                && whole.contains("120 us")
                && whole.contains("4.38/3.90")
                && whole.contains("bbbb"),
            "{whole}"
        );
        assert!(!whole.contains('\u{1b}'), "a peer's text moves no cursor");
    }
}
