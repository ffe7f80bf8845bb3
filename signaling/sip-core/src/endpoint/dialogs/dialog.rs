//! A dialog (RFC 3261 §12): who the two ends are, where the other one is, and what comes next.

use crate::endpoint::dialogs::identity::Identity;
use crate::endpoint::dialogs::in_flight::{Ack, InFlight};
use crate::endpoint::dialogs::next_hop::Hop;
use crate::endpoint::dialogs::session_timer::SessionClock;
use crate::event::{AccountId, Cause};
use crate::flow::Flow;
use crate::message::route::Routes;
use crate::table::deadlines::Alarm;
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

/// The dialog: what is known of it for as long as it lives, and apart from that what is on its way in it. An idle one is this
/// struct, one block of text for the names that never change, and the target.
pub(crate) struct Dialog {
    pub(crate) state: State,
    /// We are the caller: decides who waits longer after a 491.
    pub(crate) is_caller: bool,
    /// An INVITE made the dialog, and only BYE ends it (as opposed to subscriptions).
    pub(crate) has_session: bool,
    /// What the peer's `Allow` said.
    pub(crate) peer_takes_update: bool,
    pub(crate) identity: Identity,
    pub(crate) route: Route,
    pub(crate) sequence: Sequence,
    pub(crate) subscriptions: Vec<Handle>,
    pub(crate) session: SessionClock,
    pub(crate) user: OfUser,
    pub(crate) in_flight: InFlight,
    pub(crate) ack: Ack,
    /// Why our BYE went out.
    pub(crate) ending: Cause,
    pub(crate) alarm: Alarm,
}

/// Where requests to the peer go.
pub(crate) struct Route {
    /// The remote target: the peer's Contact.
    pub(crate) target: Box<[u8]>,
    /// The route set.
    pub(crate) set: Routes,
    pub(crate) flow: Flow,
    pub(crate) path: Path,
}

/// The numbers of the last requests and responses.
pub(crate) struct Sequence {
    /// The CSeq number of our last request.
    pub(crate) local: u32,
    /// The CSeq number of the peer's.
    pub(crate) remote: Option<u32>,
    /// Highest RSeq that came in order for our INVITE (RFC 3262 §4).
    pub(crate) remote_rseq: u32,
}

impl Sequence {
    /// The CSeq number of our next request, which is the last one from now on.
    pub(crate) fn next_local(&mut self) -> u32 {
        self.local = self.local.saturating_add(1);
        self.local
    }
}

/// What the endpoint's user has to do with it.
#[derive(Default)]
pub(crate) struct OfUser {
    /// The number that the user gave it.
    pub(crate) data: u64,
    /// The account that answers the peer's challenges.
    pub(crate) account: Option<AccountId>,
    /// The user has heard of the dialog, so it hears of its end.
    pub(crate) is_announced: bool,
}

impl Dialog {
    /// `None` when the names are longer than any message that could carry them back.
    pub(crate) fn new(seed: Seed<'_>) -> Option<Self> {
        Some(Self {
            state: State::Early,
            is_caller: false,
            has_session: false,
            peer_takes_update: false,
            identity: Identity::new(&seed)?,
            route: Route { target: seed.target.into(), set: seed.routes, flow: seed.flow, path: Path::Source },
            sequence: Sequence { local: seed.local_cseq, remote: seed.remote_cseq, remote_rseq: 0 },
            subscriptions: Vec::new(),
            session: SessionClock::default(),
            user: OfUser::default(),
            in_flight: InFlight::default(),
            ack: Ack::default(),
            ending: Cause::LocalBye,
            alarm: Alarm::default(),
        })
    }

    /// The URI whose host requests go to.
    pub(crate) fn next_hop(&self) -> &[u8] {
        self.route.set.next_hop(&self.route.target)
    }

    /// Requests go there from now on; `source` is where the message came from that says so.
    pub(crate) fn take_hop(&mut self, hop: Hop, source: Flow) {
        (self.route.flow, self.route.path) = match hop {
            Hop::Source => (source, Path::Source),
            Hop::Udp(remote) => (Flow::udp(source.local, remote), Path::Settled),
            Hop::Elsewhere => (source, Path::Unknown),
        };
    }

    /// The peer has got what we sent to where its request came from: now it may say where else to send.
    pub(crate) fn is_proved(&mut self) {
        match std::mem::replace(&mut self.route.path, Path::Settled) {
            Path::Unproven(hop) => self.take_hop(*hop, self.route.flow),
            Path::Replaced => {}
            other => self.route.path = other,
        }
    }

    /// When something has to happen in this dialog without a message.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let session = if self.state == State::Confirmed { self.session.deadline() } else { None };
        let ack = self.ack.request.as_ref().map(|_| self.ack.until);
        match (session, ack) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Bytes on the heap that this dialog alone accounts for.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.identity.heap_bytes() + self.route.target.len() + self.route.set.heap_bytes() + self.ack.heap_bytes()
    }
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
