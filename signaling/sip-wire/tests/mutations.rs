//! 200,000 mutated torture messages through every entry point: no panic, no broken promise, bounded work. Deterministic: the
//! seed of a failing message is in the panic.

use mutate::{Random, corpus, mutant, mutate};

mod exercise;
mod mutate;

const MUTANTS: u64 = 200_000;

#[test]
fn mutants_break_nothing() {
    let corpus = corpus();
    assert_eq!(corpus.len(), 62);
    for seed in 0..MUTANTS {
        let bytes = mutant(&corpus, seed);
        let checked = std::panic::catch_unwind(|| {
            exercise::message(&bytes);
            exercise::written(&bytes);
        });
        assert!(checked.is_ok(), "seed {seed}:\n{}", bytes.escape_ascii());
    }
}

#[test]
fn the_corpus_itself_breaks_nothing() {
    corpus().iter().for_each(|(_, bytes)| exercise::message(bytes));
}

/// Pieces of grammar in any order, as a user might paste them into a field.
#[test]
fn pasted_pieces_break_no_writer() {
    let mut random = Random(7);
    for round in 0..MUTANTS / 10 {
        let mut bytes = b"sip:a@b|X-Name|value|body".to_vec();
        for _ in 0..random.below(4) {
            mutate(&mut bytes, b"sips:[::1]:5061;transport=tls?x=y|", &mut random);
        }
        let checked = std::panic::catch_unwind(|| {
            exercise::written(&bytes);
            exercise::values(&bytes);
        });
        assert!(checked.is_ok(), "round {round}: {}", bytes.escape_ascii());
    }
}

/// 64 KB that aim at a loop: each must end at its named limit, not at the patience of whoever waits.
#[test]
fn hostile_sizes_end_at_their_limits() {
    let start = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
                 Call-ID: 1\r\nCSeq: 1 INVITE\r\n";
    let hostile = [
        "Contact: ".to_string() + &"<sip:a@b>,".repeat(6_000),
        "Contact: ".to_string() + &",".repeat(60_000),
        "Via: ".to_string() + &"SIP/2.0/UDP a,".repeat(4_500),
        "Route: ".to_string() + &"<".repeat(60_000),
        "Route: ".to_string() + &"\"".repeat(60_001),
        "Contact: <sip:a@b>".to_string() + &";a".repeat(30_000),
        "Contact: <sip:a@b".to_string() + &";a".repeat(30_000) + ">",
        "Retry-After: 1 ".to_string() + &"(".repeat(60_000),
        "Authorization: Digest ".to_string() + &"a=b,".repeat(15_000),
        "Supported: ".to_string() + &"x,".repeat(30_000),
        "Subject:".to_string() + &"\r\n ".repeat(20_000) + "x",
        "X: y\r\n".repeat(10_000),
        "i\r\n".repeat(20_000),
        "Subject: \"".to_string() + &"\\".repeat(60_000),
    ];
    for headers in hostile {
        let text = format!("{start}{headers}\r\n\r\n");
        exercise::message(text.as_bytes());
    }
    let many = format!("{start}{}\r\n", "X: y\r\n".repeat(10_000));
    let message = sip_wire::Message::parse(many.as_bytes()).unwrap();
    assert_eq!(message.header_count(), sip_wire::limits::HEADERS_MAX_COUNT);
    let fault = message.validate_request().unwrap_err();
    assert_eq!(fault.kind, sip_wire::ErrorKind::TooManyHeaders);
    assert_eq!(message.answer_to(&fault), Some(sip_wire::StatusCode::BAD_REQUEST));
    let large = vec![b'x'; sip_wire::limits::MESSAGE_MAX_BYTES + 1];
    assert_eq!(sip_wire::Message::parse(&large).unwrap_err().kind, sip_wire::ErrorKind::MessageTooLarge);
    exercise::stream(&large);
}
