//! Whose name a user may use: From and P-Asserted-Identity say who calls, the credentials prove who that is (RFC 3261 §22.1,
//! RFC 3325 §5, RFC 3323 §4.1.1.3).

use sip_wire::{Address, Message, Name, Scheme, Uri};
use std::collections::HashMap;
use std::net::IpAddr;

/// Who may be called what, beside `sip:USER@` the realm.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Identities {
    domains: Vec<String>,
    aliases: HashMap<(String, String), Vec<String>>,
}

impl Identities {
    /// Users of every realm may be `USER@` one of these as well: our domains and addresses.
    pub fn new(domains: Vec<String>) -> Self {
        Self { domains, aliases: HashMap::new() }
    }

    /// Another name of a user: a user part (`+493012`), a whole URI (`sip:sales@example.org`), or `*` for any name.
    pub fn add(&mut self, realm: &str, username: &str, alias: &str) {
        self.aliases.entry((realm.to_owned(), username.to_owned())).or_default().push(alias.to_owned());
    }

    /// Whether a proven user may say that it is this. `source` is where the request came from: a phone without a domain
    /// names its own address.
    pub(crate) fn fits(&self, realm: &str, username: &str, uri: &Uri<'_>, source: IpAddr) -> bool {
        if is_anonymous(uri) {
            return true;
        }
        let (user, host) = (user_of(uri), uri.host.map(|host| host.bare()));
        let is_our_domain = host.as_deref().is_none_or(|host| {
            let same = |domain: &str| domain.eq_ignore_ascii_case(host);
            let is_address = host.parse().is_ok_and(|ip| source.to_canonical() == ip || is_of_a_site(ip));
            same(realm) || self.domains.iter().any(|domain| same(domain)) || is_address
        });
        if is_our_domain && user == username {
            return true;
        }
        // Some have their domain in the username.
        if let (Some((name, domain)), Some(host)) = (username.rsplit_once('@'), host.as_deref())
            && name == user
            && domain.eq_ignore_ascii_case(host)
        {
            return true;
        }
        let aliases = self.aliases.get(&(realm.to_owned(), username.to_owned()));
        aliases.into_iter().flatten().any(|alias| match Uri::parse(alias.as_bytes()) {
            _ if alias == "*" => true,
            Ok(alias) if alias.scheme != Scheme::Other => {
                let same_host = match (alias.host, uri.host) {
                    (Some(alias), Some(host)) => alias.same(&host),
                    (alias, host) => alias.is_none() && host.is_none(),
                };
                same_host && user_of(&alias) == user
            }
            _ => is_our_domain && *alias == user,
        })
    }

    /// The identity that a proxy asserts for a proven user: the one that the user prefers, if it may be that; else that of
    /// From, else the username in its realm.
    pub(crate) fn asserted(&self, realm: &str, username: &str, request: &Message<'_>, source: IpAddr) -> String {
        let preferred =
            request.raw_values(Name::PPreferredIdentity).find_map(Address::parse).map(|address| address.uri);
        let from = request.from().ok().map(|from| from.uri);
        let chosen = [preferred, from].into_iter().flatten();
        let mut fitting = chosen.filter(|uri| !is_anonymous(uri) && self.fits(realm, username, uri, source));
        let bare = |uri: Uri<'_>| {
            let bytes = uri.as_bytes();
            let end = bytes.iter().position(|byte| matches!(byte, b';' | b'?')).unwrap_or(bytes.len());
            std::str::from_utf8(bytes.get(..end)?).ok().map(str::to_owned)
        };
        fitting.find_map(bare).unwrap_or_else(|| match username.contains('@') {
            true => format!("sip:{username}"),
            false => format!("sip:{}@{realm}", escaped(username)),
        })
    }
}

