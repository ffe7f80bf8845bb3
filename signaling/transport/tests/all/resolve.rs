use crate::name_server::{NameServer, Zone};
use sip_wire::Uri;
use std::time::Duration;
use transport::resolve::{Families, NameServers, Query, ResolveError, Resolver, ResolverConfig, TARGETS_MAX_COUNT};
use transport::{Target, Transport};

const ALL: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

fn config(server: &NameServer) -> ResolverConfig {
    ResolverConfig {
        servers: NameServers::Addresses(vec![server.address]),
        transports: ALL.to_vec(),
        ..ResolverConfig::default()
    }
}

async fn resolver(zone: Zone) -> (Resolver, NameServer) {
    let server = NameServer::start(zone).await;
    (Resolver::new(config(&server)).unwrap(), server)
}

fn query(uri: &str) -> Query {
    Query::from_uri(&Uri::parse(uri.as_bytes()).unwrap()).unwrap()
}

/// What a URI leads to, in short: `udp 192.0.2.1:5060`, and the name for TLS.
async fn ways(resolver: &Resolver, uri: &str, random: u64) -> Result<Vec<String>, ResolveError> {
    let show = |target: &Target| {
        let name = target.tls_name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{} {}{name}", target.transport.via_name().to_lowercase(), target.address)
    };
    Ok(resolver.resolve(&query(uri), random).await?.iter().map(show).collect())
}

#[tokio::test]
async fn what_is_written_is_not_asked_for() {
    let (resolver, server) = resolver(Zone::new()).await;
    for (uri, way) in [
        ("sip:192.0.2.1", "udp 192.0.2.1:5060"),
        ("sip:192.0.2.1:5070;transport=tcp", "tcp 192.0.2.1:5070"),
        ("sips:[2001:db8::1]", "tls [2001:db8::1]:5061"),
        ("sip:192.0.2.1;transport=ws", "ws 192.0.2.1:80"),
        ("sips:192.0.2.1;transport=ws", "wss 192.0.2.1:443"),
    ] {
        assert_eq!(ways(&resolver, uri, 0).await, Ok(vec![way.to_owned()]));
    }
    assert_eq!(server.asked(), (0, 0));
}

#[tokio::test]
async fn a_port_means_addresses_only() {
    let zone = Zone::new()
        .address("a.example", "192.0.2.1")
        .address("a.example", "2001:db8::1")
        .srv("_sip._udp.a.example", 1, 1, 9, "wrong.example")
        .cname("alias.example", "a.example");
    let (resolver, server) = resolver(zone).await;
    let both = |port, transport: &str, name: &str| {
        Ok(vec![format!("{transport} 192.0.2.1:{port}{name}"), format!("{transport} [2001:db8::1]:{port}{name}")])
    };
    assert_eq!(ways(&resolver, "sip:a.example:5070", 0).await, both(5070, "udp", ""));
    assert_eq!(ways(&resolver, "sips:a.example:5071", 0).await, both(5071, "tls", " a.example"));
    assert_eq!(ways(&resolver, "sip:alias.example:1;transport=tls", 0).await, both(1, "tls", " alias.example"));
    let v6 = Resolver::new(ResolverConfig { families: Families::Ipv6First, ..config(&server) }).unwrap();
    assert_eq!(ways(&v6, "sip:a.example:5070", 0).await.unwrap()[0], "udp [2001:db8::1]:5070");
    let v4 = Resolver::new(ResolverConfig { families: Families::Ipv4, ..config(&server) }).unwrap();
    assert_eq!(ways(&v4, "sip:a.example:5070", 0).await.unwrap(), ["udp 192.0.2.1:5070"]);
}

