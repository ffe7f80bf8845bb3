//! Files and what is said of them: the place by line and column, the key or entry, what is allowed, what was meant.

use crate::{Config, FilesOnly};

/// All that is said of a file, mistakes first, each with its beginning as far as it is given.
fn expect(text: &str, mistakes: &[(&str, &[&str])], warnings: &[(&str, &[&str])]) {
    let examined = Config::examine(text, &FilesOnly);
    let found = examined.result.as_ref().err().map_or(&[][..], |found| &found.0);
    for (kind, found, expected) in [("mistakes", found, mistakes), ("warnings", &examined.warnings.0, warnings)] {
        let said: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), expected.len(), "{kind} of\n{text}\n{said:#?}");
        for ((at, words), (said, found)) in expected.iter().zip(said.iter().zip(found)) {
            assert_eq!(*at, format!("{}:{} {}", found.line, found.column, found.key), "{said}\n{text}");
            for word in *words {
                assert!(said.contains(word), "no `{word}` in: {said}\n{text}");
            }
        }
    }
}

#[test]
fn unknown_keys_sections_and_words_are_asked_about() {
    expect(
        "[sip]\nlisen = []\nmode = \"b2bau\"\ncodec_order = \"Caller\"\nports = \"1\"\n[meida]\ndscp = 1\n[transfer]\ntargets = \"route\"\n\
         [process]\nlog = \"warning\"\n[media]\nwait = 7\n",
        &[
            ("2:1 sip.lisen", &["no such key", "did you mean `listen`?"]),
            ("3:8 sip.mode", &["must be \"numbers\", \"b2bua\", \"proxy\" or \"redirect\"", "did you mean \"b2bua\"?"]),
            ("4:15 sip.codec_order", &["did you mean \"caller\"?"]),
            ("5:1 sip.ports", &["it belongs into [media]"]),
            ("6:2 meida", &["no such section", "did you mean [media]?"]),
            ("9:11 transfer.targets", &["did you mean \"routes\"?"]),
            (
                "11:7 process.log",
                &["must be \"error\", \"warn\", \"info\", \"debug\" or \"trace\"", "did you mean \"warn\"?"],
            ),
            ("13:8 media.wait", &["`media.wait = 7`: must be \"adaptive\", \"block\" or \"busy\""]),
        ],
        &[],
    );
    expect("[sip]\nmode = \"b2bu\"\nroutes = { a = \"sip:h\" }\n", &[("2:8 sip.mode", &["\"b2bua\"?"])], &[]);
    expect("mode = \"b2bua\"\n", &[("1:1 mode", &["`mode` is a key of [sip]"])], &[]);
    expect(
        "[sip]\nmax_calls = \"10\"\ndtmf = \"true\"\n",
        &[("2:13 sip.max_calls", &["write it without quotes"]), ("3:8 sip.dtmf", &["write it without quotes"])],
        &[],
    );
}

