//! Which requests need credentials, and what those are worth: the server's side of authentication in one piece.

use super::{AuthSettings, Authenticator, Failure, Identities, Place, Presented, Users, Verdict};
use clock::Instant;
use sip_wire::{Message, Uri};
use std::fmt;
use std::net::IpAddr;

/// What a [`Realms`] is told once.
#[derive(Clone, Debug)]
pub struct RealmsSettings {
    /// Who may pass. Each realm challenges on its own.
    pub users: Users,
    /// The realm where neither the domain of From nor that of the Request-URI is one; `None`: the first by name.
    pub default_realm: Option<String>,
    /// Methods that need credentials outside of dialogs, by [`Scope::Methods`]. ACK and CANCEL never do: they cannot be
    /// repeated.
    pub methods: Vec<String>,
    /// What users may be called.
    pub identities: Identities,
    /// All else of every realm; its `realm` is not looked at.
    pub auth: AuthSettings,
}

/// A request that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a, 'm> {
    /// The request.
    pub message: &'m Message<'a>,
    /// Where it came from.
    pub source: IpAddr,
    /// Whether we ask as a user agent or as a proxy.
    pub place: Place,
    /// Which requests are asked.
    pub scope: Scope,
}

/// Which requests need credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Those of the configured methods that have no To tag: the one that asks knows its dialogs, and refuses what belongs to
    /// none.
    Methods,
    /// All of them, To tag or not, but ACK and CANCEL: those that a proxy would send on without knowing their dialog.
    All,
}

/// Whether a request may pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// It needs no credentials.
    Open,
    /// Its user is who they say.
    Proven {
        /// The realm.
        realm: String,
        /// The username.
        username: String,
        /// The URI by which others may know the user.
        identity: String,
    },
    /// Its user has proved who that is, and names another user in From: answer 403.
    Impostor {
        /// The realm.
        realm: String,
        /// The username.
        username: String,
    },
    /// Answer it with this status and these header fields.
    Challenge {
        /// 401 or 407.
        status: u16,
        /// Their name.
        header: &'static str,
        /// Their values, one line each, in their order.
        values: Vec<String>,
        /// There were credentials, and they were not right.
        failure: Option<Failed>,
    },
    /// Its credentials cannot be judged: answer 400.
    Malformed,
}

/// Credentials of a realm that were not right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    /// The realm.
    pub realm: String,
    /// What is known of it.
    pub failure: Failure,
}

/// Asks for credentials, and judges them.
pub struct Realms {
    users: Users,
    identities: Identities,
    default_realm: Option<String>,
    methods: Vec<String>,
    realms: Vec<(String, Authenticator)>,
}

impl Realms {
    /// For all realms of `settings`. Without any nobody is asked.
    pub fn new(settings: RealmsSettings) -> Self {
        let RealmsSettings { users, default_realm, methods, identities, auth } = settings;
        let realm =
            |name: &str| (name.to_owned(), Authenticator::new(AuthSettings { realm: name.to_owned(), ..auth.clone() }));
        Self { realms: users.realms().map(realm).collect(), users, identities, default_realm, methods }
    }

    /// Other users from now on; nonces of realms that stay are still good.
    pub fn set_users(&mut self, users: Users, identities: Identities, auth: &AuthSettings) {
        self.identities = identities;
        self.realms.retain(|(name, _)| users.realms().any(|realm| realm == name));
        for name in users.realms() {
            if !self.realms.iter().any(|(known, _)| known == name) {
                let settings = AuthSettings { realm: name.to_owned(), ..auth.clone() };
                self.realms.push((name.to_owned(), Authenticator::new(settings)));
            }
        }
        self.realms.sort_by(|a, b| a.0.cmp(&b.0));
        self.users = users;
    }

    /// Whether a request needs credentials at all.
    pub fn concerns(&self, request: &Request<'_, '_>) -> bool {
        let method = request.message.method_raw();
        let is_in_scope = match request.scope {
            Scope::All => true,
            Scope::Methods => {
                // For a REFER in a dialog of ours a user agent makes a new call: the tags of a dialog are not enough for it.
                let makes_a_call = request.place == Place::UserAgent && method == b"REFER";
                self.methods.iter().any(|asked| asked.as_bytes() == method)
                    && (makes_a_call || request.message.to().is_ok_and(|to| to.tag().is_none()))
            }
        };
        !self.realms.is_empty() && !matches!(method, b"ACK" | b"CANCEL") && is_in_scope
    }

