//! `[sip] routes`: patterns and where the calls go that fit them, read entry by entry, and what they do together.

use crate::reading::place::{Faults, Place};
use crate::reading::reader::Reader;
use crate::reading::suggest::either;
use crate::section::target_uri::Target;
use crate::{Config, Host, Mode, Route};
use std::net::{IpAddr, SocketAddr};
use toml::Spanned;
use toml::de::DeValue;

const WHOLE: &str = r#"must be a table of at most 4096 patterns with a SIP URI or a list of them each, such as { "+49*" = "sip:192.0.2.7" }"#;
const ENTRY: &str = r#"must be a SIP URI, or a list of one to eight of them, of which some may stand in lists of their own to ring at once"#;
const ROUTE_COUNT_MAX: usize = 4_096;
/// Most URIs of one pattern.
const TARGET_COUNT_MAX: usize = 8;

pub(crate) fn read(reader: &mut Reader<'_>, host: &dyn Host) -> Vec<Route> {
    reader.entries("sip", "routes", WHOLE, |value, faults| {
        let table = value.as_table().filter(|table| table.len() <= ROUTE_COUNT_MAX)?;
        let route = |(pattern, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let pattern: &std::borrow::Cow<'_, str> = pattern.get_ref();
            Some(Route { pattern: pattern.to_string(), targets: targets(pattern, value, faults, host)? })
        };
        Some(table.iter().filter_map(route).collect())
    })
}

/// A URI, a list of URIs, or a list in which some stand in lists of their own.
fn targets(
    pattern: &str,
    value: &Spanned<DeValue<'_>>,
    faults: &mut Faults,
    host: &dyn Host,
) -> Option<Vec<Vec<String>>> {
    let mut groups: Vec<Vec<&Spanned<DeValue<'_>>>> = Vec::new();
    match value.get_ref().as_array() {
        None => groups.push(vec![value]),
        Some(items) => groups.extend(items.iter().map(|item| match item.get_ref().as_array() {
            Some(group) => group.iter().collect(),
            None => vec![item],
        })),
    }
    let count = groups.iter().flatten().count();
    let mut is_sound = true;
    let mut wrong = |span, allowed: String| {
        faults.add(span, &[pattern], allowed);
        is_sound = false;
    };
    if pattern.trim().is_empty() || pattern == "@" {
        wrong(
            value.span(),
            r#"its pattern fits nobody: write a user, a beginning and a star ("+49*"), "@example.com" or "*""#.into(),
        );
    } else if pattern.starts_with("sip:") || pattern.starts_with("sips:") {
        let rest = pattern.split_once(':').map_or(pattern, |(_, rest)| rest);
        let (user, domain) = rest.split_once('@').unwrap_or(("", rest));
        wrong(
            value.span(),
            format!(
                "a pattern is no URI: write {}",
                either(&[&format!("@{domain}"), user][..2 - usize::from(user.is_empty())])
            ),
        );
    }
    if !(1..=TARGET_COUNT_MAX).contains(&count) || groups.iter().any(Vec::is_empty) {
        wrong(value.span(), ENTRY.into());
    }
    for item in groups.iter().flatten() {
        let known = item.get_ref().as_str().map(|uri| Target::parse(uri).map(|_| uri).and_then(|uri| host.uri(uri)));
        match known {
            Some(Ok(())) => {}
            Some(Err(why)) => wrong(item.span(), why),
            None => wrong(item.span(), ENTRY.into()),
        }
    }
    let texts = |group: Vec<&Spanned<DeValue<'_>>>| {
        group.iter().filter_map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
    };
    is_sound.then(|| groups.into_iter().map(texts).collect())
}

/// What routes do together, and with the rest of the file.
pub(crate) fn together(config: &Config, reader: &mut Reader<'_>, host: &dyn Host) {
    let sip = &config.sip;
    let (mode, routes) = (Place::key("sip", "mode"), Place::key("sip", "routes"));
    let is_written = reader.is_written("sip", "routes");
    match sip.mode {
        Mode::Numbers if !sip.routes.is_empty() && reader.knows(&[("sip", "mode")]) => {
            let allowed = "are for transfers only with mode \"numbers\", which answers every call here; for calls to go by them write mode = \"b2bua\", \"proxy\" or \"redirect\"";
            reader.warn(&[routes], allowed);
        }
        Mode::B2bua | Mode::Proxy | Mode::Redirect if sip.routes.is_empty() && !is_written && reader.is_whole() => {
            let allowed = "needs routes, without which every call gets 404; write routes = { \"*\" = \"sip:HOST\" }";
            reader.blame(&[mode], allowed);
        }
        Mode::B2bua | Mode::Proxy | Mode::Redirect if sip.routes.is_empty() && reader.is_sound() => {
            reader
                .blame(&[routes], "has no route, so that every call gets 404; write routes = { \"*\" = \"sip:HOST\" }");
        }
        _ => {}
    }
    for (index, route) in sip.routes.iter().enumerate() {
        let path = [route.pattern.as_str()];
        let place = routes.entry(&path);
        let mine = canonical(&route.pattern);
        if let Some(other) = sip.routes[..index].iter().find(|other| canonical(&other.pattern) == mine) {
            reader.blame(
                &[place],
                format!("is the same pattern as \"{}\"; put their targets into one list", other.pattern),
            );
        }
        if sip.mode == Mode::B2bua && route.targets.iter().any(|group| group.len() > 1) {
            reader.blame(&[place], "cannot ring several targets at once: with mode \"b2bua\" they are tried in order; write them as one list");
        }
        if let Some(why) = doubtful(&route.pattern) {
            reader.warn(&[place], why);
        }
        for uri in route.targets.iter().flatten() {
            let Ok(target) = Target::parse(uri) else { continue };
            let known = sip.mode != Mode::Numbers && reader.knows(&[("sip", "listen")]);
            if known && comes_back(config, route, &target, host) {
                let is_it = |text: &str| text == uri;
                let allowed = "leads to this switch itself and there by this route again: a loop";
                reader.blame(&[place.text(&is_it)], allowed);
            }
        }
    }
}