#[test]
fn every_entry_of_a_list_has_its_own_mistake() {
    expect(
        "[sip]\nlisten = [\"192.0.2.1\", \"5070\", \"host:5060\", 7, \"[::1]:5060\", \"[::1]:5060\", \"::1:x\"]\n\
         codecs = [\"PCMU\", \"ulaw\", \"G729\"]\ndomains = [\"ok.example\", \"sip:example.com\"]\n\
         name_servers = [\"192.0.2.53\", \"dns.example\"]\nws_origins = [\"https://a.example/\", \"b.example\"]\n",
        &[
            ("2:11 sip.listen", &["write \"192.0.2.1:5060\""]),
            ("2:24 sip.listen", &["write \"0.0.0.0:5070\""]),
            ("2:32 sip.listen", &["names are not looked up"]),
            ("2:45 sip.listen", &["must be a list"]),
            ("2:62 sip.listen", &["twice"]),
            ("2:76 sip.listen", &["brackets"]),
            ("3:19 sip.codecs", &["did you mean \"PCM"]),
            ("3:27 sip.codecs", &["must be \"PCMU\", \"PCMA\", \"G722\", \"opus\" or \"L16\""]),
            ("4:26 sip.domains", &["write \"example.com\""]),
            ("5:31 sip.name_servers", &["must be an IP address"]),
            ("6:15 sip.ws_origins", &["write \"https://a.example\""]),
            ("6:37 sip.ws_origins", &["write \"https://b.example\""]),
        ],
        &[],
    );
    expect(
        "[headers]\npass = [\"X-A\", \"Via\", \"Subject:\"]\ndrop = [\"x-a\"]\ntrusted = [\"192.0.2.1:5060\", \"trunk\"]\n\
         [limits]\ntrusted_sources = [\"192.0.2.0/40\", \"192.0.2.0/24\"]\nunacknowledged_per_source = 0\n\
         [auth]\nmethods = [\"INVITE\", \"ACK\", \"invite\"]\nalgorithms = [\"SHA256\"]\nqop = [\"auth-init\"]\n\
         [transfer]\nredirects = \"noboby\"\nallow_local = 1\n",
        &[
            ("2:9 headers.pass", &["is in headers.drop as well"]),
            ("2:16 headers.pass", &["`Via` cannot cross"]),
            ("2:23 headers.pass", &["write \"Subject\""]),
            ("4:12 headers.trusted", &["write \"192.0.2.1\""]),
            ("4:30 headers.trusted", &["must be an address or a network"]),
            ("6:20 limits.trusted_sources", &["`limits.trusted_sources = \"192.0.2.0/40\"`"]),
            ("7:29 limits.unacknowledged_per_source", &["must be a whole number from 1"]),
            ("9:22 auth.methods", &["cannot be asked for credentials"]),
            ("9:29 auth.methods", &["did you mean \"INVITE\"?"]),
            ("10:15 auth.algorithms", &["did you mean \"SHA-256\"?"]),
            ("11:8 auth.qop", &["did you mean \"auth-int\"?"]),
            ("13:13 transfer.redirects", &["did you mean \"nobody\"?"]),
            ("14:15 transfer.allow_local", &["must be true or false"]),
        ],
        &[],
    );
}

#[test]
fn every_route_has_its_own_mistake() {
    expect(
        "[sip]\nmode = \"b2bua\"\n[sip.routes]\n\"+49*\" = \"192.0.2.7\"\na = [\"sip:192.0.2.777\", \"sip:ok.example\"]\n\
         b = \"sip:h:99999\"\nc = \"sip:2001:db8::1\"\nd = \"sip:h;transport=tpc\"\ne = \"tel:+4930\"\nf = []\n\
         g = [[\"sip:a\", \"sip:b\"]]\nh = \"sips:h;transport=udp\"\ni = 5\nj = \"sip:bob smith@h\"\n\"\" = \"sip:h\"\n\
         \"sip:ann@h\" = \"sip:h\"\nk = \"sip:@h\"\nl = \"sip:0.0.0.0\"\nm = \"SIP:h\"\nn = \"h.example:5060\"\n\
         o = \"sip:h;trasport=tcp\"\np = \"sip:h;x-unknown=1\"\nq = \"sip:bob@[2001:db8::1]:5070;transport=tcp\"\n",
        &[
            ("4:10 sip.routes.\"+49*\"", &["write \"sip:192.0.2.7\""]),
            ("5:6 sip.routes.a", &["192.0.2.777, which is no IPv4 address"]),
            ("6:5 sip.routes.b", &["a port is a number from 1 to 65535"]),
            ("7:5 sip.routes.c", &["write [2001:db8::1]"]),
            ("8:5 sip.routes.d", &["the transport \"tpc\"", "did you mean \"tcp\"?"]),
            ("9:5 sip.routes.e", &["calls can only go to sip: and sips:"]),
            ("10:5 sip.routes.f", &["one to eight"]),
            ("11:5 sip.routes.g", &["tried in order"]),
            ("12:5 sip.routes.h", &["no TLS"]),
            ("13:5 sip.routes.i", &["must be a SIP URI"]),
            ("14:5 sip.routes.j", &["%HH"]),
            ("15:6 sip.routes.\"\"", &["fits nobody"]),
            ("16:15 sip.routes.\"sip:ann@h\"", &["a pattern is no URI", "\"@h\" or \"ann\""]),
            ("17:5 sip.routes.k", &["before the @"]),
            ("18:5 sip.routes.l", &["where one listens"]),
            ("19:5 sip.routes.m", &["write \"sip:h\""]),
            ("20:5 sip.routes.n", &["write \"sip:h.example:5060\""]),
            ("21:5 sip.routes.o", &["did you mean \"transport\"?"]),
        ],
        &[],
    );
    expect(
        "[sip]\nmode = \"proxy\"\nroutes = { \"+49-30*\" = \"sip:h\", \"+4930*\" = \"sip:h\", \"@E.org\" = \"sip:h\", \"@e.org\" = \"sip:h\" }\n",
        &[
            ("3:44 sip.routes.\"+4930*\"", &["is the same pattern as \"+49-30*\""]),
            ("3:84 sip.routes.\"@e.org\"", &["is the same pattern as \"@E.org\""]),
        ],
        &[],
    );
    expect(
        "[sip]\nmode = \"proxy\"\nroutes = { \"a@h\" = \"sip:h\", \"@*.e.org\" = \"sip:h\", \"4*9\" = \"sip:h\", \"*98\" = \"sip:h\" }\n",
        &[],
        &[
            ("3:20 sip.routes.\"a@h\"", &["a pattern is a user (\"a\") or a domain (\"@h\")"]),
            ("3:42 sip.routes.\"@*.e.org\"", &["a domain is written whole"]),
            ("3:59 sip.routes.\"4*9\"", &["star that is not at its end"]),
        ],
    );
}

