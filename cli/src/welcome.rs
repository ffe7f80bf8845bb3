//! What `serve` says once it is ready: commands that work for this switch, at the addresses where it listens.

use config::{Config, Mode};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How the lines that look at the switch begin and end.
pub(crate) struct Commands {
    /// As it was called.
    pub(crate) program: String,
    /// Options that lead to this switch, with a space before each.
    pub(crate) options: String,
}

impl Commands {
    /// For a switch with these sockets, started as this process was.
    pub(crate) fn here(config: &Config) -> Self {
        let folder = &config.process.runtime_dir;
        let options = match *folder == Config::default().process.runtime_dir {
            true => String::new(),
            false => {
                let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                format!(" --runtime-dir {}", quoted(&folder.display().to_string()))
            }
        };
        Self { program: program(), options }
    }
}

/// How this program was called, for a shell.
pub(crate) fn program() -> String {
    let program = std::env::args().next().unwrap_or_else(|| "ringplane".into());
    let by_sudo = rustix::process::geteuid().is_root() && std::env::var_os("SUDO_UID").is_some();
    format!("{}{}", if by_sudo { "sudo " } else { "" }, quoted(&program))
}

/// Where SIP is listened for over UDP, out of what signaling said when it was ready.
pub(crate) fn listening(ready: &str) -> Vec<SocketAddr> {
    ready.split_whitespace().filter_map(|word| word.strip_prefix("udp:")?.trim_end_matches(',').parse().ok()).collect()
}

/// How to place a call and how to look at it.
pub(crate) fn text(config: &Config, listening: &[SocketAddr], commands: &Commands) -> String {
    let mut text = String::new();
    if let Some(at) = listening.first() {
        text += &calls(config, reachable(*at));
    }
    let Commands { program, options } = commands;
    text += &format!("Look at it: {program} calls{options}\n            {program} stats{options}\n");
    text + &format!("            {program} trace{options}\nStop it: Ctrl-C.\n")
}

/// The same address as one that can be called from this host.
fn reachable(at: SocketAddr) -> SocketAddr {
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, at.port())
}

fn calls(config: &Config, at: SocketAddr) -> String {
    let prompts = &config.media.prompts;
    let called = match config.sip.mode {
        Mode::Numbers if prompts.iter().any(|prompt| prompt.name == "play") => Some(("play".to_owned(), "")),
        Mode::Numbers => Some((prompts.first().map_or("tone", |prompt| &prompt.name).to_owned(), "")),
        _ => config.sip.routes.iter().find_map(|route| Some((sample(&route.pattern)?, route.pattern.as_str()))),
    };
    let Some((user, pattern)) = called else {
        return format!("Calls go by [sip] routes, by domain. Have a phone use {at} as its outbound proxy.\n");
    };
    let family = if at.is_ipv6() { "-6 " } else { "" };
    let host = at.to_string();
    let host = host.strip_suffix(&format!(":{}", at.port())).unwrap_or(&host);
    let account = match config.auth.realms.first() {
        Some(realm) => format!("/uanew <sip:USER@{}>;regint=0;auth_user=USER;auth_pass=PASSWORD", realm.name),
        None => format!("/uanew <sip:me@{host}>;regint=0"),
    };
    let dial = quoted(&format!("/dial sip:{user}@{at}"));
    let mut text = String::from("Place a call (each in another terminal):\n");
    text += &format!("  baresip {family}-e {} -e {dial}\n", quoted(&account));
    text += &match config.sip.mode {
        Mode::Numbers if user == "tone" => "      hear a tone; also echo@, ringing@, busy@\n".to_owned(),
        Mode::Numbers => "      hear a prompt; also tone@, echo@, ringing@, busy@\n".to_owned(),
        Mode::Redirect => format!("      a call by the route `{pattern}`: the phone is told where to go\n"),
        _ => format!("      a call by the route `{pattern}`\n"),
    };
    // SIPp's built-in caller neither proves who it is, nor follows a redirection or the Record-Route of a proxy.
    if config.auth.realms.is_empty() && matches!(config.sip.mode, Mode::Numbers | Mode::B2bua) {
        let called = if config.sip.mode == Mode::Numbers { String::new() } else { format!(" -s {}", quoted(&user)) };
        let (ip, at) = (at.ip(), quoted(&at.to_string()));
        text += &format!("  sipp -sn uac{called} -i {ip} {at} -r 20 -m 100\n      a hundred calls\n");
    }
    text
}

