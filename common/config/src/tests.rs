use super::*;
use std::time::Duration;

fn mistakes(text: &str) -> Vec<Mistake> {
    Config::parse(text).expect_err("must be refused").0
}

#[test]
fn the_default_file_is_the_default() {
    assert_eq!(Config::parse(&default_file()).unwrap(), Config::default());
    let config = Config::default();
    assert_eq!(config.sip.listen, ["0.0.0.0:5060".parse().unwrap(), "[::]:5060".parse().unwrap()]);
    assert_eq!(config.media.ports, PortRange { first: 10_000, last: 20_000 });
    assert_eq!(config.media.ports.pair_count(), 5_000);
    assert_eq!((config.media.prompt("play"), config.media.prompt("nothing")), (Some(0), None));
    assert_eq!((config.sip.shard_count(1), config.sip.shard_count(8), config.media.worker_count(3)), (1, 4, 3));
}

#[test]
fn every_key_is_read_and_none_is_there_twice() {
    for (index, key) in KEYS.iter().enumerate() {
        assert!(!KEYS[..index].iter().any(|other| (other.section, other.name) == (key.section, key.name)));
        // No key takes a date: the code that reads the key must complain.
        let found = mistakes(&format!("[{}]\n{} = 2001-01-01", key.section, key.name));
        assert_eq!(found.len(), 1, "{} is not read", key.name);
        assert_eq!((found[0].line, found[0].key.clone()), (2, format!("{}.{}", key.section, key.name)));
        let is_secret = (key.section, key.name) == ("auth", "realms");
        assert_eq!(found[0].value, if is_secret { "(not shown)" } else { "2001-01-01" });
    }
}

#[test]
fn all_mistakes_come_at_once_in_order() {
    let text = "[sip]\nlisten = [\"5060\"]\nshards = 65\nport = 1\n\n[media]\nports = \"10001-9\"\ndscp = -1\n[tcp]\n";
    let found = mistakes(text);
    let lines: Vec<usize> = found.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [2, 3, 4, 7, 8, 9]);
    let keys: Vec<&str> = found.iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(keys, ["sip.listen", "sip.shards", "sip.port", "media.ports", "media.dscp", "tcp"]);
    assert_eq!(found[1].to_string(), "line 3, column 10: `sip.shards = 65`: must be a whole number from 0 to 8");
    assert!(found[2].allowed.contains("no such key") && found[2].allowed.contains("listen, listen_tcp"));
    let sections = "[sip], [media], [tls], [auth], [headers], [transfer], [limits], [recording], [process]";
    assert!(found[5].allowed.contains(sections));
}

#[test]
fn what_is_no_toml_says_where() {
    let found = mistakes("[sip]\nlisten = [\n");
    assert!(found.iter().all(|mistake| mistake.line >= 2 && mistake.allowed.starts_with("not TOML")), "{found:?}");
    assert_eq!(mistakes("sip = 3")[0].allowed, "must be a section: [sip]");
}

#[test]
fn values_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("b.wav");
    std::fs::write(&wav, b"RIFF").unwrap();
    let text = format!(
        "[sip]\nlisten = [\"127.0.0.1:0\"]\nadvertised_address = \"198.51.100.7\"\ncodecs = [\"pcma\", \"OPUS\", \"g722\"]\ncodec_order = \"ours\"\n\
         [media]\nworkers = 2\nwait = \"busy\"\nmedia_timeout_s = 0\nports = \"20_000-20003\"\n\
         prompts = {{ zeta = \"builtin\", beta = {wav:?} }}\n[process]\nruntime_dir = \"/x\"\nlog = \"debug\"\n"
    );
    let found = mistakes(&text);
    assert_eq!((found.len(), found[0].key.as_str()), (1, "media.ports"), "a port has no underscore");
    let config = Config::parse(&text.replace("20_000", "20000")).unwrap();
    assert_eq!(config.sip.advertised_address, Some("198.51.100.7".parse().unwrap()));
    assert_eq!(
        (&config.sip.audio.codecs[..], config.sip.audio.codec_order),
        (&[AudioCodec::Pcma, AudioCodec::Opus, AudioCodec::G722][..], CodecOrder::Ours)
    );
    assert_eq!((config.media.wait, config.media.media_timeout), (Wait::Busy, None));
    assert_eq!((config.media.prompt("beta"), config.media.prompt("zeta")), (Some(0), Some(1)));
    assert_eq!(config.media.prompts[0].file, PromptFile::File(wav));
    assert_eq!(config.process.signal_operator_socket().to_str(), Some("/x/signal.sock"));
}

