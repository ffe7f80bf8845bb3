//! A shard's share of what the configuration allows, and its settings.

use crate::dialplan::words;
use crate::proxy::RelayPlan;
use clock::Duration;
use config::Config;
use contract::{Codec, DigitPassing, VoiceProcessing};
use sdp_core::AudioFormat;
use session::{
    CallLimits, CrossingPolicy, Destinations, DigitWay, LocalAddresses, MediaSettings, Settings, SourceLimits, Sources,
    Timeouts,
};
use sip_core::proxy::{ProxyConfig, TrustedSources};
use sip_core::{EndpointConfig, Limits, SessionTimer, Timers, WithoutPeer};

/// Transactions that a call may leave behind: its INVITE and its BYE stay for 64*T1, in each direction.
const TRANSACTIONS_PER_CALL: usize = 16;

/// Bytes of headers and answers that a call may leave in them; some ten times of what it usually does.
const STORED_BYTES_PER_CALL: usize = 16 << 10;

fn calls_of_one(config: &Config, shard_count: usize) -> usize {
    config.sip.calls.max_calls.div_ceil(shard_count.max(1))
}

pub fn endpoint_config(config: &Config, shard_count: usize) -> EndpointConfig {
    let calls = calls_of_one(config, shard_count);
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    EndpointConfig {
        timers: Timers { t1: config.sip.t1, ..Timers::default() },
        limits: Limits {
            max_transactions: (calls * TRANSACTIONS_PER_CALL).max(Limits::default().max_transactions),
            // An ended call's dialog may outlive it for a while.
            max_dialogs: 2 * calls + 1_000,
            max_unproven_others: config.limits.unacknowledged_per_source,
            max_stored_bytes: (calls * STORED_BYTES_PER_CALL).max(Limits::default().max_stored_bytes),
            ..Limits::default()
        },
        allow: words(&[
            "INVITE",
            "ACK",
            "BYE",
            "CANCEL",
            "OPTIONS",
            "PRACK",
            "UPDATE",
            "INFO",
            "REFER",
            "NOTIFY",
            "SUBSCRIBE",
        ]),
        accept: words(&["application/sdp", "multipart/mixed", "multipart/alternative", "multipart/related"]),
        // RFC 4488: a REFER may say that it wants no reports.
        supported: words(&["norefersub"]),
        session_timer: SessionTimer {
            interval: config.sip.calls.session_expires.unwrap_or(Duration::ZERO),
            without_peer: WithoutPeer::Off,
            ..SessionTimer::default()
        },
        // REFER makes these subscriptions; any other is answered 489 with this list.
        event_packages: words(&["refer"]),
        security: words(if config.sip.streams.listen_tls.is_empty() { &[] } else { &["tls"] }),
        advertise: config.sip.advertised_address,
        media_ports: Some(config.media.ports.first..=config.media.ports.last),
        retry_after: config.sip.retry_after,
        ..EndpointConfig::default()
    }
}

/// What the proxy of one shard is told.
pub fn proxy_config(config: &Config, shard_count: usize, plan: &RelayPlan) -> ProxyConfig {
    let calls = calls_of_one(config, shard_count);
    let requests = (calls * TRANSACTIONS_PER_CALL).max(ProxyConfig::default().max_requests);
    let (trusted, routes) = (config.limits.trusted_sources.clone(), plan.routes.clone());
    let is_trusted = move |ip| trusted.iter().any(|network| network.contains(ip)) || routes.lead_to(ip);
    ProxyConfig {
        timers: Timers { t1: config.sip.t1, ..Timers::default() },
        max_requests: requests,
        max_unproven_invites: config.limits.unacknowledged_per_source,
        max_unproven_others: config.limits.unacknowledged_per_source,
        max_branches: 2 * requests,
        max_stored_bytes: (calls * STORED_BYTES_PER_CALL).max(ProxyConfig::default().max_stored_bytes),
        trusted: TrustedSources::new(is_trusted),
        names: plan.names.clone(),
        route_secret: plan.route_secret,
        record_route: config.sip.proxy.record_route,
        max_redirects: config.sip.proxy.follow_redirects,
        realms: config.auth.realms.iter().map(|realm| realm.name.clone()).collect(),
        advertise: config.sip.advertised_address,
        retry_after: config.sip.retry_after,
        ..ProxyConfig::default()
    }
}

