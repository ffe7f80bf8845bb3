//! Who may have a request sent on, and what it says about who sent it (RFC 3261 §22.3, RFC 3325).

use super::{Asked, Relay};
use clock::Instant;
use sip_core::auth::{Judgement, Scope};
use sip_core::proxy::{ProxyOutput, SenderIdentity, Standing};
use sip_core::{Answer, Content, Flow};
use sip_wire::{Message, Method, Name};

impl Relay {
    /// Which requests need credentials, where this is one that may; `None`: its sender is not asked.
    pub fn scope(&self, flow: &Flow, request: &Message<'_>) -> Option<Scope> {
        let is_for_us = || self.proxy.is_for_us(flow, request);
        self.scope_of(self.proxy.standing(flow, request), request, is_for_us)
    }

    fn scope_of(&self, standing: Standing, request: &Message<'_>, is_for_us: impl FnOnce() -> bool) -> Option<Scope> {
        match standing {
            Standing::InDialog { .. } => None,
            _ if is_ping(request) && is_for_us() => None,
            // A redirect server has no dialogs: what belongs to one is refused without a question.
            Standing::Unproven if self.is_redirecting => None,
            _ if self.is_redirecting => Some(Scope::Methods),
            // Whatever would leave the switch.
            Standing::New | Standing::Prerouted | Standing::Unproven => Some(Scope::All),
        }
    }

    /// Whether its sender may send it; it has been answered otherwise. Says who that is (RFC 3325 §5).
    pub(super) fn admits(
        &mut self,
        now: Instant,
        asked: &Asked<'_>,
        message: &Message<'_>,
        out: &mut ProxyOutput,
    ) -> bool {
        let request = asked.request;
        let (scope, auth) = (self.scope_of(asked.standing, message, || asked.is_for_us), &self.auth);
        let judgement = match (scope, auth) {
            (Some(scope), Some(auth)) => auth.judge(now, message, self.source, scope),
            _ => Judgement::Open,
        };
        let is_proven = matches!(judgement, Judgement::Proven { .. });
        let identity = match judgement {
            Judgement::Open if self.trusted.iter().any(|network| network.contains(self.source.ip())) => {
                SenderIdentity::AsItCame
            }
            Judgement::Open => SenderIdentity::Nothing,
            Judgement::Proven { identity, .. } if asked.standing == Standing::New && !wants_privacy(message) => {
                SenderIdentity::Asserted(identity.into())
            }
            Judgement::Proven { .. } => SenderIdentity::Nothing,
            Judgement::Impostor { .. } => {
                self.reject(now, request, 403, out);
                return false;
            }
            Judgement::Malformed => {
                self.reject(now, request, 400, out);
                return false;
            }
            Judgement::Challenge { status, header, values, .. } => {
                let headers: Vec<(&str, &str)> = values.iter().map(|value| (header, &**value)).collect();
                // It was given up meanwhile, then nobody waits.
                let _ = self.proxy.reject(now, request, &Answer::with(status, Content::headers(&headers)), out);
                return false;
            }
        };
        self.proxy.identify(request, identity);
        if is_proven {
            self.proxy.prove(now, request);
        }
        true
    }
}

/// OPTIONS that is for a server and no user: whether we are there.
pub(super) fn is_ping(request: &Message<'_>) -> bool {
    request.method() == Some(Method::Options) && request.request_uri().is_ok_and(|uri| uri.user.is_none())
}

/// Whether the sender does not want its identity told (RFC 3323 §4.2, RFC 3325 §9.3).
fn wants_privacy(request: &Message<'_>) -> bool {
    let parts = request.header_lines(Name::Privacy).flat_map(|line| line.split(|byte| matches!(byte, b';' | b',')));
    parts.map(<[u8]>::trim_ascii).any(|part| part.eq_ignore_ascii_case(b"id") || part.eq_ignore_ascii_case(b"user"))
}
