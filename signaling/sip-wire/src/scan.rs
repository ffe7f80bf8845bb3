//! Character classes and the small scanners that every value parser is made of (RFC 3261 §25.1).

/// `token` characters.
pub(crate) const TOKEN: u16 = 1;
/// Host name characters; `_` is none, but phones send it.
pub(crate) const HOST: u16 = 4;
/// What the user part of a URI may hold, `:` before a password included, `%` not; `#` is none, but phones dial it.
pub(crate) const USER: u16 = 8;
/// What a URI parameter may hold, its `=` included, `%` not.
pub(crate) const URI_PARAM: u16 = 16;
/// What the `name=value&name=value` of URI headers may hold, `%` included.
pub(crate) const URI_HEADER: u16 = 256;
/// What ends the name of a parameter.
pub(crate) const NAME_END: u16 = 64;
/// What ends a value of a parameter that is no quoted string. Values hold more than tokens: hosts, IPv6 references, base64.
pub(crate) const VALUE_END: u16 = 128;
/// What an opaque URI (any scheme) may hold.
pub(crate) const URI_ANY: u16 = 32;

static CLASS: [u16; 256] = build();

const fn mark(mut table: [u16; 256], bytes: &[u8], class: u16) -> [u16; 256] {
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] |= class;
        i += 1;
    }
    table
}

const fn build() -> [u16; 256] {
    let mut table = [0u16; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        if byte.is_ascii_alphanumeric() {
            table[b] = TOKEN | HOST | USER | URI_PARAM | URI_HEADER | URI_ANY;
        }
        b += 1;
    }
    table = mark(table, b"-.!%*_+`'~", TOKEN);
    table = mark(table, b"-._", HOST);
    table = mark(table, b"=;,<>\" \t\r\n", NAME_END);
    table = mark(table, b";,<>\" \t\r\n", VALUE_END);
    // unreserved marks, then what each place adds
    table = mark(table, b"-_.!~*'()&=+$,;?/:#", USER);
    table = mark(table, b"-_.!~*'()[]/:&+$=", URI_PARAM);
    table = mark(table, b"-_.!~*'()[]/?:+$=&%", URI_HEADER);
    mark(table, b"-_.!~*'()%[]/:&+$=;?,@#", URI_ANY)
}

#[inline(always)]
pub(crate) fn is(byte: u8, class: u16) -> bool {
    CLASS[byte as usize] & class != 0
}

#[inline]
pub(crate) fn all(bytes: &[u8], class: u16) -> bool {
    bytes.iter().fold(class, |left, b| left & CLASS[usize::from(*b)]) != 0
}

/// Whether `bytes` is a non-empty token.
#[inline]
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// SP, HTAB, CR, LF: inside a header value a CR or LF can only be a folded line, which reads as a space.
#[inline]
pub(crate) fn is_space(byte: u8) -> bool {
    byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `bytes` without white space at its start.
#[inline]
pub(crate) fn trim_start(bytes: &[u8]) -> &[u8] {
    let mut bytes = bytes;
    while let [first, rest @ ..] = bytes {
        if !is_space(*first) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// `bytes` without white space at its end.
#[inline]
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    let mut bytes = bytes;
    while let [rest @ .., last] = bytes {
        if !is_space(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// `bytes` without white space at both ends.
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// How many bytes at the start are of `class`.
#[inline]
pub(crate) fn span(bytes: &[u8], class: u16) -> usize {
    bytes.iter().position(|b| !is(*b, class)).unwrap_or(bytes.len())
}

/// How many bytes at the start are not of `class`.
#[inline]
pub(crate) fn span_until(bytes: &[u8], class: u16) -> usize {
    bytes.iter().position(|b| is(*b, class)).unwrap_or(bytes.len())
}

/// Splits off what is of `class` at the start.
#[inline]
pub(crate) fn take(bytes: &[u8], class: u16) -> (&[u8], &[u8]) {
    bytes.split_at(span(bytes, class))
}

/// Where `needle` stands first. For what is near: eight bytes at a time, without the price of a vectorised call.
#[inline]
pub(crate) fn find_near(bytes: &[u8], needle: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let pattern = ONES * u64::from(needle);
    let mut rest = bytes;
    let mut at = 0;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        let differences = u64::from_le_bytes(*chunk) ^ pattern;
        let zeros = differences.wrapping_sub(ONES) & !differences & HIGHS; // the lowest one set is exact
        if zeros != 0 {
            return Some(at + (zeros.trailing_zeros() / 8) as usize);
        }
        rest = tail;
        at += 8;
    }
    rest.iter().position(|b| *b == needle).map(|near| at + near)
}

/// The length of the quoted string at the start of `bytes`, both quotes included; `None` when it does not end.
#[inline]
pub(crate) fn quoted_bytes(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2; // a backslash and what it protects
    }
}

/// Splits at the first comma outside quotes and angle brackets: the trimmed value, and what follows the comma.
#[inline]
pub(crate) fn split_comma(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr3(b',', b'"', b'<', rest)) {
        at += found;
        match bytes[at] {
            b',' => return (trim(&bytes[..at]), Some(&bytes[at + 1..])),
            b'"' => at += quoted_bytes(&bytes[at..]).unwrap_or(bytes.len() - at),
            _ => at += memchr::memchr(b'>', &bytes[at..]).unwrap_or(bytes.len() - at),
        }
    }
    (trim(bytes), None)
}

/// A decimal number of digits only, at most `max`; leading zeros are fine (RFC 4475 §3.1.1.1).
#[inline]
pub(crate) fn number(bytes: &[u8], max: u64) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        if value > max {
            return None;
        }
    }
    Some(value)
}

