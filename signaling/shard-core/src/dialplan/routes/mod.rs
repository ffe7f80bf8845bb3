//! Where calls go that go on to somewhere else, by the routes of the configuration: for the back-to-back user agent, the
//! proxy and the redirect server.

mod pattern;
mod table;

use crate::names::PathFinder;
use config::Route;
use session::Target;
use sip_core::Flow;
use sip_wire::{Number, Uri, escaped_user};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use table::{Entry, Table};

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
    table: Arc<RwLock<Arc<Table>>>,
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

    /// The URI of a target of a route for it.
    fn uri_at(&self, target: &Entry) -> String {
        if target.has_user || self.user.is_empty() { target.uri.clone() } else { self.at(&target.uri) }
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
        Ok(Self { table: Arc::new(RwLock::new(Arc::new(Table::new(routes)?))) })
    }

    /// Other routes from now on, in all clones. Targets with a name keep the paths that they have until they are looked up.
    pub fn replace(&self, routes: &[Route], paths: Option<&dyn PathFinder>) -> Result<(), RouteError> {
        let table = Table::new(routes)?;
        table.take_paths(&self.table());
        if let Some(paths) = paths {
            table.find_now(paths);
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        Ok(())
    }

    fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table().is_empty()
    }

    /// Finds the paths to targets with an address, which nobody has to be asked about.
    pub fn begin(&self, paths: &dyn PathFinder) {
        self.table().find_now(paths);
    }

    /// Gives every target this path, in tests without sockets.
    #[cfg(test)]
    pub fn lead_by(self, path: Flow) -> Self {
        let table = self.table();
        table.targets().for_each(|target| table.set_paths(target, vec![path]));
        self
    }

    /// The targets as they are written, to look them up.
    pub fn uris(&self) -> Vec<String> {
        self.table().targets().map(|target| target.uri.clone()).collect()
    }

    /// The paths to a target from now on, where there still is one with this URI.
    pub fn set_paths(&self, uri: &str, found: &[Flow]) {
        let table = self.table();
        for target in table.targets().filter(|target| target.uri == uri) {
            table.set_paths(target, found.to_vec());
        }
    }

    /// The targets for a called user, in order; `None`: no pattern fits.
    pub fn ways(&self, called: &Called) -> Option<Vec<Way>> {
        Some(self.ways_of(called)?.1)
    }

    /// The ways of a call, with the pattern that fits as it was written.
    pub fn ways_of(&self, called: &Called) -> Option<(Arc<str>, Vec<Way>)> {
        let way = |entry: &Entry| Way { uri: called.uri_at(entry), group: entry.group, paths: entry.paths() };
        let table = self.table();
        let row = table.find(&called.user, &called.domain)?;
        Some((row.written.clone(), row.targets.iter().map(way).collect()))
    }

    /// The same as targets of a call, as many as one may have, with the pattern that fits; none where no path
    /// is known.
    pub fn targets(&self, called: &Called) -> Option<(Arc<str>, Vec<Target>)> {
        let targets = |way: &Way| way.paths.iter().map(|path| Target::new(&way.uri, *path)).collect::<Vec<_>>();
        let (route, all) = self.ways_of(called)?;
        Some((route, all.iter().flat_map(targets).take(session::TARGETS_MAX).collect()))
    }

    /// Whether a target has this address now. Requests of strangers ask this: it looks at no route.
    pub fn lead_to(&self, ip: IpAddr) -> bool {
        self.table().leads_to(ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_pattern_has_no_way() {
        let route = |pattern: &str| Route { pattern: pattern.to_owned(), targets: vec![vec!["sip:192.0.2.1".into()]] };
        let called = |domain: &str| Called { user: "alice".into(), domain: domain.into(), number: None };
        let routes = Routes::new(&[route("+49*"), route("@[2001:db8:0:0::1]")]).unwrap();
        assert!(routes.ways(&called("")).is_none() && routes.ways(&called("2001:db8::1")).is_some());
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