    /// Whether it needs credentials and has none: the challenge can go out without any state (RFC 3261 §8.2.7). Credentials
    /// are judged once only, behind the transaction that absorbs copies: [`Self::admit`].
    pub fn must_ask(&self, request: &Request<'_, '_>) -> bool {
        let has_none = |own: &Authenticator| matches!(own.read(request.message, request.place), Presented::Nothing);
        self.concerns(request) && self.realms.iter().all(|(_, own)| has_none(own))
    }

    /// Judges a request.
    pub fn admit(&mut self, now: Instant, request: &Request<'_, '_>) -> Judgement {
        if !self.concerns(request) {
            return Judgement::Open;
        }
        let Request { message, source, place, .. } = *request;
        for (name, authenticator) in &mut self.realms {
            match authenticator.read(message, place) {
                Presented::Nothing => {}
                Presented::Malformed => return Judgement::Malformed,
                Presented::Claim(claim) => {
                    let secret = self.users.secret(name, claim.username(), claim.algorithm());
                    return match authenticator.judge(now, source, &claim, secret) {
                        Verdict::Proven => {
                            let username = String::from_utf8_lossy(claim.username()).into_owned();
                            identify(&self.identities, name, username, message, source)
                        }
                        Verdict::Challenge { stale } => challenge(now, authenticator, request, stale, None),
                        Verdict::Failed(failure) => {
                            let failed = Failed { realm: name.clone(), failure };
                            challenge(now, authenticator, request, false, Some(failed))
                        }
                    };
                }
            }
        }
        let index = self.realm_of(message);
        match self.realms.get_mut(index) {
            Some((_, authenticator)) => challenge(now, authenticator, request, false, None),
            None => Judgement::Open,
        }
    }

    /// The domain of From, else that of the Request-URI, else the default.
    fn realm_of(&self, request: &Message<'_>) -> usize {
        let find = |wanted: &str| self.realms.iter().position(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let of = |uri: Option<Uri<'_>>| find(&uri?.host?.bare());
        let from = request.from().ok().map(|from| from.uri);
        let default = || self.default_realm.as_deref().and_then(find);
        of(from).or_else(|| of(request.request_uri().ok())).or_else(default).unwrap_or(0)
    }

    /// Nonces whose counts are remembered now.
    pub fn nonces_count(&self) -> usize {
        self.realms.iter().map(|(_, authenticator)| authenticator.nonces_count()).sum()
    }

    /// The realms, by name.
    pub fn realms(&self) -> impl Iterator<Item = &str> {
        self.realms.iter().map(|(name, _)| name.as_str())
    }
}

impl fmt::Debug for Realms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realms").field("users", &self.users).field("methods", &self.methods).finish_non_exhaustive()
    }
}

/// Who a proven user may be to others.
fn identify(
    identities: &Identities,
    realm: &str,
    username: String,
    message: &Message<'_>,
    source: IpAddr,
) -> Judgement {
    let fits = message.from().is_ok_and(|from| identities.fits(realm, &username, &from.uri, source));
    let realm = realm.to_owned();
    if fits {
        let identity = identities.asserted(&realm, &username, message, source);
        Judgement::Proven { realm, username, identity }
    } else {
        Judgement::Impostor { realm, username }
    }
}

fn challenge(
    now: Instant,
    authenticator: &mut Authenticator,
    request: &Request<'_, '_>,
    stale: bool,
    failure: Option<Failed>,
) -> Judgement {
    let values = authenticator.challenge_to(now, request.source, request.message, stale);
    let place = request.place;
    Judgement::Challenge { status: place.status(), header: place.header(), values, failure }
}

#[cfg(test)]
mod tests {
    use super::super::{Algorithm, Secret};
    use super::*;
    use clock::Duration;

    fn realms() -> Realms {
        let mut users = Users::new();
        users.add("a.example", "alice", Secret::Password("secret".into()));
        users.add("b.example", "bob", Secret::Password("other".into()));
        let auth = AuthSettings { algorithms: vec![Algorithm::Sha256, Algorithm::Md5], ..AuthSettings::default() };
        let methods = vec!["INVITE".into(), "ACK".into()];
        let identities = Identities::new(Vec::new());
        Realms::new(RealmsSettings { users, default_realm: Some("b.example".into()), methods, identities, auth })
    }

    fn from_here<'a, 'm>(message: &'m Message<'a>, place: Place) -> Request<'a, 'm> {
        Request { message, source: "192.0.2.9".parse().unwrap(), place, scope: Scope::Methods }
    }

