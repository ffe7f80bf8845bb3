//! In which order to try what DNS offers. No network, no clock; randomness is an argument.

use crate::Transport;

/// A NAPTR record, as far as SIP uses it (RFC 3263 §4.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Naptr {
    pub(super) order: u16,
    pub(super) preference: u16,
    pub(super) flags: String,
    pub(super) service: String,
    pub(super) replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Srv {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) target: String,
}

/// The services that we can use, best first: their transport, and the name that has their SRV records. Order goes
/// before preference, preference before our own liking (RFC 3403 §4.1).
pub(super) fn services(mut records: Vec<Naptr>, transports: &[Transport], is_secure: bool) -> Vec<(Transport, String)> {
    let liking = |transport| transports.iter().position(|ours| *ours == transport);
    records.retain(|record| record.flags.eq_ignore_ascii_case("s") && !is_none(&record.replacement));
    let mut usable: Vec<_> = records
        .into_iter()
        .filter_map(|record| {
            let transport = service(&record.service).filter(|transport| !is_secure || transport.is_secure())?;
            Some(((record.order, record.preference, liking(transport)?), transport, record.replacement))
        })
        .collect();
    usable.sort_by_key(|(rank, ..)| *rank);
    usable.into_iter().map(|(_, transport, name)| (transport, name)).collect()
}

fn service(name: &str) -> Option<Transport> {
    const SERVICES: [(&str, Transport); 5] = [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
        ("SIP+D2W", Transport::Ws),
        ("SIPS+D2W", Transport::Wss),
    ];
    SERVICES.iter().find(|(service, _)| service.eq_ignore_ascii_case(name)).map(|(_, transport)| *transport)
}

/// The prefix of the SRV name of a transport; WebSocket has none (RFC 7118 §7).
pub(super) const fn srv_prefix(transport: Transport) -> Option<&'static str> {
    match transport {
        Transport::Udp => Some("_sip._udp"),
        Transport::Tcp => Some("_sip._tcp"),
        Transport::Tls => Some("_sips._tcp"),
        Transport::Ws | Transport::Wss => None,
    }
}

/// Hosts and ports to try: lowest priority first, inside one priority drawn by weight (RFC 2782). A target of `.` is none, and
/// nothing can be sent to port 0.
pub(super) fn by_weight(mut records: Vec<Srv>, mut random: u64) -> Vec<(String, u16)> {
    records.retain(|record| !is_none(&record.target) && record.port != 0);
    // Weight 0 first, so that it has its small chance; the sort keeps what else was equal in the server's order.
    records.sort_by_key(|record| (record.priority, record.weight != 0));
    let mut order = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let group = records.partition_point(|record| record.priority == first.priority);
        let sum: u64 = records.iter().take(group).map(|record| u64::from(record.weight)).sum();
        let drawn = draw(&mut random) % (sum + 1);
        let mut running = 0;
        let chosen = records.iter().take(group).position(|record| {
            running += u64::from(record.weight);
            running >= drawn
        });
        let record = records.remove(chosen.unwrap_or(0));
        order.push((record.target, record.port));
    }
    order
}

/// Whether a name is the root, which stands for "there is none".
fn is_none(name: &str) -> bool {
    matches!(name, "." | "")
}

/// The next of the random numbers that one seed gives (SplitMix64).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naptr(order: u16, preference: u16, service: &str) -> Naptr {
        let (flags, service) = ("s".to_owned(), service.to_owned());
        Naptr { order, preference, flags, replacement: format!("{service}.example.com"), service }
    }

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5060, target: target.to_owned() }
    }

    const ALL: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

    #[test]
    fn services_by_order_then_preference_and_only_what_we_can() {
        let records = || {
            let enum_record = Naptr { flags: "u".to_owned(), ..naptr(1, 1, "E2U+sip") };
            vec![
                naptr(100, 50, "SIP+D2T"),
                naptr(50, 90, "SIPS+D2T"),
                naptr(100, 10, "sip+d2u"),
                naptr(1, 1, "SIP+D2S"),
                enum_record,
            ]
        };
        let transports = |ours: &[Transport], secure| {
            services(records(), ours, secure).into_iter().map(|(transport, _)| transport).collect::<Vec<_>>()
        };
        assert_eq!(transports(&ALL, false), [Transport::Tls, Transport::Udp, Transport::Tcp]);
        assert_eq!(transports(&ALL, true), [Transport::Tls]);
        assert_eq!(transports(&[Transport::Tcp], false), [Transport::Tcp]);
        assert!(transports(&[Transport::Wss], false).is_empty());
        assert_eq!(services(records(), &ALL, true)[0].1, "SIPS+D2T.example.com");
        let equal = vec![naptr(1, 1, "SIP+D2T"), naptr(1, 1, "SIP+D2U")];
        assert_eq!(services(equal, &[Transport::Tcp, Transport::Udp], false)[0].0, Transport::Tcp);
    }

    #[test]
    fn priorities_go_before_weights() {
        for random in 0..50 {
            let order = by_weight(
                vec![
                    srv(20, 65_535, "c"),
                    srv(10, 0, "a"),
                    srv(20, 0, "d"),
                    srv(10, 0, "b"),
                    srv(0, 0, "."),
                    Srv { port: 0, ..srv(0, 0, "e") },
                ],
                random,
            );
            let names: Vec<_> = order.iter().map(|(name, _)| name.as_str()).collect();
            assert!(matches!(names[..], ["a" | "b", "a" | "b", "c" | "d", "c" | "d"]), "{names:?}");
        }
    }

    #[test]
    fn weights_share_the_first_place_in_proportion() {
        let mut first = [0u32; 3];
        for random in 0..20_000u64 {
            let order = by_weight(
                vec![srv(1, 60, "0"), srv(1, 30, "1"), srv(1, 10, "2")],
                random.wrapping_mul(0x1234_5678_9abc_def1),
            );
            assert_eq!(order.len(), 3);
            first[order[0].0.parse::<usize>().unwrap()] += 1;
        }
        // Chances are 61, 30 and 10 of 101; four standard deviations are below 300.
        for (found, chance) in first.iter().zip([61.0, 30.0, 10.0]) {
            assert!((f64::from(*found) - 20_000.0 * chance / 101.0).abs() < 300.0, "{first:?}");
        }
    }

    #[test]
    fn weight_zero_is_rare_but_not_excluded() {
        let picked = (0..5_000u64)
            .filter(|random| by_weight(vec![srv(1, 99, "a"), srv(1, 0, "z")], random << 7)[0].0 == "z")
            .count();
        assert!((10..120).contains(&picked), "{picked} of 5000, expected 50");
    }
}
