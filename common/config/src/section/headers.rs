use crate::reading::place::Place;
use crate::reading::reader::{List, Reader};
use std::net::IpAddr;

/// Most entries of one list.
const ENTRY_COUNT_MAX: usize = 64;

/// `[headers]`: which header fields cross from one side of a call to the other when calls go on to somewhere else.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Headers {
    /// Names that cross beside those that always do; one that ends in `*` stands for all that begin so.
    pub pass: Vec<String>,
    /// Names that do not cross although they would.
    pub drop: Vec<String>,
    /// Peers whose word about identities counts, and who may hear of them.
    pub trusted: Vec<Network>,
}

/// An IP address, or all that begin alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// `192.0.2.7`, `192.0.2.0/24` or `2001:db8::/32`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Some(most), |prefix| prefix.parse().ok())?;
        (prefix_bits <= most).then_some(Self { address, prefix_bits })
    }

    /// Whether an address is in it. One of IPv4 is the same in its IPv6 form.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let bits = u32::from(self.prefix_bits);
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                (ours.to_bits() ^ ip.to_bits()) & mask == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                (ours.to_bits() ^ ip.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl Headers {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let names = r#"must be a list of at most 64 header field names, each whole or with a star at its end, as ["X-Account", "P-*"]"#;
        let networks = r#"must be a list of at most 64 addresses or networks, as ["192.0.2.0/24", "2001:db8::7"]"#;
        let list = |whole| List { count: 0..=ENTRY_COUNT_MAX, whole };
        let pass = reader.list("headers", "pass", &list(names), |name| {
            let name = field_name(name)?;
            why_never(&name).map_or(Ok(name.clone()), |why| Err(format!("`{name}` cannot cross: {why}")))
        });
        let drop = reader.list("headers", "drop", &list(names), field_name);
        for name in pass.iter().filter(|name| drop.iter().any(|other| other.eq_ignore_ascii_case(name))) {
            let is_it = |text: &str| text == name;
            reader
                .blame(&[Place::key("headers", "pass").text(&is_it)], "is in headers.drop as well; take it out of one");
        }
        Self { pass, drop, trusted: reader.list("headers", "trusted", &list(networks), network) }
    }
}

fn field_name(name: &str) -> Result<String, String> {
    let is_token = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%_+`'~".contains(&byte));
    let beginning = name.strip_suffix('*').unwrap_or(name);
    let sound = beginning.len() > usize::from(name.ends_with('*')) && beginning.len() <= 64 && is_token(beginning);
    if sound {
        return Ok(name.to_owned());
    }
    let shorter = name.trim().trim_end_matches(':').trim_end();
    let hint = match shorter != name && !shorter.is_empty() && is_token(shorter) {
        true => format!("; write \"{shorter}\""),
        false => String::new(),
    };
    Err(format!("must be the name of a header field, whole or with a star at its end{hint}"))
}

/// An entry of a list of networks.
pub(crate) fn network(text: &str) -> Result<Network, String> {
    let with_port = || text.parse::<std::net::SocketAddr>().ok();
    Network::parse(text).ok_or_else(|| {
        let hint =
            with_port().map_or_else(String::new, |at| format!("; ports do not count here, write \"{}\"", at.ip()));
        format!("must be an address or a network, such as \"192.0.2.1\" or \"2001:db8::/32\"{hint}")
    })
}

/// Why a header field, or a beginning of names with a star, can never cross; `None`: it can.
pub fn why_never(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let fits = |other: &str| match name.strip_suffix('*') {
        Some(beginning) => other.starts_with(beginning),
        None => other == name,
    };
    NEVER.iter().find(|(names, _)| names.iter().any(|other| fits(other))).map(|(_, why)| *why)
}

/// Header fields that belong to one side of a call, by the reason. Compact forms are names of their own.
const NEVER: &[(&[&str], &str)] = &[
    (
        &["via", "v", "route", "record-route", "path", "service-route", "max-forwards", "max-breadth", "timestamp"],
        "it says how one message went, which is another way on each side",
    ),
    (
        &["call-id", "i", "cseq", "from", "f", "to", "t", "contact", "m", "rseq", "rack"],
        "it makes the dialog, and each side has its own; the names of caller and called cross by themselves",
    ),
    (
        &["replaces", "join", "target-dialog", "refer-to", "r", "refer-sub", "event", "o", "subscription-state"],
        "it names a dialog or a subscription of one side",
    ),
    (
        &[
            "content-length",
            "l",
            "content-type",
            "c",
            "content-encoding",
            "e",
            "content-disposition",
            "content-language",
            "mime-version",
            "accept",
            "accept-encoding",
        ],
        "it describes a body, and the switch writes its own",
    ),
    (
        &[
            "require",
            "proxy-require",
            "supported",
            "k",
            "unsupported",
            "allow",
            "allow-events",
            "u",
            "recv-info",
            "info-package",
            "session-expires",
            "x",
            "min-se",
            "min-expires",
            "flow-timer",
        ],
        "it says what one end can do, and the switch is the end of both sides",
    ),
    (
        &[
            "authorization",
            "proxy-authorization",
            "www-authenticate",
            "proxy-authenticate",
            "authentication-info",
            "proxy-authentication-info",
            "security-client",
            "security-server",
            "security-verify",
        ],
        "credentials are for the one who asked for them",
    ),
    (&["user-agent", "server", "sip-etag", "sip-if-match", "suppress-if-match"], "it is about one peer alone"),
    (&["expires"], "it crosses by itself, with the time that is left"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_begins_alike() {
        let holds = |network: &str, ip: &str| Network::parse(network).unwrap().contains(ip.parse().unwrap());
        for (network, ip) in [
            ("192.0.2.0/24", "192.0.2.255"),
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7", "::ffff:192.0.2.7"),
            ("0.0.0.0/0", "203.0.113.1"),
            ("2001:db8::/32", "2001:db8:ffff::1"),
            ("::/0", "2001:db8::1"),
        ] {
            assert!(holds(network, ip), "{network} {ip}");
        }
        for (network, ip) in [
            ("192.0.2.0/24", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.6"),
            ("::/0", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::"),
        ] {
            assert!(!holds(network, ip), "{network} {ip}");
        }
        for wrong in ["192.0.2.0/33", "::/129", "trunk.example.net", "192.0.2", "192.0.2.0/", ""] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
