//! The keys of `[media]`, in the order of the file.

use super::{Key, key};

pub(super) const MEDIA: &[Key] = &[
    key(
        "media",
        "ports",
        r#""10000-20000""#,
        &["UDP ports for RTP (even) and RTCP (odd), first and last, 1024 to 65535. Each call takes one pair."],
    ),
    key(
        "media",
        "bind",
        r#""auto""#,
        &[
            r#"Address that the media ports are bound to; "::" is every address of both families. "auto": the one address"#,
            r#"of [sip] listen, so that media comes from where peers are told that it does; "::" where it has several or"#,
            r#""0.0.0.0"."#,
        ],
    ),
    key("media", "workers", "0", &["Media threads, each pinned to a core, 1 to 64. 0: one per core."]),
    key(
        "media",
        "wait",
        r#""adaptive""#,
        &[
            r#"How a media thread waits: "adaptive" sleeps but batches under load, "block" always sleeps,"#,
            r#""busy" never sleeps (for isolated cores only: each thread takes its core for itself)."#,
        ],
    ),
    key(
        "media",
        "media_timeout_s",
        "60",
        &["Seconds without a packet from the peer after which a call ends that nobody holds, up to 86400. 0: never."],
    ),
    key(
        "media",
        "early_unproven_ms",
        "160",
        &[
            "Milliseconds of early media (ringing tone and announcements before the answer) for a caller over UDP that has not",
            "shown yet that it is where its session description says, up to 600000. It has once it sends RTP, RTCP or STUN from",
            "there, or a PRACK, or an answer to a challenge; most phones send RTP at once. A forged INVITE makes the switch send",
            "8.6 KB to a third party for each second of this; the default is less than three times such an INVITE.",
        ],
    ),
    key(
        "media",
        "transcoders",
        "4000",
        &[
            "Legs whose sound is decoded and encoded anew at once, at most, by all media threads together, up to 100000. 0: none.",
            "Beyond it a call between two codecs is not heard, and calls of one codec go on. One core transcodes some 300 legs",
            "of Opus, 1,100 of G.722; PCMU and PCMA need none for each other.",
        ],
    ),
    key(
        "media",
        "voice_processing",
        "[]",
        &[
            r#"What is done to the sound of every peer before anybody else hears it, such as ["echo", "noise", "gain"]. "echo": the echo"#,
            r#"of what the peer hears is taken out; "noise": noise is lowered by some 12 dB; "gain": speech is brought to one level."#,
            "Each leg is decoded and encoded for it, also where both sides have the same codec. Echo takes some 1 % of a core for a",
            "leg of G.711, 2 to 4 % for one of Opus, the others a fifth of that. `ringplane voice` asks for it for one call.",
        ],
    ),
    key(
        "media",
        "voice_processors",
        "200",
        &[
            "Legs whose sound is processed at once, at most, by all media threads together, up to 10000. 0: none. Beyond it the",
            "sound of a leg goes on as it is, which is counted. One core processes some 80 legs of G.711 with echo; each takes 0.4 MB.",
        ],
    ),
    key(
        "media",
        "dtmf",
        r#""auto""#,
        &[
            r#"How digits travel. "auto": as telephone events (RFC 4733) where a peer has agreed to them, otherwise by INFO, or as"#,
            "tones where a peer refuses INFO; tones of a peer without telephone events are listened for where nothing else would",
            r#"hear them. "rfc4733": the same without listening, which takes time of a media thread. "info", "inband": no telephone"#,
            "events, but INFO or tones only.",
        ],
    ),
    key(
        "media",
        "digits",
        r#""passed""#,
        &[
            r#"What one side of a call gets of the digits of the other: "passed": all of them; "consumed": none, and tones are cut"#,
            r#"out of the sound once they are noticed; "masked": a 0 for each. Programs are told the digits in any case."#,
        ],
    ),
    key(
        "media",
        "transcoding",
        "true",
        &[
            "Whether the media plane turns the codec of one side of a call into that of the other where they have none in common.",
            "false: such a call is refused with 488. Packets of a codec in common are always passed on as they are.",
        ],
    ),
    key(
        "media",
        "relay_unknown",
        "true",
        &[
            "Whether formats that the switch cannot decode, such as G.729, AMR, iLBC, GSM, Speex or EVS, are offered to the other",
            "side of a call and passed on where both have them. false: only the codecs of [sip] are agreed on.",
        ],
    ),
    key(
        "media",
        "prompts",
        r#"{ play = "builtin" }"#,
        &[
            "WAV, FLAC, MP3 and Ogg files that calls can play, by the user name that is called: { play = \"/srv/hello.wav\" }.",
            "\"builtin\" is the prompt that comes with the program. At most 256.",
        ],
    ),
    key(
        "media",
        "rooms",
        "[]",
        &[
            "User names of conferences in mode \"numbers\": everyone who calls such a name hears the others, up to 100 callers each,",
            "whatever their codecs. At most 1024.",
        ],
    ),
    key(
        "media",
        "numbers",
        "{}",
        &[
            r#"What is heard by who calls a user in mode "numbers", beside the names above: "echo", "tone", "tone:gb-busy", "ringing","#,
            r#""play:NAME" (a prompt) or "play:/PATH" (a sound file), "room:NAME" (one of rooms), or "record" (the caller's voice goes into"#,
            r#"a file of [recording] folder). Example: { 600 = "echo", 601 = "play:play", 602 = "tone:us-congestion" }"#,
        ],
    ),
    key(
        "media",
        "ringback",
        r#""none""#,
        &[
            r#"What a caller hears in mode "b2bua" while a target rings and sends no early media: "ringing", "tone:gb-ringing", "play:NAME","#,
            r#"or "play:/PATH" (again and again). It is announced by 183. "none": the target's 180 goes on to the caller, whose phone makes the tone."#,
        ],
    ),
    key(
        "media",
        "dscp",
        "46",
        &["Differentiated services code point of RTP, 0 to 63. 46 (expedited forwarding) is usual for voice."],
    ),
    key(
        "media",
        "mos_degraded",
        "3.6",
        &[
            "Mean opinion score (MOS-CQ, 1.0 to 4.5) below which a stream is degraded: it is counted and told to programs",
            "once it was below for two intervals in a row, and again once it has recovered. Below 3.6 many users are dissatisfied.",
            "0: no stream ever is.",
        ],
    ),
    key(
        "media",
        "codec_change",
        "false",
        &[
            "Whether a peer whose call is degraded (`mos_degraded`) is offered Opus by a re-INVITE, where it has agreed to it and is",
            "sent another codec: once in a call, never beside another offer. Opus repairs lost packets.",
        ],
    ),
    key(
        "media",
        "rtcp_xr",
        r#""answered""#,
        &[
            r#"VoIP metrics by RTCP XR (RFC 3611): "answered": for peers that ask for them (a=rtcp-xr), which are asked in turn;"#,
            r#""offered": the switch's own offers ask as well; "always": they are also sent to peers that do not ask; "off"."#,
        ],
    ),
    key(
        "media",
        "quality_interval_ms",
        "5000",
        &[
            "Milliseconds between two judgements of how the streams of a call sound, 200 to 60000. Each takes some microseconds.",
        ],
    ),
];
