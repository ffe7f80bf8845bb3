//! What a proxy keeps of a request in progress, beside its server transaction: the response context of RFC 3261 §16.2.

use crate::flow::Flow;
use crate::message::incoming::Incoming;
use crate::proxy::targets::branch::Waiting;
use crate::proxy::{SenderIdentity, Standing};
use crate::table::hash::Key;
use crate::table::slab::Handle;
use crate::table::token::Token;
use crate::transactions::ServerUse;
use crate::transactions::quota::Caller;
use clock::Instant;
use sip_wire::Method;

pub(crate) struct Context {
    pub(crate) is_invite: bool,
    pub(crate) began_at: Instant,
    /// How the request came.
    pub(crate) in_flow: Flow,
    /// The request with `received` and `rport` filled and our Route values gone.
    pub(crate) request: Box<[u8]>,
    /// The tail of our branches: the same request coming back with the same route is a loop.
    pub(crate) loop_mark: Token,
    pub(crate) caller: Caller,
    /// Of an INVITE: what the ACK of its 2xx has in common with it.
    pub(crate) ack_key: Option<Key>,
    pub(crate) standing: Standing,
    pub(crate) identity: SenderIdentity,
    /// Where the first response of the dialog says that requests go, as a proof binds it.
    pub(crate) place: Option<[u8; 16]>,
    /// The connection that our own Route value named.
    pub(crate) named_flow: Option<Flow>,
    pub(crate) targets: Targets,
    pub(crate) outcome: Outcome,
}

/// Where a request goes: the target set of RFC 3261 §16.5, and what was sent to it.
pub(crate) struct Targets {
    /// How many branches may be open at once, here and behind us (RFC 5393).
    pub(crate) breadth: u8,
    /// Targets that were not tried yet.
    pub(crate) waiting: Vec<Waiting>,
    /// 3xx answers that may still be followed.
    pub(crate) redirects_left: usize,
    /// URIs of targets, where redirections may lead to them again.
    pub(crate) tried: Vec<Box<str>>,
    /// Those that our user has not decided about.
    pub(crate) redirects: Vec<Redirect>,
    pub(crate) branches: Vec<Handle>,
    /// Branches without a final response.
    pub(crate) open_count: usize,
    /// All targets that were named, tried or not.
    pub(crate) count: usize,
}

impl Targets {
    /// None yet.
    pub(crate) fn new(breadth: u8, redirects_left: usize) -> Self {
        Self {
            breadth,
            waiting: Vec::new(),
            redirects_left,
            tried: Vec::new(),
            redirects: Vec::new(),
            branches: Vec::new(),
            open_count: 0,
            count: 0,
        }
    }

    /// Bytes that are kept for them, beside those of branches.
    pub(crate) fn bytes(&self) -> usize {
        let of_redirects = self.redirects.iter().map(|redirect| redirect.bytes.len());
        let of_tried = self.tried.iter().map(|tried| tried.len());
        of_redirects.chain(of_tried).chain(self.waiting.iter().map(Waiting::bytes)).sum()
    }

    /// Nobody else shall be asked.
    pub(crate) fn drop_untried(&mut self) {
        self.waiting.clear();
        self.redirects.clear();
    }
}

/// What is to become of a request, and the answer to it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) best: Option<Best>,
    /// Challenges of the other 401 and 407 (RFC 3261 §16.7, step 7): complete header lines.
    pub(crate) challenges: Vec<u8>,
    /// There was no room for a branch to one of its targets.
    pub(crate) lacked_room: bool,
    /// The caller gave up.
    pub(crate) is_cancelled: bool,
    /// It was called off from here.
    pub(crate) called_off: Option<CalledOff>,
    /// A final response went upstream.
    pub(crate) is_answered: bool,
}

impl ServerUse for Context {
    fn deadline(&self) -> Option<Instant> {
        self.called_off().and_then(|called_off| called_off.answer_at)
    }
}

impl Outcome {
    /// No further target is asked: it is answered, the caller gave up, or it was called off.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_answered || self.is_cancelled || self.called_off.is_some()
    }
}

/// A request that is to end, by the word of the proxy's user.
#[derive(Clone, Copy)]
pub(crate) struct CalledOff {
    /// Its answer, unless a target gives a better one.
    pub(crate) status: u16,
    /// When it is answered although targets have not said that they have stopped.
    pub(crate) answer_at: Option<Instant>,
}

impl CalledOff {
    /// The proxy is being stopped, and answers all requests at once when it is time.
    pub(crate) const STOPPED: Self = Self { status: 503, answer_at: None };
}

impl Context {
    /// Of a request that has just come: without targets, and not answered. `request` is what would be sent on.
    pub(crate) fn new(inc: &Incoming<'_, '_>, request: Box<[u8]>, loop_mark: Token, standing: Standing) -> Self {
        Self {
            is_invite: inc.method == Method::Invite,
            began_at: inc.now,
            in_flow: *inc.flow,
            request,
            loop_mark,
            caller: Caller::default(),
            ack_key: None,
            standing,
            identity: SenderIdentity::AsItCame,
            place: None,
            named_flow: None,
            targets: Targets::new(1, 0),
            outcome: Outcome::default(),
        }
    }

    /// Whether it is an INVITE that would make a call.
    pub(crate) fn is_call(&self) -> bool {
        self.is_invite && !self.is_in_dialog()
    }

    /// It is to end, without a further target.
    pub(crate) fn call_off(&mut self, how: CalledOff) {
        self.outcome.called_off = Some(how);
        self.targets.drop_untried();
    }

    /// Whether it was called off and has no final answer yet.
    pub(crate) fn called_off(&self) -> Option<CalledOff> {
        self.outcome.called_off.filter(|_| !self.outcome.is_answered)
    }

    pub(crate) fn is_in_dialog(&self) -> bool {
        matches!(self.standing, Standing::InDialog { .. })
    }
}

impl Outcome {
    /// Bytes of the answers that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.challenges.len() + self.best.as_ref().map_or(0, |best| best.bytes.len())
    }
}

/// A 3xx that waits for a decision.
pub(crate) struct Redirect {
    pub(crate) number: u32,
    /// To go upstream when it is not followed.
    pub(crate) bytes: Box<[u8]>,
}

/// The best final response so far, ready to go upstream.
pub(crate) struct Best {
    pub(crate) status: u16,
    /// Empty when we made it up: nobody answered on that branch.
    pub(crate) bytes: Box<[u8]>,
}
