use super::*;
use sip_wire::ErrorKind;

#[derive(PartialEq, Eq, Debug, Clone)]
enum Got {
    Message(Vec<u8>),
    Ping,
    Pong,
    Invalid(ErrorKind),
}

fn message(body: &str) -> Vec<u8> {
    format!(
        "MESSAGE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/TCP a.example.com;branch=z9hG4bK{0}\r\nl: {0}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Feeds `stream` in segments of `segment` bytes.
fn run(stream: &[u8], segment: usize) -> (Vec<Got>, Result<(), Fault>, Reassembly) {
    let (mut got, mut reassembly, mut result) = (Vec::new(), Reassembly::default(), Ok(()));
    for chunk in stream.chunks(segment) {
        result = reassembly.push(chunk, &mut |piece| {
            got.push(match piece {
                Piece::Message(bytes) => Got::Message(bytes.to_vec()),
                Piece::Ping => Got::Ping,
                Piece::Pong => Got::Pong,
                Piece::Alive => unreachable!("a byte stream has pings only"),
                Piece::Invalid { error, .. } => Got::Invalid(error.kind),
            });
        });
        if result.is_err() {
            break;
        }
    }
    (got, result, reassembly)
}

#[test]
fn segments_of_any_size_give_the_same_messages() {
    let messages = [message(""), message("hello"), message(&"x\r\n\r\n".repeat(300)), message("last")];
    let stream = messages.concat();
    for segment in (1..70).chain([500, 1_000, stream.len() - 1, stream.len()]) {
        let (got, result, reassembly) = run(&stream, segment);
        assert_eq!(result, Ok(()));
        assert_eq!(got, messages.clone().map(Got::Message), "segments of {segment}");
        assert_eq!(reassembly.unfinished_bytes(), 0);
    }
}

#[test]
fn keep_alives_stand_between_messages() {
    let stream =
        [b"\r\n\r\n".to_vec(), message("a"), b"\r\n".to_vec(), message("b"), b"\r\n\r\n\r\n\r\n".to_vec()].concat();
    let (got, result, _) = run(&stream, stream.len());
    let (a, b) = (Got::Message(message("a")), Got::Message(message("b")));
    assert_eq!(got, [Got::Ping, a.clone(), Got::Pong, b.clone(), Got::Ping, Got::Ping]);
    assert_eq!(result, Ok(()));
    let (got, _, _) = run(&stream, 1);
    assert_eq!(got, [Got::Pong, Got::Ping, a, Got::Pong, b, Got::Pong, Got::Ping, Got::Pong, Got::Ping]);
}

#[test]
fn what_is_not_sip_is_known_at_once() {
    for garbage in
        [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x02\x00", b"\0\0\0\0", b"hello\n", b" INVITE sip:a@b SIP/2.0"]
    {
        assert_eq!(run(garbage, garbage.len()).1, Err(Fault::Garbage), "{}", garbage.escape_ascii());
        assert_eq!(run(garbage, 1).1, Err(Fault::Garbage), "{}", garbage.escape_ascii());
    }
    let endless = vec![b'A'; START_LINE_MAX_BYTES + 2];
    assert_eq!(run(&endless, 100).1, Err(Fault::Garbage));
    let after = [message("a"), b"BYE\r\n\r\n".to_vec()].concat();
    let (got, result, _) = run(&after, after.len());
    assert_eq!((got, result), (vec![Got::Message(message("a"))], Err(Fault::Garbage)));
}

#[test]
fn a_message_without_an_end_is_reported_with_its_reason() {
    let cases = [
        ("OPTIONS sip:b SIP/2.0\r\nTo: x\r\n\r\n".to_owned(), ErrorKind::LengthRequired),
        ("OPTIONS sip:b SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n".to_owned(), ErrorKind::Duplicate),
        ("OPTIONS sip:b SIP/2.0\r\nl: -1\r\n\r\n".to_owned(), ErrorKind::Malformed),
        ("OPTIONS sip:b SIP/2.0\r\nl: 65536\r\n\r\n".to_owned(), ErrorKind::MessageTooLarge),
        ("OPTIONS sip:b SIP/2.0\r\nl: 4294967297\r\n\r\n".to_owned(), ErrorKind::Malformed),
        (format!("OPTIONS sip:b SIP/2.0\r\nX: {}", "x".repeat(70_000)), ErrorKind::MessageTooLarge),
    ];
    for (stream, kind) in cases {
        for segment in [1_000, stream.len()] {
            let (got, result, _) = run(stream.as_bytes(), segment);
            assert_eq!((got, result), (vec![Got::Invalid(kind)], Err(Fault::Invalid)));
        }
    }
}

#[test]
fn bytes_one_by_one_cost_time_in_proportion() {
    // Quadratic searching over 60,000 bytes would be 1,800,000,000 comparisons: minutes in a debug build.
    let long = format!("MESSAGE sip:b SIP/2.0\r\nX: {}\r\nl: 4\r\n\r\nbody", "y".repeat(60_000));
    let (got, result, reassembly) = run(long.as_bytes(), 1);
    assert_eq!((got.len(), result, reassembly.unfinished_bytes()), (1, Ok(()), 0));
    assert!(reassembly.pending.capacity() <= KEPT_BYTES);
}
