//! Rules that several keys make together.

use crate::reading::place::Place;
use crate::reading::reader::Reader;
use crate::reading::suggest::did_you_mean;
use crate::section::routes;
use crate::{ClientCertificates, Config, Host, Mode, RecordedCalls, Word};
use std::net::SocketAddr;

pub(crate) fn together(config: &Config, reader: &mut Reader<'_>, host: &dyn Host) {
    ports(config, reader);
    secure(config, reader);
    shared_ports(config, reader);
    routes::together(config, reader, host);
    credentials(config, reader);
    roles(config, reader);
    recordings(config, reader, host);
    rooms(config, reader);
    words(config, reader);
    proxy_methods(config, reader);
}

/// Ports of media beside those of SIP, and enough of them.
fn ports(config: &Config, reader: &mut Reader<'_>) {
    let (ports, workers) = (Place::key("media", "ports"), Place::key("media", "workers"));
    let (media, pairs) = (config.media.ports, config.media.ports.pair_count());
    let range = format!("{}-{}", media.first, media.last);
    if pairs < config.media.workers && reader.knows(&[("media", "ports"), ("media", "workers")]) {
        let allowed = format!(
            "media.ports ({range}) has {pairs} pair(s) of ports for {} media.workers; each needs one at least",
            config.media.workers
        );
        reader.blame(&[ports, workers], allowed);
    }
    let known = reader.knows(&[("media", "ports"), ("sip", "listen")]);
    for address in config.sip.listen.iter().filter(|address| known && address.port() != 0) {
        if (media.first..=media.last).contains(&address.port()) {
            let is_it = |text: &str| text.parse() == Ok(*address);
            let allowed =
                format!("{address} of sip.listen lies in media.ports ({range}), where RTP goes; move one of them");
            reader.blame(&[Place::key("sip", "listen").text(&is_it), ports], allowed);
        }
    }
}

/// Recordings need a place, and a mode that has media.
fn recordings(config: &Config, reader: &mut Reader<'_>, host: &dyn Host) {
    let recording = &config.recording;
    let (folder, calls) = (Place::key("recording", "folder"), Place::key("recording", "calls"));
    if !reader.knows(&[("recording", "folder"), ("recording", "calls"), ("sip", "mode")]) {
        return;
    }
    if let Some(Err(why)) = recording.folder.as_deref().map(|path| host.folder(path)) {
        reader.blame(&[folder], format!("recording.folder {why}"));
    }
    if recording.folder.is_none() && recording.calls == RecordedCalls::All {
        reader.blame(
            &[calls, folder],
            "recording.calls is \"all\", and recording.folder says no directory for the files",
        );
    }
    if recording.folder.is_some() && matches!(config.sip.mode, Mode::Proxy | Mode::Redirect) {
        reader.warn(&[folder], "counts only with mode = \"numbers\" or \"b2bua\": no media comes here");
    }
}

/// Words name prompts and rooms that are there, and what they need.
fn words(config: &Config, reader: &mut Reader<'_>) {
    let media = &config.media;
    if !reader.knows(&[("media", "numbers"), ("media", "prompts"), ("media", "rooms"), ("media", "ringback")]) {
        return;
    }
    let numbers = media.words.numbers.iter().map(|(name, word)| ("numbers", format!("media.numbers.{name}"), word));
    let ringback = media.words.ringback.iter().map(|word| ("ringback", "media.ringback".to_owned(), word));
    for (key, place, word) in numbers.chain(ringback) {
        let why = match word {
            Word::Play(name) if media.prompt(name).is_none() => {
                let names = media.prompts.iter().map(|prompt| prompt.name.as_str());
                format!("plays {name:?}, which is no name of media.prompts{}", did_you_mean(name, names))
            }
            Word::Room(name) if !media.rooms.contains(name) => {
                let names = media.rooms.iter().map(String::as_str);
                format!("names the room {name:?}, which is none of media.rooms{}", did_you_mean(name, names))
            }
            Word::Record if config.recording.folder.is_none() => {
                "records, and recording.folder says no directory for the files".to_owned()
            }
            _ => continue,
        };
        reader.blame(&[Place::key("media", key)], format!("{place} {why}"));
    }
    if media.words.ringback.is_some() && config.sip.mode != Mode::B2bua && reader.knows(&[("sip", "mode")]) {
        reader.warn(&[Place::key("media", "ringback")], "counts only with mode = \"b2bua\"");
    }
    if !media.words.numbers.is_empty() && config.sip.mode != Mode::Numbers && reader.knows(&[("sip", "mode")]) {
        reader.warn(&[Place::key("media", "numbers")], "counts only with mode = \"numbers\"");
    }
}

