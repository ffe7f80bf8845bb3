//! What has to hold, whatever the network does.

mod invites;

use clock::{Duration, Instant};
use invites::Invites;
use sip_core::{CallId, Cause, ClientRequestId, DialogId, Event, Flow, RequestId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Timer J of a request over UDP (RFC 3261 §17.2.2), and timer L of an INVITE that was answered 2xx (RFC 6026 §7.1): 64*T1
/// after its final answer a server transaction is gone. Over connections timer J is 0: a request that is sent once more because
/// the connection broke is a new one.
const TRANSACTION_ENDS_AFTER: Duration = Duration::from_secs(32);

/// A rule that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken(pub String);

/// Keeps count of everything that has to end, and end once.
#[derive(Default)]
pub struct Ledger {
    broken: Option<Broken>,
    /// Messages are damaged on their way, so what they say proves nothing about who said it.
    is_noisy: bool,
    /// Dialogs that were announced, by node.
    open_dialogs: BTreeSet<(u64, DialogId)>,
    ended_dialogs: BTreeSet<(u64, DialogId)>,
    /// Calls that were placed and not told.
    open_calls: BTreeSet<(u64, CallId)>,
    /// Requests that were sent and have no final answer.
    open_requests: BTreeSet<(u64, ClientRequestId)>,
    handed_requests: BTreeSet<(u64, RequestId)>,
    /// The first final status that a node gave in a transaction, and when.
    finals: BTreeMap<(SocketAddr, SocketAddr, Vec<u8>), (u16, Instant)>,
    /// Requests in dialogs that came to a node and have no final answer of it: its address, the sender's, branch and method.
    unanswered: BTreeSet<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// The first dialog that ended because a peer was silent, or a path broke.
    unwanted_end: Option<String>,
    invites: Invites,
    /// 2xx to an INVITE that user agents made: Call-ID and tag.
    accepted: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// What happened, for reports.
    pub answered_count: u64,
    /// Calls that failed.
    pub failed_count: u64,
    /// Dialogs that ended.
    pub ended_count: u64,
    /// Everything that crossed the network.
    pub messages_count: u64,
}

impl Ledger {
    /// One for a network that damages messages: it asks that everything can be read, and ends.
    pub fn noisy() -> Self {
        Self { is_noisy: true, ..Self::default() }
    }

    /// The first rule that was broken.
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// Something that must not be.
    pub fn fail(&mut self, why: String) {
        self.broken.get_or_insert(Broken(why));
    }

    /// Two nodes disagree, or one contradicts itself.
    fn contradiction(&mut self, why: String) {
        if !self.is_noisy {
            self.fail(why);
        }
    }

    /// A call was placed.
    pub fn placed(&mut self, node: u64, call: CallId) {
        if !self.open_calls.insert((node, call)) {
            self.fail(format!("node {node}: {call:?} was given twice"));
        }
    }

    /// A request was sent.
    pub fn sent_request(&mut self, node: u64, request: ClientRequestId) {
        if !self.open_requests.insert((node, request)) {
            self.fail(format!("node {node}: {request:?} was given twice"));
        }
    }

    fn announce(&mut self, node: u64, dialog: DialogId) {
        if self.ended_dialogs.contains(&(node, dialog)) {
            self.fail(format!("node {node}: {dialog:?} is named after its end"));
        }
        self.open_dialogs.insert((node, dialog));
    }

    fn told(&mut self, node: u64, call: CallId) {
        if !self.open_calls.remove(&(node, call)) {
            self.fail(format!("node {node}: {call:?} was told twice, or never placed"));
        }
    }

    /// An event of an endpoint. `message` is what it names.
    pub fn event(&mut self, node: u64, event: &Event, message: &[u8]) {
        match *event {
            Event::Invite { dialog, .. } | Event::Reinvite { dialog, .. } | Event::Acknowledged { dialog, .. } => {
                self.announce(node, dialog);
            }
            Event::Progress { dialog: Some(dialog), .. } => self.announce(node, dialog),
            Event::Answered { call, dialog, .. } => {
                self.announce(node, dialog);
                self.told(node, call);
                self.answered_count += 1;
                self.check_answer(node, message);
            }
            Event::Failed { call, .. } => {
                self.told(node, call);
                self.failed_count += 1;
            }
            Event::Response { request, status: 200.., .. } if !self.open_requests.remove(&(node, request)) => {
                self.fail(format!("node {node}: {request:?} was answered twice, or never sent"));
            }
            Event::Request { request, .. } if !self.handed_requests.insert((node, request)) => {
                self.fail(format!("node {node}: {request:?} was handed up twice"));
            }
            Event::Ended { dialog, cause, .. } => self.ended(node, dialog, cause),
            _ => {}
        }
    }

    fn ended(&mut self, node: u64, dialog: DialogId, cause: Cause) {
        self.open_dialogs.remove(&(node, dialog));
        self.ended_count += 1;
        // The peer's BYE may be on its way behind a 481.
        if matches!(cause, Cause::NoAck | Cause::SessionExpired | Cause::Lost(408) | Cause::Transport) {
            self.unwanted_end.get_or_insert_with(|| format!("{dialog:?} of node {node}, {cause:?}"));
        }
        if !self.ended_dialogs.insert((node, dialog)) {
            self.fail(format!("node {node}: {dialog:?} ended twice, now by {cause:?}"));
        }
    }

    /// Checks that the peer of an answered call has answered it.
    fn check_answer(&mut self, node: u64, message: &[u8]) {
        let Ok(message) = sip_wire::Message::parse(message) else {
            return self.fail(format!("node {node}: Answered without a message"));
        };
        let key = (message.call_id().unwrap_or_default().to_vec(), message.to_tag().unwrap_or_default().to_vec());
        if !self.accepted.contains(&key) {
            self.contradiction(format!("node {node}: answered by somebody who did not accept"));
        }
    }

    /// The first dialog that ended because a peer was silent, or a path broke, in words.
    pub fn unwanted_end(&self) -> Option<&str> {
        self.unwanted_end.as_deref()
    }

    /// A message comes to a node that answers requests by itself. Those in dialogs have a peer that is known, so that nothing
    /// but a final answer is right.
    pub fn arrives(&mut self, now: Instant, flow: &Flow, bytes: &[u8]) {
        let Some(message) = sip_wire::Message::parse(bytes).ok().filter(|message| message.to_tag().is_some()) else {
            return;
        };
        let branch = message.top_via().ok().and_then(|via| via.branch()).unwrap_or_default();
        if message.status().is_some_and(|status| status.code() >= 200) {
            return self.invites.is_answered(now, flow, branch, &message);
        }
        self.invites.notes_bye(flow, &message);
        let Some(method) = message.method().filter(|method| *method != sip_wire::Method::Ack) else { return };
        let key = (flow.local, flow.remote, [branch, b" ", method.as_bytes()].concat());
        if !self.finals.contains_key(&key) {
            self.unanswered.insert(key);
        }
    }

    /// A message goes out. `is_agent` says that the node answers by itself, as opposed to a proxy.
    pub fn sends(&mut self, now: Instant, flow: &Flow, is_agent: bool, bytes: &[u8]) {
        let (from, to) = (flow.local, flow.remote);
        self.messages_count += 1;
        let Ok(message) = sip_wire::Message::parse(bytes) else {
            return self.fail(format!("{from} sends what cannot be read at {now:?}"));
        };
        let valid = if message.is_request() { message.validate_request() } else { message.validate_response() };
        if let Err(fault) = valid {
            // On a noisy network this may be the echo of a broken one, in its 400.
            return self.contradiction(format!("{from} sends a broken message at {now:?}: {fault}"));
        }
        if is_agent && message.is_request() {
            self.invites.sends(now, flow, &message);
        }
        let Some(status) = message.status().map(|status| status.code()).filter(|status| *status >= 200) else { return };
        let Ok(cseq) = message.cseq() else { return };
        let branch = message.top_via().ok().and_then(|via| via.branch()).unwrap_or_default();
        if is_agent && status < 300 && cseq.method == sip_wire::Method::Invite {
            let tag = message.to_tag().unwrap_or_default().to_vec();
            self.accepted.insert((message.call_id().unwrap_or_default().to_vec(), tag));
        }
        if is_agent && !self.is_noisy {
            let is_over = self.finals.contains_key(&(from, to, [branch, b" INVITE"].concat()));
            let late = self.invites.sends_final(now, (from, to, branch), (&cseq.method, status), is_over);
            late.into_iter().for_each(|why| self.fail(why));
        }
        let key = (from, to, [branch, b" ", cseq.method_raw].concat());
        self.unanswered.remove(&key);
        let first = self.finals.entry(key).or_insert((status, now));
        let ends_after = match flow.transport.is_reliable() && cseq.method != sip_wire::Method::Invite {
            true => Duration::ZERO,
            false => TRANSACTION_ENDS_AFTER,
        };
        // A copy that comes later than this is a new request to a stateful server: its CSeq is old (RFC 3261 §12.2.2) or what
        // it cancels is gone (§9.2), and it is answered so.
        if now.since(first.1) >= ends_after {
            *first = (status, now);
        }
        let before = first.0;
        let both_fine = before / 100 == 2 && status / 100 == 2 && !is_agent; // 2xx of several forks
        // A table that was full is refused without memory; a copy may find it with room again.
        let was_full = before == 503 || status == 503;
        // A request that overtook the answer that makes its dialog; a copy of it came in order.
        let was_early = before == 481 && is_agent;
        if before != status && !both_fine && !was_full && !was_early {
            self.contradiction(format!("{from} answered {before} and then {status} at {now:?}"));
        }
    }

    /// A node was switched off: what it had open ends nowhere.
    pub fn forget_node(&mut self, node: u64) {
        self.open_dialogs.retain(|(of, _)| *of != node);
        self.open_calls.retain(|(of, _)| *of != node);
        self.open_requests.retain(|(of, _)| *of != node);
    }

    /// A process at this address died: the one that follows knows nothing of its transactions.
    pub fn forget_transactions(&mut self, address: SocketAddr) {
        self.finals.retain(|(from, ..), _| *from != address);
        self.unanswered.retain(|(from, ..)| *from != address);
        self.invites.forget(address);
    }

    /// Everything that began has ended.
    pub fn finish(&mut self) {
        let left = [
            ("dialogs without an end", format!("{:?}", self.open_dialogs), self.open_dialogs.len()),
            ("calls that nobody was told of", format!("{:?}", self.open_calls), self.open_calls.len()),
            ("requests in dialogs that were not answered", format!("{:?}", self.unanswered), self.unanswered.len()),
            ("requests without an answer", format!("{:?}", self.open_requests), self.open_requests.len()),
        ];
        for (what, which, count) in left {
            if count > 0 {
                self.fail(format!("{what}: {which}"));
            }
        }
        self.invites.open().into_iter().for_each(|why| self.fail(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule that a phone breaks which answers an INFO 200, and 500 after so many milliseconds.
    fn second_answer(after_ms: u64) -> Option<Broken> {
        let flow = Flow::udp(([10, 0, 0, 1], 5060).into(), ([10, 0, 0, 2], 5060).into());
        let answer = |status: &str| {
            format!(
                "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                 To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 4 INFO\r\nContent-Length: 0\r\n\r\n"
            )
        };
        let (mut ledger, at) = (Ledger::default(), Instant::ZERO + Duration::from_secs(40));
        ledger.sends(at, &flow, true, answer("200 OK").as_bytes());
        // A copy of the answer does not prolong the transaction: timer J runs since the first.
        ledger.sends(at + Duration::from_secs(20), &flow, true, answer("200 OK").as_bytes());
        let late = at + Duration::from_millis(after_ms);
        ledger.sends(late, &flow, true, answer("500 Server Internal Error").as_bytes());
        ledger.broken().cloned()
    }

    #[test]
    fn a_transaction_has_one_final_answer_until_timer_j_ends_it() {
        assert!(second_answer(31_999).is_some_and(|broken| broken.0.contains("answered 200 and then 500")));
        assert_eq!(second_answer(32_000), None, "a copy is a new request by then (RFC 3261 §17.2.2)");
    }
}
