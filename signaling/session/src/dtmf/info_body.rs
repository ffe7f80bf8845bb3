//! Digits as phones write them into the bodies of INFO: `application/dtmf-relay` and `application/dtmf`.

use sip_wire::Message;

/// A digit in an INFO, and how long its key was pressed, where that is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Signal {
    pub(super) digit: u8,
    pub(super) duration_ms: Option<u32>,
}

/// The digit in an INFO; none in an empty one.
pub(super) fn read_digit(message: &Message<'_>) -> Result<Option<Signal>, u16> {
    let body = message.body();
    if body.is_empty() {
        return Ok(None);
    }
    let kind = message.content_type().ok().flatten().ok_or(415_u16)?;
    if !kind.is("application", "dtmf-relay") && !kind.is("application", "dtmf") {
        return Err(415);
    }
    let text = std::str::from_utf8(body).map_err(|_| 400_u16)?;
    let value_of = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(['=', ':'])?;
            name.trim().eq_ignore_ascii_case(wanted).then_some(value)
        })
    };
    let named = value_of("signal");
    let duration_ms = value_of("duration").and_then(|ms| ms.trim().parse().ok());
    // Some send the digit alone, by either type.
    let sign = named.unwrap_or(text).trim();
    signal(sign).map(|digit| Some(Signal { digit, duration_ms }))
}

/// The digit that a signal stands for: its sign, or the number of its event (RFC 4733 §3.2). A hook flash is no digit, but
/// may mean something to the other side.
fn signal(sign: &str) -> Result<u8, u16> {
    let mut signs = sign.chars();
    match (signs.next().and_then(digit_of), signs.next(), sign.parse::<u8>()) {
        (Some(digit), None, _) => Ok(digit),
        (_, _, Ok(number @ 10..=15)) => Ok(number),
        (_, _, Ok(16)) => Err(415),
        _ if sign.eq_ignore_ascii_case("flash") || sign == "!" => Err(415),
        _ => Err(400),
    }
}

pub(super) fn digit_of(sign: char) -> Option<u8> {
    "0123456789*#ABCD".find(sign.to_ascii_uppercase()).map(|index| index as u8)
}

pub(super) fn char_of(digit: u8) -> char {
    char::from(*b"0123456789*#ABCD".get(usize::from(digit)).unwrap_or(&b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_in_info_as_phones_write_them() {
        let read = |kind: &str, body: &str| {
            let text = format!(
                "INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
                 Call-ID: c\r\nCSeq: 2 INFO\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            read_digit(&Message::parse(text.as_bytes()).unwrap())
                .map(|signal| signal.map(|signal| char_of(signal.digit)))
        };
        let relay = "application/dtmf-relay";
        for (kind, body, digit) in [
            (relay, "Signal=5\r\nDuration=160\r\n", '5'),
            (relay, "Signal= 5\r\nDuration= 160", '5'),
            (relay, "signal=5", '5'),
            (relay, "SIGNAL = *\n", '*'),
            (relay, "Signal=10\r\nDuration=250\r\n", '*'),
            (relay, "Signal=11\r\n", '#'),
            (relay, "Signal=12", 'A'),
            (relay, "Signal=d", 'D'),
            (relay, "Duration=100\r\nSignal: #\r\n", '#'),
            (relay, "7", '7'),
            ("Application/DTMF-Relay;charset=utf-8", "Signal=0", '0'),
            ("application/dtmf", "9", '9'),
            ("application/dtmf", "11\r\n", '#'),
            ("application/dtmf", " b ", 'B'),
            ("application/dtmf", "Signal=3\r\nDuration=100", '3'),
        ] {
            assert_eq!(read(kind, body), Ok(Some(digit)), "{kind} {body:?}");
        }
        for body in ["Signal=", "Signal=17", "Signal=55", "Signal=x", "Duration=100", "-1"] {
            assert_eq!(read(relay, body), Err(400), "{body:?}");
        }
        assert_eq!(
            (read(relay, ""), read(relay, "Signal=16"), read("text/plain", "5")),
            (Ok(None), Err(415), Err(415))
        );
    }
}
