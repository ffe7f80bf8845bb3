use crate::certificates::Authority;
use crate::site::{Event, Site, message};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use transport::{
    ClientCertificates, CloseReason, Flow, Side, StreamCounter, StreamsConfig, Target, TlsConfig, TlsError, Transport,
    Trust,
};

/// A site that only connects.
fn client(tls: TlsConfig) -> Site {
    Site::secure(&[], tls)
}

fn trusting(authority: &Authority) -> TlsConfig {
    authority.tls(&[])
}

/// Tries a target and expects to be told of a bad certificate.
async fn expect_refusal(site: &mut Site, target: &Target, words: &str) {
    let flow = site.streams.send_to(target, &message(1)).unwrap();
    let Event::SendFailed(failed, bytes, CloseReason::CertificateRefused(why)) = site.next().await else {
        panic!("not refused")
    };
    assert_eq!((failed, bytes), (flow, message(1)));
    assert!(why.contains(words), "{why}");
    assert!(matches!(site.next().await, Event::Closed(closed, _) if closed == flow));
    assert_eq!(site.count(StreamCounter::CertificateRefused), 1);
}

#[tokio::test]
async fn messages_go_both_ways_and_the_server_is_verified() {
    let authority = Authority::new();
    let mut server = Site::secure(&[Transport::Tls], authority.tls(&["sip.example.com"]));
    let mut client = client(trusting(&authority));
    let sent = client.streams.send_to(&server.target(Some("sip.example.com")), &message(280)).unwrap();
    assert_eq!(client.opened().await, (sent, Side::Connected, true));
    let (accepted, bytes) = server.message().await;
    assert_eq!(bytes, message(280));
    for number in 0..100 {
        server.streams.send(&accepted, &message(number)).unwrap();
    }
    for number in 0..100 {
        assert_eq!(client.message().await, (sent, message(number)));
    }
    assert!(server.streams.certificates_expire().unwrap() > SystemTime::now());
    server.streams.close(&accepted);
    assert_eq!(client.closed().await, (sent, CloseReason::PeerClosed));
    assert_eq!(server.closed().await, (accepted, CloseReason::Asked));
    // The name outlives the connection.
    client.streams.send(&sent, &message(2)).unwrap();
    assert_eq!(server.message().await.1, message(2));
}

#[tokio::test]
async fn an_address_can_be_verified_too() {
    let authority = Authority::new();
    let mut server = Site::secure(&[Transport::Tls], authority.tls(&["127.0.0.1"]));
    let client = client(trusting(&authority));
    client.streams.send_to(&server.target(None), &message(1)).unwrap();
    assert_eq!(server.message().await.1, message(1));
}

#[tokio::test]
async fn a_way_opens_when_it_is_first_taken() {
    let authority = Authority::new();
    let mut server = Site::secure(&[Transport::Tls], authority.tls(&["sip.example.com"]));
    let mut client = client(trusting(&authority));
    let way = client.streams.way_to(&server.target(Some("sip.example.com"))).unwrap();
    assert!(client.is_quiet() && client.count(StreamCounter::ConnectionsOpen) == 0);
    let carried = client.streams.send(&way, &message(1)).unwrap();
    assert_eq!(client.opened().await, (carried, Side::Connected, true));
    assert_eq!(server.message().await.1, message(1));
    // The name goes with it.
    let wrong = client.streams.way_to(&server.target(Some("other.example.com"))).unwrap();
    client.streams.send(&wrong, &message(2)).unwrap();
    assert!(matches!(client.next().await, Event::SendFailed(_, _, CloseReason::CertificateRefused(_))));
    assert_eq!(client.streams.way_to(&server.target(Some("no name"))), Err(transport::SendError::BadName));
}

#[tokio::test]
async fn every_name_gets_its_certificate() {
    let authority = Authority::new();
    let names = ["first.example.com", "*.example.net", "third.example.com"];
    let mut server = Site::secure(&[Transport::Tls], authority.tls(&names));
    let mut clients = Vec::new();
    for name in ["third.example.com", "x.example.net", "first.example.com"] {
        let client = client(trusting(&authority));
        client.streams.send_to(&server.target(Some(name)), &message(1)).unwrap();
        assert_eq!(server.message().await.1, message(1));
        clients.push(client);
    }
    expect_refusal(&mut client(trusting(&authority)), &server.target(Some("fourth.example.com")), "not valid for")
        .await;
}