/// Patterns that are read, but not as their writer may think.
fn doubtful(pattern: &str) -> Option<String> {
    let beginning = pattern.strip_suffix('*').unwrap_or(pattern);
    if let Some((user, domain)) = pattern.split_once('@').filter(|(user, _)| !user.is_empty()) {
        return Some(format!(
            "fits only users with an @ in their name; a pattern is a user (\"{user}\") or a domain (\"@{domain}\")"
        ));
    }
    if pattern.starts_with('@') && pattern.contains('*') {
        return Some("fits no domain: a domain is written whole, one pattern each".into());
    }
    let middle = beginning.get(1..).is_some_and(|rest| rest.contains('*'));
    middle.then(|| "has a star that is not at its end, where it stands for itself and not for other characters".into())
}

/// A pattern as the switch compares it.
fn canonical(pattern: &str) -> String {
    if let Some(domain) = pattern.strip_prefix('@') {
        let bare = domain.strip_prefix('[').and_then(|domain| domain.strip_suffix(']')).unwrap_or(domain);
        return format!(
            "@{}",
            bare.parse::<IpAddr>().map_or_else(|_| domain.to_ascii_lowercase(), |ip| ip.to_string())
        );
    }
    let is_number = pattern.starts_with('+') && pattern[1..].chars().all(|c| c.is_ascii_digit() || "-.()*".contains(c));
    if is_number { pattern.chars().filter(|c| !"-.()".contains(*c)).collect() } else { pattern.to_owned() }
}

/// Whether a call that a route sends to a target comes back and takes the same route, by way of others as it may be.
fn comes_back(config: &Config, start: &Route, target: &Target<'_>, host: &dyn Host) -> bool {
    let routes = &config.sip.routes;
    let mut user = target.user.map(str::to_owned);
    let mut next = is_ours(config, target, host);
    for _ in 0..=routes.len() {
        if !next {
            return false;
        }
        let at = match &user {
            Some(user) => {
                routes.iter().filter(|route| fits(&route.pattern, user)).max_by_key(|route| rank(&route.pattern))
            }
            // The user stays, so that it fits the same pattern; of a domain only the rest can follow.
            None if start.pattern.starts_with('@') => routes.iter().find(|route| route.pattern == "*"),
            None => Some(start),
        };
        let Some(at) = at else { return false };
        if at.pattern == start.pattern {
            return true;
        }
        let Some(Ok(first)) = at.targets.iter().flatten().next().map(|uri| Target::parse(uri)) else { return false };
        next = is_ours(config, &first, host);
        user = first.user.map(str::to_owned).or(user);
    }
    false
}

fn fits(pattern: &str, user: &str) -> bool {
    match canonical(pattern).strip_suffix('*') {
        Some(beginning) => user.starts_with(beginning),
        None => canonical(pattern) == user,
    }
}

/// The most exact pattern counts.
fn rank(pattern: &str) -> (bool, usize) {
    (!pattern.ends_with('*'), pattern.len())
}

/// Whether this switch listens where a target is.
fn is_ours(config: &Config, target: &Target<'_>, host: &dyn Host) -> bool {
    let sip = &config.sip;
    let (listen, usual): (&[SocketAddr], u16) = match (target.transport.as_deref(), target.is_secure) {
        (Some("ws"), false) => (&sip.streams.listen_ws, 80),
        (Some("ws" | "wss"), _) => (&sip.streams.listen_wss, 443),
        (Some("tls"), _) | (_, true) => (&sip.streams.listen_tls, 5061),
        (Some("tcp"), false) => (sip.tcp_addresses(), 5060),
        _ => (&sip.listen, 5060),
    };
    let port = target.port.unwrap_or(usual);
    let is_name =
        |name: &String| *name == target.host.to_ascii_lowercase() || **name == format!("{}:{port}", target.host);
    let ip = match target.ip() {
        None if target.host.eq_ignore_ascii_case("localhost") => Some(IpAddr::from([127, 0, 0, 1])),
        ip => ip,
    };
    listen.iter().filter(|at| at.port() == port).any(|at| match ip {
        Some(ip) => {
            let of_host = at.ip().is_unspecified() && at.is_ipv4() == ip.is_ipv4() && host.is_own(ip);
            at.ip() == ip || of_host || sip.advertised_address == Some(ip)
        }
        None => sip.domains.iter().any(is_name),
    })
}
