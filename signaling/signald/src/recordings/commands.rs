//! What operators ask for: `record WORD NAME`.

use super::{Begun, Recordings};
use crate::OrderTurn;
use clock::Duration;
use contract::RecordingKind;
use crossbeam::channel::{Sender, unbounded};
use serde_json::{Value, json};
use session::{Session, SessionId};
use shard_core::call_row::{CallRow, leg_id};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How long a shard may take to begin or end a recording that an operator waits for.
const SHARD_LIMIT: Duration = Duration::from_secs(2);

/// What is done to the recordings that a leg has.
#[derive(Clone, Copy)]
enum Change {
    Stop,
    Pause(bool),
}

/// The legs of a call, the caller's first.
struct Found {
    shard: usize,
    legs: Vec<SessionId>,
}

impl Recordings {
    /// An operator's command, without its first word.
    pub(crate) fn command(&self, words: &str) -> Value {
        let named = words.split_once(' ').map(|(what, name)| (what, name.trim())).filter(|(_, name)| !name.is_empty());
        let every = &RecordingKind::ALL;
        let done = match named {
            Some(("call", name)) => self.record(name, RecordingKind::Sound),
            Some(("packets", name)) => self.record(name, RecordingKind::Packets),
            Some(("stop", name)) => self.change(name, &[RecordingKind::Sound], Change::Stop),
            Some(("stop-packets", name)) => self.change(name, &[RecordingKind::Packets], Change::Stop),
            Some(("pause", name)) => self.change(name, every, Change::Pause(true)),
            Some(("resume", name)) => self.change(name, every, Change::Pause(false)),
            _ => Err("say `record WORD NAME`; WORD is call, packets, stop, stop-packets, pause or resume".to_owned()),
        };
        done.unwrap_or_else(|why| json!({ "error": why }))
    }

    fn record(&self, name: &str, kind: RecordingKind) -> Result<Value, String> {
        let Found { shard, legs } = self.find(name)?;
        let first = *legs.first().ok_or_else(|| no_such_call(name))?;
        let (answer_to, answers) = unbounded();
        let legs = if kind == RecordingKind::Sound { vec![first] } else { legs };
        let path = self.begin((shard, legs), kind, answer_to)?;
        let begun = answers.recv_timeout(SHARD_LIMIT).map_err(|_| "the shard does not answer".to_owned())?;
        match begun.failure() {
            Some(why) => Err(why),
            None => Ok(json!({ "id": leg_id(shard, first), "file": path })),
        }
    }

    /// Writes the packets of all legs of the call that a leg is of.
    pub(super) fn capture(
        &self,
        (shard, leg): (usize, SessionId),
        answer_to: Sender<Begun>,
    ) -> Result<PathBuf, String> {
        let found = self.find(&leg_id(shard, leg))?;
        self.begin((found.shard, found.legs), RecordingKind::Packets, answer_to)
    }

    /// Changes the recordings of a call.
    fn change(&self, name: &str, kinds: &'static [RecordingKind], change: Change) -> Result<Value, String> {
        let Found { shard, legs } = self.find(name)?;
        let (answer_to, answers) = unbounded();
        let order = move |order: OrderTurn<'_, '_>| {
            let (mut changed, mut failed) = (None, None);
            for (leg, kind) in legs.iter().flat_map(|leg| kinds.iter().map(|kind| (*leg, *kind))) {
                let session = order.sessions.get(leg);
                if session.is_none_or(|session| session.recording(kind).is_none()) {
                    continue;
                }
                let done = match change {
                    Change::Stop => order.sessions.stop_recording(order.turn, leg, kind).map(drop),
                    Change::Pause(paused) => order.sessions.pause_recording(order.turn, leg, kind, paused),
                };
                match done {
                    Ok(()) => changed = changed.or(Some(leg)),
                    Err(error) => failed = Some(error.to_string()),
                }
            }
            // The operator may be gone.
            let _ = answer_to.send(match (failed, changed) {
                (Some(why), _) => Err(why),
                (None, Some(leg)) => Ok(leg),
                (None, None) => Err("nothing of this call is being recorded".to_owned()),
            });
        };
        self.orders.send(shard, Box::new(order)).map_err(|error| error.to_string())?;
        let changed = answers.recv_timeout(SHARD_LIMIT).map_err(|_| "the shard does not answer".to_owned())?;
        Ok(json!({ "id": leg_id(shard, changed?) }))
    }

    /// All legs of the call that has this name, or whose leg has it.
    fn find(&self, name: &str) -> Result<Found, String> {
        let (answer_to, answers) = unbounded();
        for shard in 0..self.orders.shard_count() {
            let (name, answer_to) = (name.to_owned(), answer_to.clone());
            let order = move |order: OrderTurn<'_, '_>| {
                let (now, sessions) = (order.turn.now, &*order.sessions);
                let named = sessions.iter().filter(|session| CallRow::of(now, shard, session).names().has(&name));
                let both = |session: &Session| [Some(session.id()), session.linked_to()];
                let legs: BTreeSet<SessionId> = named.flat_map(both).flatten().collect();
                let mut legs: Vec<SessionId> = legs.into_iter().collect();
                legs.sort_by_key(|leg| sessions.get(*leg).is_none_or(Session::is_outgoing));
                // The operator may be gone.
                let _ = answer_to.send((!legs.is_empty()).then_some(Found { shard, legs }));
            };
            // A shard without room does not answer.
            let _ = self.orders.send(shard, Box::new(order));
        }
        drop(answer_to);
        let until = clock::now() + SHARD_LIMIT;
        let next = || answers.recv_timeout(until.since(clock::now())).ok();
        std::iter::from_fn(next).flatten().next().ok_or_else(|| no_such_call(name))
    }
}

fn no_such_call(name: &str) -> String {
    format!("no such call: {name}")
}