/// A user that a pattern fits; a domain alone names none.
fn sample(pattern: &str) -> Option<String> {
    match (pattern, pattern.strip_suffix('*')) {
        ("*", _) => Some("anybody".into()),
        (_, Some(beginning)) => Some(format!("{beginning}1")),
        _ => (!pattern.starts_with('@')).then(|| pattern.to_owned()),
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_./:@%+=,-".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(config: &str, ready: &str) -> String {
        let commands = Commands { program: "target/release/ringplane".into(), options: " --runtime-dir '/a b'".into() };
        text(&Config::parse(config).unwrap(), &listening(ready), &commands)
    }

    #[test]
    fn the_commands_are_for_this_address_family_port_and_mode() {
        let default = said("", "SIP on udp:0.0.0.0:5060 udp:[::]:5060 tcp:0.0.0.0:5060, 1 shard(s)");
        assert!(default.contains("sipp -sn uac -i 127.0.0.1 127.0.0.1:5060 -r 20 -m 100"), "{default}");
        assert!(
            default.contains("'/uanew <sip:me@127.0.0.1>;regint=0' -e '/dial sip:play@127.0.0.1:5060'"),
            "{default}"
        );
        assert!(default.contains("target/release/ringplane calls --runtime-dir '/a b'\n"), "{default}");
        let six = said("", "SIP on udp:[::1]:40123, 1 shard(s)");
        assert!(six.contains("-i ::1 '[::1]:40123'") && six.contains("baresip -6 "), "{six}");
        assert!(six.contains("<sip:me@[::1]>") && six.contains("sip:play@[::1]:40123"), "{six}");
        let routes = "[sip]\nmode = \"b2bua\"\nroutes = { \"+49*\" = \"sip:192.0.2.1\" }\n";
        let b2bua = said(routes, "SIP on udp:127.0.0.2:5070, 1 shard(s)");
        assert!(b2bua.contains("-s +491 -i 127.0.0.2 127.0.0.2:5070") && !b2bua.contains("tone@"), "{b2bua}");
        assert!(b2bua.contains("a call by the route `+49*`\n"), "{b2bua}");
        let redirect = said(&routes.replace("b2bua", "redirect"), "SIP on udp:127.0.0.2:5070, 1 shard(s)");
        assert!(redirect.contains("sip:+491@127.0.0.2:5070") && !redirect.contains("sipp"), "{redirect}");
        let proxy = said(&routes.replace("b2bua", "proxy"), "SIP on udp:127.0.0.2:5070, 1 shard(s)");
        assert!(proxy.contains("sip:+491@127.0.0.2:5070") && !proxy.contains("sipp"), "{proxy}");
        let silent = said("[media]\nprompts = {}\n", "SIP on udp:127.0.0.1:5060, 1 shard(s)");
        assert!(silent.contains("sip:tone@127.0.0.1:5060"), "{silent}");
        let auth = said("[auth]\nrealms = { r = { u = \"secret\" } }\n", "SIP on udp:127.0.0.1:5060, 1 shard(s)");
        assert!(auth.contains("auth_pass=PASSWORD") && !auth.contains("secret") && !auth.contains("sipp"), "{auth}");
        let second =
            "[sip]\nmode = \"b2bua\"\nroutes = { \"@e.org\" = \"sip:192.0.2.1\", sales = \"sip:192.0.2.2\" }\n";
        let second = said(second, "udp:127.0.0.1:5060");
        assert!(second.contains("sip:sales@") && second.contains("by the route `sales`\n"), "{second}");
        let domains =
            said("[sip]\nmode = \"proxy\"\nroutes = { \"@e.org\" = \"sip:192.0.2.1\" }\n", "udp:127.0.0.1:5060");
        assert!(domains.contains("outbound proxy") && !domains.contains("sipp"), "{domains}");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
