//! Where calls go that go on to somewhere else, by the routes of the configuration: for the back-to-back user agent, the
//! proxy and the redirect server.

use crate::names::PathFinder;
use config::Route;
use session::Target;
use sip_core::Flow;
use sip_wire::{Number, Uri, escaped_user};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// A target of a route that cannot be called.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("[sip] routes: `{uri}` cannot be called: {reason}")]
pub struct RouteError {
    /// What is written there.
    pub uri: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The routes, with the paths that their targets have now. Clones are the same.
#[derive(Clone)]
pub struct Routes {
    rows: Arc<RwLock<Arc<[Row]>>>,
}

struct Row {
    pattern: Pattern,
    /// The pattern as it was written.
    written: Arc<str>,
    targets: Vec<Entry>,
}

/// Most exact first.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Pattern {
    User(String),
    Beginning(String),
    Domain(String),
    Any,
}

/// A target and the paths to it.
struct Entry {
    uri: String,
    has_user: bool,
    group: u16,
    paths: RwLock<Vec<Flow>>,
}

/// A target of one request.
pub struct Way {
    /// With the user that was called.
    pub uri: String,
    /// Groups are tried one after the other.
    pub group: u16,
    /// The paths to it as they are now, best first.
    pub paths: Vec<Flow>,
}

/// Who is called, as routes look at it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Called {
    /// The user; a telephone number without its separators (RFC 3966 §5.1.1).
    user: String,
    /// The host; of a local telephone number the domain that it belongs to.
    domain: String,
    /// It is a telephone number by what its URI says: `tel:`, or `user=phone`.
    number: Option<Number>,
}

impl Called {
    pub fn of(uri: &Uri<'_>) -> Self {
        let number = uri.number();
        let context = number.as_ref().and_then(Number::context).unwrap_or_default();
        let domain = uri.host.map_or_else(|| context.to_owned(), |host| host.bare());
        Self { user: uri.user_text(), domain, number }
    }

    /// The called user; a telephone number without its separators.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The URI of a target for it.
    fn at(&self, target: &str) -> String {
        let Ok(uri) = Uri::parse(target.as_bytes()) else { return target.to_owned() };
        match &self.number {
            Some(number) => number.at(&uri),
            None => uri.with_user_part(&escaped_user(&self.user)),
        }
    }
}

impl Routes {
    /// Of a configuration; nothing is looked up yet.
    pub fn new(routes: &[Route]) -> Result<Self, RouteError> {
        Ok(Self { rows: Arc::new(RwLock::new(rows_of(routes)?)) })
    }

    /// Other routes from now on, in all clones. Targets with a name keep the paths that they have until they are looked up.
    pub fn replace(&self, routes: &[Route], paths: Option<&dyn PathFinder>) -> Result<(), RouteError> {
        let (rows, old) = (rows_of(routes)?, self.rows());
        for entry in rows.iter().flat_map(|row| &row.targets) {
            let same = old.iter().flat_map(|row| &row.targets).find(|known| known.uri == entry.uri);
            if let Some(known) = same {
                *entry.paths.write().unwrap_or_else(PoisonError::into_inner) = known.paths();
            }
        }
        if let Some(paths) = paths {
            begin(&rows, paths);
        }
        *self.rows.write().unwrap_or_else(PoisonError::into_inner) = rows;
        Ok(())
    }