#[test]
fn rules_between_keys_hold() {
    let found = mistakes("[sip]\nlisten = [\"0.0.0.0:10002\"]\n[media]\nprompts = { x = \"/no/such.wav\" }\n");
    assert!(found[0].allowed.contains("lies in media.ports"));
    assert!(found[1].allowed.contains("/no/such.wav"));
    let found = mistakes("[media]\nworkers = 9\nports = \"10000-10009\"");
    assert!(found[0].allowed.contains("has 5 pair(s) of ports for 9 media.workers"), "{found:?}");
}

#[test]
fn a_missing_file_says_what_to_do() {
    let error = Config::load(Path::new("/no/such/ringplane.toml")).unwrap_err();
    assert!(error.to_string().contains("ringplane init"));
}

#[test]
fn transports_and_certificates_are_understood() {
    let config = Config::default();
    assert_eq!(config.sip.tcp_addresses(), config.sip.listen);
    assert!(
        config.sip.streams.listen_tls.is_empty()
            && config.tls.certificates.is_empty()
            && config.sip.streams.keep_alive.is_none()
    );
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, b"x").unwrap();
        path
    };
    let (chain, key, ca) = (file("a.pem"), file("a.key"), file("ca.pem"));
    let text = format!(
        "[sip]\nlisten_tcp = [\"127.0.0.1:0\"]\nlisten_tls = [\"127.0.0.1:5061\", \"[::1]:5061\"]\nlisten_wss = [\"[::1]:443\"]\n\
         keep_alive_s = 30\n[tls]\ncertificates = [{{ chain = {chain:?}, key = {key:?} }}]\n\
         client_certificates = \"required\"\nclient_authorities = {ca:?}\nauthorities = {ca:?}\n"
    );
    let config = Config::parse(&text).unwrap();
    assert_eq!(config.sip.tcp_addresses(), ["127.0.0.1:0".parse().unwrap()]);
    assert_eq!(
        (config.sip.streams.listen_tls.len(), config.sip.streams.keep_alive),
        (2, Some(Duration::from_secs(30)))
    );
    assert_eq!(config.tls.certificates, [Certificate { chain, key }]);
    assert_eq!((config.tls.client_certificates, config.tls.authorities), (ClientCertificates::Required, Some(ca)));
    assert!(Config::parse("[sip]\nlisten_tcp = []").unwrap().sip.tcp_addresses().is_empty());
}

#[test]
fn transports_and_certificates_fit_together() {
    let found = mistakes(
        "[sip]\nlisten = [\"127.0.0.1:5060\"]\nlisten_ws = [\"127.0.0.1:5060\"]\nlisten_tls = [\"127.0.0.1:5061\"]\n\
         [tls]\nclient_certificates = \"optional\"\nauthorities = \"/no/such.pem\"\n",
    );
    let words: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(words[0].contains("is in listen_tcp already") && words[1].contains("needs a certificate"), "{words:?}");
    assert!(words[2].contains("tls.client_authorities") && words[3].contains("not a file"), "{words:?}");
    let bad = mistakes("[tls]\ncertificates = [{ chain = \"x\" }]\nclient_certificates = \"yes\"");
    assert!(bad[0].allowed.contains("lacks key") && bad[1].allowed.contains("required"), "{bad:?}");
}

