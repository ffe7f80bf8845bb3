//! Telephone numbers in URIs: `tel:` (RFC 3966), and SIP URIs whose user part is one (RFC 3261 §19.1.6).

use crate::limits::PARAMS_MAX_COUNT;
use crate::{Params, Scheme, Uri, scan};
use core::fmt;
use core::fmt::Write;
use std::borrow::Cow;

/// Marks that make a number readable and mean nothing (RFC 3966 §5.1.1).
pub(crate) fn is_separator(byte: u8) -> bool {
    b"-.()".contains(&byte)
}

/// A telephone number as it is compared and dialled: without visual separators, its parameters in the order of RFC 3966
/// §4.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Number {
    digits: String,
    /// Names in lower case, values with their escapes resolved.
    params: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Number {
    /// `raw` may hold separators; `params` are those of the number, not of a SIP URI around it.
    fn new<'p>(raw: &[u8], params: impl Iterator<Item = (&'p [u8], Option<&'p [u8]>)>) -> Option<Number> {
        if !is_number(raw) {
            return None;
        }
        let plain = |bytes: &[u8]| scan::unescaped(bytes).collect::<Vec<u8>>();
        let mut params: Vec<_> = params
            .map(|(name, value)| {
                let name = plain(name).to_ascii_lowercase();
                let value = value.map(|value| canonical_value(&name, plain(value)));
                (name, value)
            })
            .collect();
        params.sort_by(|a, b| (rank(&a.0), &a.0).cmp(&(rank(&b.0), &b.0)));
        let is_sound = params.iter().all(|(name, value)| !name.is_empty() && has_its_form(name, value.as_deref()));
        let is_once = params.windows(2).all(|pair| pair[0].0 != pair[1].0 || rank(&pair[0].0) > 1);
        if !is_sound || !is_once || params.len() > PARAMS_MAX_COUNT {
            return None;
        }
        let digits = raw.iter().filter(|byte| !is_separator(**byte)).map(|byte| char::from(*byte)).collect();
        Some(Number { digits, params })
    }

    /// The digits, with `+` in front of a global number.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// Whether it is good anywhere (RFC 3966 §5.1.4). A local one means something only in its context.
    pub fn is_global(&self) -> bool {
        self.digits.starts_with('+')
    }

    /// `phone-context` of a local number: a domain, or the beginning of global numbers. It is no prefix to be dialled
    /// (RFC 3966 §5.1.5).
    pub fn context(&self) -> Option<&str> {
        let context = self.params.iter().find(|(name, _)| name == b"phone-context")?.1.as_deref()?;
        core::str::from_utf8(context).ok()
    }

    /// As the user part of a SIP URI, parameters included, escaped as they have to be there.
    pub fn user_part(&self) -> String {
        self.written(|byte| b"-_.!~*'()&+$,/?#".contains(&byte))
    }

    /// The SIP URI for this number where `target` leads to: `sip:+493012@host;user=phone`.
    pub fn at(&self, target: &Uri<'_>) -> String {
        let uri = target.with_user_part(&self.user_part());
        if target.params.has("user") {
            return uri;
        }
        match uri.split_once('?') {
            Some((uri, headers)) => format!("{uri};user=phone?{headers}"),
            None => uri + ";user=phone",
        }
    }

    /// The SIP URI that names this number as one of a host, for From, To and their like.
    pub fn of_host(&self, host: &str) -> String {
        format!("sip:{}@{host};user=phone", self.user_part())
    }

    fn written(&self, is_plain: fn(u8) -> bool) -> String {
        let mut text = String::with_capacity(self.digits.len());
        put_escaped(&mut text, self.digits.as_bytes(), is_plain);
        for (name, value) in &self.params {
            text.push(';');
            put_escaped(&mut text, name, is_plain);
            if let Some(value) = value {
                text.push('=');
                put_escaped(&mut text, value, is_plain);
            }
        }
        text
    }
}

impl fmt::Display for Number {
    /// As a `tel:` URI.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tel:{}", self.written(|byte| b"-_.!~*'()[]/:&+$#".contains(&byte)))
    }
}

impl<'a> Uri<'a> {
    /// The telephone number that it names: `tel:`, or a SIP URI that says `user=phone`. `None` for all others.
    pub fn number(&self) -> Option<Number> {
        match self.scheme {
            Scheme::Tel => Number::new(self.opaque(), self.params.iter().map(|param| (param.name, param.value))),
            Scheme::Sip | Scheme::Sips => {
                let is_phone = self.params.get("user").is_some_and(|user| user.eq_ignore_ascii_case(b"phone"));
                let user = self.user.filter(|_| is_phone)?;
                let mut parts = user.split(|byte| *byte == b';');
                let digits: Vec<u8> = scan::unescaped(parts.next()?).collect();
                Number::new(&digits, parts.filter(|part| !part.is_empty()).map(split_param))
            }
            Scheme::Other => None,
        }
    }

