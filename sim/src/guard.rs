//! A phone that answers only who proves to know the password.

use clock::{Duration, Instant};
use sip_core::auth::{Account, Algorithm, AuthSettings, Authenticator, Place, Presented, Secret, Verdict};
use sip_wire::Message;
use std::net::{IpAddr, Ipv4Addr};

/// All of them are taken for one.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const REALM: &str = "sim.example";

pub(crate) fn account() -> Account {
    Account::for_realms("user").with(REALM, Secret::Password("of the simulation".to_owned()))
}

pub(crate) struct Guard(Authenticator);

impl Guard {
    pub(crate) fn new(seed: u64, nonce_life: Duration) -> Self {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&seed.to_le_bytes());
        let algorithms = vec![Algorithm::Sha256, Algorithm::Md5];
        let settings = AuthSettings {
            realm: REALM.to_owned(),
            secret,
            algorithms,
            nonce_life,
            auth_int: true,
            ..Default::default()
        };
        Self(Authenticator::new(settings))
    }

    /// The challenges that a request has to be answered with, unless it is proven.
    pub(crate) fn challenges(&mut self, now: Instant, message: &[u8]) -> Option<Vec<String>> {
        let message = Message::parse(message).ok()?;
        let secret = Secret::Password("of the simulation".to_owned());
        let verdict = match self.0.read(&message, Place::UserAgent) {
            Presented::Claim(claim) => self.0.judge(now, SOURCE, &claim, Some(&secret)),
            Presented::Nothing | Presented::Malformed => Verdict::Challenge { stale: false },
        };
        match verdict {
            Verdict::Proven => None,
            Verdict::Challenge { stale } => Some(self.0.challenge(now, SOURCE, stale)),
            Verdict::Failed(_) => Some(self.0.challenge(now, SOURCE, false)),
        }
    }
}
