//! Contacts of redirections: those that we give, and those that we get.

use crate::dialplan::routes::Way;
use sip_wire::{Address, Message, Name, Scheme};

/// Contacts of one response that are looked at.
const CONTACTS_MAX: usize = 8;

/// Contact values for a 302: the earlier a group would be tried, the higher its `q` (RFC 3261 §20.10).
pub(super) fn of_groups(ways: &[Way]) -> Vec<String> {
    let value = |way: &Way| {
        let tenths = 10_u16.saturating_sub(way.group).max(1);
        format!("<{}>;q={}.{}", way.uri, tenths / 10, tenths % 10)
    };
    ways.iter().map(value).collect()
}

/// The SIP URIs and telephone numbers of a 3xx, the most wanted first.
pub(super) fn of_response(message: &[u8]) -> Vec<String> {
    const LIKE_1: u16 = 1_000;
    let Ok(message) = Message::parse(message) else { return Vec::new() };
    let is_callable = |address: &Address<'_>| address.uri.scheme != Scheme::Other;
    let addresses = message.raw_values(Name::Contact).filter_map(Address::parse).filter(is_callable);
    let mut all: Vec<(u16, String)> = addresses
        .take(CONTACTS_MAX)
        .map(|address| {
            let uri = address.uri.as_bytes();
            // Header fields for the new request are for callers, who know whether they want them (RFC 3261 §19.1.5).
            let uri = uri.split(|byte| *byte == b'?').next().unwrap_or_default();
            (address.q_thousandths().unwrap_or(LIKE_1), String::from_utf8_lossy(uri).into_owned())
        })
        .collect();
    all.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
    all.into_iter().map(|(_, uri)| uri).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_come_and_go_by_their_worth() {
        let way = |uri: &str, group| Way { uri: uri.into(), group, paths: Vec::new() };
        let ways = [way("sip:a@h", 0), way("sip:b@h", 0), way("sip:c@h", 1), way("sip:d@h", 30)];
        let written = of_groups(&ways);
        assert_eq!(written, ["<sip:a@h>;q=1.0", "<sip:b@h>;q=1.0", "<sip:c@h>;q=0.9", "<sip:d@h>;q=0.1"]);
        let response = format!(
            "SIP/2.0 302 x\r\nVia: SIP/2.0/UDP h\r\nContact: {}\r\nm: <mailto:x@y>, <sip:e@h?Subject=x>;q=0.95, <tel:+1-2>;q=0.05, *\r\n\r\n",
            written.join(", ")
        );
        assert_eq!(
            of_response(response.as_bytes()),
            ["sip:a@h", "sip:b@h", "sip:e@h", "sip:c@h", "sip:d@h", "tel:+1-2"]
        );
        assert!(of_response(b"SIP/2.0 302 x\r\n\r\n").is_empty() && of_response(b"x").is_empty());
    }
}
