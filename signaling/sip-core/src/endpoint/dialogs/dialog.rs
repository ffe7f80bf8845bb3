//! A dialog (RFC 3261 §12): who the two ends are, where the other one is, and what comes next.

use crate::content::KeptContent;
use crate::endpoint::dialogs::next_hop::Hop;
use crate::endpoint::dialogs::session_timer::SessionClock;
use crate::event::{AccountId, CallId, Cause};
use crate::flow::Flow;
use crate::message::route::Routes;
use crate::table::deadlines::Alarm;
use crate::table::hash::{Key, Keyed};
use crate::table::slab::Handle;
use clock::Instant;

/// Where a dialog is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// INVITE known, no 2xx yet.
    Early,
    /// A 2xx made it.
    Confirmed,
    /// Our BYE is out; only crossing requests are still answered.
    Terminating,
}

/// What is known of the way to the peer.
pub(crate) enum Path {
    /// `flow` is where the peer's messages come from, and nothing else leads to it.
    Source,
    /// `flow` leads to the first Route or the remote target.
    Settled,
    /// As settled, after another one was lost. It is not replaced once more before the peer is heard again.
    Replaced,
    /// Requests go to the source for now, as nothing shows that the peer gets what we send there; then this.
    Unproven(Box<Hop>),
    /// It has to be found before the next request.
    Unknown,
    /// It is being found.
    Awaited(Box<Awaited>),
}

/// Requests that wait until the path is found.
#[derive(Default)]
pub(crate) struct Awaited {
    pub(crate) transactions: Vec<Handle>,
    pub(crate) otherwise: Otherwise,
}

/// What happens when no path is found.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Otherwise {
    /// The source is tried.
    #[default]
    Source,
    /// It is gone: the requests fail.
    Fail,
}

/// What a new dialog is made of.
pub(crate) struct Seed<'a> {
    pub(crate) call_id: &'a [u8],
    /// Our From or To value as it goes on the wire, without tag.
    pub(crate) local: &'a [u8],
    pub(crate) local_tag: &'a [u8],
    /// The peer's value as it came, with its tag if it has one.
    pub(crate) remote: &'a [u8],
    pub(crate) remote_tag: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) routes: Routes,
    pub(crate) flow: Flow,
    pub(crate) local_cseq: u32,
    pub(crate) remote_cseq: Option<u32>,
}

/// The dialog. An idle one is this struct, one block of text for the names that never change, and the target.
pub(crate) struct Dialog {
    pub(crate) state: State,
    /// Call-ID, our name with tag, our tag, the peer's name with tag, the peer's tag: one block.
    text: Box<[u8]>,
    ends: [u16; 4],
    pub(crate) target: Box<[u8]>,
    pub(crate) routes: Routes,
    pub(crate) flow: Flow,
    pub(crate) path: Path,
    pub(crate) local_cseq: u32,
    pub(crate) remote_cseq: Option<u32>,
    pub(crate) user_data: u64,
    /// The INVITE of the peer that is open: unanswered, or answered 2xx and not acknowledged.
    pub(crate) server_invite: Option<Handle>,
    /// Our INVITE that is open.
    pub(crate) client_invite: Option<Handle>,
    /// The call of ours that made this dialog, until it is answered.
    pub(crate) call: Option<CallId>,
    /// The ACK for our INVITE's 2xx, to be sent again with each copy of it, for the INVITE with this CSeq.
    pub(crate) ack: Option<Box<[u8]>>,
    pub(crate) invite_cseq: u32,
    pub(crate) ack_until: Instant,
    /// Highest RSeq that came in order (RFC 3262 §4).
    pub(crate) remote_rseq: u32,
    pub(crate) session: SessionClock,
    /// An INVITE made it, and only BYE ends it (as opposed to subscriptions).
    pub(crate) has_session: bool,
    pub(crate) subscriptions: Vec<Handle>,
    /// The user has heard of it, so it hears of its end.
    pub(crate) is_announced: bool,
    /// The user owes the ACK with the answer.
    pub(crate) owes_ack: bool,
    /// The user owes the PRACK with the answer.
    pub(crate) owes_prack: bool,
    /// Our PRACK carried the answer: the 2xx to the INVITE has no offer any more.
    pub(crate) answered_by_prack: bool,
    /// An UPDATE of the peer, or ours, is open.
    pub(crate) server_update: bool,
    pub(crate) client_update: bool,
    /// Our re-INVITE is one of another peer, which waits by itself after a 491.
    pub(crate) passes_glare: bool,
    /// What the peer's `Allow` and `Supported` said.
    pub(crate) peer_takes_update: bool,
    pub(crate) peer_takes_100rel: bool,
    /// We are the caller: decides who waits longer after a 491.
    pub(crate) is_caller: bool,
    /// Who we are when the peer challenges.
    pub(crate) account: Option<AccountId>,
    /// The credentials of our last INVITE: its ACK carries them too (RFC 3261 §22.1).
    pub(crate) credentials: Option<Box<[u8]>>,
    /// The user's BYE, until the ACK for our 2xx allows it (RFC 3261 §15).
    pub(crate) late_bye: Option<Box<KeptContent>>,
    /// Why our BYE went out.
    pub(crate) ending: Cause,
    pub(crate) alarm: Alarm,
}

