//! Calls over TLS, TCP and the rest, with certificates made by OpenSSL.

use crate::certificates::Authority;
use crate::fixture::{builder, started, until};
use ringplane::api::*;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn address(coordinator: &SessionCoordinator, transport: Transport) -> SocketAddr {
    let all = coordinator.listening();
    all.iter().find(|(other, _)| *other == transport).unwrap_or_else(|| panic!("no {transport} in {all:?}")).1
}

/// Calls, is answered, holds, and ends.
async fn talk(caller: &Arc<SessionCoordinator>, to: &str, called: &SessionCoordinator) {
    let call = SessionControl::create_outgoing_call(caller, "sip:alice@example.com", to, None).await.unwrap();
    let answered = SessionControl::wait_for_answer(caller, call.id(), PATIENCE).await;
    assert!(answered.is_ok(), "{to}: {answered:?}");
    SessionControl::hold_session(caller, call.id()).await.unwrap();
    SessionControl::terminate_session(caller, call.id()).await.unwrap();
    let nobody = || caller.stats().active_sessions + called.stats().active_sessions == 0;
    assert!(until(PATIENCE, nobody).await, "{to}");
}

async fn refused(caller: &Arc<SessionCoordinator>, to: &str) {
    let call = SessionControl::create_outgoing_call(caller, "", to, None).await.unwrap();
    let error = SessionControl::wait_for_answer(caller, call.id(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, SessionError::Rejected { status: 503, .. } | SessionError::Transport { .. }), "{error}");
}

fn server(authority: &Authority, name: &str) -> TlsConfig {
    let (chain, key) = authority.issue(name);
    TlsConfig { authorities: Some(authority.path()), ..TlsConfig::server(chain, key) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_over_every_transport_in_both_spellings() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let called = builder().with_handler(Arc::new(AutoAnswerHandler)).with_tls(server(&authority, "called"));
    let called = started(called.with_websocket(any).with_secure_websocket(any)).await;
    assert_eq!(address(&called, Transport::Udp), called.local_addr().unwrap());
    assert_eq!(address(&called, Transport::Tcp), called.local_addr().unwrap(), "one address for both");
    let caller = started(builder().with_tls(TlsConfig::client(authority.path()))).await;
    let tls = address(&called, Transport::Tls);
    talk(&caller, &format!("sips:bob@{tls}"), &called).await;
    talk(&caller, &format!("sip:bob@{tls};transport=tls"), &called).await;
    talk(&caller, &format!("sip:bob@{};transport=tcp", called.local_addr().unwrap()), &called).await;
    talk(&caller, &format!("sip:bob@{};transport=ws", address(&called, Transport::Ws)), &called).await;
    talk(&caller, &format!("sip:bob@{};transport=wss", address(&called, Transport::Wss)), &called).await;
    // A certificate is for its names: the caller trusts no other host that answers.
    let stranger = started(builder()).await;
    refused(&stranger, &format!("sips:bob@{tls}")).await;
    let without = started(builder().with_tcp(false)).await;
    assert_eq!(without.listening().len(), 1, "UDP alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_certificate_stays_out_where_one_is_required() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let required = ClientCertificates::Required(authority.path());
    let tls = TlsConfig { client_certificates: required, ..server(&authority, "called") };
    let called = started(builder().with_handler(Arc::new(AutoAnswerHandler)).with_tls(tls)).await;
    let to = format!("sips:bob@{}", address(&called, Transport::Tls));
    let known = started(builder().with_tls(server(&authority, "caller"))).await;
    talk(&known, &to, &called).await;
    let nobody = started(builder().with_tls(TlsConfig::client(authority.path()))).await;
    refused(&nobody, &to).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let (chain, key) = Authority::new(elsewhere.path()).issue("forged");
    let forged = TlsConfig { authorities: Some(authority.path()), ..TlsConfig::server(chain, key) };
    refused(&started(builder().with_tls(forged)).await, &to).await;
    assert_eq!(called.stats().completed_sessions, 1);
}

/// A peer that is not ours: it shakes hands, verifies our certificate and gets an answer.
#[tokio::test(flavor = "multi_thread")]
async fn openssl_trusts_us_and_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let server = started(builder().with_tls(server(&authority, "switch"))).await;
    let (tls, trusted) = (address(&server, Transport::Tls), authority.path());
    let answer = tokio::task::spawn_blocking(move || ask(tls, &trusted)).await.unwrap();
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
}

fn ask(tls: SocketAddr, authority: &Path) -> String {
    let mut openssl = Command::new("timeout")
        .args(["60", "openssl", "s_client", "-quiet", "-verify_return_error", "-verify_ip", "127.0.0.1"])
        .args(["-connect", &tls.to_string(), "-CAfile"])
        .arg(authority)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    let request = "OPTIONS sips:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKo\r\n\
                   From: <sips:a@b>;tag=1\r\nTo: <sips:a@b>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\
                   Content-Length: 0\r\n\r\n";
    let mut input = openssl.stdin.take().unwrap();
    input.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 1_024]);
    let mut output = openssl.stdout.take().unwrap();
    while !answer.ends_with(b"\r\n\r\n") {
        match output.read(&mut piece) {
            Ok(count @ 1..) => answer.extend_from_slice(&piece[..count]),
            _ => break,
        }
    }
    drop(input);
    openssl.kill().unwrap();
    openssl.wait().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_certificates_is_said_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let ((chain, key), (_, other)) = (authority.issue("one"), authority.issue("two"));
    let missing = folder.path().join("missing.pem");
    let mistakes = [
        (TlsConfig::server(&missing, &key), "cannot read"),
        (TlsConfig::server(&chain, &missing), "missing.pem"),
        (TlsConfig::server(&chain, &other), "does not belong to"),
        (TlsConfig::server(&key, &key), "holds no certificate"),
        (TlsConfig::client(&missing), "cannot read"),
        (
            TlsConfig {
                client_certificates: ClientCertificates::Required(missing.clone()),
                ..TlsConfig::server(&chain, &key)
            },
            "cannot read",
        ),
    ];
    for (tls, words) in mistakes {
        let error = builder().with_tls(tls.clone()).build().await.err().unwrap_or_else(|| panic!("{tls:?} is fine"));
        assert!(matches!(error, SessionError::Config { .. }) && error.to_string().contains(words), "{tls:?}: {error}");
    }
    let wss = builder().with_secure_websocket("127.0.0.1:0".parse().unwrap()).build().await.err().unwrap();
    assert!(wss.to_string().contains("certificate"), "{wss}");
}