/// An address that means nothing outside its own network (RFC 1918, RFC 6598, RFC 4193), nor on another link or host: a
/// phone behind a NAT, or with several interfaces, that has no domain names one of these as its own.
fn is_of_a_site(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || is_shared || ip.is_link_local() || ip.is_loopback()
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// `anonymous@anonymous.invalid`: who hides its name claims none.
fn is_anonymous(uri: &Uri<'_>) -> bool {
    uri.user_is(b"anonymous") && uri.host.is_some_and(|host| host.bare().eq_ignore_ascii_case("anonymous.invalid"))
}

/// The user part, or the number of a `tel:` URI without what makes it readable (RFC 3966 §5.1.1).
fn user_of(uri: &Uri<'_>) -> String {
    match uri.user_decoded() {
        Some(user) => String::from_utf8_lossy(&user).into_owned(),
        None if uri.scheme == Scheme::Tel => {
            let number = uri.opaque().split(|byte| *byte == b';').next().unwrap_or_default();
            number.iter().filter(|byte| !b"-.()".contains(byte)).map(|byte| char::from(*byte)).collect()
        }
        None => String::new(),
    }
}

/// What a user part may not hold is escaped (RFC 3261 §25.1).
fn escaped(user: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identities() -> Identities {
        let mut identities = Identities::new(vec!["switch.example".into(), "192.0.2.1".into(), "2001:db8::1".into()]);
        identities.add("example.com", "alice", "+493012");
        identities.add("example.com", "alice", "sip:sales@example.org");
        identities.add("example.com", "pbx", "*");
        identities
    }

    #[test]
    fn a_user_is_itself_in_our_domains_and_what_its_aliases_say() {
        let identities = identities();
        let source: IpAddr = "198.51.100.7".parse().unwrap();
        let fits =
            |user: &str, uri: &str| identities.fits("example.com", user, &Uri::parse(uri.as_bytes()).unwrap(), source);
        for good in [
            "sip:alice@example.com",
            "sips:alice@Example.COM:5061;transport=tls",
            "sip:%61lice@example.com",
            "sip:alice@switch.example",
            "sip:alice@192.0.2.1:5070",
            "sip:alice@[2001:db8::1]",
            "sip:alice@198.51.100.7:40000",
            "sip:alice@192.168.178.20:5060",
            "sip:alice@100.64.0.9",
            "sip:alice@[fd00::2]",
            "sip:alice@[fe80::1]",
            "sip:alice@127.0.0.1",
            "sip:+493012@example.com",
            "tel:+49-30-12",
            "sip:sales@example.org",
            "sip:anonymous@anonymous.invalid",
        ] {
            assert!(fits("alice", good), "{good}");
        }
        for bad in [
            "sip:bob@example.com",
            "sip:Alice@example.com",
            "sip:alice@evil.example",
            "sip:alice@198.51.100.8",
            "sip:alice@[2001:db8::8]",
            "sip:bob@192.168.178.20",
            "sip:alice@example.com.evil",
            "sip:+493012@evil.example",
            "tel:+49-30-13",
            "sip:sales@example.com",
            "sip:example.com",
            "sip:anonymous@example.com",
        ] {
            assert!(!fits("alice", bad), "{bad}");
        }
        assert!(fits("pbx", "sip:+49891@carrier.example") && fits("bob@other.example", "sip:bob@other.example"));
        assert!(!fits("bob@other.example", "sip:bob@third.example"));
    }

    #[test]
    fn the_asserted_identity_is_one_of_the_users() {
        let source: IpAddr = "198.51.100.7".parse().unwrap();
        let asserted = |user: &str, from: &str, preferred: &str| {
            let text = format!(
                "INVITE sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: {from};tag=1\r\nTo: <sip:x@y>\r\n\
                 P-Preferred-Identity: {preferred}\r\n\r\n"
            );
            identities().asserted("example.com", user, &Message::parse(text.as_bytes()).unwrap(), source)
        };
        let from = "\"A\" <sip:alice@switch.example;x=y>";
        assert_eq!(asserted("alice", from, "<sip:sales@example.org>"), "sip:sales@example.org");
        assert_eq!(asserted("alice", from, "<sip:boss@example.org>"), "sip:alice@switch.example");
        assert_eq!(asserted("alice", "<sip:anonymous@anonymous.invalid>", "x"), "sip:alice@example.com");
        assert_eq!(asserted("a b\"", "<sip:anonymous@anonymous.invalid>", "x"), "sip:a%20b%22@example.com");
    }
}
