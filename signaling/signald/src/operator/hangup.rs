//! Calls that an operator ends.

use crate::operator::trace::parse_peer;
use crate::orders::OrderTurn;
use serde_json::{Value, json};
use session::{Session, SessionId};
use shard_core::call_row::leg_id;
use std::net::IpAddr;

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

    pub(crate) fn fits(&self, shard: usize, session: &Session) -> bool {
        match self {
            Self::All => true,
            Self::Named(name) => {
                *name == leg_id(shard, session.id())
                    || *name == session.number().to_string()
                    || **name == *session.parties().call_id
            }
            Self::Peer(ip, port) => {
                let remote = session.remote_signaling();
                remote.ip() == *ip && port.is_none_or(|port| port == remote.port())
            }
        }
    }
}

/// Ends them, each with what its state asks for. The other side of a call ends with it.
pub(crate) fn hang_up(which: &Which, shard: usize, order: OrderTurn<'_, '_>) -> Vec<Hung> {
    let OrderTurn { sessions, turn, .. } = order;
    let ids: Vec<SessionId> = sessions.iter().filter(|session| which.fits(shard, session)).map(Session::id).collect();
    let mut hung = Vec::new();
    for id in ids {
        let Some(session) = sessions.get(id) else { continue };
        let how = match (session.connected_at(), session.is_outgoing()) {
            (Some(_), _) => "BYE sent",
            (None, true) => "CANCEL sent",
            (None, false) => "refused with 480",
        };
        let parties = session.parties();
        let one = Hung {
            id: leg_id(shard, id),
            number: session.number().to_string(),
            from: parties.from.to_string(),
            to: parties.to.to_string(),
            how,
        };
        // The other side of one that was ended a moment ago is ending already.
        if sessions.terminate(turn, id).is_ok() {
            hung.push(one);
        }
    }
    hung
}

impl Hung {
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
