//! Answers to challenges (RFC 3261 §22.2, §22.3), and what is kept of them: the next request to the same place carries
//! its credentials at once, with the count of the nonce raised (RFC 7616 §3.4).

use super::digest::{Qop, Sum};
use super::{Account, Algorithm, Secret};
use sip_wire::{Auth, Message, Name};
use std::net::SocketAddr;

/// Challenges that one response may carry.
const CHALLENGES_MAX_COUNT: usize = 8;
/// Answered challenges that one account remembers; the oldest goes first.
const KNOWN_MAX_COUNT: usize = 16;

/// Where credentials go, and where they are asked for.
const FIELDS: [(Name, &str); 2] =
    [(Name::WwwAuthenticate, "Authorization"), (Name::ProxyAuthenticate, "Proxy-Authorization")];

/// A challenge that was answered.
#[derive(Clone)]
pub(super) struct Known {
    /// Who asked, as far as we see: the next hop. Nobody else gets these credentials unasked.
    remote: SocketAddr,
    /// The header field of the credentials.
    field: &'static str,
    realm: Box<[u8]>,
    nonce: Box<[u8]>,
    opaque: Option<Box<[u8]>>,
    /// As the challenge spells it.
    algorithm_name: Option<Box<[u8]>>,
    algorithm: Algorithm,
    session: bool,
    qop: Qop,
    /// One for the life of the nonce: the key of a `-sess` algorithm is made with it.
    cnonce: Box<str>,
    /// How often the nonce was used.
    count: u32,
}

/// A header field of credentials.
struct Field<'a> {
    name: &'static str,
    /// Realms whose credentials in it have just been written.
    answered: &'a [&'a [u8]],
}

/// A request, as far as credentials are made of it.
#[derive(Clone, Copy)]
pub(crate) struct Sending<'a> {
    pub(crate) remote: SocketAddr,
    pub(crate) method: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl<'a> Sending<'a> {
    /// One that was sent before.
    pub(crate) fn again(remote: SocketAddr, bytes: &'a [u8]) -> Self {
        use crate::message::derive::{body_of, method_of, uri_of};
        Self { remote, method: method_of(bytes), uri: uri_of(bytes), body: body_of(bytes) }
    }
}

impl Account {
    /// Whether there is anything to say unasked.
    pub(crate) fn has_known(&self) -> bool {
        !self.known.is_empty()
    }

    /// The header lines that this place will want, as far as it is known.
    pub(crate) fn put_known(&mut self, sending: &Sending<'_>, lines: &mut Vec<u8>) {
        let mut known = std::mem::take(&mut self.known);
        for one in known.iter_mut().filter(|one| one.remote == sending.remote) {
            one.put(self, sending, lines);
        }
        self.known = known;
    }

    /// The same for a request that is sent again, whatever it is for: a count is good for one request.
    pub(crate) fn put_anew(&mut self, request: &[u8], remote: SocketAddr, lines: &mut Vec<u8>) {
        let sending = Sending::again(remote, request);
        for (_, field) in FIELDS {
            self.keep_others(&Field { name: field, answered: &[] }, request, &sending, lines);
        }
    }

    /// The credentials that a 401 or 407 asks for, as header lines that replace those of the request; `None` when one
    /// of them cannot be given, or was given and refused. `cnonce` is a fresh random text.
    pub(crate) fn answer(
        &mut self,
        response: &Message<'_>,
        request: &[u8],
        remote: SocketAddr,
        cnonce: &str,
    ) -> Option<Vec<u8>> {
        let sending = Sending::again(remote, request);
        let (mut lines, mut is_answered) = (Vec::new(), false);
        for (challenge, field) in FIELDS {
            let mut answered: Vec<&[u8]> = Vec::new();
            for value in response.header_lines(challenge).take(CHALLENGES_MAX_COUNT) {
                let Some(auth) = Auth::parse(value).filter(Auth::is_digest) else { continue };
                let Some(realm) = auth.realm() else { continue };
                if answered.contains(&realm) || !self.can_answer(&auth, realm) {
                    continue; // RFC 8760 §2.4: the topmost that we can
                }
                if !auth.is_stale() && was_refused(request, field, realm) {
                    self.forget(field, realm, remote);
                    return None; // it has seen our password and does not want it
                }
                let mut known = Known::new(&auth, realm, field, remote, cnonce)?;
                known.put(self, &sending, &mut lines)?;
                self.remember(known);
                answered.push(realm);
            }
            if answered.is_empty() && response.has(challenge) {
                return None;
            }
            is_answered |= !answered.is_empty();
            // What other proxies on the way asked for before stays.
            self.keep_others(&Field { name: field, answered: &answered }, request, &sending, &mut lines);
        }
        if is_answered { Some(lines) } else { None }
    }

    /// The peer gives the nonce that it wants next (RFC 7616 §3.5).
    pub(crate) fn take_next_nonce(&mut self, response: &Message<'_>, request: &[u8]) {
        let Ok(Some(info)) = response.authentication_info() else { return };
        let Some(next) = info.get("nextnonce").filter(|next| !next.is_empty() && is_line(next)) else { return };
        let used: Vec<&[u8]> = earlier(request, "Authorization").filter_map(|auth| auth.nonce()).collect();
        for known in self.known.iter_mut().filter(|known| used.contains(&&*known.nonce)) {
            (known.nonce, known.count) = (next.into(), 0);
        }
    }

