//! Which route fits a called user: the most exact pattern. However many routes there are, finding it takes a look for the
//! user, one for each length of a beginning, and one for the domain.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

/// The patterns of all routes, with the numbers of their routes. Of two that are the same the first one counts.
#[derive(Default)]
pub(super) struct Patterns {
    users: HashMap<String, usize>,
    beginnings: HashMap<String, usize>,
    /// Bytes of the beginnings, the longest first.
    lengths: Vec<usize>,
    domains: HashMap<String, usize>,
    any: Option<usize>,
}

impl Patterns {
    /// Adds a pattern as it is written: `+4930123`, `+49*`, `@example.com`, `*`.
    pub(super) fn add(&mut self, written: &str, route: usize) {
        let (map, key) = match (written, written.strip_prefix('@'), written.strip_suffix('*')) {
            ("*", ..) => {
                self.any.get_or_insert(route);
                return;
            }
            (_, Some(domain), _) => (&mut self.domains, canonical(domain)),
            (_, _, Some(beginning)) => {
                let beginning = dialled(beginning);
                if let Err(at) = self.lengths.binary_search_by_key(&Reverse(beginning.len()), |length| Reverse(*length))
                {
                    self.lengths.insert(at, beginning.len());
                }
                (&mut self.beginnings, beginning)
            }
            _ => (&mut self.users, dialled(written)),
        };
        map.entry(key).or_insert(route);
    }

    /// The route for a called user: by the whole user, then by the longest beginning, then by the domain, then by `*`.
    pub(super) fn find(&self, user: &str, domain: &str) -> Option<usize> {
        let by_beginning = || self.lengths.iter().find_map(|length| self.beginnings.get(user.get(..*length)?).copied());
        let by_domain = || self.domains.get(&domain.to_ascii_lowercase()).copied();
        self.users.get(user).copied().or_else(by_beginning).or_else(by_domain).or(self.any)
    }
}

/// A global number of a pattern without the separators that it may have been written with.
fn dialled(text: &str) -> String {
    let is_number =
        text.strip_prefix('+').is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || "-.()".contains(c)));
    if is_number { text.chars().filter(|c| !"-.()".contains(*c)).collect() } else { text.to_owned() }
}

/// A domain as [`sip_wire::Host::bare`] spells it: an IPv6 address may have been written in brackets, or at length.
fn canonical(domain: &str) -> String {
    let bare = domain.strip_prefix('[').and_then(|domain| domain.strip_suffix(']')).unwrap_or(domain);
    bare.parse::<IpAddr>().map_or_else(|_| domain.to_ascii_lowercase(), |ip| ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(written: &[&str]) -> Patterns {
        let mut patterns = Patterns::default();
        written.iter().enumerate().for_each(|(route, written)| patterns.add(written, route));
        patterns
    }

    #[test]
    fn the_most_exact_pattern_counts() {
        let patterns = patterns(&["*", "+49*", "+4930*", "@Example.com", "+4930123", "+49-30-123", "+4*", "*", "+49*"]);
        for (user, domain, route) in [
            ("+4930123", "example.com", 4),
            ("+49301", "example.com", 2),
            ("+4989", "", 1),
            ("+48", "", 6),
            ("alice", "example.COM", 3),
            ("+", "other", 0),
            ("", "", 0),
        ] {
            assert_eq!(patterns.find(user, domain), Some(route), "{user} {domain}");
        }
    }

    #[test]
    fn a_beginning_ends_between_characters() {
        let patterns = patterns(&["\u{e9}*", "e*", "\u{e9}x*"]);
        assert_eq!(patterns.find("\u{e9}y", ""), Some(0));
        assert_eq!(patterns.find("e\u{e9}", ""), Some(1));
        assert_eq!(patterns.find("\u{e8}", ""), None);
    }

    #[test]
    fn addresses_are_domains_however_they_are_spelled() {
        for spelled in ["@[2001:db8:0:0::1]", "@2001:DB8::1"] {
            assert_eq!(patterns(&[spelled]).find("alice", "2001:db8::1"), Some(0), "{spelled}");
        }
    }
}
