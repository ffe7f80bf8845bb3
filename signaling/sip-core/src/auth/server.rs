//! Challenging, and judging what comes back.

use super::failures::{Failure, Failures};
use super::nonce::{Age, Nonces};
use super::replay::Replays;
use super::{Algorithm, Claim, Secret};
use clock::{Duration, Instant};
use sip_wire::{Message, Name};
use std::fmt;
use std::net::IpAddr;

/// Whether we challenge as a user agent or as a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// 401 with WWW-Authenticate.
    UserAgent,
    /// As a user agent, for REGISTER.
    Registrar,
    /// 407 with Proxy-Authenticate.
    Proxy,
}

impl Place {
    /// Status of the challenge.
    pub const fn status(self) -> u16 {
        if matches!(self, Self::Proxy) { 407 } else { 401 }
    }

    /// The header field of the challenge.
    pub const fn header(self) -> &'static str {
        if matches!(self, Self::Proxy) { "Proxy-Authenticate" } else { "WWW-Authenticate" }
    }
}

/// What an [`Authenticator`] is told once.
#[derive(Clone)]
pub struct AuthSettings {
    /// The realm that users see and passwords belong to. Two realms are two authenticators.
    pub realm: String,
    /// The key of the nonces, drawn by the caller. Switches that share it accept each other's nonces.
    pub secret: [u8; 32],
    /// What we challenge with, in this order. RFC 8760 §2.3 wants the most wanted first, which is what a client should take
    /// that knows them all; older ones look at the first one only, and give up where they do not know it.
    pub algorithms: Vec<Algorithm>,
    /// Beginnings of User-Agent. These get the MD5 challenge alone, if there is one: they give up when they see any other
    /// beside it, wherever it stands, or look at the last one only, as libraries for browsers do.
    pub md5_only_agents: Vec<String>,
    /// Our domains. Credentials may name one of them, or the realm, instead of the Request-URI: many phones do.
    pub domains: Vec<String>,
    /// Offer `auth`.
    pub auth: bool,
    /// Offer `auth-int`, which protects the body as well.
    pub auth_int: bool,
    /// Accept credentials without `qop`, as RFC 2069 had them; each nonce is good for one then.
    pub without_qop: bool,
    /// How long a nonce is good.
    pub nonce_life: Duration,
    /// Nonces whose counts are remembered; beyond it users are asked to come again.
    pub max_nonces: usize,
    /// Wrong passwords of one user from one address before more of them have to wait; 0: as many as one likes.
    pub failure_limit: u32,
}

impl Default for AuthSettings {
    /// MD5 and SHA-256, `auth` alone, five minutes. Realm and secret are yours to set.
    fn default() -> Self {
        Self {
            realm: "ringplane".to_owned(),
            secret: [0; 32],
            algorithms: vec![Algorithm::Md5, Algorithm::Sha256],
            md5_only_agents: ["baresip v0.", "baresip v1.", "baresip v2.", "baresip v3.", "SIP.js/", "JsSIP "]
                .map(str::to_owned)
                .to_vec(),
            domains: Vec::new(),
            auth: true,
            auth_int: false,
            without_qop: true,
            nonce_life: Duration::from_secs(300),
            max_nonces: 100_000,
            failure_limit: 5,
        }
    }
}

impl fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSettings")
            .field("realm", &self.realm)
            .field("algorithms", &self.algorithms)
            .field("nonce_life", &self.nonce_life)
            .finish_non_exhaustive()
    }
}

/// What a request brought.
#[derive(Clone, Copy, Debug)]
pub enum Presented<'a> {
    /// No credentials for our realm: challenge.
    Nothing,
    /// Credentials that cannot be judged, answer 400.
    Malformed,
    /// Look the secret up, then [`Authenticator::judge`].
    Claim(Claim<'a>),
}

/// What credentials are worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The user is who they say.
    Proven,
    /// Challenge again; `stale` says that only the nonce was the fault, so the user need not be asked.
    Challenge {
        /// Goes into the challenge.
        stale: bool,
    },
    /// They are wrong, or come too soon after wrong ones: challenge again, and tell the operator.
    Failed(Failure),
}

/// Challenges and judges for one realm.
pub struct Authenticator {
    settings: AuthSettings,
    nonces: Nonces,
    replays: Replays,
    failures: Failures,
}