/// Rooms have names that nothing else has, and a mode that knows them.
fn rooms(config: &Config, reader: &mut Reader<'_>) {
    const BUILT_IN: [&str; 4] = ["busy", "echo", "ringing", "tone"];
    if !reader.knows(&[("media", "rooms"), ("media", "prompts"), ("sip", "mode")]) {
        return;
    }
    let (rooms, place) = (&config.media.rooms, Place::key("media", "rooms"));
    for (at, name) in rooms.iter().enumerate() {
        let other = match () {
            () if BUILT_IN.contains(&name.as_str()) || name.starts_with("tone-") => {
                "a number that the switch has by itself"
            }
            () if config.media.prompts.iter().any(|prompt| prompt.name == *name) => "the name of a prompt",
            () if rooms[..at].contains(name) => "there twice",
            () => continue,
        };
        reader.blame(&[place], format!("`{name}` of media.rooms is {other}; take another name"));
    }
    if !rooms.is_empty() && config.sip.mode != Mode::Numbers {
        reader.warn(&[place], "counts only with mode = \"numbers\"");
    }
}

/// What only one role looks at.
fn roles(config: &Config, reader: &mut Reader<'_>) {
    let sip = &config.sip;
    for (name, is_changed) in
        [("record_route", !sip.proxy.record_route), ("follow_redirects", sip.proxy.follow_redirects > 0)]
    {
        if sip.mode != Mode::Proxy
            && sip.proxy.methods.is_empty()
            && is_changed
            && reader.knows(&[("sip", "mode")])
            && reader.is_written("sip", name)
        {
            reader.warn(&[Place::key("sip", name)], "counts only with mode = \"proxy\"");
        }
    }
}

/// Methods beside calls need the mode that has both.
fn proxy_methods(config: &Config, reader: &mut Reader<'_>) {
    let is_used = config.sip.proxy.methods.is_empty() || config.sip.mode == Mode::B2bua;
    if !is_used && reader.knows(&[("sip", "mode")]) {
        let allowed = match config.sip.mode {
            Mode::Proxy => "says nothing new: mode = \"proxy\" sends every request on",
            _ => "counts only with mode = \"b2bua\"",
        };
        reader.warn(&[Place::key("sip", "proxy_methods")], allowed);
    }
}