/// Lengths of the text block are kept in 16 bits; messages are no longer than that.
const MAX_TEXT_BYTES: usize = u16::MAX as usize;

impl Dialog {
    /// `None` when the names are longer than any message that could carry them back.
    pub(crate) fn new(seed: Seed<'_>) -> Option<Self> {
        let mut text = Vec::with_capacity(
            seed.call_id.len()
                + seed.local.len()
                + seed.remote.len()
                + seed.remote_tag.len()
                + 2 * seed.local_tag.len()
                + 5,
        );
        let mut ends = [0; 4];
        text.extend_from_slice(seed.call_id);
        ends[0] = text.len() as u16;
        text.extend_from_slice(seed.local);
        text.extend_from_slice(b";tag=");
        text.extend_from_slice(seed.local_tag);
        ends[1] = text.len() as u16;
        text.extend_from_slice(seed.local_tag);
        ends[2] = text.len() as u16;
        text.extend_from_slice(seed.remote);
        ends[3] = text.len() as u16;
        text.extend_from_slice(seed.remote_tag);
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        Some(Self {
            state: State::Early,
            text: text.into_boxed_slice(),
            ends,
            target: seed.target.into(),
            routes: seed.routes,
            flow: seed.flow,
            path: Path::Source,
            local_cseq: seed.local_cseq,
            remote_cseq: seed.remote_cseq,
            user_data: 0,
            server_invite: None,
            client_invite: None,
            call: None,
            ack: None,
            invite_cseq: 0,
            ack_until: Instant::FAR_FUTURE,
            remote_rseq: 0,
            session: SessionClock::default(),
            has_session: false,
            subscriptions: Vec::new(),
            is_announced: false,
            owes_ack: false,
            owes_prack: false,
            answered_by_prack: false,
            server_update: false,
            client_update: false,
            passes_glare: false,
            peer_takes_update: false,
            peer_takes_100rel: false,
            is_caller: false,
            account: None,
            credentials: None,
            late_bye: None,
            ending: Cause::LocalBye,
            alarm: Alarm::default(),
        })
    }

    fn part(&self, from: usize, to: usize) -> &[u8] {
        self.text.get(from..to).unwrap_or_default()
    }

    pub(crate) fn call_id(&self) -> &[u8] {
        self.part(0, self.ends[0].into())
    }

    /// Our name with our tag.
    pub(crate) fn local(&self) -> &[u8] {
        self.part(self.ends[0].into(), self.ends[1].into())
    }

    pub(crate) fn local_tag(&self) -> &[u8] {
        self.part(self.ends[1].into(), self.ends[2].into())
    }

    /// The peer's name with its tag.
    pub(crate) fn remote(&self) -> &[u8] {
        self.part(self.ends[2].into(), self.ends[3].into())
    }

    pub(crate) fn remote_tag(&self) -> &[u8] {
        self.part(self.ends[3].into(), self.text.len())
    }

    pub(crate) fn key(&self, keyed: &Keyed) -> Key {
        key(keyed, self.call_id(), self.local_tag(), self.remote_tag())
    }

    /// The URI whose host requests go to.
    pub(crate) fn next_hop(&self) -> &[u8] {
        self.routes.next_hop(&self.target)
    }

    /// Requests go there from now on; `source` is where the message came from that says so.
    pub(crate) fn take_hop(&mut self, hop: Hop, source: Flow) {
        (self.flow, self.path) = match hop {
            Hop::Source => (source, Path::Source),
            Hop::Udp(remote) => (Flow::udp(source.local, remote), Path::Settled),
            Hop::Elsewhere => (source, Path::Unknown),
        };
    }

    /// The peer has got what we sent to where its request came from: now it may say where else to send.
    pub(crate) fn is_proved(&mut self) {
        match std::mem::replace(&mut self.path, Path::Settled) {
            Path::Unproven(hop) => self.take_hop(*hop, self.flow),
            Path::Replaced => {}
            other => self.path = other,
        }
    }

    /// When something has to happen in this dialog without a message.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let session = if self.state == State::Confirmed { self.session.deadline() } else { None };
        let ack = self.ack.as_ref().map(|_| self.ack_until);
        match (session, ack) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Bytes on the heap that this dialog alone accounts for.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.text.len()
            + self.target.len()
            + self.routes.heap_bytes()
            + self.ack.as_ref().map_or(0, |ack| ack.len())
            + self.credentials.as_ref().map_or(0, |lines| lines.len())
    }
}

/// The table key of a dialog as we see it: our tag is the local one.
pub(crate) fn key(keyed: &Keyed, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> Key {
    keyed.key(&[b"dialog", call_id, local_tag, remote_tag])
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_dialog_stays_small() {
        let bytes = size_of::<super::Dialog>();
        println!("a dialog: {bytes} bytes and its names");
        assert!(bytes <= 384, "{bytes} bytes: the budget of a session in signaling is 3 KB, most of it the session's");
    }
}