    fn rows(&self) -> Arc<[Row]> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows().is_empty()
    }

    /// Finds the paths to targets with an address, which nobody has to be asked about.
    pub fn begin(&self, paths: &dyn PathFinder) {
        begin(&self.rows(), paths);
    }

    /// Gives every target this path, in tests without sockets.
    #[cfg(test)]
    pub fn lead_by(self, path: Flow) -> Self {
        for entry in self.rows().iter().flat_map(|row| &row.targets) {
            *entry.paths.write().unwrap() = vec![path];
        }
        self
    }

    /// The targets as they are written, to look them up.
    pub fn uris(&self) -> Vec<String> {
        self.rows().iter().flat_map(|row| &row.targets).map(|entry| entry.uri.clone()).collect()
    }

    /// The paths to a target from now on, where there still is one with this URI.
    pub fn set_paths(&self, uri: &str, found: &[Flow]) {
        for entry in self.rows().iter().flat_map(|row| &row.targets).filter(|entry| entry.uri == uri) {
            *entry.paths.write().unwrap_or_else(PoisonError::into_inner) = found.to_vec();
        }
    }

    /// The targets for a called user, in order; `None`: no pattern fits.
    pub fn ways(&self, called: &Called) -> Option<Vec<Way>> {
        Some(self.ways_of(called)?.1)
    }

    /// The ways of a call, with the pattern that fits as it was written.
    pub fn ways_of(&self, called: &Called) -> Option<(Arc<str>, Vec<Way>)> {
        let way = |entry: &Entry| Way { uri: entry.uri_for(called), group: entry.group, paths: entry.paths() };
        let rows = self.rows();
        let row = rows.iter().find(|row| row.pattern.fits(&called.user, &called.domain))?;
        Some((row.written.clone(), row.targets.iter().map(way).collect()))
    }

    /// The same as targets of a call, as many as one may have, with the pattern that fits; none where no path
    /// is known.
    pub fn targets(&self, called: &Called) -> Option<(Arc<str>, Vec<Target>)> {
        let targets = |way: &Way| way.paths.iter().map(|path| Target::new(&way.uri, *path)).collect::<Vec<_>>();
        let (route, all) = self.ways_of(called)?;
        Some((route, all.iter().flat_map(targets).take(session::TARGETS_MAX).collect()))
    }

    /// Whether a target has this address now.
    pub fn lead_to(&self, ip: IpAddr) -> bool {
        // Requests of strangers ask this: it takes no copy of the paths.
        let leads = |entry: &Entry| {
            let paths = entry.paths.read().unwrap_or_else(PoisonError::into_inner);
            paths.iter().any(|path| path.remote.ip() == ip)
        };
        self.rows().iter().flat_map(|row| &row.targets).any(leads)
    }
}

/// The most exact pattern first.
fn rows_of(routes: &[Route]) -> Result<Arc<[Row]>, RouteError> {
    let entry = |(group, uri): (usize, &String)| match Uri::parse(uri.as_bytes()) {
        Ok(parsed) if parsed.host.is_some() => Ok(Entry {
            uri: uri.clone(),
            has_user: parsed.user.is_some(),
            group: group as u16,
            paths: RwLock::default(),
        }),
        Ok(_) => Err(RouteError { uri: uri.clone(), reason: "it has no host".into() }),
        Err(error) => Err(RouteError { uri: uri.clone(), reason: error.to_string() }),
    };
    let row = |route: &Route| {
        let groups = route.targets.iter().enumerate();
        let all = groups.flat_map(|(group, uris)| uris.iter().map(move |uri| (group, uri)));
        let targets = all.map(entry).collect::<Result<Vec<_>, RouteError>>()?;
        Ok::<_, RouteError>(Row {
            pattern: Pattern::new(&route.pattern),
            written: route.pattern.as_str().into(),
            targets,
        })
    };
    let mut rows = routes.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    rows.sort_by_key(|row| row.pattern.rank());
    Ok(rows.into())
}