    fn request(method: &str, domain: &str, to_tag: &str, more: &str) -> String {
        format!(
            "{method} sip:x@b.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:alice@{domain}>;tag=1\r\n\
             To: <sip:x@b.example>{to_tag}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n{more}\r\n"
        )
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn asked(realms: &mut Realms, text: &str, place: Place) -> Option<(u16, String)> {
        match realms.admit(at(1), &from_here(&Message::parse(text.as_bytes()).unwrap(), place)) {
            Judgement::Challenge { status, values, .. } => Some((status, values.concat())),
            _ => None,
        }
    }

    #[test]
    fn only_what_begins_something_is_asked_and_by_its_realm() {
        let mut realms = realms();
        for (method, to_tag) in [("OPTIONS", ""), ("ACK", ""), ("INVITE", ";tag=2")] {
            let text = request(method, "a.example", to_tag, "");
            let message = Message::parse(text.as_bytes()).unwrap();
            let request = from_here(&message, Place::UserAgent);
            assert_eq!(realms.admit(at(1), &request), Judgement::Open, "{method}");
            assert!(!realms.must_ask(&request));
            let request = Request { scope: Scope::All, ..request };
            assert_eq!(realms.must_ask(&request), method != "ACK", "{method}");
        }
        let (status, values) = asked(&mut realms, &request("INVITE", "A.example", "", ""), Place::UserAgent).unwrap();
        assert!(status == 401 && values.contains("realm=\"a.example\"") && values.contains("SHA-256"), "{values}");
        let (status, values) = asked(&mut realms, &request("INVITE", "elsewhere", "", ""), Place::Proxy).unwrap();
        assert!(status == 407 && values.contains("realm=\"b.example\""), "the Request-URI's: {values}");
        let nowhere = request("INVITE", "elsewhere", "", "").replace("b.example SIP", "192.0.2.1 SIP");
        assert!(asked(&mut realms, &nowhere, Place::Proxy).unwrap().1.contains("b.example"), "the default");
    }

    #[test]
    fn credentials_pass_once() {
        let mut realms = realms();
        let ask = request("INVITE", "a.example", "", "");
        let (_, values) = asked(&mut realms, &ask, Place::Proxy).unwrap();
        let challenged = format!(
            "SIP/2.0 407 x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nProxy-Authenticate: {}\r\n\r\n",
            values.split("Digest").nth(1).map(|first| format!("Digest{first}")).unwrap()
        );
        let credentials = |password: &str| {
            let mut account = super::super::Account::new("alice", password);
            let response = Message::parse(challenged.as_bytes()).unwrap();
            let proxy = "192.0.2.1:5060".parse().unwrap();
            String::from_utf8(account.answer(&response, ask.as_bytes(), proxy, "c").unwrap()).unwrap()
        };
        let admit = |realms: &mut Realms, more: &str, place, seconds| {
            let text = request("INVITE", "a.example", "", more);
            let message = Message::parse(text.as_bytes()).unwrap();
            let request = from_here(&message, place);
            (realms.must_ask(&request), realms.admit(at(seconds), &request))
        };
        let identity = "sip:alice@a.example".into();
        let proven = Judgement::Proven { realm: "a.example".into(), username: "alice".into(), identity };
        let right = credentials("secret");
        assert_eq!(admit(&mut realms, &right, Place::Proxy, 2), (false, proven));
        let stale = |admission: &Judgement| match admission {
            Judgement::Challenge { values, .. } => values[0].contains("stale=true"),
            _ => false,
        };
        assert!(stale(&admit(&mut realms, &right, Place::Proxy, 3).1), "the same count again");
        assert!(matches!(
            admit(&mut realms, &right, Place::UserAgent, 3),
            (true, Judgement::Challenge { status: 401, .. })
        ));
        let wrong = admit(&mut realms, &credentials("guess"), Place::Proxy, 3);
        assert!(!wrong.0 && matches!(wrong.1, Judgement::Challenge { .. }) && !stale(&wrong.1));
        let broken = right.replace("nonce=", "nonsense=");
        assert_eq!(admit(&mut realms, &broken, Place::Proxy, 3).1, Judgement::Malformed);
        assert_eq!(realms.nonces_count(), 1);
    }

    #[test]
    fn users_come_and_go() {
        let mut realms = realms();
        let mut users = Users::new();
        users.add("c.example", "carol", Secret::Password("x".into()));
        realms.set_users(users, Identities::default(), &AuthSettings::default());
        assert_eq!(realms.realms().collect::<Vec<_>>(), ["c.example"]);
        assert!(
            asked(&mut realms, &request("INVITE", "a.example", "", ""), Place::UserAgent)
                .unwrap()
                .1
                .contains("c.example")
        );
        realms.set_users(Users::new(), Identities::default(), &AuthSettings::default());
        assert_eq!(asked(&mut realms, &request("INVITE", "a.example", "", ""), Place::UserAgent), None);
    }
}