/// Whether every `%` is followed by two hexadecimal digits.
pub(crate) fn escapes_are_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest.get(at + 1..at + 3) {
            Some([a, b]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => rest = &rest[at + 3..],
            _ => return false,
        }
    }
    true
}

/// Walks `bytes` with `%HH` resolved.
pub(crate) fn unescaped(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = bytes;
    core::iter::from_fn(move || match rest {
        [b'%', a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
            rest = tail;
            Some(hex(*a) << 4 | hex(*b))
        }
        [first, tail @ ..] => {
            rest = tail;
            Some(*first)
        }
        [] => None,
    })
}

pub(crate) const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// Skips the comment at the start of `bytes` (RFC 3261 §25.1); `None` when it does not end or nests too deep.
pub(crate) fn comment_bytes(bytes: &[u8], max_depth: usize) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\\' => at += 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
        if depth > max_depth {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_inside_quotes_and_brackets_do_not_split() {
        let (first, rest) = split_comma(b" \"a,\\\",b\" <sip:x,y@z> , c ");
        assert_eq!(first, b"\"a,\\\",b\" <sip:x,y@z>");
        assert_eq!(split_comma(rest.unwrap()), (&b"c"[..], None));
        assert_eq!(split_comma(b"\"open, quote"), (&b"\"open, quote"[..], None));
        assert_eq!(split_comma(b"<open, bracket"), (&b"<open, bracket"[..], None));
    }

    #[test]
    fn what_is_near_is_found_where_it_is() {
        let text: Vec<u8> = (0..40u8).map(|i| i.wrapping_mul(29) | 0x80).collect();
        for at in 0..text.len() {
            for needle in [0, b':', b'\n', 0x7f] {
                let mut text = text.clone();
                text[at] = needle;
                assert_eq!(find_near(&text, needle), Some(at));
                assert_eq!(find_near(&text[..at], needle), None);
            }
        }
    }

    #[test]
    fn numbers_stop_at_their_bound() {
        assert_eq!(number(b"0009", 10), Some(9));
        assert_eq!(number(b"4294967296", u64::from(u32::MAX)), None);
        assert_eq!(number(b"99999999999999999999999999", u64::MAX), None);
        assert_eq!(number(b"-1", 10), None);
        assert_eq!(number(b"", 10), None);
    }

    #[test]
    fn quotes_end_where_they_should() {
        assert_eq!(quoted_bytes(b"\"a\\\"b\" c"), Some(6));
        assert_eq!(quoted_bytes(b"\"a\\"), None);
        assert_eq!(quoted_bytes(b"\""), None);
    }

    #[test]
    fn comments_nest_up_to_their_limit() {
        assert_eq!(comment_bytes(b"(a (b) c) d", 2), Some(9));
        assert_eq!(comment_bytes(b"(a (b (c)))", 2), None);
        assert_eq!(comment_bytes(b"(a", 2), None);
        assert_eq!(comment_bytes(b"(a \\) b)", 2), Some(8));
    }
}