#[tokio::test]
async fn a_server_that_is_not_who_it_says_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = Site::secure(&[Transport::Tls], authority.tls(&["sip.example.com"]));
    expect_refusal(&mut client(trusting(&authority)), &server.target(Some("other.example.com")), "not valid for").await;
    expect_refusal(&mut client(trusting(&authority)), &server.target(None), "not valid for").await;
    expect_refusal(&mut client(trusting(&stranger)), &server.target(Some("sip.example.com")), "UnknownIssuer").await;
    // The server hears of it as well.
    assert!(server.count(StreamCounter::CertificateRefused) > 0);
}

#[tokio::test]
async fn an_expired_server_is_refused() {
    // Our own side does not start with an expired certificate, so this server is made by hand.
    use tokio_rustls::rustls::{self, pki_types::pem::PemObject};
    let authority = Authority::new();
    let files = authority.issue_for(&["sip.example.com"], (2001, 2002));
    let chain = vec![rustls::pki_types::CertificateDer::from_pem_file(&files.chain).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let provider = rustls::crypto::ring::default_provider().into();
    let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { acceptor.accept(listener.accept().await.unwrap().0).await.is_err() });
    let target = Target { transport: Transport::Tls, address, tls_name: Some("sip.example.com".into()) };
    expect_refusal(&mut client(trusting(&authority)), &target, "expired").await;
    assert!(serving.await.unwrap());
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_where_one_is_required() {
    let authority = Authority::new();
    let required = ClientCertificates::Required { authorities: authority.path() };
    let tls = TlsConfig { client_certificates: required, ..authority.tls(&["sip.example.com"]) };
    let mut server = Site::secure(&[Transport::Tls], tls);
    let target = server.target(Some("sip.example.com"));
    let mut stranger = client(trusting(&authority));
    stranger.streams.send_to(&target, &message(1)).unwrap();
    let reason = stranger.closed().await.1;
    assert!(matches!(&reason, CloseReason::CertificateRefused(why) if why.contains("by the peer")), "{reason:?}");
    let other = Authority::new();
    let wrong = TlsConfig { trust: Trust::Authorities(authority.path()), ..other.tls(&["client.example.com"]) };
    let mut wrong = client(wrong);
    wrong.streams.send_to(&target, &message(1)).unwrap();
    assert!(matches!(wrong.closed().await.1, CloseReason::CertificateRefused(_)));
    assert_eq!(server.count(StreamCounter::CertificateRefused), 2);
    assert!(server.is_quiet(), "nothing of theirs came through");
    let good = client(authority.tls(&["client.example.com"]));
    good.streams.send_to(&target, &message(2)).unwrap();
    assert!(matches!(server.opened().await, (_, Side::Accepted, true)));
    assert_eq!(server.message().await.1, message(2));
}

#[tokio::test]
async fn an_optional_certificate_may_be_absent_but_not_bad() {
    let authority = Authority::new();
    let optional = ClientCertificates::Optional { authorities: authority.path() };
    let tls = TlsConfig { client_certificates: optional, ..authority.tls(&["sip.example.com"]) };
    let mut server = Site::secure(&[Transport::Tls], tls);
    let target = server.target(Some("sip.example.com"));
    let without = client(trusting(&authority));
    without.streams.send_to(&target, &message(1)).unwrap();
    assert!(matches!(server.opened().await, (_, Side::Accepted, false)));
    assert_eq!(server.message().await.1, message(1));
    let other = Authority::new();
    let bad = TlsConfig { trust: Trust::Authorities(authority.path()), ..other.tls(&["x.example.com"]) };
    let mut bad = client(bad);
    bad.streams.send_to(&target, &message(2)).unwrap();
    assert!(matches!(bad.closed().await.1, CloseReason::CertificateRefused(_)));
    assert!(server.is_quiet());
}

#[tokio::test]
async fn an_alias_needs_a_certificate_for_its_name() {
    let authority = Authority::new();
    let required = ClientCertificates::Optional { authorities: authority.path() };
    let tls = TlsConfig { client_certificates: required, ..authority.tls(&["server.example.com"]) };
    let mut server = Site::secure(&[Transport::Tls], tls);
    let proxy = Site::secure(&[Transport::Tls], authority.tls(&["proxy.example.com"]));
    proxy.streams.send_to(&server.target(Some("server.example.com")), &message(1)).unwrap();
    let (flow, _) = server.message().await;
    let at = proxy.address();
    let towards = |name: &str| Target { transport: Transport::Tls, address: at, tls_name: Some(name.into()) };
    assert!(
        !server.streams.alias(&flow, SocketAddr::new("192.0.2.1".parse().unwrap(), 5061)),
        "somebody else's address"
    );
    assert_ne!(server.streams.flow_to(&towards("other.example.com")).unwrap(), flow);
    assert!(server.streams.alias(&flow, at));
    assert_eq!(server.streams.flow_to(&towards("proxy.example.com")), Ok(flow));
    assert_ne!(server.streams.flow_to(&towards("third.example.com")).unwrap(), flow);
    // Without a certificate there is nothing to base an alias on.
    let anonymous = client(trusting(&authority));
    anonymous.streams.send_to(&server.target(Some("server.example.com")), &message(2)).unwrap();
    let anonymous_flow = loop {
        if let Event::Message(flow, bytes) = server.next().await {
            assert_eq!(bytes, message(2));
            break flow;
        }
    };
    assert!(!server.streams.alias(&anonymous_flow, at));
}

#[tokio::test]
async fn new_certificates_serve_new_connections_and_leave_the_old_ones() {
    let authority = Authority::new();
    let files = authority.issue(&["old.example.com"]);
    let tls = TlsConfig { certificates: vec![files.clone().into()], ..trusting(&authority) };
    let mut server = Site::secure(&[Transport::Tls], tls);
    let old = client(trusting(&authority));
    old.streams.send_to(&server.target(Some("old.example.com")), &message(1)).unwrap();
    let (flow, _) = server.message().await;
    authority.issue_into(&files, &["new.example.com"], (2001, 2080));
    server.streams.reload_tls().unwrap();
    let new = client(trusting(&authority));
    new.streams.send_to(&server.target(Some("new.example.com")), &message(2)).unwrap();
    assert_eq!(server.message().await.1, message(2));
    expect_refusal(&mut client(trusting(&authority)), &server.target(Some("old.example.com")), "not valid for").await;
    old.streams.send_to(&server.target(Some("old.example.com")), &message(3)).unwrap();
    assert_eq!(server.message().await, (flow, message(3)), "the old connection goes on");
    // What cannot be used changes nothing.
    std::fs::write(&files.key, "no key").unwrap();
    assert!(matches!(server.streams.reload_tls(), Err(TlsError::NoKey { .. })));
    let still = client(trusting(&authority));
    still.streams.send_to(&server.target(Some("new.example.com")), &message(4)).unwrap();
    assert_eq!(server.message().await.1, message(4));
    assert_eq!((server.count(StreamCounter::TlsReloads), server.count(StreamCounter::TlsReloadsFailed)), (1, 1));
}

#[tokio::test]
async fn without_tls_nothing_is_sent_in_the_clear() {
    let site = Site::new(StreamsConfig::default());
    let target = |name: &str| Target {
        transport: Transport::Tls,
        address: "127.0.0.1:5061".parse().unwrap(),
        tls_name: Some(name.into()),
    };
    assert_eq!(site.streams.send_to(&target("a.example.com"), &message(1)), Err(transport::SendError::NoTls));
    assert!(matches!(site.streams.reload_tls(), Err(TlsError::NotConfigured)));
    let with = client(trusting(&Authority::new()));
    assert_eq!(with.streams.send_to(&target("no name"), &message(1)), Err(transport::SendError::BadName));
    let udp = Flow::udp("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
    assert_eq!(with.streams.send(&udp, &message(1)), Err(transport::SendError::NotAStream));
    site.streams.counters();
    tokio::time::timeout(Duration::from_secs(1), async {}).await.unwrap();
}
