//! Which requests are taken: digest authentication of requests outside of dialogs (RFC 3261 §22, RFC 8760).

use crate::{Admission, AdmissionRequest, Turn};
use sip_core::auth::{Algorithm, AuthSettings, Authenticator, Place, Presented, Secret, Verdict};
use sip_core::{Content, RequestId, Span};
use std::fmt;

/// The table of secrets. It is called on the thread that runs calls, so it must not wait: a database needs a cache.
pub trait Secrets: Send {
    /// The secret of a user, good for this algorithm; `None` where there is no such user.
    fn secret(&self, username: &str, algorithm: Algorithm) -> Option<Secret>;
    /// Credentials were wrong. `line` is for a log that programs read which ban addresses; it comes seldom enough.
    fn failed(&self, line: &str) {
        let _ = line;
    }
}

/// Challenges callers, and admits those with valid credentials. For [`crate::Decide::admit`].
pub struct DigestAuth {
    authenticator: Authenticator,
    place: Place,
    secrets: Box<dyn Secrets>,
}

impl DigestAuth {
    /// For one realm. `place` says whether it challenges as a server (401) or as a proxy (407).
    pub fn new(settings: AuthSettings, place: Place, secrets: Box<dyn Secrets>) -> Self {
        Self { authenticator: Authenticator::new(settings), place, secrets }
    }

    /// Judges the credentials of a request, or asks for some.
    pub fn admit(&mut self, request: &AdmissionRequest<'_>) -> Admission {
        let claim = match self.authenticator.read(request.message, self.place) {
            Presented::Nothing => return self.challenge(request, false),
            Presented::Malformed => return Admission::Refused(400),
            Presented::Claim(claim) => claim,
        };
        let username = String::from_utf8_lossy(claim.username());
        let secret = self.secrets.secret(&username, claim.algorithm());
        match self.authenticator.judge(request.received_at, request.remote.ip(), &claim, secret.as_ref()) {
            Verdict::Proven => Admission::Granted { user: Some(username.into()) },
            Verdict::Challenge { stale } => self.challenge(request, stale),
            Verdict::Failed(failure) => {
                if failure.is_worth_logging {
                    self.secrets.failed(&failure.line(self.authenticator.realm(), request.remote, request.message));
                }
                self.challenge(request, false)
            }
        }
    }

    fn challenge(&mut self, request: &AdmissionRequest<'_>, stale: bool) -> Admission {
        let (now, source) = (request.received_at, request.remote.ip());
        let values = self.authenticator.challenge_to(now, source, request.message, stale);
        Admission::Challenge { place: self.place, values }
    }
}

impl fmt::Debug for DigestAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestAuth").field("authenticator", &self.authenticator).finish_non_exhaustive()
    }
}

impl Admission {
    /// Status and header fields of the response to a request that is not admitted.
    pub(crate) fn answer(&self) -> (u16, Vec<(&str, &str)>) {
        match self {
            Self::Granted { .. } => (200, Vec::new()),
            Self::Challenge { place, values } => {
                (place.status(), values.iter().map(|value| (place.header(), &**value)).collect())
            }
            Self::Refused(status) => (*status, Vec::new()),
        }
    }
}

impl Turn<'_> {
    pub(crate) fn admit(&mut self, message: Span) -> Admission {
        let (remote, received_at) = (self.path.remote, self.now);
        match self.sip.message(message) {
            Some(message) => self.decide.admit(&AdmissionRequest { message: &message, remote, received_at }),
            None => Admission::Refused(400),
        }
    }

    /// Whether a request outside of dialogs is admitted. If it is not, it has been answered.
    pub(crate) fn lets_in(&mut self, request: RequestId, message: Span) -> bool {
        let admission = self.admit(message);
        if matches!(admission, Admission::Granted { .. }) {
            return true;
        }
        let (status, headers) = admission.answer();
        // Where its transaction has ended the sender waits for nothing.
        let _ = self.sip.respond_with(self.now, request, status, "", Content::headers(&headers));
        false
    }
}