    /// The lines of a field for realms that nobody asked for just now: counted on, or as they were.
    fn keep_others(
        &mut self,
        &Field { name: field, answered }: &Field<'_>,
        request: &[u8],
        sending: &Sending<'_>,
        lines: &mut Vec<u8>,
    ) {
        let mut known = std::mem::take(&mut self.known);
        for line in crate::message::derive::named_lines(request, field) {
            let realm = Auth::parse(value_of(line)).and_then(|auth| auth.realm());
            let Some(realm) = realm.filter(|realm| !answered.contains(realm)) else { continue };
            let counted = known.iter_mut().find(|known| known.is_of(field, realm, sending.remote));
            if counted.and_then(|known| known.put(self, sending, lines)).is_none() {
                lines.extend_from_slice(line);
            }
        }
        self.known = known;
    }

    fn remember(&mut self, known: Known) {
        self.forget(known.field, &known.realm, known.remote);
        if known.qop == Qop::None {
            return; // without counts a nonce is good for one request
        }
        if self.known.len() >= KNOWN_MAX_COUNT {
            self.known.remove(0);
        }
        self.known.push(known);
    }

    fn forget(&mut self, field: &str, realm: &[u8], remote: SocketAddr) {
        self.known.retain(|known| !known.is_of(field, realm, remote));
    }

    fn can_answer(&self, auth: &Auth<'_>, realm: &[u8]) -> bool {
        let Some((algorithm, session)) = Algorithm::parse(auth.algorithm()) else { return false };
        let Some(qop) = choose_qop(auth) else { return false };
        let has_secret = self.identity(realm).is_some_and(|(_, secret)| match secret {
            Secret::Password(_) => true,
            Secret::Hashed(kept, _) => *kept == algorithm,
        });
        // A fold inside quotes would end our line.
        let are_lines = [Some(realm), auth.nonce(), auth.opaque()].into_iter().flatten().all(is_line);
        has_secret && are_lines && auth.nonce().is_some() && !(session && qop == Qop::None)
    }
}

impl Known {
    fn new(auth: &Auth<'_>, realm: &[u8], field: &'static str, remote: SocketAddr, cnonce: &str) -> Option<Self> {
        let (algorithm, session) = Algorithm::parse(auth.algorithm())?;
        Some(Self {
            remote,
            field,
            realm: realm.into(),
            nonce: auth.nonce()?.into(),
            opaque: auth.opaque().map(Into::into),
            algorithm_name: auth.algorithm().map(Into::into),
            algorithm,
            session,
            qop: choose_qop(auth)?,
            cnonce: cnonce.into(),
            count: 0,
        })
    }

    fn is_of(&self, field: &str, realm: &[u8], remote: SocketAddr) -> bool {
        self.field == field && *self.realm == *realm && self.remote == remote
    }

    /// The header line of the next request.
    fn put(&mut self, account: &Account, sending: &Sending<'_>, lines: &mut Vec<u8>) -> Option<()> {
        let (username, secret) = account.identity(&self.realm)?;
        let hashed = secret.hashed(self.algorithm, username.as_bytes(), &self.realm)?;
        self.count = self.count.checked_add(1)?;
        let nc = format!("{:08x}", self.count);
        let sum = Sum {
            algorithm: self.algorithm,
            session: self.session,
            qop: self.qop,
            method: sending.method,
            uri: sending.uri,
            nonce: &self.nonce,
            cnonce: self.cnonce.as_bytes(),
            nc: nc.as_bytes(),
            body: sending.body,
        };
        let response = sum.response(&hashed);
        let mut put = |parts: &[&[u8]]| crate::message::compose::put(lines, parts);
        put(&[self.field.as_bytes(), b": Digest username=\"", username.as_bytes(), b"\", realm=\"", &self.realm]);
        put(&[b"\", nonce=\"", &self.nonce, b"\", uri=\"", sum.uri, b"\", response=\"", response.as_bytes(), b"\""]);
        if let Some(name) = &self.algorithm_name {
            put(&[b", algorithm=", name]);
        }
        if self.qop != Qop::None {
            put(&[b", cnonce=\"", sum.cnonce, b"\", qop=", self.qop.name().as_bytes(), b", nc=", sum.nc]);
        }
        if let Some(opaque) = &self.opaque {
            put(&[b", opaque=\"", opaque, b"\""]);
        }
        put(&[b"\r\n"]);
        Some(())
    }
}

/// Whether the credentials that the request carried were an answer to a challenge for it. Those that it carried unasked
/// count from two, and their nonce may be too old by now.
fn was_refused(request: &[u8], field: &'static str, realm: &[u8]) -> bool {
    let mut given = earlier(request, field).filter(|given| given.realm() == Some(realm));
    given.any(|given| given.nc().is_none_or(|count| count == 1))
}

fn value_of(line: &[u8]) -> &[u8] {
    line.iter().position(|byte| *byte == b':').map_or(&b""[..], |colon| line[colon + 1..].trim_ascii())
}

fn earlier<'a>(request: &'a [u8], field: &'static str) -> impl Iterator<Item = Auth<'a>> {
    crate::message::derive::named_lines(request, field).filter_map(|line| Auth::parse(value_of(line)))
}

fn is_line(text: &[u8]) -> bool {
    !text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// The `qop` that we answer with; `None` when it offers only what we do not know.
fn choose_qop(auth: &Auth<'_>) -> Option<Qop> {
    let Some(offered) = auth.qop() else { return Some(Qop::None) };
    let offers = |qop: Qop| {
        offered.split(|byte| *byte == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(qop.name().as_bytes()))
    };
    [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| offers(*qop))
}
