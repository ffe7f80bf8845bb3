//! Caller and called party, as the other side of a call is told.

use sip_wire::{Address, Scheme, Uri};
use std::borrow::Cow;
use std::net::IpAddr;

/// Longest display name that goes on, in bytes; the rest is cut off.
const DISPLAY_BYTES_MAX: usize = 128;

/// From of a caller who asks for privacy (RFC 3323 §4.1.1.3).
pub(crate) const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// A From value that can stand in a request from `local`: a number belongs to our host there, since nothing can be routed
/// to a `tel:` URI without a host (RFC 3261 §19.1.6).
pub(crate) fn from_at(from: &str, local: IpAddr) -> Cow<'_, str> {
    match Address::check(from) {
        Ok(address) if address.uri.scheme == Scheme::Tel => {
            let Some(number) = address.uri.number() else { return from.into() };
            named(&display(&address), &number.of_host(&host_text(local))).into()
        }
        _ => from.into(),
    }
}

/// `"Name" <uri>`, or `<uri>` without a name.
pub(crate) fn named(display: &str, uri: &str) -> String {
    if display.is_empty() {
        return format!("<{uri}>");
    }
    let mut text = String::with_capacity(display.len() + uri.len() + 8);
    text.push('"');
    for letter in display.chars() {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push_str("\" <");
    text.push_str(uri);
    text.push('>');
    text
}

/// The display name of an address as a person reads it, without anything that could end a line and no longer than
/// [`DISPLAY_BYTES_MAX`].
pub(crate) fn display(address: &Address<'_>) -> String {
    let mut text = address.display_name().unwrap_or_default().into_owned();
    text.retain(|letter| !letter.is_control());
    while text.len() > DISPLAY_BYTES_MAX {
        text.pop();
    }
    text.trim().to_owned()
}

/// To of a call that goes on to `target`: the user that was dialled at the target's host. Ports and parameters say how
/// to get there, and have no place in it (RFC 3261 §19.1.1, table 1).
pub(crate) fn to_at(called: &Uri<'_>, target: &Uri<'_>) -> Option<String> {
    let host = target.host?.to_string();
    if let Some(number) = called.number() {
        return Some(number.of_host(&host));
    }
    let scheme = if target.scheme == Scheme::Sips { "sips" } else { "sip" };
    let user = called.user.or(target.user).map(String::from_utf8_lossy);
    Some(match user {
        Some(user) => format!("{scheme}:{user}@{host}"),
        None => format!("{scheme}:{host}"),
    })
}

fn host_text(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn to_is_who_was_called_at_the_host_of_the_target() {
        for (called, target, to) in [
            ("sip:sales@us:5080;transport=tcp", "sip:ann@[2001:db8::1]:5070;lr", "sip:sales@[2001:db8::1]"),
            ("sips:a:secret@us", "sips:h;transport=tls?Subject=x", "sips:a@h"),
            ("sip:us", "sip:ann@h", "sip:ann@h"),
            ("sip:us", "sip:h", "sip:h"),
            ("tel:+1-2;ext=3", "sip:h:5080", "sip:+12;ext=3@h;user=phone"),
        ] {
            assert_eq!(to_at(&uri(called), &uri(target)).as_deref(), Some(to), "{called} {target}");
        }
        assert_eq!(to_at(&uri("sip:a@us"), &uri("tel:+1")), None);
    }

    #[test]
    fn a_number_calls_from_our_host() {
        let from = |from: &str, ip: &str| from_at(from, ip.parse().unwrap()).into_owned();
        assert_eq!(from("<tel:+1-2>", "2001:db8::1"), "<sip:+12@[2001:db8::1];user=phone>");
        assert_eq!(
            from("\"A\" <tel:1;phone-context=x>", "192.0.2.1"),
            "\"A\" <sip:1;phone-context=x@192.0.2.1;user=phone>"
        );
        assert_eq!(from("\"A\" <sip:a@h>", "192.0.2.1"), "\"A\" <sip:a@h>");
        let long = format!("\"{}\" <sip:a@h>", "\u{e4}".repeat(200));
        assert_eq!(display(&Address::check(&long).unwrap()).len(), DISPLAY_BYTES_MAX);
    }
}
