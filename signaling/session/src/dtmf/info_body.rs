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

    /// Bodies of phones with some bytes changed, repeated or cut off: a digit or a refusal that SIP has a number for.
    #[test]
    fn changed_bodies_do_no_harm() {
        let bodies = ["Signal=5\r\nDuration=160\r\n", "Signal: #", "11\r\n", "Duration=100\r\nSignal=d", " b "];
        let full = std::env::var_os("RINGPLANE_TEST_ALL").is_some_and(|value| value == "1");
        let mut random = 1_u32;
        let mut below = |limit: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % limit.max(1)
        };
        let (mut digits, mut refused) = (0, 0);
        for round in 0..if full { 2_000_000 } else { 20_000 } {
            let mut body = bodies[round % bodies.len()].as_bytes().to_vec();
            for _ in 0..below(4) {
                let at = below(body.len());
                match below(4) {
                    0 => body[at] = below(256) as u8,
                    1 => body.insert(at, b"=:\r\n \0\xff9"[below(8)]),
                    2 => body.truncate(at.max(1)),
                    _ => body.extend_from_within(at..),
                }
            }
            let mut message =
                b"INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 2 INFO\r\nContent-Type: application/dtmf-relay\r\n"
                    .to_vec();
            message.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
            message.extend(&body);
            match read_digit(&Message::parse(&message).expect("the head is sound")) {
                Ok(Some(signal)) => {
                    assert!(signal.digit < 16, "{signal:?} of {body:?}");
                    digits += 1;
                }
                Ok(None) => panic!("{body:?} is not empty"),
                Err(status) => {
                    assert!(matches!(status, 400 | 415), "{status} of {body:?}");
                    refused += 1;
                }
            }
        }
        assert!(digits > 1_000 && refused > 1_000, "{digits} digits, {refused} refused");
    }
}