#[test]
fn routes_that_come_back_are_loops() {
    let sip =
        |listen: &str, routes: &str| format!("[sip]\nmode = \"b2bua\"\nlisten = [{listen}]\nroutes = {{ {routes} }}\n");
    for (listen, routes, at) in [
        ("\"127.0.0.1:5060\"", "\"*\" = \"sip:127.0.0.1\"", Some("4:18 sip.routes.\"*\"")),
        ("\"0.0.0.0:5060\"", "\"*\" = \"sip:localhost\"", Some("4:18 sip.routes.\"*\"")),
        ("\"[::]:5070\"", "\"+4*\" = [\"sip:h\", \"sip:[::1]:5070\"]", Some("4:30 sip.routes.\"+4*\"")),
        ("\"192.0.2.1:5060\"", "\"4*\" = \"sip:42@192.0.2.1;transport=tcp\"", Some("4:19 sip.routes.\"4*\"")),
        // One by way of another.
        ("\"192.0.2.1:5060\"", "x = \"sip:y@192.0.2.1\", y = \"sip:x@192.0.2.1\"", Some("4:16 sip.routes.x")),
        // Another user, another port, another host, and another switch.
        ("\"192.0.2.1:5060\"", "x = \"sip:y@192.0.2.1\", y = \"sip:192.0.2.2\"", None),
        ("\"127.0.0.1:5060\"", "\"*\" = \"sip:127.0.0.1:5080\"", None),
        ("\"127.0.0.1:5060\"", "\"*\" = \"sip:127.0.0.2\"", None),
        ("\"127.0.0.1:5060\"", "\"*\" = \"sips:127.0.0.1\"", None),
    ] {
        let text = sip(listen, routes);
        let found = Config::examine(&text, &FilesOnly).result.err().map_or(Vec::new(), |found| found.0);
        let first = found.first().map(|first| format!("{}:{} {}", first.line, first.column, first.key));
        assert_eq!(first.as_deref(), at, "{text}{found:?}");
        assert!(found.iter().all(|mistake| mistake.allowed.contains("a loop")), "{found:?}");
    }
}

#[test]
fn modes_need_routes_and_routes_a_mode() {
    for mode in ["b2bua", "proxy", "redirect"] {
        let text = format!("[sip]\nmode = \"{mode}\"\n");
        expect(&text, &[("2:8 sip.mode", &["needs routes"])], &[]);
        expect(&(text + "routes = {}\n"), &[("3:10 sip.routes", &["has no route"])], &[]);
    }
    expect(
        "[sip]\nroutes = { a = \"sip:h\" }\nfollow_redirects = 2\n",
        &[],
        &[("2:10 sip.routes", &["mode = \"b2bua\""]), ("3:20 sip.follow_redirects", &["mode = \"proxy\""])],
    );
}

