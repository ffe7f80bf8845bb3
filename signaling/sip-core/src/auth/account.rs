//! Who we are to others: usernames and secrets by realm.

use super::Secret;
use super::known::Known;
use std::fmt;

/// Realms that one account has credentials for.
pub(crate) const REALMS_MAX_COUNT: usize = 8;

/// A username and its secrets, by realm. Passwords are never shown.
#[derive(Clone)]
pub struct Account {
    username: String,
    any: Option<Secret>,
    realms: Vec<Entry>,
    /// Challenges that were answered, so that the next request need not be challenged.
    pub(super) known: Vec<Known>,
}

#[derive(Clone)]
struct Entry {
    realm: String,
    username: Option<String>,
    secret: Secret,
}

impl Account {
    /// One password for every realm that asks.
    pub fn new(username: &str, password: &str) -> Self {
        Self { any: Some(Secret::Password(password.to_owned())), ..Self::for_realms(username) }
    }

    /// No realm yet: add them by [`Self::with`]. Others are not answered.
    pub fn for_realms(username: &str) -> Self {
        Self { username: username.to_owned(), any: None, realms: Vec::new(), known: Vec::new() }
    }

    /// The secret for one realm. There may be eight.
    pub fn with(self, realm: &str, secret: Secret) -> Self {
        self.add(Entry { realm: realm.to_owned(), username: None, secret })
    }

    /// The same with another username for this realm.
    pub fn with_user(self, realm: &str, username: &str, secret: Secret) -> Self {
        self.add(Entry { realm: realm.to_owned(), username: Some(username.to_owned()), secret })
    }

    fn add(mut self, entry: Entry) -> Self {
        if self.realms.len() < REALMS_MAX_COUNT {
            self.realms.push(entry);
        }
        self
    }

    /// Whether all usernames can stand in a header field.
    pub(crate) fn is_fine(&self) -> bool {
        let all = self.realms.iter().filter_map(|entry| entry.username.as_ref());
        all.chain([&self.username]).all(|name| crate::content::is_line(name) && !name.contains(['"', '\\']))
    }

    /// Who we are in a realm.
    pub(super) fn identity(&self, realm: &[u8]) -> Option<(&str, &Secret)> {
        match self.realms.iter().find(|entry| entry.realm.as_bytes() == realm) {
            Some(entry) => Some((entry.username.as_deref().unwrap_or(&self.username), &entry.secret)),
            None => self.any.as_ref().map(|secret| (&*self.username, secret)),
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let realms: Vec<&str> = self.realms.iter().map(|entry| &*entry.realm).collect();
        f.debug_struct("Account").field("username", &self.username).field("realms", &realms).finish_non_exhaustive()
    }
}
