//! A message as text that may be shown to others: secrets are masked, what moves a terminal's cursor is escaped.

use std::fmt::Write;

const MASK: &str = "***";

/// The lines of a message, secrets masked.
pub(crate) fn without_secrets(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut shown = String::with_capacity(text.len() + 16);
    let mut of_header = Secret::None;
    for line in text.split_inclusive('\n') {
        let line = line.trim_end_matches(['\r', '\n']);
        // A line that begins with a space goes on with the field before it (RFC 3261 §7.3.1).
        if !line.starts_with([' ', '\t']) {
            of_header = Secret::of(line);
        }
        let line = match of_header {
            Secret::Digest => without_parameters(line),
            Secret::Whole if line.starts_with([' ', '\t']) => format!(" {MASK}"),
            Secret::Whole => without_credentials(line),
            Secret::Key => without_key(line),
            Secret::None => line.to_owned(),
        };
        put_escaped(&without_passwords(&line), &mut shown);
        shown.push('\n');
    }
    shown
}

/// What a line may tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secret {
    None,
    /// Digest credentials: a few of their parameters.
    Digest,
    /// Credentials of which nothing may be shown.
    Whole,
    /// A key for media.
    Key,
}

impl Secret {
    fn of(line: &str) -> Self {
        let starts = |prefix: &str| line.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        if ["a=crypto:", "a=ice-pwd:", "a=key-mgmt:", "k="].iter().any(|prefix| starts(prefix)) {
            return Self::Key;
        }
        let Some((name, value)) = line.split_once(':') else { return Self::None };
        let name = name.trim().to_ascii_lowercase();
        match name.as_str() {
            "authorization" | "proxy-authorization" => {
                let scheme = value.split_whitespace().next().unwrap_or_default();
                if scheme.is_empty() || scheme.eq_ignore_ascii_case("digest") { Self::Digest } else { Self::Whole }
            }
            "authentication-info" | "proxy-authentication-info" => Self::Digest,
            _ => Self::None,
        }
    }
}

/// `response="..."` and its like without what a guesser of passwords could try them on.
fn without_parameters(line: &str) -> String {
    let mut shown = line.to_owned();
    for name in ["response", "rspauth", "cnonce"] {
        let mut from = 0;
        while let Some(at) = find(&shown, name, from) {
            from = at + name.len();
            let is_whole =
                !shown[..at].ends_with(|letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter));
            let rest = &shown[from..];
            let Some(value) = rest.trim_start().strip_prefix('=').filter(|_| is_whole) else { continue };
            let value = value.trim_start();
            let start = shown.len() - value.len();
            let length = match value.strip_prefix('"') {
                Some(quoted) => quoted.find('"').map_or(value.len(), |end| end + 2),
                None => value.find([',', ' ', '\t']).unwrap_or(value.len()),
            };
            shown.replace_range(start..start + length, &format!("\"{MASK}\""));
        }
    }
    shown
}

/// `Authorization: Bearer ***`.
fn without_credentials(line: &str) -> String {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let scheme = value.split_whitespace().next().unwrap_or_default();
    format!("{name}: {scheme} {MASK}")
}

/// `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***`.
fn without_key(line: &str) -> String {
    match find(line, "inline:", 0) {
        Some(at) => format!("{}{MASK}", &line[..at + "inline:".len()]),
        None => {
            let end = line.find(':').or_else(|| line.find('=')).map_or(0, |at| at + 1);
            format!("{}{MASK}", &line[..end])
        }
    }
}

/// `sip:user:***@host` (RFC 3261 §19.1.1).
fn without_passwords(line: &str) -> String {
    let mut shown = line.to_owned();
    let mut from = 0;
    while let Some(at) = find(&shown, "sip", from) {
        from = at + 3;
        let scheme = &shown[from..];
        let Some(rest) =
            scheme.strip_prefix(':').or_else(|| scheme.strip_prefix("s:")).or_else(|| scheme.strip_prefix("S:"))
        else {
            continue;
        };
        let start = shown.len() - rest.len();
        let end = rest.find(['@', ' ', '\t', '<', '>', '"']).unwrap_or(rest.len());
        let is_user = rest[end..].starts_with('@');
        if let Some(colon) = rest[..end].find(':').filter(|_| is_user) {
            shown.replace_range(start + colon + 1..start + end, MASK);
        }
        from = start;
    }
    shown
}

/// Where a word stands from a place on, whatever its case.
fn find(text: &str, word: &str, from: usize) -> Option<usize> {
    let (bytes, word) = (text.as_bytes().get(from..)?, word.as_bytes());
    let at = bytes.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word))?;
    Some(from + at)
}

fn put_escaped(line: &str, shown: &mut String) {
    for letter in line.chars() {
        let turns = matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter != '\t' && (letter.is_control() || turns) {
            let _ = write!(shown, "{}", letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let message = "INVITE sip:bob:pa55@192.0.2.7 SIP/2.0\r\n\
            To: <SIPS:bob:pa55;x@192.0.2.7:5061>, \"sip:\" <sip:192.0.2.7:5060>\r\n\
            authorization : Digest username=\"alice\", nonce=\"n\", response=\"s3cret1\",\r\n\
            \x20cnonce=\"s3cret2\", RESPONSE = s3cret3, nonce-response=\"kept\"\r\n\
            Proxy-Authorization: Bearer s3cret4\r\n\
            \ts3cret5\r\n\
            Authentication-Info: rspauth=\"s3cret6\", nc=1\r\n\
            X: \x1b[2J\u{202e}\r\n\r\n\
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:s3cret7|2^20\r\n\
            a=ice-pwd:s3cret8\r\n\
            k=clear:s3cret9\r\n\
            a=rtpmap:0 PCMU/8000\r\n";
        let shown = without_secrets(message.as_bytes());
        assert!(!shown.contains("s3cret") && !shown.contains("pa55"), "{shown}");
        for kept in [
            "INVITE sip:bob:***@192.0.2.7 SIP/2.0\n",
            "username=\"alice\", nonce=\"n\", response=\"***\",\n cnonce=\"***\"",
            "nonce-response=\"kept\"",
            "Proxy-Authorization: Bearer ***\n",
            "<sip:192.0.2.7:5060>",
            "inline:***\n",
            "a=ice-pwd:***\n",
            "a=rtpmap:0 PCMU/8000\n",
            "X: \\u{1b}[2J\\u{202e}\n",
        ] {
            assert!(shown.contains(kept), "no `{kept}` in:\n{shown}");
        }
    }

    #[test]
    fn anything_can_be_shown() {
        for bytes in [
            &b"\xff\xfe\x00sip:"[..],
            b"",
            b"\r\n\r\n",
            b"sip:a:b",
            b"Authorization:\r\nresponse=\"",
            b"a=crypto:",
            b"k=",
        ] {
            without_secrets(bytes);
        }
    }
}
