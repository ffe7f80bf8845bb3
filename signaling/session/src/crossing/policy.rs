//! Which header fields of a message cross to the other side of a call, and to which peers.

use super::lines::Lines;
use super::privacy::Privacy;
use sip_wire::{Message, Name};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// What kind of message a header field stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// INVITE.
    Call = 1,
    /// 101 to 299.
    Answer = 2,
    /// 300 to 699.
    Refusal = 4,
    /// BYE and CANCEL.
    End = 8,
}

const ALL: u8 = 15;
const CALL: u8 = Moment::Call as u8;
const BOTH: u8 = CALL | Moment::Answer as u8;

/// What a header field tells, which decides on who may see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Concern {
    /// Nothing that anyone has to be kept from.
    Anybody,
    /// It makes phones ring in their own way, or answer by themselves: what strangers ask of the latter is not passed on.
    Alerting,
    /// It can tell who the caller is, so it does not reach strangers when the caller asks for privacy.
    Private,
    /// It tells of earlier targets: private, and private on its own account as well.
    History,
    /// It asserts an identity: it crosses from trusted peers to trusted peers alone (RFC 3325 §5).
    Identity,
}

/// The header fields that cross unless they are taken out, with the messages in which they do.
const DEFAULT: [(Name, u8, Concern); 16] = [
    (Name::AlertInfo, BOTH, Concern::Alerting),
    (Name::CallInfo, BOTH, Concern::Alerting),
    (Name::Diversion, CALL, Concern::History),
    (Name::HistoryInfo, BOTH, Concern::History),
    (Name::PAssertedIdentity, BOTH, Concern::Identity),
    (Name::PPreferredIdentity, CALL, Concern::Identity),
    (Name::Priority, CALL, Concern::Anybody),
    (Name::Privacy, BOTH, Concern::Anybody),
    (Name::Reason, Moment::Refusal as u8 | Moment::End as u8, Concern::Anybody),
    (Name::ReferredBy, CALL, Concern::Private),
    (Name::RetryAfter, Moment::Refusal as u8, Concern::Anybody),
    (Name::SessionId, ALL, Concern::Anybody),
    (Name::Subject, CALL, Concern::Private),
    (Name::UserToUser, ALL, Concern::Anybody),
    (Name::Warning, Moment::Refusal as u8, Concern::Anybody),
    // Only where it is named, and then no less private.
    (Name::RemotePartyId, 0, Concern::Identity),
];

/// Header fields that are private when they are named.
const PRIVATE: [Name; 7] = [
    Name::Geolocation,
    Name::Identity,
    Name::InReplyTo,
    Name::Organization,
    Name::PAccessNetworkInfo,
    Name::PAssociatedUri,
    Name::ReplyTo,
];

/// Whether a peer's word about identities counts, and whether it may hear of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trust {
    Trusted,
    Stranger,
}

/// Which header fields cross. Clones are the same.
#[derive(Clone, Default)]
pub struct CrossingPolicy {
    rules: Arc<Rules>,
}

#[derive(Default)]
struct Rules {
    pass: Vec<Pattern>,
    drop: Vec<Pattern>,
    is_trusted: Option<Box<dyn Fn(IpAddr) -> bool + Send + Sync>>,
}

/// A name in lower case, or the beginning of names where it had a star.
struct Pattern {
    text: Box<str>,
    is_beginning: bool,
}

impl CrossingPolicy {
    /// `pass` and `drop` are names, or beginnings with a star, beside the default and out of it; `is_trusted` says whose
    /// word about identities counts. What can only be wrong on another leg never crosses, named or not.
    pub fn new(pass: &[String], drop: &[String], is_trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        let patterns = |names: &[String]| names.iter().map(|name| Pattern::new(name)).collect();
        let rules = Rules { pass: patterns(pass), drop: patterns(drop), is_trusted: Some(Box::new(is_trusted)) };
        Self { rules: Arc::new(rules) }
    }

    pub(crate) fn trust(&self, ip: IpAddr) -> Trust {
        match &self.rules.is_trusted {
            Some(is_trusted) if is_trusted(ip.to_canonical()) => Trust::Trusted,
            _ => Trust::Stranger,
        }
    }

    /// Copies what crosses out of a message of a peer with this trust.
    pub(crate) fn read(&self, message: &Message<'_>, moment: Moment, from: Trust) -> Lines {
        let mut lines = Lines::default();
        for header in message.headers() {
            let name = match header.name {
                Name::Other => String::from_utf8_lossy(header.raw_name),
                known => known.as_str().into(),
            };
            let Some(concern) = self.concern(header.name, &name, moment) else { continue };
            let is_taken = match concern {
                Concern::Identity => from == Trust::Trusted,
                Concern::Alerting => from == Trust::Trusted || !asks_to_answer(header.value),
                Concern::Anybody | Concern::Private | Concern::History => true,
            };
            if is_taken {
                lines.push(&name, header.value);
            }
        }
        lines
    }