#[test]
fn roles_and_their_routes_are_understood() {
    let config = Config::parse(
        "[sip]\nmode = \"proxy\"\nroutes = { a = \"sip:x\", b = [\"sip:x\", \"sips:y\"], c = [[\"sip:x\", \"sip:y\"], \"sip:z\"] }\n\
         domains = [\"Example.COM\"]\nrecord_route = false\nfollow_redirects = 3\n\
         name_servers = [\"192.0.2.53\", \"[2001:db8::53]:5353\"]\n",
    );
    let sip = config.unwrap().sip;
    let groups: Vec<Vec<usize>> = sip.routes.iter().map(|route| route.targets.iter().map(Vec::len).collect()).collect();
    assert_eq!((sip.mode, groups), (Mode::Proxy, vec![vec![1], vec![1, 1], vec![2, 1]]));
    assert_eq!(
        (&sip.domains[..], sip.proxy.record_route, sip.proxy.follow_redirects),
        (&["example.com".to_owned()][..], false, 3)
    );
    assert_eq!(sip.name_servers, ["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:5353".parse().unwrap()]);
    for bad in ["\"dns.example.com\"", "[\"dns.example.com\"]", "[\"192.0.2.53:0\"]", "[\"::1\", \"[::1]:53\"]"] {
        assert_eq!(mistakes(&format!("[sip]\nname_servers = {bad}\n"))[0].key, "sip.name_servers", "{bad}");
    }
    let at_once = "[sip]\nmode = \"b2bua\"\nroutes = { c = [[\"sip:x\", \"sip:y\"]] }\n";
    assert!(mistakes(at_once)[0].allowed.contains("tried in order"));
    assert!(Config::parse(&at_once.replace("b2bua", "redirect")).is_ok());
    for bad in ["{ a = [] }", "{ a = [[]] }", "{ a = \"http:x\" }", "{ a = [[[\"sip:x\"]]] }"] {
        assert_eq!(mistakes(&format!("[sip]\nroutes = {bad}\n"))[0].key, "sip.routes.a", "{bad}");
    }
}

#[test]
fn users_are_understood_and_their_secrets_never_shown() {
    let hash = "0123456789abcdefABCDEF0123456789";
    let text = format!(
        "[auth]\nalgorithms = [\"MD5\"]\nqop = [\"auth\", \"auth-int\"]\ndefault_realm = \"b.example\"\n\
         [auth.realms.\"a.example\"]\nalice = \"secret word\"\n[auth.realms.\"b.example\"]\nbob = {{ md5 = \"{hash}\" }}\n"
    );
    let config = Config::parse(&text).unwrap();
    let auth = &config.auth;
    assert_eq!(auth.realms.iter().map(|realm| &realm.name[..]).collect::<Vec<_>>(), ["a.example", "b.example"]);
    assert_eq!(auth.realms[0].users[0].secret, UserSecret::Password("secret word".into()));
    let hashes = UserSecret::Hashes(vec![(AuthAlgorithm::Md5, hash.to_ascii_lowercase())]);
    assert_eq!(auth.realms[1].users[0].secret, hashes);
    assert!(auth.is_on() && auth.auth && auth.auth_int && !Config::default().auth.is_on());
    let shown = format!("{config:?}");
    assert!(!shown.contains("secret word") && !shown.contains("0123456789"), "{shown}");

    let found = mistakes(&text.replace("[\"MD5\"]", "[\"SHA-256\", \"MD5\"]"));
    assert!(found[0].allowed.contains("`bob` of `b.example` has no hash for SHA-256"), "{found:?}");
    let found = mistakes(&text.replace(hash, "123"));
    assert_eq!((found[0].key.as_str(), found.len()), ("auth.realms.\"b.example\".bob.md5", 1), "{found:?}");
    assert!(!format!("{found:?}").contains("secret word"));
    assert_eq!(mistakes("[auth]\nmethods = [\"ACK\"]\nqop = []\nnonce_life_s = 1\n").len(), 3);
}

#[test]
fn a_file_of_secrets_that_all_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[auth]\nrealms = { r = { u = \"p\" } }\n").unwrap();
    let config = Config::load(file.path()).unwrap();
    assert_eq!(config.warning(file.path()), None, "temporary files are private");
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(config.warning(file.path()).unwrap().contains("chmod 600"));
    assert_eq!(Config::default().warning(file.path()), None);
}

