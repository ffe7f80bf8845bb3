//! Digest authentication as a server: callers prove who they are (RFC 7616, RFC 8760).

use crate::api::{SessionConfig, SessionError};
use session::{DigestAuth, Secrets};
use sip_core::auth::{Algorithm, AuthSettings, Place, Secret};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How proofs are made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DigestAlgorithm {
    /// MD5, which every phone has.
    Md5,
    /// SHA-256 (RFC 8760).
    Sha256,
    /// SHA-512-256 (RFC 8760).
    Sha512_256,
}

impl DigestAlgorithm {
    fn inner(self) -> Algorithm {
        match self {
            Self::Md5 => Algorithm::Md5,
            Self::Sha256 => Algorithm::Sha256,
            Self::Sha512_256 => Algorithm::Sha512_256,
        }
    }

    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5,
            Algorithm::Sha256 => Self::Sha256,
            Algorithm::Sha512_256 => Self::Sha512_256,
        }
    }
}

/// What is known of a user. It never shows what it holds.
#[derive(Clone, PartialEq, Eq)]
pub enum UserSecret {
    /// The password: good for every algorithm.
    Password(String),
    /// H(user:realm:password) in hexadecimal, by the algorithm that was asked for.
    Hash(String),
}

impl fmt::Debug for UserSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::Hash(_) => "Hash(..)",
        })
    }
}

/// Where secrets of users come from. It is asked on the thread that runs calls and must not wait: a database needs a
/// cache before it.
///
/// ```
/// # use ringplane::api::*;
/// # use std::collections::HashMap;
/// struct Hashes(HashMap<String, String>);
///
/// impl UserStore for Hashes {
///     fn secret(&self, user: &str, algorithm: DigestAlgorithm) -> Option<UserSecret> {
///         let hash = self.0.get(user).filter(|_| algorithm == DigestAlgorithm::Sha256)?;
///         Some(UserSecret::Hash(hash.clone()))
///     }
/// }
/// let asks = Authenticator::new("example.com").store(std::sync::Arc::new(Hashes(HashMap::new())));
/// ```
pub trait UserStore: Send + Sync {
    /// The secret of a user, good for this algorithm; `None` where there is no such user.
    fn secret(&self, user: &str, algorithm: DigestAlgorithm) -> Option<UserSecret>;
}

/// Asks callers who they are. A call without a proof is answered with 401 and a challenge before any handler hears of
/// it; so is every other request outside of a call, except OPTIONS. [`crate::api::IncomingCall::user`] says who it was.
/// Requests within a call that was let in are not asked again, and the From of a caller is not compared with its user:
/// a handler that cares does so.
///
/// ```
/// # use ringplane::api::*;
/// let asks = Authenticator::new("example.com")
///     .user("alice", "secret of Alice")
///     .user("bob", "secret of Bob")
///     .algorithms([DigestAlgorithm::Sha256, DigestAlgorithm::Md5]);
/// let builder = SessionManagerBuilder::new().with_authenticator(asks);
/// ```
#[derive(Clone)]
pub struct Authenticator {
    realm: String,
    users: HashMap<String, UserSecret>,
    store: Option<Arc<dyn UserStore>>,
    algorithms: Vec<DigestAlgorithm>,
    auth_int: bool,
    as_proxy: bool,
    nonce_life: Duration,
}

impl Authenticator {
    /// For a realm, without users yet; users see its name. MD5 and SHA-256, in the order that phones of all ages take.
    pub fn new(realm: impl Into<String>) -> Self {
        Self {
            realm: realm.into(),
            users: HashMap::new(),
            store: None,
            algorithms: vec![DigestAlgorithm::Md5, DigestAlgorithm::Sha256],
            auth_int: false,
            as_proxy: false,
            nonce_life: Duration::from_secs(300),
        }
    }

    /// A user with its password.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.insert(name.into(), UserSecret::Password(password.into()));
        self
    }

    /// Users of another place, asked for those that were not named here.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn UserStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// What challenges offer, the most wanted first.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = DigestAlgorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Offers to protect bodies as well (`qop=auth-int`).
    #[must_use]
    pub fn auth_int(mut self, offered: bool) -> Self {
        self.auth_int = offered;
        self
    }

    /// Asks as a proxy does: 407 instead of 401.
    #[must_use]
    pub fn as_proxy(mut self) -> Self {
        self.as_proxy = true;
        self
    }

    /// How long a challenge may be answered. Who is late is asked again, with `stale`, and needs no person for that.
    #[must_use]
    pub fn nonce_life(mut self, life: Duration) -> Self {
        self.nonce_life = life;
        self
    }

    fn check(&self) -> Result<(), SessionError> {
        let is_bad = |text: &str| text.contains(|sign: char| sign.is_control() || matches!(sign, '"' | '\\'));
        if self.realm.is_empty() || is_bad(&self.realm) {
            return Err(SessionError::config(format!("`{}` is no realm", self.realm.escape_debug())));
        }
        if self.algorithms.is_empty() || self.nonce_life.is_zero() {
            return Err(SessionError::config("an authenticator needs an algorithm, and time for the answer"));
        }
        if self.users.is_empty() && self.store.is_none() {
            return Err(SessionError::config("an authenticator without users lets nobody in; name some, or a store"));
        }
        Ok(())
    }

    fn digest_auth(&self, secret: [u8; 32]) -> DigestAuth {
        let settings = AuthSettings {
            realm: self.realm.clone(),
            secret,
            algorithms: self.algorithms.iter().map(|algorithm| algorithm.inner()).collect(),
            auth_int: self.auth_int,
            nonce_life: self.nonce_life,
            ..AuthSettings::default()
        };
        let place = if self.as_proxy { Place::Proxy } else { Place::UserAgent };
        DigestAuth::new(settings, place, Box::new(self.clone()))
    }
}

impl Secrets for Authenticator {
    fn secret(&self, username: &str, algorithm: Algorithm) -> Option<Secret> {
        let asked = || self.store.as_ref()?.secret(username, DigestAlgorithm::of(algorithm));
        let secret = self.users.get(username).cloned().or_else(asked)?;
        Some(match secret {
            UserSecret::Password(password) => Secret::Password(password),
            UserSecret::Hash(hash) => Secret::Hashed(algorithm, hash),
        })
    }

    fn failed(&self, line: &str) {
        tracing::warn!("{line}");
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("realm", &self.realm)
            .field("user_count", &self.users.len())
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

impl SessionConfig {
    pub(crate) fn check_authenticator(&self) -> Result<(), SessionError> {
        self.authenticator.as_ref().map_or(Ok(()), Authenticator::check)
    }

    /// A key for nonces that cannot be guessed; zeros where there is no authenticator.
    pub(crate) fn draw_nonce_key(&self) -> Result<[u8; 32], SessionError> {
        if self.authenticator.is_none() {
            return Ok([0; 32]);
        }
        let failed = |error| SessionError::config(format!("cannot draw a key from /dev/urandom: {error}"));
        signald::nonce_key().map_err(failed)
    }

    pub(crate) fn digest_auth(&self, nonce_key: [u8; 32]) -> Option<DigestAuth> {
        self.authenticator.as_ref().map(|authenticator| authenticator.digest_auth(nonce_key))
    }
}