/// What crosses from one side of a call to the other.
fn crossing(headers: &config::Headers) -> CrossingPolicy {
    let trusted = headers.trusted.clone();
    CrossingPolicy::new(&headers.pass, &headers.drop, move |ip| trusted.iter().any(|network| network.contains(ip)))
}

/// How much one source may take of a whole switch.
pub fn sources(config: &Config) -> Sources {
    Sources::new(SourceLimits::of(config.limits.unacknowledged_per_source, config.sip.calls.max_calls))
}

fn voice(wanted: config::VoiceProcessing) -> VoiceProcessing {
    VoiceProcessing::default().with_echo(wanted.echo).with_noise(wanted.noise).with_gain(wanted.gain)
}

pub fn settings(config: &Config, shard_count: usize, seed: u64) -> Settings {
    let sip = &config.sip;
    let formats = |codec: &config::AudioCodec| match codec {
        config::AudioCodec::Pcmu => vec![Codec::Pcmu],
        config::AudioCodec::Pcma => vec![Codec::Pcma],
        config::AudioCodec::G722 => vec![Codec::G722],
        config::AudioCodec::Opus => vec![Codec::Opus],
        config::AudioCodec::L16 => Codec::L16.to_vec(),
    };
    let media = MediaSettings {
        codecs: sip.audio.codecs.iter().flat_map(formats).map(AudioFormat::of).collect(),
        // What can only be passed on leaves nothing in a recording of the sound.
        relays_all: config.media.relay_unknown && !config.recording.writes_all_sound(),
        codec_order: match sip.audio.codec_order {
            config::CodecOrder::Caller => sdp_core::CodecOrder::Offerer,
            config::CodecOrder::Ours => sdp_core::CodecOrder::Ours,
        },
        transcoding: config.media.transcoding,
        voice: voice(config.media.voice_processing),
        telephone_event: sip.audio.dtmf,
        digit_way: match config.media.dtmf {
            config::Dtmf::Auto => DigitWay::Auto,
            config::Dtmf::Rfc4733 => DigitWay::Events,
            config::Dtmf::Info => DigitWay::Info,
            config::Dtmf::Inband => DigitWay::Tones,
        },
        digit_passing: match config.media.digits {
            config::Digits::Passed => DigitPassing::Pass,
            config::Digits::Consumed => DigitPassing::Remove,
            config::Digits::Masked => DigitPassing::Replace(0),
        },
        silence_limit: config.media.media_timeout.unwrap_or(Duration::ZERO),
        early_unproven: config.media.early_unproven,
        ringback: config.media.words.ringback.as_ref().and_then(|word| words::ringback_of(word, &config.media)),
        dscp: config.media.dscp,
        rtcp_xr: match config.media.quality.rtcp_xr {
            config::RtcpXr::Off => sdp_core::RtcpXr::Off,
            config::RtcpXr::Answered => sdp_core::RtcpXr::Answered,
            config::RtcpXr::Offered | config::RtcpXr::Always => sdp_core::RtcpXr::Offered,
        },
        codec_change: config.media.quality.codec_change,
        forces_rtcp_xr: config.media.quality.rtcp_xr == config::RtcpXr::Always,
        advertised: sip.advertised_address,
    };
    let limits = CallLimits {
        max_calls: calls_of_one(config, shard_count),
        retry_after: sip.retry_after,
        user_limit: None,
        // A shard of a switch is given one for all.
        sources: Some(sources(config)),
    };
    let timeouts = Timeouts {
        decision: sip.calls.decision_timeout,
        answer: sip.calls.ring_timeout,
        progress: sip.calls.progress_timeout,
        age: sip.calls.max_call.unwrap_or(Duration::ZERO),
        probe_interval: sip.calls.probe.unwrap_or(Duration::ZERO),
        ending: sip.t1.saturating_mul(128),
        ..Timeouts::default()
    };
    let (crossing, destinations) = (crossing(&config.headers), destinations(config));
    Settings { media, limits, timeouts, crossing, destinations, seed }
}

/// Where calls may go because a peer says so.
pub fn destinations(config: &Config) -> Destinations {
    Destinations {
        local: if config.transfer.allow_local { LocalAddresses::Allowed } else { LocalAddresses::Refused },
        media_ports: Some((config.media.ports.first, config.media.ports.last)),
    }
}