#[tokio::test]
async fn naptr_then_srv_then_addresses_gives_the_whole_list() {
    let zone = Zone::new()
        .naptr("example", 20, 10, "SIP+D2U", "_sip._udp.example")
        .naptr("example", 10, 10, "SIPS+D2T", "_sips._tcp.example")
        .naptr("example", 20, 5, "SIP+D2T", "_sip._tcp.elsewhere.example")
        .srv("_sip._udp.example", 1, 0, 5060, "one.example")
        .srv("_sip._udp.example", 0, 0, 5062, "two.example")
        .srv("_sips._tcp.example", 0, 0, 5061, "one.example")
        .srv("_sip._tcp.elsewhere.example", 0, 0, 5064, "two.example")
        .address("one.example", "192.0.2.1")
        .address("two.example", "192.0.2.2");
    let (resolver, server) = resolver(zone).await;
    let (tls, tcp) = ("tls 192.0.2.1:5061 example", "tcp 192.0.2.2:5064");
    let all = [tls, tcp, "udp 192.0.2.2:5062", "udp 192.0.2.1:5060"];
    assert_eq!(ways(&resolver, "sip:b@example", 0).await.unwrap(), all);
    assert_eq!(ways(&resolver, "sips:b@example", 0).await.unwrap(), [tls]);
    // A transport that is written goes straight to its SRV records.
    assert_eq!(ways(&resolver, "sip:b@example;transport=udp", 0).await.unwrap(), all[2..]);
    let ours = ResolverConfig { transports: vec![Transport::Udp], ..config(&server) };
    assert_eq!(ways(&Resolver::new(ours).unwrap(), "sip:b@example", 0).await.unwrap(), all[2..]);
}

#[tokio::test]
async fn without_naptr_the_srv_records_of_our_transports_are_asked_for() {
    let zone = Zone::new()
        .srv("_sip._tcp.example", 0, 0, 5066, "one.example")
        .srv("_sips._tcp.example", 0, 0, 5067, "one.example")
        .srv("_sip._udp.example", 0, 0, 5068, ".")
        .address("one.example", "192.0.2.1");
    let (resolver, _server) = resolver(zone).await;
    assert_eq!(ways(&resolver, "sip:example", 0).await.unwrap(), ["tcp 192.0.2.1:5066", "tls 192.0.2.1:5067 example"]);
    assert_eq!(ways(&resolver, "sips:example", 0).await.unwrap(), ["tls 192.0.2.1:5067 example"]);
}

#[tokio::test]
async fn a_domain_that_says_that_there_is_no_service_is_taken_at_its_word() {
    let zone = Zone::new()
        // The name has an address, where a web server is.
        .srv("_sip._udp.none.example", 0, 0, 0, ".")
        .srv("_sips._tcp.none.example", 0, 0, 0, ".")
        .address("none.example", "192.0.2.1")
        .srv("_sip._tcp.zero.example", 0, 0, 0, "zero.example")
        .address("zero.example", "192.0.2.2")
        .srv("_sip._udp.part.example", 0, 0, 0, ".")
        .srv("_sip._udp.part.example", 1, 0, 5070, "part.example")
        .address("part.example", "192.0.2.3")
        .srv("_sip._udp.dangling.example", 0, 0, 5060, "nowhere.example")
        .address("dangling.example", "192.0.2.4")
        .naptr("root.example", 1, 1, "SIP+D2U", ".")
        .naptr("root.example", 2, 1, "X+D2X", "_x._udp.root.example")
        .address("root.example", "192.0.2.5")
        .cname("one.example", "two.example")
        .cname("two.example", "three.example")
        .srv("_sip._udp.chain.example", 0, 0, 5060, "one.example")
        .address("three.example", "192.0.2.6");
    let (resolver, server) = resolver(zone).await;
    let unavailable = |name: &str| Err(ResolveError::Unavailable(name.to_owned()));
    for uri in ["sip:none.example", "sip:none.example;transport=udp", "sips:none.example"] {
        assert_eq!(ways(&resolver, uri, 0).await, unavailable("none.example"), "{uri}");
    }
    let before = server.asked();
    assert_eq!(ways(&resolver, "sip:none.example", 1).await, unavailable("none.example"));
    assert_eq!(server.asked(), before, "neither `.` nor the name itself is asked for");
    assert_eq!(ways(&resolver, "sip:zero.example;transport=tcp", 0).await, unavailable("zero.example"));
    assert_eq!(ways(&resolver, "sip:part.example", 0).await.unwrap(), ["udp 192.0.2.3:5070"]);
    // A port in the URI asks for no service (RFC 3263 §4.2).
    assert_eq!(ways(&resolver, "sip:none.example:5070", 0).await.unwrap(), ["udp 192.0.2.1:5070"]);
    let dangling = Err(ResolveError::NoAddress("dangling.example".to_owned()));
    assert_eq!(ways(&resolver, "sip:dangling.example", 0).await, dangling);
    assert_eq!(ways(&resolver, "sip:root.example", 0).await.unwrap(), ["udp 192.0.2.5:5060"]);
    assert_eq!(ways(&resolver, "sip:chain.example", 0).await.unwrap(), ["udp 192.0.2.6:5060"]);
    let words = ways(&resolver, "sip:none.example", 0).await.unwrap_err().to_string();
    assert!(words.contains("none.example") && words.contains("not available"), "{words}");
}

