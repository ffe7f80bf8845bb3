//! What an endpoint is told once: timers, limits, and what it says about itself.

use clock::Duration;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// What we call ourselves in User-Agent and Server, unless a configuration says otherwise.
pub const USER_AGENT: &str = "ringplane";

/// The timer values of RFC 3261 §17 (table 4).
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// Estimate of the round trip.
    pub t1: Duration,
    /// Longest pause between two copies of a non-INVITE request or an INVITE response.
    pub t2: Duration,
    /// How long a message may live in the network.
    pub t4: Duration,
    /// Timer D over UDP: at least 32 s.
    pub d: Duration,
    /// 100 Trying goes out when nothing else did for this long (RFC 3261 §17.2.1: 200 ms).
    pub trying_after: Duration,
    /// Timer C of RFC 3261 §16.6 and the limit for our own calls: how long an INVITE may ring.
    pub ring_limit: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            d: Duration::from_secs(32),
            trying_after: Duration::from_millis(200),
            ring_limit: Duration::from_secs(300),
        }
    }
}

impl Timers {
    /// 64*T1: the life of a transaction without an answer.
    pub const fn give_up(&self) -> Duration {
        self.t1.saturating_mul(64)
    }
}

/// Session timers (RFC 4028).
#[derive(Clone, Copy, Debug)]
pub struct SessionTimer {
    /// What we ask for in `Session-Expires`; zero turns session timers off for calls that do not ask for them.
    pub interval: Duration,
    /// The shortest interval that we agree to (`Min-SE`); below 90 s is not allowed.
    pub min_se: Duration,
    /// What becomes of calls with peers that do not know session timers.
    pub without_peer: WithoutPeer,
}

/// What becomes of calls with peers that do not know session timers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WithoutPeer {
    /// We refresh alone (RFC 4028 §7.2, §9): such a peer answers a re-INVITE or UPDATE as long as it lives.
    #[default]
    Refresh,
    /// They have no session timer.
    Off,
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self { interval: Duration::ZERO, min_se: Duration::from_secs(90), without_peer: WithoutPeer::default() }
    }
}

/// How large the tables may grow. At a limit new work is refused with 503 and Retry-After.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Server transactions, and client transactions: each may be this many.
    pub max_transactions: usize,
    /// Dialogs, early ones included. Answers to our own calls may take it up to twice this number.
    pub max_dialogs: usize,
    /// Subscriptions, those of REFER included.
    pub max_subscriptions: usize,
    /// Accounts that answer challenges.
    pub max_accounts: usize,
    /// Early dialogs that one INVITE of ours may create by forking.
    pub max_forks: usize,
    /// Requests other than INVITE that one source may have waiting for their answer while it has shown nothing: while neither
    /// an ACK nor a response nor credentials of it say that it gets what we send there. All such sources together have half
    /// of the transactions, and any source a quarter.
    pub max_unproven_others: usize,
    /// Bytes that are kept for requests of peers: their headers and answers. Of what is answered the oldest gives way where
    /// they are used up, then requests outside dialogs are refused with 503. Half of them is for sources that have shown
    /// nothing.
    pub max_stored_bytes: usize,
    /// Longest message that we take; the rest is dropped.
    pub max_message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_transactions: 200_000,
            max_dialogs: 100_000,
            max_subscriptions: 100_000,
            max_accounts: 10_000,
            max_forks: 16,
            max_unproven_others: 100,
            max_stored_bytes: 64 << 20,
            max_message_bytes: 65_535,
        }
    }
}

/// When we ask the peer to confirm provisional responses (RFC 3262).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reliability {
    /// We say that we can, and do it where the peer requires it.
    #[default]
    Supported,
    /// Every INVITE has to allow it: ours require it, others are refused with 421.
    Required,
    /// We refuse it with 420.
    Off,
}

/// Everything that an endpoint is told at its start.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// T1 and the others.
    pub timers: Timers,
    /// Table sizes.
    pub limits: Limits,
    /// Session timers.
    pub session_timer: SessionTimer,
    /// PRACK.
    pub reliability: Reliability,
    /// `Server` and `User-Agent`; empty writes neither.
    pub user_agent: String,
    /// Methods that are handed up; others are answered 405 or 501. ACK, BYE, CANCEL and PRACK are always understood.
    pub allow: Vec<String>,
    /// Further option tags for `Supported`; `100rel`, `timer` and `replaces` are ours.
    pub supported: Vec<String>,
    /// Bodies that an INVITE or an UPDATE may carry.
    pub accept: Vec<String>,
    /// User part of our Contact; empty writes none.
    pub contact_user: String,
    /// Address for Via and Contact when it is not the one we are bound to (NAT). Ports are those of the transports; flows
    /// of the other address family show their own address.
    pub advertise: Option<IpAddr>,
    /// Ports of ours where RTP comes in: no request goes there, whatever a peer's Contact says.
    pub media_ports: Option<RangeInclusive<u16>>,
    /// Security mechanisms of RFC 3329, the most wanted first, as `tls` or `tls;q=0.2`: requests that want an agreement
    /// and come unprotected are answered 494 with this list. Empty: agreements are not known (420).
    pub security: Vec<String>,
    /// Event packages that we take subscriptions for; others are answered 489.
    pub event_packages: Vec<String>,
    /// `Retry-After` of a 503.
    pub retry_after: Duration,
    /// 0 to 31, how all its tags begin: [`crate::mark_of`] reads it, where several endpoints stand behind one address.
    pub mark: u8,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Self {
            timers: Timers::default(),
            limits: Limits::default(),
            session_timer: SessionTimer::default(),
            reliability: Reliability::default(),
            user_agent: USER_AGENT.to_owned(),
            allow: words(&[
                "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY", "MESSAGE",
            ]),
            supported: Vec::new(),
            accept: words(&["application/sdp", "multipart/mixed", "multipart/alternative", "multipart/related"]),
            contact_user: String::new(),
            advertise: None,
            media_ports: None,
            security: Vec::new(),
            event_packages: words(&["refer"]),
            retry_after: Duration::from_secs(5),
            mark: 0,
        }
    }
}
