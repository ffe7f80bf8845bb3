//! `voice`: what is done to the sound of the phones of a call.

use crate::{OrderTurn, Orders};
use contract::VoiceProcessing;
use crossbeam::channel::unbounded;
use serde_json::{Value, json};
use shard_core::call_row::{CallRow, leg_id};
use std::time::Duration;

/// How long the shards may take.
const SHARD_LIMIT: Duration = Duration::from_secs(2);
const USAGE: &str = "say `voice PARTS NAME`, with parts such as `echo,noise,gain`, or `off`";

/// An operator's `voice PARTS NAME`: the legs of that name are processed like this from now on.
pub(crate) fn command(orders: &Orders, words: &str) -> Result<Value, String> {
    let (parts, name) = words.trim().split_once(' ').ok_or(USAGE)?;
    let (voice, name) = (parse(parts).ok_or(USAGE)?, name.trim());
    let (answer_to, answers) = unbounded();
    for shard in 0..orders.shard_count() {
        let (name, answer_to) = (name.to_owned(), answer_to.clone());
        let order = move |order: OrderTurn<'_, '_>| {
            let now = order.turn.now;
            let named = order.sessions.iter().filter(|session| CallRow::of(now, shard, session).names().has(&name));
            let named: Vec<_> = named.map(|session| session.id()).collect();
            for id in named {
                let done = order.sessions.set_voice_processing(order.turn, id, voice);
                // The operator may be gone.
                let _ = answer_to.send((leg_id(shard, id), done.map_err(|error| error.to_string())));
            }
        };
        // A shard without room does not answer.
        let _ = orders.send(shard, Box::new(order));
    }
    drop(answer_to);
    let until = clock::now() + SHARD_LIMIT;
    let next = || answers.recv_timeout(until.since(clock::now())).ok();
    let (done, refused): (Vec<_>, Vec<_>) = std::iter::from_fn(next).partition(|(_, done)| done.is_ok());
    match (done.is_empty(), refused.into_iter().next()) {
        (true, None) => Err(format!("no such call: {name}")),
        (true, Some((id, why))) => Err(format!("{id}: {}", why.err().unwrap_or_default())),
        (false, _) => Ok(json!({
            "legs": done.into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
            "echo": voice.echo(), "noise": voice.noise(), "gain": voice.gain(),
        })),
    }
}

fn parse(parts: &str) -> Option<VoiceProcessing> {
    let mut voice = VoiceProcessing::default();
    for part in parts.split(',').filter(|_| parts != "off") {
        voice = match part {
            "echo" => voice.with_echo(true),
            "noise" => voice.with_noise(true),
            "gain" => voice.with_gain(true),
            _ => return None,
        };
    }
    Some(voice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_by_their_names() {
        let voice = VoiceProcessing::default();
        assert_eq!(parse("off"), Some(voice));
        assert_eq!(parse("gain,echo"), Some(voice.with_gain(true).with_echo(true)));
        assert!(["", "echo,", "loud", "echo noise", "off,echo"].iter().all(|wrong| parse(wrong).is_none()));
    }
}