impl Authenticator {
    /// For one realm. A realm with quotes, backslashes or line ends has them replaced.
    pub fn new(mut settings: AuthSettings) -> Self {
        settings.realm = settings.realm.replace(['"', '\\', '\r', '\n', '\0'], "'");
        let nonces = Nonces::new(&settings.secret, &settings.realm, settings.nonce_life);
        let failures = Failures::new(settings.failure_limit, &settings.secret);
        Self { replays: Replays::new(settings.max_nonces), settings, nonces, failures }
    }

    /// The values of the challenge's header fields, one line each, in their order. All carry one nonce, which is good for
    /// who is at `source` only.
    pub fn challenge(&mut self, now: Instant, source: IpAddr, stale: bool) -> Vec<String> {
        let nonce = self.nonces.make(now, source);
        let AuthSettings { realm, algorithms, auth, auth_int, .. } = &self.settings;
        let qop = match (auth, auth_int) {
            (true, true) => "auth,auth-int",
            (false, true) => "auth-int",
            (_, false) => "auth",
        };
        let stale = if stale { ", stale=true" } else { "" };
        let write = |algorithm: &Algorithm| {
            let algorithm = algorithm.name();
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"{qop}\"{stale}")
        };
        algorithms.iter().map(write).collect()
    }

    /// The same for who sent this request: MD5 alone for those that give up when they see more, and MD5 last over
    /// WebSocket, where phones are written with libraries that look at the last challenge only, whatever name they give
    /// themselves.
    pub fn challenge_to(&mut self, now: Instant, source: IpAddr, request: &Message<'_>, stale: bool) -> Vec<String> {
        let mut values = self.challenge(now, source, stale);
        let agent = request.header(Name::UserAgent).unwrap_or_default();
        let md5 = self.settings.algorithms.iter().position(|algorithm| *algorithm == Algorithm::Md5);
        match md5.filter(|_| self.settings.md5_only_agents.iter().any(|known| agent.starts_with(known.as_bytes()))) {
            Some(index) => vec![values.swap_remove(index)],
            None => {
                if let Some(index) = md5.filter(|_| is_over_websocket(request)) {
                    values[index..].rotate_left(1);
                }
                values
            }
        }
    }

    /// Reads the credentials that a request brought for our realm.
    pub fn read<'a>(&self, message: &Message<'a>, place: Place) -> Presented<'a> {
        match Claim::read(message, place, &self.settings.realm, &self.settings.domains) {
            Ok(None) => Presented::Nothing,
            Err(()) => Presented::Malformed,
            Ok(Some(claim)) => Presented::Claim(claim),
        }
    }

    /// Judges a claim from `source` by the secret of its user; `None` when there is no such user, which takes as long.
    pub fn judge(&mut self, now: Instant, source: IpAddr, claim: &Claim<'_>, secret: Option<&Secret>) -> Verdict {
        // Not a word about a password to who answers a challenge that was not sent to that address, lately.
        if self.nonces.age(now, claim.nonce(), source) != Age::Fresh {
            return Verdict::Challenge { stale: true };
        }
        if let Err(failure) = self.failures.check(now, claim.username(), source) {
            return Verdict::Failed(failure);
        }
        let nobody = Secret::Password(String::new());
        let is_proven = claim.is_proven_by(secret.unwrap_or(&nobody)) && secret.is_some();
        let settings = &self.settings;
        let is_offered = settings.algorithms.contains(&claim.algorithm())
            && match (claim.has_qop(), claim.is_auth_int()) {
                (false, _) => settings.without_qop,
                (true, true) => settings.auth_int,
                (true, false) => settings.auth || !settings.auth_int,
            };
        if !is_offered {
            return Verdict::Challenge { stale: false };
        }
        if !is_proven {
            return Verdict::Failed(self.failures.wrong(now, claim.username(), source));
        }
        let is_new = self.replays.take(now, settings.nonce_life, claim.nonce(), claim.nc_count);
        self.failures.right(now, claim.username(), source);
        if is_new { Verdict::Proven } else { Verdict::Challenge { stale: true } }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.settings.realm
    }

    /// Nonces whose counts are remembered now.
    pub fn nonces_count(&self) -> usize {
        self.replays.count()
    }
}

/// By its topmost Via (RFC 7118 §5).
fn is_over_websocket(request: &Message<'_>) -> bool {
    request
        .top_via()
        .is_ok_and(|via| [&b"WS"[..], b"WSS"].iter().any(|ws| via.transport_raw().eq_ignore_ascii_case(ws)))
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("settings", &self.settings).finish_non_exhaustive()
    }
}