#[test]
fn media_comes_from_the_one_address_of_sip() {
    let of = |sip: &str, bind: &str| {
        let text = format!("[sip]\n{sip}\n[media]\nbind = \"{bind}\"\n");
        Config::parse(&text).unwrap().media_address().to_string()
    };
    assert_eq!(of(r#"listen = ["192.0.2.9:5060"]"#, "auto"), "192.0.2.9");
    assert_eq!(of("listen = [\"192.0.2.9:5060\"]\nlisten_ws = [\"192.0.2.9:80\"]", "auto"), "192.0.2.9");
    assert_eq!(of("listen = [\"192.0.2.9:5060\"]\nlisten_ws = [\"192.0.2.7:80\"]", "auto"), "::");
    assert_eq!(of(r#"listen = ["192.0.2.9:5060", "[2001:db8::1]:5060"]"#, "auto"), "::");
    assert_eq!(of(r#"listen = ["0.0.0.0:5060"]"#, "auto"), "::");
    assert_eq!(of(r#"listen = ["192.0.2.9:5060"]"#, "::"), "::");
    assert_eq!(of(r#"listen = ["192.0.2.9:5060"]"#, "192.0.2.8"), "192.0.2.8");
    assert_eq!(of("listen = [\"127.0.0.1:5060\"]\nadvertised_address = \"192.0.2.1\"", "auto"), "::");
}

#[test]
fn changed_keys_are_told_by_their_values_alone() {
    let read = |text: &str| Config::parse(text).unwrap();
    let old = read("[sip]\nshards = 1\nroutes = { a = \"sip:x\" }\n[auth]\nrealms = { r = { u = \"secret\" } }\n");
    let same = read(
        "[auth.realms.r]\nu = 'secret' # as before\n[sip]\nroutes = { a = [ \"sip:x\" ] }\nshards   = 1\nmax_calls = 5000\n",
    );
    assert_eq!(old.written.changes(&same.written), ["sip.routes"], "a list is not the same as its only entry");
    let new = read("[sip]\nshards = 2\nroutes = { a = \"sip:x\" }\n[auth]\nrealms = { r = { u = \"other\" } }\n");
    assert_eq!(old.written.changes(&new.written), ["sip.shards", "auth.realms"]);
    let mut running = old.written.clone();
    running.adopt(&new.written, &["auth.realms".to_owned()]);
    assert_eq!(running.changes(&new.written), ["sip.shards"]);
    assert!(!format!("{:?}", old.written).contains("secret"));
}

#[test]
fn header_fields_that_make_a_dialog_cannot_cross() {
    let config = Config::parse(
        "[headers]\npass = [\"X-*\", \"Organization\"]\ndrop = [\"Subject\"]\ntrusted = [\"192.0.2.0/24\", \"2001:db8::7\"]\n",
    )
    .unwrap();
    let headers = &config.headers;
    assert_eq!((headers.pass.len(), headers.drop.len(), headers.trusted.len()), (2, 1, 2));
    let found = mistakes("[headers]\npass = [\"Via\", \"X-A\", \"m\", \"content-*\", \"Proxy-Authorization\"]\n");
    let names: Vec<&str> = found.iter().map(|mistake| mistake.allowed.split('`').nth(1).unwrap()).collect();
    assert_eq!(names, ["Via", "m", "content-*", "Proxy-Authorization"]);
    assert!(found[1].allowed.contains("makes the dialog") && found[3].allowed.contains("credentials"));
    for wrong in [
        "pass = [\"\"]",
        "pass = [\"*\"]",
        "drop = [\"a b\"]",
        "drop = [\"X-*-Y\"]",
        "trusted = [\"trunk\"]",
        "trusted = [\"192.0.2.0/40\"]",
    ] {
        assert_eq!(mistakes(&format!("[headers]\n{wrong}\n")).len(), 1, "{wrong}");
    }
}

#[test]
fn origins_are_written_as_browsers_write_them() {
    let of = |list: &str| {
        Config::parse(&format!("[sip]\nws_origins = {list}\n")).map(|config| config.sip.streams.ws_origins)
    };
    assert_eq!(of("[]").unwrap(), [""; 0]);
    let good = of(r#"["https://Phone.example.com", "http://localhost:8080", "https://[::1]:8443", "none"]"#).unwrap();
    assert_eq!(good, ["https://phone.example.com", "http://localhost:8080", "https://[::1]:8443", "none"]);
    for bad in
        ["phone.example.com", "https://phone.example.com/", "https://", "wss://a", "https://*.example.com", "*", ""]
    {
        let words = of(&format!("[\"{bad}\"]")).unwrap_err().to_string();
        assert!(words.contains("ws_origins") && words.contains("browsers"), "{bad}: {words}");
    }
}
