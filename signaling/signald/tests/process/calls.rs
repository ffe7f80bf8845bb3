use crate::media::Media;
use crate::phone::{Phone, SDP};
use crate::switch::{Switch, config};
use signald::Stop;
use std::net::UdpSocket;

#[test]
fn calls_come_and_go_and_the_operator_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let switch = Switch::start(folder);
    let phone = Phone::new(&switch);
    let tag = phone.call("c1");
    let calls = switch.ask_until("calls", |calls| calls[0]["state"] == "connected");
    assert_eq!((calls[0]["codec"].as_str(), calls[0]["remote"].as_str()), (Some("PCMU"), Some("127.0.0.1:4000")));
    assert!(calls[0]["local"].as_str().unwrap().starts_with("127.0.0.1:1000"), "{calls}");
    switch.counts([("calls_active", 1), ("ports_in_use", 1), ("ports_free", 3)]);
    phone.send("BYE", "c1", &tag, 2, "");
    phone.hear("SIP/2.0 200");
    switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
    switch.counts([("calls_completed", 1), ("ports_free", 4)]);
    // One more than there are ports.
    for call in ["d1", "d2", "d3", "d4"] {
        phone.call(call);
    }
    phone.send("INVITE", "d5", "", 1, SDP);
    assert!(phone.hear("SIP/2.0 503").contains("Retry-After: 5"));
    // Rubbish and keep-alives are counted.
    phone.socket.send_to(b"hello", phone.switch).unwrap();
    phone.socket.send_to(b"\r\n\r\n", phone.switch).unwrap();
    let rows = |stats: &serde_json::Value, name: &str| {
        stats.as_array().unwrap().iter().any(|row| row["name"] == name && row["value"] == 1)
    };
    switch.ask_until("stats", |stats| {
        rows(stats, "sip_dropped_malformed_packets") && rows(stats, "sip_keep_alive_packets")
    });
    assert_eq!(switch.ask("health")["status"], "ok");
    let stop = switch.stop.clone();
    stop.request();
    for _ in 0..4 {
        phone.hear_bye();
    }
    switch.end();
}

#[test]
fn several_shards_share_the_port_and_each_call_finds_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let mut config = config(folder.path());
    config.sip.shards = 3;
    let switch = Switch::with(folder, config);
    assert_eq!(switch.ask("health")["shards_with_media_plane"], 3);
    for round in 0..10 {
        // Each message of a call from another port, so that most come to a shard that is not theirs.
        let call = format!("c{round}");
        let phones: Vec<Phone> = (0..3).map(|_| Phone::new(&switch)).collect();
        let tag = phones[0].call(&call);
        phones[1].send("BYE", &call, &tag, 2, "");
        phones[1].hear("SIP/2.0 200");
        phones[2].send("BYE", &call, &tag, 3, "");
        phones[2].hear("SIP/2.0 481");
    }
    let sum = |stats: &serde_json::Value, name: &str| {
        let rows = stats.as_array().unwrap().iter().filter(|row| row["name"] == name);
        rows.map(|row| row["value"].as_u64().unwrap()).sum::<u64>()
    };
    switch.ask_until("stats", |stats| sum(stats, "calls_completed") == 10 && sum(stats, "ports_free") == 4);
    switch.end();
}

#[test]
fn a_dead_media_process_ends_its_calls_and_may_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("media-control.sock");
    let media = Media::start(path.clone());
    let switch = Switch::start(folder);
    let phone = Phone::new(&switch);
    phone.call("c1");
    drop(media);
    phone.hear_bye();
    switch.ask_until("health", |health| health["status"] == "no media plane");
    phone.send("INVITE", "c2", "", 1, SDP);
    phone.hear("SIP/2.0 503");
    let _media = Media::start(path);
    switch.ask_until("health", |health| health["status"] == "ok");
    let tag = phone.call("c3");
    phone.send("BYE", "c3", &tag, 2, "");
    phone.hear("SIP/2.0 200");
    switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
    switch.counts([("ports_free", 4)]);
    switch.end();
}

#[test]
fn trouble_at_the_start_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut config = config(folder.path());
    config.sip.listen = vec![taken.local_addr().unwrap()];
    let error = signald::run(&config, &Stop::new().unwrap(), |_| panic!("it is not ready")).unwrap_err();
    assert!(error.to_string().contains("ss -ulpn"), "{error}");
    // Asked to end before a media process came: no error.
    config.sip.listen = vec!["127.0.0.1:0".parse().unwrap()];
    let stop = Stop::new().unwrap();
    stop.request();
    signald::run(&config, &stop, |_| panic!("it is not ready")).unwrap();
    config.process.runtime_dir = "/proc/none".into();
    let error = signald::run(&config, &Stop::new().unwrap(), |_| panic!("it is not ready")).unwrap_err();
    assert!(error.to_string().contains("runtime_dir"), "{error}");
}
