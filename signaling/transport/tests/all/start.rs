use crate::certificates::{Authority, Files};
use crate::site::config;
use std::net::TcpListener;
use transport::{
    ClientCertificates, Limits, Listen, Runtime, StartError, Streams, StreamsConfig, TlsConfig, Transport, Trust,
};

fn refused(config: StreamsConfig) -> String {
    match Streams::start(config, |_: transport::Inbound<'_>| true) {
        Ok(_) => panic!("started"),
        Err(error) => error.to_string(),
    }
}

fn listen(transport: Transport, address: &str) -> StreamsConfig {
    StreamsConfig { listen: vec![Listen { transport, address: address.parse().unwrap() }], ..StreamsConfig::default() }
}

#[test]
fn addresses_that_cannot_be_had_say_why() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let words = refused(listen(Transport::Tcp, &address.to_string()));
    assert!(
        words.contains(&address.to_string()) && words.contains(&format!("ss -ltnp 'sport = :{}'", address.port())),
        "{words}"
    );
    let words = refused(listen(Transport::Ws, "192.0.2.1:0"));
    assert!(words.contains("no interface has this address"), "{words}");
    assert!(refused(listen(Transport::Udp, "127.0.0.1:0")).contains("UDP"));
    assert!(refused(listen(Transport::Tls, "127.0.0.1:0")).contains("needs a certificate"));
}

#[test]
fn limits_that_make_no_sense_are_named() {
    let with = |limits| refused(StreamsConfig { limits, ..StreamsConfig::default() });
    let zero = Limits { handshake: std::time::Duration::ZERO, ..Limits::default() };
    assert!(with(zero).contains("`handshake`"));
    assert!(with(Limits { idle: std::time::Duration::MAX, ..Limits::default() }).contains("`idle`"));
    assert!(with(Limits { queue_max_bytes: 100, ..Limits::default() }).contains("`queue_max_bytes`"));
    assert!(with(Limits { connections_max_count: 0, ..Limits::default() }).contains("`connections_max_count`"));
}

#[tokio::test]
async fn both_families_may_have_the_same_port() {
    let first = Streams::start(config(&[Transport::Tcp], "::"), |_: transport::Inbound<'_>| true).unwrap();
    let port = first.local_addrs()[0].1.port();
    let second = listen(Transport::Tcp, &format!("0.0.0.0:{port}"));
    // Somebody else may have that port of IPv4; then it is that error and no other.
    match Streams::start(
        StreamsConfig { runtime: Runtime::Given(tokio::runtime::Handle::current()), ..second },
        |_: transport::Inbound<'_>| true,
    ) {
        Ok(_) => {}
        Err(StartError::Bind { source, .. }) => {
            let taken = TcpListener::bind(("0.0.0.0", port)).expect_err("ours was refused, this one must be too");
            assert_eq!(source.kind(), taken.kind());
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn certificates_that_cannot_be_used_say_what_to_do() {
    let authority = Authority::new();
    let good = authority.issue(&["a.example.com"]);
    let other = authority.issue(&["b.example.com"]);
    let expired = authority.issue_for(&["a.example.com"], (2001, 2002));
    let future = authority.issue_for(&["a.example.com"], (2090, 2091));
    let tls = |files: Files| TlsConfig {
        certificates: vec![files.into()],
        client_certificates: ClientCertificates::NotAsked,
        trust: Trust::Authorities(authority.path()),
    };
    let words = |tls: TlsConfig| refused(StreamsConfig { tls: Some(tls), ..listen(Transport::Tls, "127.0.0.1:0") });
    let mixed = Files { key: other.key.clone(), ..good.clone() };
    assert!(words(tls(mixed)).contains("does not belong to"));
    assert!(words(tls(expired)).contains("renew it"));
    assert!(words(tls(future)).contains("timedatectl"));
    let missing = Files { key: "/no/such/key.pem".into(), ..good.clone() };
    assert!(words(tls(missing)).contains("cannot read /no/such/key.pem"));
    let swapped = Files { chain: good.key.clone(), key: good.chain.clone() };
    assert!(words(tls(swapped)).contains("holds no certificate"));
    let no_key = Files { key: good.chain.clone(), ..good.clone() };
    assert!(words(tls(no_key)).contains("holds no private key"));
    let broken = authority.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(words(tls(Files { chain: broken.clone(), ..good.clone() })).contains("is not usable"));
    let asks =
        TlsConfig { client_certificates: ClientCertificates::Required { authorities: broken }, ..tls(good.clone()) };
    assert!(words(asks).contains("is not usable"));
    let trusts = TlsConfig { trust: Trust::Authorities("/no/such/ca.pem".into()), ..tls(good) };
    assert!(words(trusts).contains("/no/such/ca.pem"));
}
