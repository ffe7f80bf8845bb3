//! The keys of all sections but `[sip]` and `[media]`, in the order of the file.

use super::{Key, key};

pub(super) const OTHERS: &[Key] = &[
    key(
        "tls",
        "certificates",
        "[]",
        &[
            "Our certificates, each with the PEM files of its chain and its key:",
            r#"[{ chain = "/etc/ringplane/sip.pem", key = "/etc/ringplane/sip.key" }]. At most 64."#,
            "A client that names a host gets the first that is valid for it, any other the very first. New files are taken",
            "within 10 s, without closing connections; when they cannot be used the old ones stay.",
        ],
    ),
    key(
        "tls",
        "client_certificates",
        r#""not asked""#,
        &[
            r#"Whether TLS clients must show a certificate: "not asked", "optional" (a bad one is refused), "required"."#,
            "Browsers (listen_wss) are never asked.",
        ],
    ),
    key(
        "tls",
        "client_authorities",
        r#""""#,
        &["PEM file of the authorities that client certificates must come from."],
    ),
    key(
        "tls",
        "authorities",
        r#""""#,
        &["PEM file of the authorities that we trust when we connect. Empty: those that the host trusts."],
    ),
    key(
        "auth",
        "realms",
        "{}",
        &[
            "Who may use the switch: a table of realms with a table of users each, the secret a password, or its hashes",
            "(HA1: the hash of user:realm:password in hexadecimal) by algorithm, under md5, sha256 and sha512_256. Example:",
            // The hashes of pbx:example.com:password.
            r#"{ "example.com" = { alice = "password", pbx = { md5 = "5fbabfebfad784c7f1f732373cf0b841", sha256 = "baf31d796e7486625bee41da258a59c4e8c5f4dd541b2e98ce8730f39bbd16f2" } } }"#,
            "A user with hashes needs one for each of the algorithms below.",
            "Empty: nobody is asked. A file with passwords should be readable by its owner alone.",
        ],
    ),
    key(
        "auth",
        "default_realm",
        r#""""#,
        &[
            "Realm of requests where neither the domain of From nor that of the Request-URI is a realm of its own.",
            "Empty: the first one by name.",
        ],
    ),
    key(
        "auth",
        "methods",
        r#"["INVITE", "REGISTER", "SUBSCRIBE", "REFER", "MESSAGE", "PUBLISH"]"#,
        &[
            "Methods whose requests outside of dialogs need credentials; ACK and CANCEL cannot have any. A proxy asks whatever",
            "the method for all that it would send on and that is not in a dialog which it can verify.",
        ],
    ),
    key(
        "auth",
        "algorithms",
        r#"["MD5", "SHA-256"]"#,
        &[
            r#"Algorithms of our challenges, in this order: "MD5", "SHA-256", "SHA-512-256". Many phones look at the first one"#,
            "only and give up where they do not know it (SIPp, pjsip up to 2.10), so MD5 comes first; those that know better",
            r#"may take better. ["SHA-256"] alone keeps MD5 out."#,
        ],
    ),
    key(
        "auth",
        "md5_only_agents",
        r#"["baresip v0.", "baresip v1.", "baresip v2.", "baresip v3.", "SIP.js/", "JsSIP "]"#,
        &[
            "Beginnings of the User-Agent of phones that get the MD5 challenge alone, if MD5 is one of the algorithms: they give",
            "up when they see any other algorithm beside it, or look at the last one only (libraries for browsers).",
        ],
    ),
    key(
        "auth",
        "qop",
        r#"["auth"]"#,
        &[r#"What credentials protect: "auth" (method and URI), "auth-int" (the body as well), or both."#],
    ),
    key(
        "auth",
        "identities",
        "{}",
        &[
            "What users may be called beside their own name: a table of realms with a table of users each, the value a list of",
            r#"user parts ("+493012"), whole URIs ("sip:sales@example.org"), or "*" for any name (a PBX). A user whose From"#,
            "names somebody else gets 403. Without an entry From has to be USER@ the realm, one of [sip] domains, or an address",
            r#"of the switch or of the phone itself. Example: { "example.com" = { alice = ["+493012"], pbx = ["*"] } }"#,
        ],
    ),
    key(
        "auth",
        "slow_down_after",
        "5",
        &[
            "Wrong passwords of one user from one address, 0 to 1000, before the next ones have to wait: 1 s, 2 s, 4 s, up to",
            "64 s. Ten times as many for one address with any users. Other addresses are not held up. 0: nobody waits.",
        ],
    ),
    key(
        "auth",
        "nonce_life_s",
        "300",
        &["Seconds that a nonce is good, 10 to 86400. After that the phone gets a new one without asking its user."],
    ),
    key(
        "headers",
        "pass",
        "[]",
        &[
            "Header fields that cross from one side of a call to the other (mode \"b2bua\") beside those that do by default: in",
            "INVITE and its answers Alert-Info, Call-Info, Diversion, History-Info, Priority, Privacy, Referred-By, Subject; there",
            "and in refusals, BYE and CANCEL Session-ID and User-to-User; in these Reason, Retry-After, Warning. Names, or",
            "beginnings with a star (\"X-*\"). What makes the dialog or is for one hop cannot cross. At most 32 lines and 4096",
            "bytes of one message do; the rest is dropped and counted.",
        ],
    ),
    key("headers", "drop", "[]", &["Header fields of this list that do not cross, written likewise."]),
    key(
        "headers",
        "trusted",
        "[]",
        &[
            "Peers whose word about identities counts and who may hear of them, by address or network: P-Asserted-Identity and",
            "P-Preferred-Identity cross only from one of these to one of these (RFC 3325). Whatever is here, the From of a caller",
            "who asks for Privacy becomes anonymous, and what would tell who it is does not reach others.",
        ],
    ),
    key(
        "transfer",
        "targets",
        r#""routes""#,
        &[
            r#"Whom a peer may hand its call to (REFER): "routes": to targets that [sip] routes fit, where these lead, and to"#,
            r#"the numbers of mode "numbers"; "nobody"; "anybody": wherever it says. Calls of this switch may take over one another"#,
            r#"(attended transfer) unless this is "nobody"."#,
        ],
    ),
    key(
        "transfer",
        "redirects",
        r#""routes""#,
        &[r#"Where the target of a call may send it on to (3xx), with mode "b2bua": "routes", "nobody" or "anybody"."#],
    ),
    key(
        "transfer",
        "allow_local",
        "false",
        &[
            "Whether such calls may also go to this host itself (loopback, its own addresses) and to link-local addresses;",
            "so with a 3xx that a proxy follows ([sip] follow_redirects).",
            "Our media ports, multicast and broadcast are never called. Targets of routes may be anywhere.",
        ],
    ),
    key(
        "limits",
        "unacknowledged_per_source",
        "100",
        &[
            "Incoming calls that one address (an IPv6 /64) may have waiting for an answer or for its ACK before it has shown",
            "that it gets what we send there, 1 to 1000000; afterwards a quarter of max_calls. All that have not shown it",
            "yet get half of max_calls. Above that: 503 with Retry-After. A proxy counts its other requests in the same way,",
            "and lets an address that has shown it have a quarter of its tables.",
        ],
    ),
    key(
        "limits",
        "trusted_sources",
        "[]",
        &[
            r#"Addresses and networks without that limit, as "192.0.2.1" or "2001:db8::/32". Targets of routes have none."#,
        ],
    ),
    key(
        "recording",
        "folder",
        r#""""#,
        &[
            "Directory of recordings, as an absolute path; it has to be there, and this user to be allowed to write in it. Empty: no",
            "call can be recorded. `ringplane record CALL` records one; each file is a WAV file, or pcapng where packets are kept, with",
            "the time and the leg in its name.",
        ],
    ),
    key(
        "recording",
        "calls",
        r#""none""#,
        &[
            r#"Calls that are recorded from their answer on: "all", or "none" but those that an operator asks for. At most 1,000 at once,"#,
            "and after a transfer the file goes on with the parties that are left. In many places callers have to be told, and to agree.",
        ],
    ),
    key(
        "recording",
        "layout",
        r#""stereo""#,
        &[
            r#""stereo": left the caller, right what it hears. "mono": both added up, in half the bytes (16 KB a second)."#,
        ],
    ),
    key(
        "recording",
        "contents",
        r#""sound""#,
        &[
            r#"What is kept where all calls are recorded: their "sound", their "packets" (RTP and RTCP of all legs, as pcapng), or "both"."#,
        ],
    ),
    key("recording", "limit_s", "14400", &["Seconds that a recording may get long, 1 to 86400. The call goes on."]),
    key(
        "recording",
        "limit_mb",
        "0",
        &["Megabytes that its file may get large, 0 to 1000000; 0: as large as it gets."],
    ),
    key(
        "process",
        "runtime_dir",
        r#""""#,
        &["Directory of the sockets. Empty: /run/ringplane for root, otherwise $XDG_RUNTIME_DIR/ringplane."],
    ),
    key(
        "process",
        "trace",
        "false",
        &[
            "Whether every SIP message is printed beside the log, without passwords and keys; `ringplane trace` shows those of",
            "one call or peer while the switch runs.",
        ],
    ),
    key(
        "process",
        "log",
        r#""info""#,
        &[r#"Least important log line to print: "error", "warn", "info", "debug" or "trace"."#],
    ),
];