#[test]
fn methods_of_calls_stay_with_the_mode_and_others_may_be_proxied() {
    let text = |mode: &str, methods: &str| {
        format!("[sip]\nmode = \"{mode}\"\nroutes = {{ \"*\" = \"sip:h\" }}\nproxy_methods = [{methods}]\n")
    };
    expect(&text("b2bua", r#""SUBSCRIBE", "PUBLISH", "OWN""#), &[], &[]);
    expect(
        &text("b2bua", r#""INVITE", "subscribe""#),
        &[
            ("4:18 sip.proxy_methods", &["belongs to calls"]),
            ("4:28 sip.proxy_methods", &["capital letters", "did you mean \"SUBSCRIBE\"?"]),
        ],
        &[],
    );
    expect(&text("proxy", r#""MESSAGE""#), &[], &[("4:17 sip.proxy_methods", &["says nothing new"])]);
    expect(&text("redirect", r#""MESSAGE""#), &[], &[("4:17 sip.proxy_methods", &["mode = \"b2bua\""])]);
    // What a proxy beside the calls looks at counts as well.
    expect(&(text("b2bua", r#""MESSAGE""#) + "record_route = false\n"), &[], &[]);
}

#[test]
fn the_key_that_is_written_is_blamed() {
    expect(
        "[media]\nworkers = 60\nports = \"10000-10009\"\n",
        &[("3:9 media.ports", &["5 pair(s)", "60 media.workers"])],
        &[],
    );
    expect(
        "[sip]\nlisten = [\"0.0.0.0:5060\", \"0.0.0.0:10002\"]\n",
        &[("2:27 sip.listen", &["lies in media.ports"])],
        &[],
    );
    expect(
        "[media]\nports = \"5000-6001\"\n",
        &[("2:9 media.ports", &["0.0.0.0:5060 of sip.listen"]), ("2:9 media.ports", &["[::]:5060 of sip.listen"])],
        &[],
    );
    expect(
        "[sip]\nlisten_tls = [\"127.0.0.1:5061\"]\nlisten_ws = [\"127.0.0.1:5060\"]\n",
        &[
            ("2:14 sip.listen_tls", &["needs a certificate"]),
            ("3:14 sip.listen_ws", &["is in listen_tcp already as 0.0.0.0:5060"]),
        ],
        &[],
    );
}

#[test]
fn files_of_prompts_and_certificates_are_named() {
    expect(
        "[media]\nprompts = { a = \"/no/such.wav\", b = 3, c = \"builtn\", d = \"/\" }\n\
         [tls]\ncertificates = [{ chain = \"/no/such.pem\", key = \"/no/such.key\" }, { chian = \"x\", key = \"y\" }, 7]\n\
         client_authorities = \"/no/ca.pem\"\n",
        &[
            ("2:17 media.prompts.a", &["/no/such.wav is not there"]),
            ("2:37 media.prompts.b", &["\"builtin\""]),
            ("2:44 media.prompts.c", &["did you mean \"builtin\"?"]),
            ("2:58 media.prompts.d", &["is not a file"]),
            ("4:17 tls.certificates", &["/no/such.pem is not there"]),
            ("4:67 tls.certificates", &["lacks chain"]),
            ("4:69 tls.certificates", &["did you mean \"chain\"?"]),
            ("4:95 tls.certificates", &["must be a table"]),
            ("5:22 tls.client_authorities", &["/no/ca.pem is not there"]),
        ],
        &[("5:22 tls.client_authorities", &["nobody is asked"])],
    );
}

#[test]
fn every_user_has_its_own_mistake_and_no_secret_is_shown() {
    let text = "[auth]\ndefault_realm = \"exmaple.com\"\nidentities = { \"example.com\" = { alcie = [\"+49\"], bob = \"x\" }, \"other\" = { c = [] } }\n\
         [auth.realms.\"example.com\"]\nalice = \"s3cret\"\nbob = { sha265 = \"s3cret\" }\ncarl = { md5 = \"s3cret\" }\ndora = 5\nemil = \"\"\n";
    expect(
        text,
        &[
            ("2:17 auth.default_realm", &["did you mean \"example.com\"?"]),
            ("3:42 auth.identities.\"example.com\".alcie", &["did you mean \"alice\"?"]),
            ("3:57 auth.identities.\"example.com\".bob", &["must be a list"]),
            ("3:80 auth.identities.other.c", &["is no user of auth.realms"]),
            ("6:7 auth.realms.\"example.com\".bob", &["has no hash for MD5"]),
            ("6:7 auth.realms.\"example.com\".bob", &["has no hash for SHA-256"]),
            ("6:18 auth.realms.\"example.com\".bob.sha265", &["did you mean \"sha256\"?"]),
            ("7:8 auth.realms.\"example.com\".carl", &["has no hash for SHA-256"]),
            ("7:16 auth.realms.\"example.com\".carl.md5", &["32 hexadecimal digits, has 6"]),
            ("8:8 auth.realms.\"example.com\".dora", &["must be a password"]),
            ("9:8 auth.realms.\"example.com\".emil", &["must be a password"]),
        ],
        &[],
    );
    let said = Config::parse(text).unwrap_err().to_string();
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn after_what_is_no_toml_the_rest_is_checked() {
    // An array that is not closed, a word without quotes, a broken heading, a user without a comma, a key that is twice.
    expect(
        "[sip]\nlisten = [\"127.0.0.1:5060\"\nmode = b2bua\nshards = 99\n[media\nports = \"9-1\"\n[auth]\nrealms = {\n\
         \"x\" = { a = \"b\" c = \"d\" },\n\"y\" = 3,\n}\nnonce_life_s = 1\nnonce_life_s = 2\n",
        &[
            ("2:27 ", &["not TOML", "unclosed array"]),
            ("3:8 ", &["not TOML", "quote", "write mode = \"b2bua\""]),
            ("4:10 sip.shards", &["from 0 to 8"]),
            ("5:7 ", &["not TOML"]),
            ("9:17 ", &["not TOML", "comma"]),
            ("10:7 auth.realms.y", &["must be a table of users"]),
            ("12:16 auth.nonce_life_s", &["from 10"]),
            ("13:1 ", &["not TOML", "duplicate key"]),
        ],
        &[],
    );
    expect(
        "[sip]\nroutes = { \"a\" = 'sip:x }\n[media]\nports =\ndscp = 99\nfoo\n[process]\nlog = \"inof\"\n",
        &[
            ("2:26 ", &["not TOML", "literal string"]),
            ("4:8 ", &["not TOML"]),
            ("5:8 media.dscp", &["from 0 to 63"]),
            ("6:4 ", &["not TOML"]),
            ("8:7 process.log", &["did you mean \"info\"?"]),
        ],
        &[],
    );
    // What was lost is not asked for.
    expect(
        "[sip]\nmode = \"b2bua\"\nlisten = 7:7\nlisten_ws = [\"127.0.0.1:5060\"]\nlisten_tls = [\"127.0.0.1:5061\"]\nroutes = { a = b }\n\
         [tls]\ncertificates = [{]\n[auth]\ndefault_realm = \"x\"\nrealms = x\n",
        &[("3:10 ", &["not TOML"]), ("6:16 ", &["not TOML"]), ("8:18 ", &["not TOML"]), ("11:10 ", &["not TOML"])],
        &[],
    );
    let secret = Config::parse("[auth.realms.x]\nalice = hunter2\n").unwrap_err().to_string();
    assert!(!secret.contains("hunter2"), "{secret}");
    // Long texts, comments and brackets in texts are no reason to lose the way.
    expect(
        "[sip] # [x\nadvertised_address = \"\"\"[\n]\"\"\"\ndomains = [ # ]\n  \"a]\", 'b[',\n]\nmode = \"redirct\"\nx y\n",
        &[
            ("2:22 sip.advertised_address", &["must be an IP address"]),
            ("5:3 sip.domains", &["host name"]),
            ("5:9 sip.domains", &["host name"]),
            ("7:8 sip.mode", &["did you mean \"redirect\"?"]),
            ("8:3 ", &["not TOML"]),
        ],
        &[],
    );
}

#[test]
fn no_text_makes_it_panic() {
    let sound = crate::default_file();
    let mut seed = 7u32;
    let mut next = |most: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % most
    };
    for _ in 0..300 {
        let mut text: Vec<char> =
            sound.lines().filter(|line| !line.starts_with('#')).flat_map(|line| line.chars().chain(['\n'])).collect();
        for _ in 0..4 {
            let at = next(text.len());
            match next(3) {
                0 => text[at] = ['"', '[', '}', '=', '\n', 'ü', '\'', '\\'][next(8)],
                1 => drop(text.remove(at)),
                _ => text.insert(at, ['"', '{', ']', '=', '\r', '\u{1f600}'][next(6)]),
            }
        }
        let text: String = text.into_iter().collect();
        let _ = Config::examine(&text, &FilesOnly).result.map_err(|found| found.to_string());
    }
}