    /// The user as routes, targets and people know it: a number without separators, or the user part with its escapes
    /// resolved; empty where there is none. A user part that begins with `+` and holds nothing but digits and separators
    /// is a number even where the URI does not say so (RFC 3261 §19.1.1 allows that).
    pub fn user_text(&self) -> String {
        if let Some(number) = self.number() {
            return number.digits;
        }
        let mut user = self.user_decoded().unwrap_or_default();
        if user.starts_with(b"+") && is_number(&user) {
            user.retain(|byte| !is_separator(*byte));
        }
        String::from_utf8_lossy(&user).into_owned()
    }

    /// As it came, with a number in it written as numbers are compared.
    pub fn canonical(&self) -> Cow<'a, str> {
        match (self.scheme, self.number()) {
            (Scheme::Tel, Some(number)) => number.to_string().into(),
            (_, Some(number)) => self.with_user_part(&number.user_part()).into(),
            (_, None) => self.as_str().into(),
        }
    }

    /// The same SIP URI for another user; see [`escaped_user`].
    pub fn with_user_part(&self, user_part: &str) -> String {
        let text = self.as_str();
        let (scheme, rest) = text.split_once(':').unwrap_or(("sip", text));
        let rest = if self.user.is_some() { rest.split_once('@').map_or(rest, |(_, rest)| rest) } else { rest };
        format!("{scheme}:{user_part}@{rest}")
    }
}

/// A name as the user part of a SIP URI: what may not stand there is escaped (RFC 3261 §25.1).
pub fn escaped_user(user: &str) -> String {
    let mut text = String::with_capacity(user.len());
    put_escaped(&mut text, user.as_bytes(), |byte| b"-_.!~*'()&=+$,;?/".contains(&byte));
    text
}

/// `+` and digits, or the digits, `*`, `#` and hexadecimal letters of a local number, with separators between them.
pub(crate) fn is_number(raw: &[u8]) -> bool {
    let (digits, is_digit): (&[u8], fn(u8) -> bool) = match raw {
        [b'+', digits @ ..] => (digits, |byte| byte.is_ascii_digit()),
        local => (local, |byte| byte.is_ascii_hexdigit() || b"*#".contains(&byte)),
    };
    digits.iter().all(|byte| is_digit(*byte) || is_separator(*byte)) && digits.iter().any(|byte| is_digit(*byte))
}

/// Whether the parameters of a `tel:` URI that have a form of their own have it, and stand once.
pub(crate) fn are_tel_params(params: &Params<'_>) -> bool {
    let once = |name: &str| params.iter().filter(|param| param.name.eq_ignore_ascii_case(name.as_bytes())).count() < 2;
    ["ext", "isub", "phone-context"].into_iter().all(once)
        && params.iter().all(|param| has_its_form(param.name, param.value))
}

/// The forms of RFC 3966 §3: an extension is a number, a context a global number or a domain.
fn has_its_form(name: &[u8], value: Option<&[u8]>) -> bool {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match value {
        None => !is("ext") && !is("isub") && !is("phone-context"),
        Some(value) if is("ext") => !value.starts_with(b"+") && is_number(value),
        Some(value) if is("isub") => !value.is_empty(),
        Some(value) if is("phone-context") => match value.first() {
            Some(b'+') => is_number(value),
            Some(_) => value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte)),
            None => false,
        },
        Some(_) => true,
    }
}

/// The place of a parameter (RFC 3966 §4): extension and subaddress, context, then the others by name.
fn rank(name: &[u8]) -> u8 {
    match name {
        b"ext" | b"isub" => 0,
        b"phone-context" => 1,
        _ => 2,
    }
}

/// Values that hold numbers have separators too; domains have no case.
fn canonical_value(name: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    match name {
        b"ext" => value.retain(|byte| !is_separator(*byte)),
        b"phone-context" if value.starts_with(b"+") => value.retain(|byte| !is_separator(*byte)),
        b"phone-context" => value.make_ascii_lowercase(),
        _ => {}
    }
    value
}

fn split_param(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', part) {
        Some(at) => (&part[..at], Some(&part[at + 1..])),
        None => (part, None),
    }
}