fn begin(rows: &[Row], paths: &dyn PathFinder) {
    for entry in rows.iter().flat_map(|row| &row.targets) {
        if let Some(found) = paths.find_now(&entry.uri) {
            *entry.paths.write().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }
}

impl Entry {
    fn uri_for(&self, called: &Called) -> String {
        if self.has_user || called.user.is_empty() { self.uri.clone() } else { called.at(&self.uri) }
    }

    fn paths(&self) -> Vec<Flow> {
        self.paths.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        match (text, text.strip_prefix('@'), text.strip_suffix('*')) {
            ("*", ..) => Self::Any,
            (_, Some(domain), _) => Self::Domain(canonical(domain)),
            (_, _, Some(beginning)) => Self::Beginning(dialled(beginning)),
            _ => Self::User(dialled(text)),
        }
    }

    /// What comes first: a whole user, then beginnings, longest first, then domains, then the rest.
    fn rank(&self) -> (u8, std::cmp::Reverse<usize>) {
        let (class, length) = match self {
            Self::User(_) => (0, 0),
            Self::Beginning(beginning) => (1, beginning.len()),
            Self::Domain(_) => (2, 0),
            Self::Any => (3, 0),
        };
        (class, std::cmp::Reverse(length))
    }

    fn fits(&self, user: &str, domain: &str) -> bool {
        match self {
            Self::User(whole) => whole == user,
            Self::Beginning(beginning) => user.starts_with(beginning.as_str()),
            Self::Domain(name) => domain.eq_ignore_ascii_case(name),
            Self::Any => true,
        }
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

    fn routes(patterns: &[&str]) -> Routes {
        let route = |(number, pattern): (usize, &&str)| Route {
            pattern: (*pattern).to_owned(),
            targets: vec![vec![format!("sip:192.0.2.{number}")]],
        };
        Routes::new(&patterns.iter().enumerate().map(route).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_most_exact_pattern_counts() {
        let routes = routes(&["*", "+49*", "+4930*", "@Example.com", "+4930123"]);
        let found = |user, domain| {
            routes.rows().iter().find(|row| row.pattern.fits(user, domain)).unwrap().targets[0].uri.clone()
        };
        assert_eq!(found("+4930123", "example.com"), "sip:192.0.2.4");
        assert_eq!(found("+49301", "example.com"), "sip:192.0.2.2");
        assert_eq!(found("+4989", ""), "sip:192.0.2.1");
        assert_eq!(found("alice", "example.COM"), "sip:192.0.2.3");
        assert_eq!(found("alice", "other"), "sip:192.0.2.0");
        let called = |domain: &str| Called { user: "alice".into(), domain: domain.into(), number: None };
        assert!(self::routes(&["+49*"]).ways(&called("")).is_none());
        for spelled in ["@[2001:db8:0:0::1]", "@2001:DB8::1"] {
            assert!(self::routes(&[spelled]).ways(&called("2001:db8::1")).is_some(), "{spelled}");
        }
    }

    #[test]
    fn numbers_are_found_and_go_on_whatever_their_uri() {
        let route =
            |pattern: &str, target: &str| Route { pattern: pattern.to_owned(), targets: vec![vec![target.to_owned()]] };
        let routes = [
            route("+49-30*", "sip:192.0.2.7:5070;transport=tcp"),
            route("7042", "sip:desk@h"),
            route("@example.com", "sips:192.0.2.8"),
        ];
        let routes = Routes::new(&routes).unwrap();
        let found = |text: &str| {
            routes.ways(&Called::of(&Uri::parse(text.as_bytes()).unwrap())).map(|ways| ways[0].uri.clone())
        };
        let phone = "sip:+493012@192.0.2.7:5070;transport=tcp;user=phone";
        for (called, goes) in [
            ("tel:+49-30-12", phone),
            ("tel:+493012", phone),
            ("sip:+49(30)12@us;user=phone", phone),
            ("sip:+49-30-12@us", "sip:+493012@192.0.2.7:5070;transport=tcp"),
            ("sip:+493012@us:5080", "sip:+493012@192.0.2.7:5070;transport=tcp"),
            ("tel:+49-30-12;ext=5", "sip:+493012;ext=5@192.0.2.7:5070;transport=tcp;user=phone"),
            ("tel:70-42;phone-context=example.org", "sip:desk@h"),
            ("tel:11;phone-context=Example.com", "sips:11;phone-context=example.com@192.0.2.8;user=phone"),
            ("sip:a%40b@example.com", "sips:a%40b@192.0.2.8"),
        ] {
            assert_eq!(found(called).as_deref(), Some(goes), "{called}");
        }
        // A local number of another place is no global one that begins alike.
        assert_eq!(found("tel:4930;phone-context=+1"), None);
        assert_eq!(found("tel:+1-2"), None);
    }

    #[test]
    fn the_called_user_goes_along_and_cannot_break_out() {
        let called = Called { user: "a@b>\r\n".into(), ..Called::default() };
        assert_eq!(called.at("sips:h"), "sips:a%40b%3E%0D%0A@h");
        let wrong = [Route { pattern: "*".into(), targets: vec![vec!["sip:".into()]] }];
        assert!(Routes::new(&wrong).is_err());
    }
}
