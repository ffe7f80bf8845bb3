//! Who may use the switch, by `[auth]`: one for all shards, because a nonce may come back to any of them.

use crate::{Error, User};
use clock::Instant;
use config::{Auth, AuthAlgorithm, UserSecret};
use session::{
    Admission, Asking, Decide, Decision, Destination, IncomingCall, SessionEvent, SessionId, Sessions, Side,
    TransferRequest,
};
use sip_core::auth::{Algorithm, AuthSettings, Judgement, Place, Realms, RealmsSettings, Secret, Users};
use sip_wire::Message;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clones are the same.
#[derive(Clone)]
pub struct Guard {
    realms: Arc<Mutex<Realms>>,
    /// What new realms are made with.
    settings: Arc<AuthSettings>,
    place: Place,
}

impl Guard {
    /// By a configuration; `None`: nobody is asked. `place`: as whom we ask.
    pub fn new(auth: &Auth, place: Place) -> Result<Option<Self>, Error> {
        if !auth.is_on() {
            return Ok(None);
        }
        let settings = AuthSettings {
            secret: nonce_key().map_err(|source| Error::System { what: "read /dev/urandom", source })?,
            algorithms: auth.algorithms.iter().copied().map(algorithm).collect(),
            auth: auth.auth,
            auth_int: auth.auth_int,
            without_qop: auth.auth,
            nonce_life: auth.nonce_life,
            ..AuthSettings::default()
        };
        let realms = Realms::new(RealmsSettings {
            users: users(auth),
            default_realm: auth.default_realm.clone(),
            methods: auth.methods.clone(),
            auth: settings.clone(),
        });
        Ok(Some(Self { realms: Arc::new(Mutex::new(realms)), settings: Arc::new(settings), place }))
    }

    /// Other users from now on, in all shards; who has proven himself already is not asked again in his dialogs.
    pub(crate) fn replace_users(&self, auth: &Auth) {
        self.realms().set_users(users(auth), &self.settings);
    }

    fn realms(&self) -> MutexGuard<'_, Realms> {
        // A count that was not noted is all that a thread which died can leave.
        self.realms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The challenge to a request that needs credentials and has none at all: it needs no state (RFC 3261 §8.2.7).
    pub(crate) fn challenge(&self, now: Instant, request: &Message<'_>) -> Option<Judgement> {
        let mut realms = self.realms();
        realms.must_ask(request, self.place).then(|| realms.admit(now, request, self.place))
    }

    /// Judges the credentials of a request. Once only: a copy of it would be taken for a replay.
    pub(crate) fn judge(&self, now: Instant, request: &[u8]) -> Judgement {
        match Message::parse(request) {
            Ok(request) => self.realms().admit(now, &request, self.place),
            Err(_) => Judgement::Malformed,
        }
    }
}

/// The users of a configuration, as `sip_core::auth` knows them.
pub fn users(auth: &Auth) -> Users {
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

/// A key for nonces that nobody can guess, from `/dev/urandom`.
pub fn nonce_key() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

/// A user whose callers have to prove who they are first.
pub(crate) struct Guarded {
    pub(crate) user: Box<dyn User>,
    pub(crate) guard: Guard,
}

impl User for Guarded {
    fn events(&mut self, sessions: &Sessions, events: &[SessionEvent]) {
        self.user.events(sessions, events);
    }
}

impl Decide for Guarded {
    fn admit(&mut self, request: &Asking<'_>) -> Admission {
        match self.guard.judge(request.received_at, request.message) {
            Judgement::Open => self.user.admit(request),
            Judgement::Proven { username, .. } => match self.user.admit(request) {
                Admission::Granted { user: None } => Admission::Granted { user: Some(username.into()) },
                other => other,
            },
            Judgement::Challenge { values, .. } => Admission::Challenge { place: self.guard.place, values },
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
