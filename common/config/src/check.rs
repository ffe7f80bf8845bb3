//! Rules that several keys make together.

use crate::reader::Reader;
use crate::{ClientCertificates, Config, Mode, PromptFile};

pub(crate) fn together(config: &Config, reader: &mut Reader<'_>) {
    let pairs = config.media.ports.pair_count();
    if pairs < config.media.workers {
        reader.blame("media", "ports", format!("has {pairs} port pair(s) for {} workers", config.media.workers));
    }
    let media = config.media.ports;
    for address in config.sip.listen.iter().filter(|address| address.port() != 0) {
        if (media.first..=media.last).contains(&address.port()) {
            let range = format!("{}-{}", media.first, media.last);
            reader.blame("sip", "listen", format!("{address} lies in media.ports ({range}), where RTP goes"));
        }
    }
    secure(config, reader);
    roles(config, reader);
    credentials(config, reader);
    for prompt in &config.media.prompts {
        if let PromptFile::Wav(path) = &prompt.file
            && !path.is_file()
        {
            let allowed = format!("the prompt `{}` is not a file: {}", prompt.name, path.display());
            reader.blame("media", "prompts", allowed);
        }
    }
}

/// What the roles can do with routes.
fn roles(config: &Config, reader: &mut Reader<'_>) {
    let sip = &config.sip;
    if sip.mode == Mode::B2bua
        && let Some(route) = sip.routes.iter().find(|route| route.targets.iter().any(|group| group.len() > 1))
    {
        let allowed = format!(
            "the targets of `{}` cannot ring at once: with mode \"b2bua\" they are tried in order",
            route.pattern
        );
        reader.blame("sip", "routes", allowed);
    }
}

/// What credentials need.
fn credentials(config: &Config, reader: &mut Reader<'_>) {
    let auth = &config.auth;
    if let Some(name) = &auth.default_realm
        && auth.is_on()
        && !auth.realms.iter().any(|realm| realm.name == *name)
    {
        reader.blame("auth", "default_realm", "is no realm of auth.realms".to_owned());
    }
    for known in &auth.identities {
        let users = auth.realms.iter().filter(|realm| realm.name == known.realm).flat_map(|realm| &realm.users);
        if !users.map(|user| &user.name).any(|name| *name == known.user) {
            let allowed = format!("`{}` of `{}` is no user of auth.realms", known.user, known.realm);
            reader.blame("auth", "identities", allowed);
        }
    }
    for realm in &auth.realms {
        for user in &realm.users {
            for algorithm in auth.algorithms.iter().filter(|algorithm| !user.secret.is_for(**algorithm)) {
                let allowed = format!(
                    "`{}` of `{}` has no hash for {}: add it, or take {} out of auth.algorithms",
                    user.name,
                    realm.name,
                    algorithm.name(),
                    algorithm.name()
                );
                reader.blame("auth", "realms", allowed);
            }
        }
    }
}

/// What TLS needs.
fn secure(config: &Config, reader: &mut Reader<'_>) {
    let (sip, tls) = (&config.sip, &config.tls);
    for (name, list) in [("listen_tls", &sip.listen_tls), ("listen_wss", &sip.listen_wss)] {
        if !list.is_empty() && tls.certificates.is_empty() {
            reader.blame("sip", name, "needs a certificate in tls.certificates".to_owned());
        }
    }
    let is_asked = tls.client_certificates != ClientCertificates::NotAsked;
    if is_asked && tls.client_authorities.is_none() {
        let allowed = "needs the authorities that they must come from, in tls.client_authorities".to_owned();
        reader.blame("tls", "client_certificates", allowed);
    }
    let files = tls.certificates.iter().flat_map(|own| [("certificates", &own.chain), ("certificates", &own.key)]);
    let files = files.chain(tls.client_authorities.iter().map(|path| ("client_authorities", path)));
    for (name, path) in files.chain(tls.authorities.iter().map(|path| ("authorities", path))) {
        if !path.is_file() {
            reader.blame("tls", name, format!("not a file: {}", path.display()));
        }
    }
    // TCP, TLS and WebSocket share the ports of TCP.
    let tcp = sip.tcp_addresses().iter().map(|address| ("listen_tcp", address));
    let others = [("listen_tls", &sip.listen_tls), ("listen_ws", &sip.listen_ws), ("listen_wss", &sip.listen_wss)];
    let others = others.iter().flat_map(|(name, list)| list.iter().map(|address| (*name, address)));
    let all: Vec<_> = tcp.chain(others).filter(|(_, address)| address.port() != 0).collect();
    for (index, (name, address)) in all.iter().enumerate() {
        if let Some((other, _)) = all.get(..index).and_then(|before| before.iter().find(|(_, taken)| taken == address))
        {
            reader.blame("sip", name, format!("{address} is in {other} already"));
        }
    }
}
