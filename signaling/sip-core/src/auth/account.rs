//! Who we are to others: credentials by realm, and the answers to challenges (RFC 3261 §22.2, §22.3).

use super::digest::{Qop, Sum};
use super::{Algorithm, Secret};
use sip_wire::{Auth, Message, Name};
use std::fmt;

/// Realms that one account has credentials for, and challenges that one response may carry.
const MAX_CHALLENGES_COUNT: usize = 8;

/// A username and its secrets. Passwords are never shown.
#[derive(Clone)]
pub struct Account {
    username: String,
    any: Option<Secret>,
    realms: Vec<(String, Secret)>,
}

impl Account {
    /// One password for every realm that asks.
    pub fn new(username: &str, password: &str) -> Self {
        Self { any: Some(Secret::Password(password.to_owned())), ..Self::for_realms(username) }
    }

    /// No realm yet: add them by [`Self::with`]. Others are not answered.
    pub fn for_realms(username: &str) -> Self {
        Self { username: username.to_owned(), any: None, realms: Vec::new() }
    }

    /// The secret for one realm. There may be eight.
    pub fn with(mut self, realm: &str, secret: Secret) -> Self {
        if self.realms.len() < MAX_CHALLENGES_COUNT {
            self.realms.push((realm.to_owned(), secret));
        }
        self
    }

    /// Whether the username can stand in a header field.
    pub(crate) fn is_fine(&self) -> bool {
        crate::content::is_line(&self.username) && !self.username.contains(['"', '\\'])
    }

    fn secret(&self, realm: &[u8]) -> Option<&Secret> {
        let own = self.realms.iter().find(|(own, _)| own.as_bytes() == realm).map(|(_, secret)| secret);
        own.or(self.any.as_ref())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The request that is to be repeated.
pub(crate) struct Answering<'a> {
    /// Its bytes.
    pub(crate) request: &'a [u8],
    /// A fresh random text.
    pub(crate) cnonce: &'a str,
}

/// The credentials that a 401 or 407 asks for, as header lines that replace those of the request; `None` when one of
/// them cannot be given, or was given and refused.
pub(crate) fn answer_challenges(account: &Account, response: &Message<'_>, sent: &Answering<'_>) -> Option<Vec<u8>> {
    let mut lines = Vec::new();
    for (challenge, credentials) in
        [(Name::WwwAuthenticate, "Authorization"), (Name::ProxyAuthenticate, "Proxy-Authorization")]
    {
        let mut answered: Vec<&[u8]> = Vec::new();
        for value in response.header_lines(challenge).take(MAX_CHALLENGES_COUNT) {
            let Some(auth) = Auth::parse(value).filter(Auth::is_digest) else { continue };
            let Some(realm) = auth.realm() else { continue };
            if answered.contains(&realm) || !is_answerable(account, &auth, realm) {
                continue; // RFC 8760 §2.4: the topmost that we can
            }
            if !auth.is_stale() && earlier(sent.request, credentials).any(|given| given.realm() == Some(realm)) {
                return None; // it has seen our password and does not want it
            }
            put_credentials(account, &auth, realm, credentials, sent, &mut lines)?;
            answered.push(realm);
        }
        if answered.is_empty() && response.has(challenge) {
            return None;
        }
        // What other proxies on the way asked for before stays.
        for line in crate::derive::named_lines(sent.request, credentials) {
            let realm = Auth::parse(value_of(line)).and_then(|auth| auth.realm());
            if !answered.is_empty() && realm.is_some_and(|realm| !answered.contains(&realm)) {
                lines.extend_from_slice(line);
            }
        }
    }
    if lines.is_empty() { None } else { Some(lines) }
}

fn value_of(line: &[u8]) -> &[u8] {
    line.iter().position(|byte| *byte == b':').map_or(&b""[..], |colon| line[colon + 1..].trim_ascii())
}

fn earlier<'a>(request: &'a [u8], name: &'static str) -> impl Iterator<Item = Auth<'a>> {
    crate::derive::named_lines(request, name).filter_map(|line| Auth::parse(value_of(line)))
}

/// The `qop` that we answer with; `None` when it offers only what we do not know.
fn choose_qop(auth: &Auth<'_>) -> Option<Qop> {
    let Some(offered) = auth.qop() else { return Some(Qop::None) };
    let offers = |qop: Qop| {
        offered.split(|byte| *byte == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(qop.name().as_bytes()))
    };
    [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| offers(*qop))
}

fn is_answerable(account: &Account, auth: &Auth<'_>, realm: &[u8]) -> bool {
    let Some((algorithm, session)) = Algorithm::parse(auth.algorithm()) else { return false };
    let Some(qop) = choose_qop(auth) else { return false };
    let has_secret = account.secret(realm).is_some_and(|secret| match secret {
        Secret::Password(_) => true,
        Secret::Hashed(kept, _) => *kept == algorithm,
    });
    // A fold inside quotes would end our line.
    let is_line = [Some(realm), auth.nonce(), auth.opaque()].into_iter().flatten().all(|text| !text.contains(&b'\n'));
    has_secret && is_line && auth.nonce().is_some() && !(session && qop == Qop::None)
}

fn put_credentials(
    account: &Account,
    auth: &Auth<'_>,
    realm: &[u8],
    name: &str,
    sent: &Answering<'_>,
    lines: &mut Vec<u8>,
) -> Option<()> {
    let (algorithm, session) = Algorithm::parse(auth.algorithm())?;
    let qop = choose_qop(auth)?;
    let nonce = auth.nonce()?;
    let hashed = account.secret(realm)?.hashed(algorithm, account.username.as_bytes(), realm)?;
    let sum = Sum {
        algorithm,
        session,
        qop,
        method: crate::derive::method_of(sent.request),
        uri: crate::derive::uri_of(sent.request),
        nonce,
        cnonce: sent.cnonce.as_bytes(),
        nc: b"00000001",
        body: crate::derive::body_of(sent.request),
    };
    let response = sum.response(&hashed);
    let put = |lines: &mut Vec<u8>, parts: &[&[u8]]| crate::compose::put(lines, parts);
    put(lines, &[name.as_bytes(), b": Digest username=\"", account.username.as_bytes(), b"\", realm=\"", realm]);
    put(lines, &[b"\", nonce=\"", nonce, b"\", uri=\"", sum.uri, b"\", response=\"", response.as_bytes(), b"\""]);
    if let Some(name) = auth.algorithm() {
        put(lines, &[b", algorithm=", name]);
    }
    if qop != Qop::None {
        put(lines, &[b", cnonce=\"", sum.cnonce, b"\", qop=", qop.name().as_bytes(), b", nc=", sum.nc]);
    }
    if let Some(opaque) = auth.opaque() {
        put(lines, &[b", opaque=\"", opaque, b"\""]);
    }
    lines.extend_from_slice(b"\r\n");
    Some(())
}