/// What credentials need.
fn credentials(config: &Config, reader: &mut Reader<'_>) {
    if !reader.is_whole() {
        return; // a realm or a user may be among what was lost
    }
    let auth = &config.auth;
    let names = || auth.realms.iter().map(|realm| realm.name.as_str());
    if let Some(name) = &auth.default_realm
        && auth.is_on()
        && !names().any(|realm| realm == name)
    {
        let allowed = format!("is no realm of auth.realms{}", did_you_mean(name, names()));
        reader.blame(&[Place::key("auth", "default_realm")], allowed);
    }
    for known in &auth.identities {
        let path = [known.realm.as_str(), known.user.as_str()];
        let users = auth.realms.iter().filter(|realm| realm.name == known.realm).flat_map(|realm| &realm.users);
        let users: Vec<&str> = users.map(|user| user.name.as_str()).collect();
        // A user whose secret is wrong is there all the same.
        if !users.contains(&known.user.as_str()) && !reader.has_entry("auth", "realms", &path) {
            let hint = match names().any(|realm| realm == known.realm) {
                true => did_you_mean(&known.user, users),
                false => did_you_mean(&known.realm, names()),
            };
            let allowed = format!("`{}` of `{}` is no user of auth.realms{hint}", known.user, known.realm);
            reader.blame(&[Place::key("auth", "identities").entry(&path)], allowed);
        }
    }
    for realm in &auth.realms {
        for user in &realm.users {
            let path = [realm.name.as_str(), user.name.as_str()];
            for algorithm in auth.algorithms.iter().filter(|algorithm| !user.secret.is_for(**algorithm)) {
                if reader.has_entry("auth", "realms", &[path[0], path[1], algorithm.key().0]) {
                    continue;
                }
                let allowed = format!(
                    "`{}` of `{}` has no hash for {}: add {} = \"...\", or write auth.algorithms without {}",
                    user.name,
                    realm.name,
                    algorithm.name(),
                    algorithm.key().0,
                    algorithm.name()
                );
                reader.blame(&[Place::key("auth", "realms").entry(&path)], allowed);
            }
        }
    }
}

/// What TLS needs.
fn secure(config: &Config, reader: &mut Reader<'_>) {
    let (sip, tls) = (&config.sip, &config.tls);
    for (name, list) in [("listen_tls", &sip.streams.listen_tls), ("listen_wss", &sip.streams.listen_wss)] {
        let known = reader.knows(&[("tls", "certificates")]);
        if known && !list.is_empty() && tls.certificates.is_empty() && !reader.has_entries("tls", "certificates") {
            reader.blame(&[Place::key("sip", name)], "needs a certificate in tls.certificates");
        }
    }
    let asked = Place::key("tls", "client_certificates");
    let is_asked = tls.client_certificates != ClientCertificates::NotAsked;
    if is_asked && tls.client_authorities.is_none() && reader.knows(&[("tls", "client_authorities")]) {
        reader.blame(&[asked], "needs the authorities that they must come from, in tls.client_authorities");
    }
    if !is_asked && tls.client_authorities.is_some() && reader.knows(&[("tls", "client_certificates")]) {
        let allowed = "counts only with client_certificates = \"optional\" or \"required\"; as it is, nobody is asked";
        reader.warn(&[Place::key("tls", "client_authorities")], allowed);
    }
}

/// TCP, TLS and WebSocket share the ports of TCP.
fn shared_ports(config: &Config, reader: &mut Reader<'_>) {
    if !reader.knows(&[("sip", "listen"), ("sip", "listen_tcp")]) {
        return;
    }
    let sip = &config.sip;
    let tcp = sip.tcp_addresses().iter().map(|address| ("listen_tcp", address));
    let others = [
        ("listen_tls", &sip.streams.listen_tls),
        ("listen_ws", &sip.streams.listen_ws),
        ("listen_wss", &sip.streams.listen_wss),
    ];
    let others = others.iter().flat_map(|(name, list)| list.iter().map(|address| (*name, address)));
    let all: Vec<_> = tcp.chain(others).filter(|(_, address)| address.port() != 0).collect();
    let meets = |one: &SocketAddr, other: &SocketAddr| {
        let any = one.ip().is_unspecified() || other.ip().is_unspecified();
        one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && (any || one.ip() == other.ip())
    };
    for (index, (name, address)) in all.iter().enumerate() {
        let before = all.get(..index).unwrap_or_default();
        if let Some((other, taken)) =
            before.iter().find(|(other, taken)| *taken == *address || (other != name && meets(taken, address)))
        {
            let is_it = |text: &str| text.parse() == Ok(**address);
            let same = if taken == address { String::new() } else { format!(" as {taken}") };
            let allowed = format!("{address} is in {other} already{same}; take another port");
            reader.blame(&[Place::key("sip", name).text(&is_it)], allowed);
        }
    }
}
