//! What a proxy keeps of a request in progress, beside its server transaction: the response context of RFC 3261 §16.2.

use super::branch::Waiting;
use super::paying::Stranger;
use super::{SenderIdentity, Standing};
use crate::flow::Flow;
use crate::slab::Handle;
use crate::transactions::ServerUse;

pub(super) struct Context {
    pub(super) is_invite: bool,
    pub(super) began_at: clock::Instant,
    /// How the request came.
    pub(super) in_flow: Flow,
    /// The request with `received` and `rport` filled and our Route values gone.
    pub(super) request: Box<[u8]>,
    /// The tail of our branches: the same request coming back with the same route is a loop.
    pub(super) loop_mark: crate::token::Token,
    /// Of an INVITE whose sender has shown nothing.
    pub(super) stranger: Option<Stranger>,
    /// How many branches may be open at once, here and behind us (RFC 5393).
    pub(super) breadth: u8,
    pub(super) standing: Standing,
    pub(super) identity: SenderIdentity,
    /// Where the first response of the dialog says that requests go, as a proof binds it.
    pub(super) place: Option<[u8; 16]>,
    /// The connection that our own Route value named.
    pub(super) named_flow: Option<Flow>,
    /// Targets that were not tried yet.
    pub(super) waiting: Vec<Waiting>,
    /// 3xx answers that may still be followed.
    pub(super) redirects_left: usize,
    /// URIs of targets, where redirections may lead to them again.
    pub(super) tried: Vec<Box<str>>,
    /// Those that our user has not decided about.
    pub(super) redirects: Vec<Redirect>,
    pub(super) branches: Vec<Handle>,
    /// Branches without a final response.
    pub(super) open_count: usize,
    pub(super) targets_count: usize,
    pub(super) best: Option<Best>,
    /// Challenges of the other 401 and 407 (RFC 3261 §16.7, step 7): complete header lines.
    pub(super) challenges: Vec<u8>,
    /// The caller gave up.
    pub(super) is_cancelled: bool,
    /// It was called off because the proxy is being stopped.
    pub(super) is_stopped: bool,
    /// A final response went upstream.
    pub(super) is_answered: bool,
}

impl ServerUse for Context {}

impl Context {
    /// Whether it is an INVITE that would make a call.
    pub(super) fn is_call(&self) -> bool {
        self.is_invite && !matches!(self.standing, Standing::InDialog { .. })
    }
}

/// A 3xx that waits for a decision.
pub(super) struct Redirect {
    pub(super) number: u32,
    /// To go upstream when it is not followed.
    pub(super) bytes: Box<[u8]>,
}

/// The best final response so far, ready to go upstream.
pub(super) struct Best {
    pub(super) status: u16,
    /// Empty when we made it up: nobody answered on that branch.
    pub(super) bytes: Box<[u8]>,
}
