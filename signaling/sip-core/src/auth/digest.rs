//! The sums of RFC 7616 §3.4.

use super::Algorithm;
use std::fmt;

/// A password, or what is kept instead of it. It never shows what it holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself: good for every algorithm.
    Password(String),
    /// H(username ":" realm ":" password) in lower-case hexadecimal, of one algorithm.
    Hashed(Algorithm, String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::Hashed(..) => "Hashed(..)",
        })
    }
}

impl Secret {
    /// The hash that stands for username and password; `None` when only that of another algorithm is kept.
    pub(crate) fn hashed(&self, algorithm: Algorithm, username: &[u8], realm: &[u8]) -> Option<String> {
        match self {
            Self::Password(password) => Some(algorithm.hex(&[username, realm, password.as_bytes()])),
            Self::Hashed(kept, hash) => (*kept == algorithm).then(|| hash.to_ascii_lowercase()),
        }
    }
}

/// What `qop` a sum is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Qop {
    /// Absent: RFC 2069.
    None,
    Auth,
    /// The body is part of the sum.
    AuthInt,
}

impl Qop {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// Everything but the secret that goes into a sum.
pub(crate) struct Sum<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) session: bool,
    pub(crate) qop: Qop,
    pub(crate) method: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) nonce: &'a [u8],
    pub(crate) cnonce: &'a [u8],
    /// As it goes on the wire: eight digits.
    pub(crate) nc: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Sum<'_> {
    /// The `response` of who knows `hashed` (see [`Secret::hashed`]).
    pub(crate) fn response(&self, hashed: &str) -> String {
        let hash = self.algorithm;
        let first = match self.session {
            true => hash.hex(&[hashed.as_bytes(), self.nonce, self.cnonce]),
            false => hashed.to_owned(),
        };
        let second = match self.qop {
            Qop::AuthInt => hash.hex(&[self.method, self.uri, hash.hex(&[self.body]).as_bytes()]),
            Qop::None | Qop::Auth => hash.hex(&[self.method, self.uri]),
        };
        match self.qop {
            Qop::None => hash.hex(&[first.as_bytes(), self.nonce, second.as_bytes()]),
            qop => hash.hex(&[
                first.as_bytes(),
                self.nonce,
                self.nc,
                self.cnonce,
                qop.name().as_bytes(),
                second.as_bytes(),
            ]),
        }
    }
}

/// Compares without telling by its time where two texts differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, qop: Qop) -> Sum<'static> {
        Sum {
            algorithm,
            session: false,
            qop,
            method: b"GET",
            uri: b"/dir/index.html",
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            nc: b"00000001",
            body: b"",
        }
    }

    /// RFC 7616 §3.9.1.
    #[test]
    fn the_examples_of_rfc_7616() {
        let secret = Secret::Password("Circle of Life".into());
        for (algorithm, response) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let hashed = secret.hashed(algorithm, b"Mufasa", b"http-auth@example.org").unwrap();
            assert_eq!(sum(algorithm, Qop::Auth).response(&hashed), response);
            let kept = Secret::Hashed(algorithm, hashed.to_uppercase());
            assert_eq!(kept.hashed(algorithm, b"", b""), Some(hashed));
            assert_eq!(kept.hashed(Algorithm::Sha512_256, b"", b""), None);
        }
    }

    /// RFC 2617 §3.5 without qop is RFC 2069's sum; the value is that of the errata of RFC 2069.
    #[test]
    fn the_sum_without_qop() {
        let hashed =
            Secret::Password("CircleOfLife".into()).hashed(Algorithm::Md5, b"Mufasa", b"testrealm@host.com").unwrap();
        let nonce = b"dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let response = Sum { nonce, ..sum(Algorithm::Md5, Qop::None) }.response(&hashed);
        assert_eq!(response, "1949323746fe6a43ef61f9606e7febea");
    }

    #[test]
    fn names_and_secrets() {
        assert_eq!(Algorithm::parse(None), Some((Algorithm::Md5, false)));
        assert_eq!(Algorithm::parse(Some(b"sha-256-SESS")), Some((Algorithm::Sha256, true)));
        assert_eq!(Algorithm::parse(Some(b"SHA-512-256")), Some((Algorithm::Sha512_256, false)));
        for unknown in [&b"SHA"[..], b"", b"-sess", b"SHA-512", b"AKAv1-MD5"] {
            assert_eq!(Algorithm::parse(Some(unknown)), None);
        }
        let hashed = Secret::Hashed(Algorithm::Md5, "0123".into());
        assert_eq!(format!("{:?} {hashed:?}", Secret::Password("hush".into())), "Password(..) Hashed(..)");
        assert!(same(b"ab", b"ab") && !same(b"ab", b"ac") && !same(b"ab", b"abc"));
    }
}
