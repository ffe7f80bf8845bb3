//! What credentials claim, before they are proven.

use super::digest::{Qop, Sum};
use super::{Algorithm, Place, Secret};
use sip_wire::{Auth, Message, Uri};

/// Credentials of a request for our realm: well formed, not proven yet.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    username: &'a [u8],
    realm: &'a [u8],
    response: &'a [u8],
    algorithm: Algorithm,
    session: bool,
    qop: Qop,
    method: &'a [u8],
    uri: &'a [u8],
    nonce: &'a [u8],
    cnonce: &'a [u8],
    nc: &'a [u8],
    pub(crate) nc_count: u32,
    body: &'a [u8],
}

impl std::fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim")
            .field("username", &String::from_utf8_lossy(self.username))
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl<'a> Claim<'a> {
    /// Who they say they are: look the secret up by this and [`Self::algorithm`].
    pub fn username(&self) -> &'a [u8] {
        self.username
    }

    /// Of the sum; a hashed secret must be of this one.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn nonce(&self) -> &'a [u8] {
        self.nonce
    }

    pub(crate) fn is_auth_int(&self) -> bool {
        self.qop == Qop::AuthInt
    }

    pub(crate) fn has_qop(&self) -> bool {
        self.qop != Qop::None
    }

    /// The credentials for `realm`: `None` without any, an error when they miss what RFC 7616 §3.4 demands.
    pub(crate) fn read(
        message: &Message<'a>,
        place: Place,
        realm: &str,
        domains: &[String],
    ) -> Result<Option<Self>, ()> {
        let mut all: Box<dyn Iterator<Item = _> + '_> = match place {
            Place::Proxy => Box::new(message.proxy_authorizations()),
            Place::Registrar | Place::UserAgent => Box::new(message.authorizations()),
        };
        let ours = |auth: &Auth<'_>| auth.is_digest() && auth.realm() == Some(realm.as_bytes());
        let Some(auth) = all.find_map(|auth| auth.ok().filter(ours)) else { return Ok(None) };
        let uri = auth.uri().ok_or(())?;
        if !is_for(message, uri, realm, domains) {
            return Err(());
        }
        Self::of(message, &auth, uri).ok_or(()).map(Some)
    }

    fn of(message: &Message<'a>, auth: &Auth<'a>, uri: &'a [u8]) -> Option<Self> {
        let (algorithm, session) = Algorithm::parse(auth.algorithm())?;
        let qop = match auth.qop() {
            None => Qop::None,
            Some(qop) if qop.eq_ignore_ascii_case(b"auth") => Qop::Auth,
            Some(qop) if qop.eq_ignore_ascii_case(b"auth-int") => Qop::AuthInt,
            Some(_) => return None,
        };
        let counted = match qop {
            Qop::None => (&b""[..], &b""[..], 1),
            _ => (auth.cnonce()?, auth.get("nc")?, auth.nc()?),
        };
        if session && qop == Qop::None {
            return None; // the session's key needs a cnonce
        }
        Some(Self {
            username: auth.username()?,
            realm: auth.realm()?,
            response: auth.response()?,
            algorithm,
            session,
            qop,
            method: message.method_raw(),
            uri,
            nonce: auth.nonce()?,
            cnonce: counted.0,
            nc: counted.1,
            nc_count: counted.2,
            body: message.body(),
        })
    }

    /// Whether they are the sum of one who knows the secret.
    pub(crate) fn is_proven_by(&self, secret: &Secret) -> bool {
        let Some(hashed) = secret.hashed(self.algorithm, self.username, self.realm) else { return false };
        let sum = Sum {
            algorithm: self.algorithm,
            session: self.session,
            qop: self.qop,
            method: self.method,
            uri: self.uri,
            nonce: self.nonce,
            cnonce: self.cnonce,
            nc: self.nc,
            body: self.body,
        };
        let expected = sum.response(&hashed);
        super::digest::same(expected.as_bytes(), &self.response.to_ascii_lowercase())
    }
}

/// Whether credentials for this URI may come with this request (RFC 3261 §22.4): a captured sum must not be good for
/// another user that is called; each sum is good once only. Proxies on the way may rewrite the Request-URI, so its
/// parameters need not agree; and phones name their domain where the Request-URI has its address.
fn is_for(message: &Message<'_>, uri: &[u8], realm: &str, domains: &[String]) -> bool {
    let requested = message.request_uri_raw();
    if requested == uri {
        return true;
    }
    let (Ok(a), Ok(b)) = (Uri::parse(requested), Uri::parse(uri)) else { return false };
    // Some clients, SIPp among them, name the server only.
    let same_user = a.user == b.user || b.user.is_none();
    let same_host = matches!((a.host, b.host), (Some(a), Some(b)) if a.same(&b));
    let names_us = |host: sip_wire::Host<'_>| {
        let host = host.bare();
        domains.iter().map(String::as_str).chain([realm]).any(|domain| domain.eq_ignore_ascii_case(&host))
    };
    a.same(&b) || (same_user && (same_host || b.host.is_some_and(names_us)))
}
