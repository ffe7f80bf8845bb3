//! Who there is, by realm.

use super::{Algorithm, Secret};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Realms with their users and what proves each of them. Secrets are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<String, HashMap<String, Vec<Secret>>>);

impl Users {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// A realm, with users or without.
    pub fn add_realm(&mut self, realm: &str) {
        self.0.entry(realm.to_owned()).or_default();
    }

    /// A user's secret; one more for another algorithm, or the new one of the same.
    pub fn add(&mut self, realm: &str, username: &str, secret: Secret) {
        let secrets = self.0.entry(realm.to_owned()).or_default().entry(username.to_owned()).or_default();
        let replaces = |old: &Secret| match (old, &secret) {
            (Secret::Hashed(old, _), Secret::Hashed(new, _)) => old == new,
            _ => true,
        };
        secrets.retain(|old| !replaces(old));
        secrets.push(secret);
    }

    /// Takes a user away; `false`: there was none.
    pub fn remove(&mut self, realm: &str, username: &str) -> bool {
        self.0.get_mut(realm).is_some_and(|users| users.remove(username).is_some())
    }

    /// What proves a user by that algorithm.
    pub fn secret(&self, realm: &str, username: &[u8], algorithm: Algorithm) -> Option<&Secret> {
        let secrets = self.0.get(realm)?.get(std::str::from_utf8(username).ok()?)?;
        secrets.iter().find(|secret| match secret {
            Secret::Password(_) => true,
            Secret::Hashed(kept, _) => *kept == algorithm,
        })
    }

    /// The realms, by name.
    pub fn realms(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there is no realm.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(realm, users)| (realm, users.len()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_has_its_secret() {
        let mut users = Users::new();
        let hashed = |algorithm| Secret::Hashed(algorithm, "00".into());
        users.add("a", "bob", hashed(Algorithm::Md5));
        users.add("a", "bob", hashed(Algorithm::Sha256));
        users.add("a", "bob", Secret::Hashed(Algorithm::Md5, "11".into()));
        assert_eq!(users.secret("a", b"bob", Algorithm::Md5), Some(&Secret::Hashed(Algorithm::Md5, "11".into())));
        assert_eq!(users.secret("a", b"bob", Algorithm::Sha256), Some(&hashed(Algorithm::Sha256)));
        assert_eq!(users.secret("a", b"bob", Algorithm::Sha512_256), None);
        assert_eq!(
            (users.secret("b", b"bob", Algorithm::Md5), users.secret("a", b"\xff", Algorithm::Md5)),
            (None, None)
        );
        users.add("a", "bob", Secret::Password("p".into()));
        assert!(users.secret("a", b"bob", Algorithm::Sha512_256).is_some());
        assert_eq!(format!("{users:?}"), "{\"a\": 1}");
        assert!(users.remove("a", "bob") && !users.remove("a", "bob") && !users.is_empty());
    }
}
