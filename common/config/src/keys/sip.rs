//! The keys of `[sip]`.

use super::{Key, key};

pub(super) const SIP: &[Key] = &[
    key(
        "sip",
        "listen",
        r#"["0.0.0.0:5060", "[::]:5060"]"#,
        &[
            "UDP addresses to listen on. The default is port 5060 of every address, IPv4 and IPv6.",
            "Port 0 lets the system choose; the log says which.",
        ],
    ),
    key("sip", "listen_tcp", r#""same""#, &[r#"TCP addresses to listen on. "same": those of `listen`. []: no TCP."#]),
    key(
        "sip",
        "listen_tls",
        "[]",
        &["TLS addresses to listen on, usually port 5061. They need a certificate: see [tls]."],
    ),
    key(
        "sip",
        "listen_ws",
        "[]",
        &["WebSocket addresses to listen on (RFC 7118), for browsers behind a proxy with TLS."],
    ),
    key(
        "sip",
        "listen_wss",
        "[]",
        &["Secure WebSocket addresses to listen on, for browsers. They need a certificate: see [tls]."],
    ),
    key(
        "sip",
        "ws_origins",
        "[]",
        &[
            "Origins of the web pages that may open WebSockets here, as browsers write them: \"https://phone.example.com\". Others get 403.",
            "\"none\" lets in what sends no Origin, which is no browser. []: every page, for passwords are asked for in [auth].",
        ],
    ),
    key(
        "sip",
        "max_connections",
        "10000",
        &["TCP, TLS and WebSocket connections at once, 1 to 1000000. Further ones are closed at once."],
    ),
    key(
        "sip",
        "max_connections_per_address",
        "500",
        &["Of these, connections that one address opened, 1 to 1000000. An IPv6 /64 counts as one address."],
    ),
    key(
        "sip",
        "connection_idle_s",
        "3600",
        &["Seconds without any traffic after which a connection is closed, 10 to 604800."],
    ),
    key(
        "sip",
        "keep_alive_s",
        "0",
        &[
            "Seconds of silence after which we send a keep-alive on a connection, up to 86400. 0: we only answer those of peers.",
        ],
    ),
    key(
        "sip",
        "advertised_address",
        r#""""#,
        &[
            "IP address that peers are told to use in Via, Contact and SDP, for a host behind NAT.",
            "Empty: the address that the peer's request came to.",
        ],
    ),
    key(
        "sip",
        "shards",
        "0",
        &["Threads that run calls, 1 to 8; each call stays on one. 0: one for every two cores, at least one."],
    ),
    key(
        "sip",
        "t1_ms",
        "500",
        &["Timer T1 of RFC 3261: estimated round-trip time, base of all retransmissions, 50 to 5000."],
    ),
    key(
        "sip",
        "max_calls",
        "5000",
        &[
            "Calls that may be up or being set up at once, 1 to 1000000; one that is sent on (mode \"b2bua\") counts twice, once for",
            "each side. Above that: 503 with Retry-After.",
        ],
    ),
    key(
        "sip",
        "max_calls_per_user",
        "0",
        &[
            "Calls that one user may have at once, by the address of the caller (or, of calls from here, of the called). 0: no limit.",
        ],
    ),
    key(
        "sip",
        "max_call_s",
        "43200",
        &["Seconds that a call may last, ringing included; then it ends, up to 604800. 0: for ever."],
    ),
    key(
        "sip",
        "session_expires_s",
        "1800",
        &[
            "Seconds after which a call ends that nobody refreshes, 90 to 86400, with peers that know session timers",
            "(RFC 4028). 0: only where the peer asks for it.",
        ],
    ),
    key(
        "sip",
        "probe_s",
        "60",
        &[
            "Seconds after which a peer that need not send media (hold, one-way, no media_timeout_s) is asked by OPTIONS",
            "whether it is still there, again and again, 10 to 86400. Any answer will do; two questions without one end the",
            "call. 0: never.",
        ],
    ),
    key("sip", "retry_after_s", "5", &["Seconds that a refused caller is asked to wait (Retry-After), 1 to 3600."]),
    key(
        "sip",
        "decision_timeout_s",
        "30",
        &["Seconds that a call may wait for a deferred decision before it is refused with 480, 1 to 600."],
    ),
    key(
        "sip",
        "ring_timeout_s",
        "60",
        &["Seconds that a target of a forwarded call may take to answer before the next one is tried, 1 to 600."],
    ),
    key(
        "sip",
        "progress_timeout_s",
        "40",
        &["Seconds that it may say nothing but 100 Trying, neither ringing nor answering, 1 to 600."],
    ),
    key(
        "sip",
        "codecs",
        r#"["PCMU", "PCMA", "G722", "opus"]"#,
        &["Audio codecs that calls may use, in our order of preference: PCMU, PCMA, G722, opus, L16."],
    ),
    key(
        "sip",
        "codec_order",
        r#""caller""#,
        &[r#"Whose order decides which of the common codecs is used: "caller" or "ours"."#],
    ),
    key(
        "sip",
        "mode",
        r#""numbers""#,
        &[
            r#"What becomes of calls. "numbers" answers them here, by the user that is called: the names of [media] prompts (such"#,
            r#"as play), echo, ringing, busy, and a tone for every other. "b2bua" (back-to-back user agent) sends them on by"#,
            r#"routes, signaling and media through us on both sides. "proxy" sends requests on by routes and leaves the media to"#,
            r#"the peers (RFC 3261 section 16). "redirect" answers 302 with the targets of the route as contacts."#,
        ],
    ),
    key(
        "sip",
        "routes",
        "{}",
        &[
            r#"Where "b2bua", "proxy" and "redirect" send calls to: a table of patterns with a SIP URI or a list of them each,"#,
            r#"tried in order: "b2bua" goes on when one cannot be reached, answers 5xx or not at all, "proxy" after every"#,
            r#"refusal but 6xx. In a list for "proxy" and "redirect", URIs that are a list of their own ring at once. A pattern"#,
            r#"is a user ("sales"), the beginning of a number and a star ("+49*"), a domain ("@example.com") or "*" for the"#,
            r#"rest; the most exact one counts. A URI without a user ("sip:192.0.2.7:5060") gets the one that was called."#,
            r#"Examples: { "+49*" = ["sip:192.0.2.7", "sip:192.0.2.8"], sales = [["sip:ann@h1", "sip:bob@h2"], "sip:desk@h3"] }"#,
        ],
    ),
    key(
        "sip",
        "domains",
        "[]",
        &[
            "Names of this switch beside its addresses, for the roles \"proxy\" and \"redirect\": a Route with one of them is our",
            "own, and OPTIONS to one without a user is answered here. At most 64.",
        ],
    ),
    key(
        "sip",
        "record_route",
        "true",
        &["Whether the proxy stays in the path of the dialogs that it helped to make (Record-Route)."],
    ),
    key(
        "sip",
        "follow_redirects",
        "0",
        &["How many 3xx answers to one request the proxy follows itself, 0 to 8. 0: the caller gets them."],
    ),
    key(
        "sip",
        "proxy_methods",
        "[]",
        &[
            "Methods whose requests outside dialogs the mode \"b2bua\" sends on by routes as a proxy does, and what follows in their",
            "dialogs, instead of answering them: [\"SUBSCRIBE\", \"PUBLISH\", \"MESSAGE\"]. At most 16, none of those that calls have.",
        ],
    ),
    key(
        "sip",
        "name_servers",
        "[]",
        &[
            "Whom to ask for the names in SIP URIs (RFC 3263), as \"192.0.2.53\" or \"192.0.2.53:5353\", at most 8. None: those",
            "in /etc/resolv.conf, with /etc/hosts.",
        ],
    ),
    key("sip", "dtmf", "true", &["Whether telephone events (RFC 4733) are agreed on when the peer offers them."]),
];
