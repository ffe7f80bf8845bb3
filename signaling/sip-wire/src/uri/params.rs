//! Parameters: `;name=value`, of header values and of URIs alike.

use crate::limits::PARAMS_MAX_COUNT;
use crate::scan;

/// The parameters of one value, read on demand. They were checked when the value was parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Params<'a> {
    raw: &'a [u8],
}

/// One parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// The name as it came; names compare without case.
    pub name: &'a [u8],
    /// The value as it came, quotes included; `None` for a flag such as `lr`.
    pub value: Option<&'a [u8]>,
}

impl<'a> Param<'a> {
    /// The value without its quotes, `\` escapes still inside; empty for a flag.
    pub fn unquoted(&self) -> &'a [u8] {
        unquote(self.value.unwrap_or_default())
    }
}

/// `value` without the quotes around it, if it has any.
pub fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        plain => plain,
    }
}

impl<'a> Params<'a> {
    /// No parameters.
    pub(crate) const NONE: Params<'static> = Params { raw: b"" };

    /// Takes parameters as they stand in a value, from their first `;` on; `None` when they break the grammar or are
    /// more than [`PARAMS_MAX_COUNT`].
    pub fn parse(raw: &'a [u8]) -> Option<Params<'a>> {
        let mut rest = scan::trim(raw);
        let params = Params { raw: rest };
        for _ in 0..PARAMS_MAX_COUNT {
            if rest.is_empty() {
                return Some(params);
            }
            (_, rest) = next_param(rest)?;
        }
        rest.is_empty().then_some(params)
    }

    /// URI parameters, which know neither quotes nor white space, so that only their number needs a check.
    pub(crate) fn of_uri(raw: &'a [u8]) -> Params<'a> {
        Params { raw }
    }

    /// The bytes, from the first `;` on.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Walks the parameters in their order.
    pub fn iter(&self) -> ParamIter<'a> {
        ParamIter { rest: self.raw }
    }

    /// The first parameter of that name, in any case.
    pub fn find(&self, name: &str) -> Option<Param<'a>> {
        self.iter().find(|p| p.name.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The value of the first parameter of that name, without quotes; `None` when absent, empty for a flag.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.find(name).map(|p| p.unquoted())
    }

    /// Whether a parameter of that name is there, with or without value.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// Walks [`Params`].
#[derive(Clone, Debug)]
pub struct ParamIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for ParamIter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        let (param, rest) = next_checked(self.rest)?;
        self.rest = rest;
        Some(param)
    }
}

/// `; name [= value]` with white space wherever the grammar has SEMI, EQUAL; what follows is trimmed at its start.
#[inline]
fn next_param(bytes: &[u8]) -> Option<(Param<'_>, &[u8])> {
    let [b';', rest @ ..] = bytes else { return None };
    let rest = scan::trim_start(rest);
    let name_bytes = scan::span_until(rest, scan::NAME_END);
    if name_bytes == 0 {
        return None;
    }
    let (name, rest) = rest.split_at(name_bytes);
    let rest = scan::trim_start(rest);
    let [b'=', rest @ ..] = rest else {
        return Some((Param { name, value: None }, rest));
    };
    let rest = scan::trim_start(rest);
    let value_bytes = match rest.first() {
        Some(b'"') => scan::quoted_bytes(rest)?,
        _ => scan::span_until(rest, scan::VALUE_END),
    };
    let (value, rest) = rest.split_at(value_bytes);
    Some((Param { name, value: Some(value) }, scan::trim_start(rest)))
}

/// As [`next_param`], of bytes that have passed it: only `;` and quotes are looked for.
#[inline]
fn next_checked(bytes: &[u8]) -> Option<(Param<'_>, &[u8])> {
    let rest = scan::trim_start(bytes.strip_prefix(b";")?);
    let (name, rest) = rest.split_at(scan::span_until(rest, scan::NAME_END));
    let rest = scan::trim_start(rest);
    let [b'=', rest @ ..] = rest else {
        return Some((Param { name, value: None }, rest));
    };
    let rest = scan::trim_start(rest);
    let value_bytes = match rest.first() {
        Some(b'"') => scan::quoted_bytes(rest)?,
        _ => memchr::memchr(b';', rest).unwrap_or(rest.len()),
    };
    let (value, rest) = rest.split_at(value_bytes);
    Some((Param { name, value: Some(scan::trim_end(value)) }, scan::trim_start(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_quotes_and_flags() {
        let params = Params::parse(b" ; Tag \r\n = a; lr ;x=\"b;\\\"c\" ; e=").unwrap();
        assert_eq!(params.get("tag"), Some(&b"a"[..]));
        assert!(params.has("LR"));
        assert_eq!(params.get("x"), Some(&b"b;\\\"c"[..]));
        assert_eq!(params.get("e"), Some(&b""[..]));
        assert_eq!(params.iter().count(), 4);
        assert_eq!(params.get("none"), None);
    }

    #[test]
    fn empty_and_broken_ones_are_refused() {
        for bad in [&b";;"[..], b";", b";a;", b"; =b", b";a=\"b", b";a b", b"x", b";a,b", b";a=b c"] {
            assert_eq!(Params::parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
        assert!(Params::parse(b"").unwrap().is_empty());
    }

    #[test]
    fn more_than_the_limit_are_refused() {
        assert!(Params::parse(&b";a".repeat(PARAMS_MAX_COUNT)).is_some());
        assert_eq!(Params::parse(&b";a".repeat(PARAMS_MAX_COUNT + 1)), None);
    }
}