#[tokio::test]
async fn without_any_service_the_name_itself_is_tried() {
    let (resolver, _server) = resolver(Zone::new().address("plain.example", "192.0.2.9")).await;
    for (uri, way) in [
        ("sip:plain.example", "udp 192.0.2.9:5060"),
        ("sips:plain.example", "tls 192.0.2.9:5061 plain.example"),
        ("sip:plain.example;transport=tcp", "tcp 192.0.2.9:5060"),
        ("sip:plain.example;transport=ws", "ws 192.0.2.9:80"),
        ("sip:plain.example.", "udp 192.0.2.9:5060"),
    ] {
        assert_eq!(ways(&resolver, uri, 0).await.unwrap(), [way]);
    }
}

#[tokio::test]
async fn weights_decide_by_the_random_number_and_all_others_follow() {
    let mut zone = Zone::new();
    for host in 1..=3 {
        zone = zone
            .srv("_sip._udp.example", 5, host * host * 10, 5060, &format!("h{host}.example"))
            .address(&format!("h{host}.example"), &format!("192.0.2.{host}"));
    }
    let zone = zone.srv("_sip._udp.example", 6, 60_000, 5060, "backup.example").address("backup.example", "192.0.2.99");
    let (resolver, server) = resolver(zone).await;
    let mut first = std::collections::HashMap::new();
    for random in 0..400 {
        let all = ways(&resolver, "sip:example;transport=udp", random).await.unwrap();
        assert_eq!(
            all,
            ways(&resolver, "sip:example;transport=udp", random).await.unwrap(),
            "the same number, the same order"
        );
        assert_eq!((all.len(), all[3].as_str()), (4, "udp 192.0.2.99:5060"));
        *first.entry(all[0].clone()).or_insert(0) += 1;
    }
    let count = |host: u8| *first.get(&format!("udp 192.0.2.{host}:5060")).unwrap_or(&0);
    assert!(count(3) > count(2) && count(2) > count(1) && count(1) > 0, "{first:?}");
    assert!(server.asked().0 <= 10, "800 look-ups, but everything was in the cache after the first");
}

#[tokio::test]
async fn a_host_that_fails_is_passed_over() {
    let zone = Zone::new()
        .srv("_sip._tcp.example", 0, 0, 5060, "gone.example")
        .srv("_sip._tcp.example", 1, 0, 5060, "broken.example")
        .srv("_sip._tcp.example", 2, 0, 5060, "good.example")
        .failing("broken.example")
        .address("good.example", "192.0.2.3");
    let (resolver, _server) = resolver(zone).await;
    assert_eq!(ways(&resolver, "sip:example;transport=tcp", 0).await.unwrap(), ["tcp 192.0.2.3:5060"]);
}

#[tokio::test]
async fn nobody_there_is_said_as_it_is() {
    let (resolver, server) = resolver(Zone::new().failing("broken.example").address("tcp.example", "192.0.2.1")).await;
    assert_eq!(
        ways(&resolver, "sip:nowhere.example", 0).await,
        Err(ResolveError::NoAddress("nowhere.example".to_owned()))
    );
    assert!(matches!(ways(&resolver, "sip:broken.example:5060", 0).await, Err(ResolveError::Failed(_))));
    let long = format!("sip:{}.example", "x".repeat(64));
    assert!(matches!(ways(&resolver, &long, 0).await, Err(ResolveError::BadName(_))));
    let tcp = ResolverConfig { transports: vec![Transport::Tcp], ..config(&server) };
    let tcp = Resolver::new(tcp).unwrap();
    assert_eq!(ways(&tcp, "sip:tcp.example:5060", 0).await, Err(ResolveError::NoTransport("tcp.example".to_owned())));
    assert_eq!(ways(&tcp, "sips:192.0.2.1", 0).await, Err(ResolveError::NoTransport("192.0.2.1".to_owned())));
    let none = ResolverConfig { servers: NameServers::Addresses(Vec::new()), ..ResolverConfig::default() };
    assert!(matches!(Resolver::new(none), Err(ResolveError::NoNameServer(_))));
}

