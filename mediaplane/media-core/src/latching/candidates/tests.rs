use super::*;
use std::net::SocketAddr;

fn address(port: u16) -> Address {
    SocketAddr::from(([192, 0, 2, 1], port)).into()
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(60) + Duration::from_millis(ms)
}

fn header(ssrc: u32, seq: u16) -> Header {
    Header {
        marker: false,
        payload_type: 0,
        seq: Seq(seq),
        time: RtpTime(u32::from(seq).wrapping_mul(160)),
        ssrc: Ssrc(ssrc),
        payload_start: 12,
        payload_bytes: 160,
    }
}

/// The sources of a leg whose call is answered at 0 ms.
#[derive(Default)]
struct Bench {
    candidates: Candidates,
}

impl Bench {
    /// A packet; whether its source is the peer now.
    fn comes(&mut self, port: u16, ssrc: u32, seq: u16, ms: u64, is_near: bool) -> bool {
        let place =
            self.candidates.note(address(port), &header(ssrc, seq), at(ms), is_near, false, &mut HeldList::default());
        place.is_some_and(|place| self.candidates.is_peer(place, at(ms), at(0), at(0)))
    }

    /// A source that sends every 20 ms; the packet with which it is the peer.
    fn steady(&mut self, port: u16, count: u16) -> Option<u16> {
        (0..count).find(|n| self.comes(port, 1, *n, 20 * u64::from(*n), true))
    }
}

#[test]
fn a_steady_source_is_the_peer_after_a_moment() {
    assert_eq!(Bench::default().steady(9_000, 50), Some(8), "the ninth packet, 160 ms after the first");
    let mut slow = Bench::default();
    let found = (0..50_u16).find(|n| slow.comes(9_000, 1, *n, 60 * u64::from(*n), true));
    assert_eq!(found, Some(4), "packets of 60 ms: the fifth");
}

#[test]
fn an_unsteady_source_never_is() {
    let scripts: [(&str, &dyn Fn(u16) -> Header); 4] = [
        ("SSRC changes", &|count| header(u32::from(count), count)),
        ("sequence jumps", &|count| header(1, count.wrapping_mul(1_000))),
        ("stands still", &|_| header(1, 7)),
        ("time runs back", &|count| Header { time: RtpTime(u32::MAX - 160 * u32::from(count)), ..header(1, count) }),
    ];
    for (name, script) in scripts {
        let mut candidates = Candidates::default();
        for n in 1..200 {
            let now = at(20 * u64::from(n));
            let place = candidates.note(address(9_000), &script(n), now, true, false, &mut HeldList::default());
            assert!(!place.is_some_and(|place| candidates.is_peer(place, now, at(0), at(0))), "{name}");
        }
    }
    let mut slow = Bench::default();
    assert!((1..20).all(|n| !slow.comes(9_000, 1, n, 250 * u64::from(n), true)));
    let mut burst = Bench::default();
    assert!((1..2_000).all(|n| !burst.comes(9_000, 1, n, u64::from(n) / 20, true)), "loud is not long");
}

/// Two that are equal are nobody, for as long as both send; then the one that is left is the peer.
#[test]
fn rivals_keep_each_other_out() {
    let mut bench = Bench::default();
    for n in 0..500_u16 {
        let now = 20 * u64::from(n);
        assert!(!bench.comes(9_000, 1, n, now, true) && !bench.comes(9_002, 2, n, now, true), "{n}");
    }
    let found = (500..600_u16).find(|n| bench.comes(9_000, 1, *n, 20 * u64::from(*n), true));
    assert_eq!(found, Some(510), "200 ms after the other one's last packet");
}

/// A source on a host that the peer has named is believed before others, even those that came first.
#[test]
fn a_near_source_wins_and_a_far_one_waits() {
    let mut bench = Bench::default();
    let mut found = None;
    for n in 0..50_u16 {
        let now = 20 * u64::from(n);
        assert!(!bench.comes(9_002, 2, n, now, false) || n >= 8, "{n}");
        if bench.comes(9_000, 1, 500 + n, now, true) {
            found = Some(n);
            break;
        }
    }
    assert_eq!(found, Some(8));
    let mut late = Bench::default();
    for n in 0..50_u16 {
        let now = 20 * u64::from(n);
        late.comes(9_000, 1, n, now, true);
        assert!(!late.comes(9_002, 2, n, now, false), "the near one is there");
    }
}

/// A source that sent for long before the peer knew the port is not the peer, and does not stand in its way.
#[test]
fn a_spray_from_before_is_neither_peer_nor_rival() {
    let mut candidates = Candidates::default();
    let known_since = at(3_000);
    let mut found = None;
    for n in 0..400_u16 {
        let now = at(20 * u64::from(n));
        let spray = candidates.note(address(9_002), &header(2, n), now, true, false, &mut HeldList::default()).unwrap();
        assert!(!candidates.is_peer(spray, now, known_since, known_since));
        if n >= 155 {
            let peer =
                candidates.note(address(9_000), &header(1, n), now, true, false, &mut HeldList::default()).unwrap();
            found = found.or_else(|| candidates.is_peer(peer, now, known_since, known_since).then_some(n));
        }
    }
    assert_eq!(found, Some(163));
}

/// Thousands of strangers with a packet each do not keep a steady peer out.
#[test]
fn a_flood_does_not_keep_a_steady_peer_out() {
    let mut bench = Bench::default();
    let found = (0..3_000_u16).find(|n| {
        let now = u64::from(*n);
        assert!(!bench.comes(20_000 + n, 1, n.wrapping_mul(77), now, true));
        n % 20 == 0 && bench.comes(9_000, 7, n / 20, now, true)
    });
    assert!(found.is_some_and(|n| n < 2_000), "{found:?}");
}
