//! Calls that an operator ends.

use crate::link::Link;
use crate::operator::trace::parse_peer;
use clock::Instant;
use serde_json::{Value, json};
use session::{SessionId, Sessions, Turn};
use shard_core::call_row::{CallNames, CallRow};
use shard_core::{Shard, ShardOutput};
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::Sender;

/// Which calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    All,
    /// That of a leg's id, a call's number, or a Call-ID.
    Named(String),
    /// Those with this peer.
    Peer(IpAddr, Option<u16>),
}

/// A call that was told to end.
pub(crate) struct Hung {
    pub(crate) id: String,
    number: String,
    from: String,
    to: String,
    how: &'static str,
}

impl Which {
    /// `all`, `call NAME` or `peer ADDRESS`.
    pub(crate) fn parse(words: &str) -> Option<Self> {
        match words.split_once(' ') {
            None if words == "all" => Some(Self::All),
            Some(("call", name)) if !name.trim().is_empty() => Some(Self::Named(name.trim().to_owned())),
            Some(("peer", address)) => parse_peer(address.trim()).map(|(ip, port)| Self::Peer(ip, port)),
            _ => None,
        }
    }

    fn fits(&self, call: &CallNames<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Named(name) => call.has(name),
            Self::Peer(ip, port) => is_peer(call.signaling, *ip, *port),
        }
    }
}

fn is_peer(remote: SocketAddr, ip: IpAddr, port: Option<u16>) -> bool {
    remote.ip() == ip && port.is_none_or(|port| port == remote.port())
}

/// An operator's order to a shard.
pub(crate) struct HangUp {
    pub(crate) which: Which,
    pub(crate) answer_to: Sender<HungUp>,
}

/// What came of it.
pub(crate) struct HungUp {
    pub(crate) calls: Vec<Hung>,
    /// Calls that pass the proxy of the shard, are meant, and were answered a moment ago, where it ended none.
    pub(crate) up_count: usize,
}

impl HangUp {
    /// Ends the calls on their shard, each with what its state asks for.
    pub(crate) fn carry_out(
        self,
        now: Instant,
        number: usize,
        shard: &mut Shard,
        link: &mut Link,
        out: &mut ShardOutput,
    ) {
        let mut calls = Vec::new();
        shard.work(now, link, out, |sessions, turn| calls = hang_up(&self.which, number, sessions, turn));
        let proxied = shard.hang_up_proxied(now, number, |call| self.which.fits(call), out);
        calls.extend(proxied.ended.into_iter().map(|call| Hung::of(call, "targets cancelled, refused with 480")));
        // The operator may be gone.
        let _ = self.answer_to.send(HungUp { calls, up_count: proxied.up_count });
    }
}

/// Ends sessions. The other side of a call ends with it.
fn hang_up(which: &Which, shard: usize, sessions: &mut Sessions, turn: &mut Turn<'_>) -> Vec<Hung> {
    let rows = sessions.iter().map(|session| (session.id(), CallRow::of(turn.now, shard, session)));
    let meant: Vec<(SessionId, CallRow)> = rows.filter(|(_, row)| which.fits(&row.names())).collect();
    let mut hung = Vec::new();
    for (id, row) in meant {
        let Some(session) = sessions.get(id) else { continue };
        let how = match (session.connected_at(), session.is_outgoing()) {
            (Some(_), _) => "BYE sent",
            (None, true) => "CANCEL sent",
            (None, false) => "refused with 480",
        };
        // The other side of one that was ended a moment ago is ending already.
        if sessions.terminate(turn, id).is_ok() {
            hung.push(Hung::of(row, how));
        }
    }
    hung
}

/// Why a proxy has ended nothing. `up_count`: how many calls are meant that it knows to be up.
pub(crate) fn refusal(up_count: usize) -> Value {
    let what = match up_count {
        0 => "no such call is being set up here".to_owned(),
        1 => "the call has been answered".to_owned(),
        count => format!("{count} such calls have been answered"),
    };
    json!({ "error": format!(
        "{what}; a call that is up and passes this proxy ends by the BYE of one of its two ends: a proxy has no dialog of its \
         own to send one in, and would have to forge it. End it at the phone or the server on either side"
    ) })
}

impl Hung {
    fn of(call: CallRow, how: &'static str) -> Self {
        Self { id: call.id, number: call.number, from: call.from.into(), to: call.to.into(), how }
    }

    /// `is_over`: nothing of it is left.
    pub(crate) fn json(&self, is_over: bool) -> Value {
        json!({
            "id": self.id, "call": self.number, "from": self.from, "to": self.to, "done": self.how, "is_over": is_over,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_named_in_three_ways() {
        assert_eq!(Which::parse("all"), Some(Which::All));
        assert_eq!(Which::parse("call 0-1a"), Some(Which::Named("0-1a".into())));
        assert_eq!(Which::parse("peer [::1]:5070"), Some(Which::Peer("::1".parse().unwrap(), Some(5070))));
        for wrong in ["", "call", "call  ", "peer here", "everything", "all of them"] {
            assert_eq!(Which::parse(wrong), None, "{wrong}");
        }
    }
}