    /// Whether a line that was copied may be shown to a peer with this trust.
    pub(crate) fn may_see(&self, name: &str, value: &str, privacy: Privacy, to: Trust) -> bool {
        if to == Trust::Trusted {
            return true;
        }
        match concern_of(Name::parse(name.as_bytes())) {
            Concern::Identity => privacy.is_waived(),
            Concern::History => {
                !privacy.hides_caller() && !privacy.hides_history() && !value.to_ascii_lowercase().contains("privacy=")
            }
            Concern::Private => !privacy.hides_caller(),
            Concern::Anybody | Concern::Alerting => true,
        }
    }

    /// `None`: it does not cross.
    fn concern(&self, name: Name, text: &str, moment: Moment) -> Option<Concern> {
        let by_default = DEFAULT.iter().find(|(known, ..)| *known == name && name != Name::Other);
        let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.fits(text));
        let crosses = by_default.is_some_and(|(_, moments, _)| moments & moment as u8 != 0) && !fits(&self.rules.drop);
        // What is named crosses in all messages, but for those that have a meaning of their own in each.
        let is_named = || !is_of_one_leg(name) && fits(&self.rules.pass);
        (crosses || is_named()).then(|| concern_of(name))
    }
}

fn concern_of(name: Name) -> Concern {
    let known = DEFAULT.iter().find(|(known, ..)| *known == name);
    match known {
        Some((_, _, concern)) => *concern,
        None if PRIVATE.contains(&name) => Concern::Private,
        None => Concern::Anybody,
    }
}

/// Phones that obey such a line answer by themselves and open their microphone (as `answer-after=0`, `info=alert-autoanswer`).
fn asks_to_answer(value: &[u8]) -> bool {
    let value = value.to_ascii_lowercase();
    [&b"answer"[..], b"intercom"].iter().any(|word| value.windows(word.len()).any(|part| part == *word))
}

/// Header fields that make a message or its dialog, or are for one hop: they never cross, whatever the configuration says.
pub(crate) fn is_of_one_leg(name: Name) -> bool {
    use Name::*;
    matches!(
        name,
        Accept
            | AcceptEncoding
            | Allow
            | AllowEvents
            | AuthenticationInfo
            | Authorization
            | CallId
            | Contact
            | ContentDisposition
            | ContentEncoding
            | ContentLanguage
            | ContentLength
            | ContentType
            | CSeq
            | Event
            | Expires
            | FlowTimer
            | From
            | InfoPackage
            | Join
            | MaxBreadth
            | MaxForwards
            | MimeVersion
            | MinExpires
            | MinSe
            | Path
            | ProxyAuthenticate
            | ProxyAuthenticationInfo
            | ProxyAuthorization
            | ProxyRequire
            | RAck
            | RecordRoute
            | RecvInfo
            | ReferSub
            | ReferTo
            | Replaces
            | Require
            | Route
            | RSeq
            | SecurityClient
            | SecurityServer
            | SecurityVerify
            | Server
            | ServiceRoute
            | SessionExpires
            | SipEtag
            | SipIfMatch
            | SubscriptionState
            | Supported
            | SuppressIfMatch
            | TargetDialog
            | Timestamp
            | To
            | Unsupported
            | UserAgent
            | Via
            | WwwAuthenticate
    )
}

impl CrossingPolicy {
    /// Whether a header field can never cross, whatever is configured.
    pub fn never_crosses(name: &str) -> bool {
        is_of_one_leg(Name::parse(name.as_bytes()))
    }
}

impl Pattern {
    fn new(name: &str) -> Self {
        let beginning = name.strip_suffix('*');
        let full = match Name::parse(name.as_bytes()) {
            Name::Other => beginning.unwrap_or(name),
            known => known.as_str(),
        };
        Self { text: full.to_ascii_lowercase().into(), is_beginning: beginning.is_some() }
    }

    fn fits(&self, name: &str) -> bool {
        let wanted = &*self.text;
        let beginning = if self.is_beginning { name.get(..wanted.len()) } else { Some(name) };
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(wanted))
    }
}

impl fmt::Debug for CrossingPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |patterns: &[Pattern]| {
            let star = |pattern: &Pattern| if pattern.is_beginning { "*" } else { "" };
            patterns.iter().map(|pattern| format!("{}{}", pattern.text, star(pattern))).collect::<Vec<_>>()
        };
        let rules = &self.rules;
        f.debug_struct("CrossingPolicy")
            .field("pass", &names(&rules.pass))
            .field("drop", &names(&rules.drop))
            .finish_non_exhaustive()
    }
}
