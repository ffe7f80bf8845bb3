//! URI equality (RFC 3261 §19.1.4).

use crate::uri::number::{is_number, is_separator};
use crate::{Param, Params, Scheme, Uri, scan};

impl Uri<'_> {
    /// Whether two URIs are equivalent by RFC 3261 §19.1.4; `tel:` numbers compare without their separators (RFC 3966 §4).
    pub fn same(&self, other: &Uri<'_>) -> bool {
        if self.as_bytes() == other.as_bytes() {
            return true; // also with a parameter twice, which the grammar forbids and the rules below do not foresee
        }
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Sip | Scheme::Sips => self.same_sip(other),
            Scheme::Tel => same_number(self.opaque(), other.opaque()) && same_tel_params(&self.params, &other.params),
            Scheme::Other => self.as_bytes() == other.as_bytes(),
        }
    }

    fn same_sip(&self, other: &Uri<'_>) -> bool {
        same_case(self.user, other.user)
            && same_case(self.password, other.password)
            && self.port == other.port
            && matches!((self.host, other.host), (Some(a), Some(b)) if a.same(&b))
            && same_sip_params(&self.params, &other.params)
            && self.same_headers(other)
    }

    /// Every header of one must be in the other, in any order; header names compare without case.
    fn same_headers(&self, other: &Uri<'_>) -> bool {
        self.header_pairs().count() == other.header_pairs().count()
            && self
                .header_pairs()
                .all(|(name, value)| other.header_pairs().any(|(n, v)| same_nocase(name, n) && same_exact(value, v)))
    }
}

/// Case matters in user and password; a character and its escape are the same.
fn same_case(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_exact(a, b),
        (None, None) => true,
        _ => false,
    }
}

fn same_exact(a: &[u8], b: &[u8]) -> bool {
    scan::unescaped(a).eq(scan::unescaped(b))
}

fn same_nocase(a: &[u8], b: &[u8]) -> bool {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    scan::unescaped(a).map(lower).eq(scan::unescaped(b).map(lower))
}

fn find<'a>(params: &Params<'a>, name: &[u8]) -> Option<Param<'a>> {
    params.iter().find(|p| same_nocase(p.name, name))
}

fn same_value(a: &Param<'_>, b: &Param<'_>) -> bool {
    a.value.is_some() == b.value.is_some() && same_nocase(a.value.unwrap_or_default(), b.value.unwrap_or_default())
}

/// Parameters in both must agree; `user`, `ttl`, `method`, `maddr` and `transport` in only one make a difference, others do not.
fn same_sip_params(a: &Params<'_>, b: &Params<'_>) -> bool {
    const SIGNIFICANT: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];
    let one_way = |from: &Params<'_>, to: &Params<'_>| {
        from.iter().all(|p| match find(to, p.name) {
            Some(q) => same_value(&p, &q),
            None => !SIGNIFICANT.iter().any(|s| same_nocase(p.name, s)),
        })
    };
    one_way(a, b) && one_way(b, a)
}

/// Extension and context may hold separators too, and a context that is a domain has no case (RFC 3966 §4, §5.1.5).
fn same_tel_params(a: &Params<'_>, b: &Params<'_>) -> bool {
    let same = |p: &Param<'_>, q: &Param<'_>| {
        let is_number = same_nocase(p.name, b"ext") || same_nocase(p.name, b"phone-context");
        match (p.value, q.value) {
            (Some(a), Some(b)) if is_number && a.starts_with(b"+") == b.starts_with(b"+") => {
                same_number(a, b) || same_nocase(a, b)
            }
            _ => same_value(p, q),
        }
    };
    a.iter().count() == b.iter().count() && a.iter().all(|p| find(b, p.name).is_some_and(|q| same(&p, &q)))
}

fn same_number(a: &[u8], b: &[u8]) -> bool {
    let bare = |byte: &&u8| !is_separator(**byte);
    is_number(a)
        && is_number(b)
        && a.iter().filter(bare).map(u8::to_ascii_lowercase).eq(b.iter().filter(bare).map(u8::to_ascii_lowercase))
}
