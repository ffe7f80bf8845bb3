//! Digest authentication as a client: credentials for servers that ask for them (RFC 7616, RFC 8760).

use crate::api::{SessionConfig, SessionError};
use sip_core::auth::{Account, Secret};
use std::fmt;

/// Realms that there may be credentials for.
const REALMS_MAX: usize = 8;

/// A user name and its secret, for one realm. Requests that are answered with 401 or 407 are sent again with them, and
/// later ones to the same place carry them at once. The secret is never shown.
///
/// ```
/// # use ringplane::api::*;
/// let builder = SessionManagerBuilder::new()
///     .with_credentials(Credentials::new("example.com", "alice", "secret"))
///     .with_credentials(Credentials::new("proxy.example.net", "1234", "another secret"));
/// let shown = format!("{:?}", Credentials::new("example.com", "alice", "secret"));
/// assert!(shown.contains("alice") && !shown.contains("secret"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    realm: Option<String>,
    user: String,
    secret: String,
}

impl Credentials {
    /// For a realm: what the other side calls itself in its challenge.
    pub fn new(realm: impl Into<String>, user: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { realm: Some(realm.into()), user: user.into(), secret: secret.into() }
    }

    /// For every realm that has none of its own: every called side may ask, and gets a proof that we know the secret.
    pub fn for_any_realm(user: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { realm: None, user: user.into(), secret: secret.into() }
    }

    fn mistake(&self) -> Option<String> {
        let is_bad = |text: &str| text.contains(|sign: char| sign.is_control() || matches!(sign, '"' | '\\'));
        let realm = self.realm.as_deref().unwrap_or("any");
        if self.user.is_empty() || is_bad(&self.user) || realm.is_empty() || is_bad(realm) {
            let what = "user and realm of credentials must not be empty, nor have quotes, backslashes or control signs";
            return Some(format!("{what}: {self:?}"));
        }
        None
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("realm", &self.realm).field("user", &self.user).finish_non_exhaustive()
    }
}

impl SessionConfig {
    pub(crate) fn check_credentials(&self) -> Result<(), SessionError> {
        if let Some(mistake) = self.credentials.iter().find_map(Credentials::mistake) {
            return Err(SessionError::config(mistake));
        }
        let mut realms: Vec<_> = self.credentials.iter().map(|one| one.realm.as_deref()).collect();
        realms.sort_unstable();
        if let Some(twice) = realms.windows(2).find(|two| two[0] == two[1]) {
            return Err(SessionError::config(format!("two credentials for the realm {:?}", twice[0].unwrap_or("any"))));
        }
        if self.credentials.len() > REALMS_MAX {
            return Err(SessionError::config(format!("credentials for more than {REALMS_MAX} realms")));
        }
        Ok(())
    }

    /// The credentials as the shards know them.
    pub(crate) fn account(&self) -> Option<Account> {
        let any = self.credentials.iter().find(|one| one.realm.is_none());
        let first = any.or(self.credentials.first())?;
        let account = match any {
            Some(any) => Account::new(&any.user, &any.secret),
            None => Account::for_realms(&first.user),
        };
        let named = self.credentials.iter().filter_map(|one| Some((one.realm.as_deref()?, one)));
        Some(named.fold(account, |account, (realm, one)| {
            account.with_user(realm, &one.user, Secret::Password(one.secret.clone()))
        }))
    }
}