#[tokio::test]
async fn sips_does_not_settle_for_less() {
    let zone = Zone::new()
        .naptr("example", 1, 1, "SIP+D2U", "_sip._udp.example")
        .srv("_sip._udp.example", 1, 1, 5060, "example")
        .address("example", "192.0.2.1");
    let (resolver, _server) = resolver(zone).await;
    assert_eq!(ways(&resolver, "sip:example", 0).await.unwrap(), ["udp 192.0.2.1:5060"]);
    assert_eq!(ways(&resolver, "sips:example", 0).await, Err(ResolveError::NoTransport("example".to_owned())));
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let zone = Zone::new().truncated("big.example").address("big.example", "192.0.2.4");
    let (resolver, server) = resolver(zone).await;
    assert_eq!(ways(&resolver, "sip:big.example:5060", 0).await.unwrap(), ["udp 192.0.2.4:5060"]);
    assert!(server.asked().1 > 0, "{:?}", server.asked());
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = NameServer::start(Zone::new().silent("silent.example")).await;
    let short = Duration::from_millis(40);
    let limited = ResolverConfig { timeout: short, attempt_count: 2, limit: 50 * short, ..config(&server) };
    let started = std::time::Instant::now();
    let result = ways(&Resolver::new(limited).unwrap(), "sip:silent.example:5060", 0).await;
    assert!(matches!(result, Err(ResolveError::TimedOut(_))), "{result:?}");
    assert!(started.elapsed() >= short && server.asked().0 >= 2, "{:?}", server.asked());
}

#[tokio::test]
async fn answers_are_kept_for_their_ttl_and_no_longer() {
    let (resolver, server) = resolver(Zone::new().ttl(300).address("a.example", "192.0.2.1")).await;
    for _ in 0..10 {
        assert_eq!(ways(&resolver, "sip:a.example:5060", 0).await.unwrap(), ["udp 192.0.2.1:5060"]);
        assert!(ways(&resolver, "sip:none.example:5060", 0).await.is_err());
    }
    assert_eq!(server.asked(), (4, 0), "A and AAAA of two names, once");
    let (resolver, server) = self::resolver(Zone::new().ttl(0).address("a.example", "192.0.2.1")).await;
    assert_eq!(ways(&resolver, "sip:a.example:5060", 0).await.unwrap(), ["udp 192.0.2.1:5060"]);
    server.set(Zone::new().ttl(0).address("a.example", "192.0.2.2"));
    assert_eq!(ways(&resolver, "sip:a.example:5060", 0).await.unwrap(), ["udp 192.0.2.2:5060"]);
}

#[tokio::test]
async fn the_list_and_the_look_ups_are_bounded() {
    let mut zone = Zone::new();
    for host in 0..40 {
        zone = zone
            .srv("_sip._udp.example", host, 0, 5060, &format!("h{host}.example"))
            .address(&format!("h{host}.example"), &format!("192.0.2.{host}"));
    }
    let (_, server) = resolver(zone).await;
    let ipv4 = ResolverConfig { families: Families::Ipv4, ..config(&server) };
    let ipv4 = Resolver::new(ipv4).unwrap();
    assert_eq!(ways(&ipv4, "sip:example;transport=udp", 0).await.unwrap().len(), TARGETS_MAX_COUNT);
    assert!(server.asked().0 + server.asked().1 <= 2 + TARGETS_MAX_COUNT as u32, "{:?}", server.asked());
    let busy = Resolver::new(ResolverConfig { lookups_max_count: 0, ..config(&server) }).unwrap();
    assert_eq!(ways(&busy, "sip:example", 0).await, Err(ResolveError::Busy));
}

#[tokio::test]
async fn a_thread_that_must_not_wait_is_called_back() {
    let (resolver, _server) = resolver(Zone::new().address("a.example", "192.0.2.1")).await;
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let runtime = tokio::runtime::Handle::current();
    let asks = sender.clone();
    resolver.start(&runtime, query("sip:192.0.2.7"), 0, move |result| asks.send(result).unwrap());
    assert_eq!(received.try_recv().unwrap().unwrap()[0].address, "192.0.2.7:5060".parse().unwrap(), "at once");
    resolver.start(&runtime, query("sip:a.example:5070"), 0, move |result| sender.send(result).unwrap());
    assert_eq!(received.recv().await.unwrap().unwrap()[0].address, "192.0.2.1:5070".parse().unwrap());
}
