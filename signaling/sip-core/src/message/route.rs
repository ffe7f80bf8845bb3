//! Route sets (RFC 3261 §12.1, §16.12.1.1): loose and strict.

use crate::message::incoming::put_unfolded;
use sip_wire::{Address, Message, Name};

/// The route set of a dialog as it goes into each request: values with their angle brackets, joined by commas.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    list: Box<[u8]>,
    first_bytes: u16,
    strict: bool,
}

impl Routes {
    /// The route set that an answer to a request of ours gives: its Record-Route in reverse order (RFC 3261 §12.1.2).
    pub(crate) fn of_answer(message: &Message<'_>) -> Self {
        // What is no address leads nowhere. Answers are not refused for it as requests are.
        let addresses = message.raw_values(Name::RecordRoute).filter(|value| Address::parse(value).is_some());
        let mut record_routes: Vec<&[u8]> = addresses.collect();
        record_routes.reverse();
        Self::new(record_routes.iter().map(|value| value.trim_ascii()))
    }

    /// From the values of Record-Route in the order in which they become Route: as they came for the callee, turned
    /// around for the caller.
    pub(crate) fn new<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut list = Vec::new();
        let mut first_bytes = 0;
        for value in values {
            if list.is_empty() {
                first_bytes = value.len() as u16;
            } else {
                list.extend_from_slice(b", ");
            }
            put_unfolded(&mut list, value);
        }
        let mut routes = Self { list: list.into_boxed_slice(), first_bytes, strict: false };
        routes.strict = !routes.is_empty() && !has_lr(uri_in(routes.first()));
        routes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn first(&self) -> &[u8] {
        self.list.get(..self.first_bytes.into()).unwrap_or_default()
    }

    /// The Request-URI for a request to `target`: the target, or the first route when that is a strict router.
    pub(crate) fn request_uri<'a>(&'a self, target: &'a [u8]) -> &'a [u8] {
        if self.strict { uri_in(self.first()) } else { target }
    }

    /// The URI whose host the request goes to.
    pub(crate) fn next_hop<'a>(&'a self, target: &'a [u8]) -> &'a [u8] {
        if self.is_empty() { target } else { uri_in(self.first()) }
    }

    /// Writes the Route header field of a request to `target`, if there is one.
    pub(crate) fn write(&self, target: &[u8], out: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        out.extend_from_slice(b"Route: ");
        if self.strict {
            // The first route has become the Request-URI, the target comes last.
            let rest = self.list.get(usize::from(self.first_bytes) + 2..).unwrap_or_default();
            out.extend_from_slice(rest);
            if !rest.is_empty() {
                out.extend_from_slice(b", ");
            }
            out.push(b'<');
            out.extend_from_slice(target);
            out.push(b'>');
        } else {
            out.extend_from_slice(&self.list);
        }
        out.extend_from_slice(b"\r\n");
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.list.len()
    }
}

/// The URI inside a name-addr.
pub(crate) fn uri_in(value: &[u8]) -> &[u8] {
    // A display name may hold `<` inside quotes.
    let mut quoted = false;
    let mut escaped = false;
    for (index, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => {
                let rest = &value[index + 1..];
                let end = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
                return &rest[..end];
            }
            _ => {}
        }
    }
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    value[..end].trim_ascii()
}

fn has_lr(uri: &[u8]) -> bool {
    uri.split(|byte| *byte == b'?').next().unwrap_or_default().split(|byte| *byte == b';').skip(1).any(|parameter| {
        let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"lr")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(routes: &Routes) -> (String, String) {
        let mut out = Vec::new();
        routes.write(b"sip:bob@pc", &mut out);
        let uri = routes.request_uri(b"sip:bob@pc");
        (String::from_utf8(uri.to_vec()).unwrap(), String::from_utf8(out).unwrap())
    }

    #[test]
    fn loose_strict_and_none() {
        let routes = |list: &[&'static str]| Routes::new(list.iter().map(|value| value.as_bytes()));
        assert_eq!(written(&routes(&[])), ("sip:bob@pc".into(), String::new()));
        assert_eq!(
            written(&routes(&["<sip:a;lr>", "<sip:b>"])),
            ("sip:bob@pc".into(), "Route: <sip:a;lr>, <sip:b>\r\n".into())
        );
        // RFC 3261 §12.2.1.1's example.
        assert_eq!(
            written(&routes(&["<sip:proxy1>", "<sip:proxy2;lr>", "<sip:proxy3;lr>"])),
            ("sip:proxy1".into(), "Route: <sip:proxy2;lr>, <sip:proxy3;lr>, <sip:bob@pc>\r\n".into())
        );
        assert_eq!(written(&routes(&["<sip:lr@proxy;x=lr>"])).1, "Route: <sip:bob@pc>\r\n");
    }

    #[test]
    fn routes_are_one_line_and_those_of_answers_are_addresses() {
        let answer =
            "SIP/2.0 200 OK\r\nRecord-Route: <sip:a;lr>\r\n ;x=1, no address\r\nRecord-Route: <sip:b;lr>\r\n\r\n";
        let routes = Routes::of_answer(&Message::parse(answer.as_bytes()).unwrap());
        assert_eq!(written(&routes), ("sip:bob@pc".into(), "Route: <sip:b;lr>, <sip:a;lr>   ;x=1\r\n".into()));
    }

    #[test]
    fn uri_in_a_name_addr() {
        assert_eq!(uri_in(b"\"a <b> \\\" \" <sip:c;x>;tag=1"), b"sip:c;x");
        assert_eq!(uri_in(b"sip:c;tag=1"), b"sip:c");
        assert_eq!(uri_in(b"<sip:c"), b"sip:c");
        assert_eq!(uri_in(b""), b"");
    }
}
