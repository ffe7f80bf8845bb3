//! Who may use the switch, by `[auth]`: one for all shards, because a nonce may come back to any of them.

use crate::CallHandler;
use clock::Instant;
use config::{AuthAlgorithm, UserSecret};
use session::{
    Admission, AdmissionRequest, Decide, Decision, Destination, IncomingCall, SessionEvent, SessionId, Sessions, Side,
    TransferRequest,
};
use sip_core::auth::{
    Algorithm, AuthSettings, Failed, Identities, Judgement, Place, Realms, RealmsSettings, Request, Scope, Secret,
    Users,
};
use sip_wire::Message;
use stats::{Counts, SignalCounter};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clones are the same.
#[derive(Clone)]
pub struct Auth {
    realms: Arc<Mutex<Realms>>,
    /// What new realms are made with.
    settings: Arc<AuthSettings>,
    place: Place,
    refused: Arc<RefusedCounts>,
}

/// What one shard has counted.
#[derive(Default)]
struct RefusedCounts {
    failures: AtomicU64,
    impostors: AtomicU64,
}

impl Auth {
    /// By a configuration; `None`: nobody is asked. `place`: whether the switch asks as a user agent or as a proxy. `domains`: its
    /// names and addresses. `key`: the key of its nonces, which nobody may be able to guess.
    pub fn new(auth: &config::Auth, place: Place, domains: Vec<String>, key: [u8; 32]) -> Option<Self> {
        if !auth.is_on() {
            return None;
        }
        let settings = AuthSettings {
            secret: key,
            algorithms: auth.algorithms.iter().copied().map(algorithm).collect(),
            auth: auth.auth,
            auth_int: auth.auth_int,
            without_qop: auth.auth,
            nonce_life: auth.nonce_life,
            domains,
            failure_limit: auth.slow_down_after,
            md5_only_agents: auth.md5_only_agents.clone(),
            ..AuthSettings::default()
        };
        let realms = Realms::new(RealmsSettings {
            users: users(auth),
            default_realm: auth.default_realm.clone(),
            methods: auth.methods.clone(),
            identities: identities(auth, &settings.domains),
            auth: settings.clone(),
        });
        let realms = Arc::new(Mutex::new(realms));
        Some(Self { realms, settings: Arc::new(settings), place, refused: Arc::default() })
    }

    /// Other users from now on, in all shards; who has proven himself already is not asked again in his dialogs.
    pub fn replace_users(&self, auth: &config::Auth) {
        self.realms().set_users(users(auth), identities(auth, &self.settings.domains), &self.settings);
    }

    /// The same for one shard, which counts by itself.
    pub fn of_shard(&self) -> Self {
        Self { refused: Arc::default(), ..self.clone() }
    }

    /// Asks in this place: as a user agent or as a proxy.
    pub fn asking_as(&self, place: Place) -> Self {
        Self { place, ..self.clone() }
    }

    pub fn count(&self, counts: &mut Counts<SignalCounter>) {
        counts.set(SignalCounter::AuthFailures, self.refused.failures.load(Relaxed));
        counts.set(SignalCounter::RefusedIdentity, self.refused.impostors.load(Relaxed));
    }

    fn realms(&self) -> MutexGuard<'_, Realms> {
        // A count that was not noted is all that a thread which died can leave.
        self.realms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The challenge to a request that needs credentials and has none at all: it needs no state (RFC 3261 §8.2.7).
    pub fn challenge(
        &self,
        now: Instant,
        message: &Message<'_>,
        source: SocketAddr,
        scope: Scope,
    ) -> Option<Judgement> {
        let mut realms = self.realms();
        let request = Request { message, source: source.ip(), place: self.place, scope };
        realms.must_ask(&request).then(|| realms.admit(now, &request))
    }

    /// Judges the credentials of a request. Once only: a copy of it would be taken for a replay.
    pub fn judge(&self, now: Instant, message: &Message<'_>, source: SocketAddr, scope: Scope) -> Judgement {
        let asked = Request { message, source: source.ip(), place: self.place, scope };
        let judgement = self.realms().admit(now, &asked);
        match &judgement {
            Judgement::Challenge { failure: Some(Failed { realm, failure }), .. } => {
                self.refused.failures.fetch_add(1, Relaxed);
                if failure.is_worth_logging {
                    tracing::warn!("{}", failure.line(realm, source, message));
                }
            }
            Judgement::Impostor { realm, username } => {
                self.refused.impostors.fetch_add(1, Relaxed);
                tracing::debug!(%source, ?realm, ?username, "From names somebody else: 403");
            }
            _ => {}
        }
        judgement
    }
}

/// What the users of a configuration may be called.
fn identities(auth: &config::Auth, domains: &[String]) -> Identities {
    let mut identities = Identities::new(domains.to_vec());
    for known in &auth.identities {
        known.names.iter().for_each(|name| identities.add(&known.realm, &known.user, name));
    }
    identities
}

/// The users of a configuration, as `sip_core::auth` knows them.
pub fn users(auth: &config::Auth) -> Users {
    let mut users = Users::new();
    for realm in &auth.realms {
        users.add_realm(&realm.name);
        for user in &realm.users {
            match &user.secret {
                UserSecret::Password(password) => {
                    users.add(&realm.name, &user.name, Secret::Password(password.clone()));
                }
                UserSecret::Hashes(hashes) => {
                    for (kept, hash) in hashes {
                        users.add(&realm.name, &user.name, Secret::Hashed(algorithm(*kept), hash.clone()));
                    }
                }
            }
        }
    }
    users
}

fn algorithm(algorithm: AuthAlgorithm) -> Algorithm {
    match algorithm {
        AuthAlgorithm::Md5 => Algorithm::Md5,
        AuthAlgorithm::Sha256 => Algorithm::Sha256,
        AuthAlgorithm::Sha512_256 => Algorithm::Sha512_256,
    }
}

/// A user whose callers have to prove who they are first.
pub struct Authenticated {
    pub user: Box<dyn CallHandler>,
    pub auth: Auth,
}

impl CallHandler for Authenticated {
    fn events(&mut self, sessions: &Sessions, events: &[SessionEvent]) {
        self.user.events(sessions, events);
    }
}

impl Decide for Authenticated {
    fn admit(&mut self, request: &AdmissionRequest<'_>) -> Admission {
        match self.auth.judge(request.received_at, request.message, request.remote, Scope::Methods) {
            Judgement::Open => self.user.admit(request),
            Judgement::Proven { username, .. } => match self.user.admit(request) {
                Admission::Granted { user: None } => Admission::Granted { user: Some(username.into()) },
                other => other,
            },
            Judgement::Challenge { values, .. } => Admission::Challenge { place: self.auth.place, values },
            Judgement::Impostor { .. } => Admission::Refused(403),
            Judgement::Malformed => Admission::Refused(400),
        }
    }

    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision {
        self.user.incoming(call)
    }

    fn transfer_requested(&mut self, transfer: &TransferRequest<'_>) -> Destination {
        self.user.transfer_requested(transfer)
    }

    fn redirected(&mut self, id: SessionId, target: &str) -> Destination {
        self.user.redirected(id, target)
    }

    fn trusts(&self, source: SocketAddr) -> bool {
        self.user.trusts(source)
    }

    fn described(&mut self, id: SessionId, side: Side, sdp: &[u8]) {
        self.user.described(id, side, sdp);
    }
}