fn put_escaped(out: &mut String, bytes: &[u8], is_plain: fn(u8) -> bool) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_number_is_the_same_in_all_its_spellings() {
        for (text, user, canonical) in [
            ("tel:+49-30-12", "+493012", "tel:+493012"),
            ("TEL:+49(30)12", "+493012", "tel:+493012"),
            ("tel:+49.30.12;isub=4;ext=5-6", "+493012", "tel:+493012;ext=56;isub=4"),
            ("tel:70-42;phone-context=Example.COM", "7042", "tel:7042;phone-context=example.com"),
            ("tel:7042;a=b;phone-context=+49-30;ext=1", "7042", "tel:7042;ext=1;phone-context=+4930;a=b"),
            ("tel:*21#", "*21#", "tel:*21#"),
            ("sip:+49-30-12@h;user=phone", "+493012", "sip:+493012@h;user=phone"),
            ("sip:+49-30-12;ext=5@h;USER=Phone", "+493012", "sip:+493012;ext=5@h;USER=Phone"),
            ("sip:%2B49-30-12@h:5070;user=phone?a=b", "+493012", "sip:+493012@h:5070;user=phone?a=b"),
            ("sips:70-42;phone-context=x.org@h;user=phone", "7042", "sips:7042;phone-context=x.org@h;user=phone"),
            // It does not say so, but is nothing else.
            ("sip:+49-30-12@h", "+493012", "sip:+49-30-12@h"),
            // No numbers.
            ("sip:a-b@h", "a-b", "sip:a-b@h"),
            ("sip:70-42@h", "70-42", "sip:70-42@h"),
            ("sip:al%69ce.b@h;user=phone", "alice.b", "sip:al%69ce.b@h;user=phone"),
            ("sip:+a@h", "+a", "sip:+a@h"),
            ("sip:1;ext=x@h;user=phone", "1;ext=x", "sip:1;ext=x@h;user=phone"),
            ("sip:1;=x@h;user=phone", "1;=x", "sip:1;=x@h;user=phone"),
            ("sip:h", "", "sip:h"),
            ("mailto:a-b@c", "", "mailto:a-b@c"),
        ] {
            assert_eq!((&*uri(text).user_text(), &*uri(text).canonical()), (user, canonical), "{text}");
        }
        assert!(
            uri("tel:+1").number().unwrap().is_global() && !uri("tel:1;phone-context=h").number().unwrap().is_global()
        );
        assert_eq!(uri("tel:1;phone-context=+49-30").number().unwrap().context(), Some("+4930"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "tel:",
            "tel:+",
            "tel:-.()",
            "tel:+49a",
            "tel:+49*1",
            "tel:++49",
            "tel:4 9",
            "tel:49x",
            "tel:+49;ext=",
            "tel:+49;ext",
            "tel:+49;ext=a x",
            "tel:+49;ext=+1",
            "tel:+49;ext=1;EXT=2",
            "tel:1;phone-context=",
            "tel:1;phone-context=+",
            "tel:1;phone-context=a%20b",
            "tel:+49?a=b",
            "tel:+49;",
            "tel:+49@h",
        ] {
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_goes_to_a_sip_target_and_stays_whole() {
        let number = |text: &str| uri(text).number().unwrap();
        let at = |text: &str, target: &str| number(text).at(&uri(target));
        assert_eq!(at("tel:+49-30-12", "sip:192.0.2.7:5070"), "sip:+493012@192.0.2.7:5070;user=phone");
        assert_eq!(at("tel:+1;ext=2", "sips:x@h;lr?a=b"), "sips:+1;ext=2@h;lr;user=phone?a=b");
        assert_eq!(at("tel:+1", "sip:[2001:db8::1];user=phone"), "sip:+1@[2001:db8::1];user=phone");
        assert_eq!(number("tel:+1-2").of_host("h"), "sip:+12@h;user=phone");
        // A value cannot become a parameter, a host or a line of its own, and comes back as it was.
        let odd = number("tel:1;a=b%3Bext%3D9%40evil%0D%0A%FF");
        assert_eq!(odd.of_host("h"), "sip:1;a=b%3Bext%3D9%40evil%0D%0A%FF@h;user=phone");
        assert_eq!(uri(&odd.of_host("h")).number().unwrap(), odd);
        assert_eq!(uri(&odd.to_string()).number().unwrap(), odd);
        assert_eq!(escaped_user("a@b>\r\n"), "a%40b%3E%0D%0A");
        assert_eq!(uri("sip:a:secret@h:5070;lr").with_user_part("bob"), "sip:bob@h:5070;lr");
    }

    #[test]
    fn numbers_compare_by_what_is_dialled() {
        let same = |a: &str, b: &str| uri(a).same(&uri(b));
        assert!(same("tel:+49-30", "tel:+4930") && same("tel:1;phone-context=+49-30", "tel:1;phone-context=+4930"));
        assert!(
            same("tel:+1;ext=1-2;a=b", "tel:+1;A=b;ext=12")
                && same("tel:1;phone-context=A.b", "tel:1;phone-context=a.B")
        );
        assert!(
            !same("tel:+4930", "tel:4930") && !same("tel:+1;ext=1", "tel:+1") && !same("tel:+1", "sip:+1@h;user=phone")
        );
        assert!(!same("tel:1;phone-context=a", "tel:1;phone-context=b"));
    }
}
