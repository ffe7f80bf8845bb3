//! The routes of one configuration, with the paths that lead to their targets now. What a request asks costs the same
//! however many routes there are.

use super::RouteError;
use super::pattern::Patterns;
use crate::names::PathFinder;
use config::Route;
use sip_core::Flow;
use sip_wire::Uri;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// The routes.
pub(super) struct Table {
    routes: Box<[Row]>,
    patterns: Patterns,
    /// The addresses of all targets, each with the number of paths that lead there.
    addresses: RwLock<HashMap<IpAddr, usize>>,
}

/// One route.
pub(super) struct Row {
    /// The pattern as it was written.
    pub(super) written: Arc<str>,
    pub(super) targets: Vec<Entry>,
}

/// A target and the paths to it.
pub(super) struct Entry {
    pub(super) uri: String,
    pub(super) has_user: bool,
    pub(super) group: u16,
    paths: RwLock<Vec<Flow>>,
}

impl Entry {
    /// Best first; none while nothing was looked up.
    pub(super) fn paths(&self) -> Vec<Flow> {
        self.paths.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Table {
    /// Of a configuration; no path is known yet.
    pub(super) fn new(routes: &[Route]) -> Result<Self, RouteError> {
        let routes = routes.iter().map(row_of).collect::<Result<Box<[Row]>, _>>()?;
        let mut patterns = Patterns::default();
        routes.iter().enumerate().for_each(|(number, row)| patterns.add(&row.written, number));
        Ok(Self { routes, patterns, addresses: RwLock::default() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The route for a called user.
    pub(super) fn find(&self, user: &str, domain: &str) -> Option<&Row> {
        self.routes.get(self.patterns.find(user, domain)?)
    }

    /// The targets of all routes.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Entry> {
        self.routes.iter().flat_map(|row| &row.targets)
    }

    /// Whether a path leads to this address.
    pub(super) fn leads_to(&self, ip: IpAddr) -> bool {
        self.addresses.read().unwrap_or_else(PoisonError::into_inner).contains_key(&ip.to_canonical())
    }

    /// The paths to one of its targets from now on.
    pub(super) fn set_paths(&self, target: &Entry, paths: Vec<Flow>) {
        // The addresses stay locked while paths change, so that both agree.
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        let mut known = target.paths.write().unwrap_or_else(PoisonError::into_inner);
        for path in &paths {
            *addresses.entry(path.remote.ip().to_canonical()).or_default() += 1;
        }
        for path in std::mem::replace(&mut *known, paths) {
            let ip = path.remote.ip().to_canonical();
            match addresses.get_mut(&ip) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(addresses.remove(&ip)),
            }
        }
    }

    /// Takes the paths of the targets that were in another table as well.
    pub(super) fn take_paths(&self, other: &Self) {
        let known: HashMap<&str, &Entry> = other.targets().map(|target| (&*target.uri, target)).collect();
        for target in self.targets() {
            if let Some(known) = known.get(&*target.uri) {
                self.set_paths(target, known.paths());
            }
        }
    }

    /// Finds the paths to targets with an address, which nobody has to be asked about.
    pub(super) fn find_now(&self, paths: &dyn PathFinder) {
        for target in self.targets() {
            if let Some(found) = paths.find_now(&target.uri) {
                self.set_paths(target, found);
            }
        }
    }
}

fn row_of(route: &Route) -> Result<Row, RouteError> {
    let groups = route.targets.iter().enumerate();
    let all = groups.flat_map(|(group, uris)| uris.iter().map(move |uri| (group, uri)));
    let targets = all.map(|(group, uri)| entry_of(group, uri)).collect::<Result<Vec<_>, RouteError>>()?;
    Ok(Row { written: route.pattern.as_str().into(), targets })
}

fn entry_of(group: usize, uri: &str) -> Result<Entry, RouteError> {
    let refused = |reason: String| RouteError { uri: uri.to_owned(), reason };
    let parsed = Uri::parse(uri.as_bytes()).map_err(|error| refused(error.to_string()))?;
    if parsed.host.is_none() {
        return Err(refused("it has no host".into()));
    }
    let has_user = parsed.user.is_some();
    Ok(Entry { uri: uri.to_owned(), has_user, group: group as u16, paths: RwLock::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(remote: &str) -> Flow {
        Flow::udp("192.0.2.1:5060".parse().unwrap(), remote.parse().unwrap())
    }

    fn table(targets: &[&str]) -> Table {
        let route = |uri: &&str| Route { pattern: format!("to-{uri}"), targets: vec![vec![(*uri).to_owned()]] };
        Table::new(&targets.iter().map(route).collect::<Vec<_>>()).unwrap()
    }

    /// Any request may ask whether its source is a target: that looks at no target, so that many routes make it no slower.
    #[test]
    fn an_address_is_looked_up_without_a_look_at_the_targets() {
        let uris: Vec<String> = (0..1_000).map(|number| format!("sip:h{number}.example")).collect();
        let table = table(&uris.iter().map(String::as_str).collect::<Vec<_>>());
        for (number, target) in table.targets().enumerate() {
            table.set_paths(target, vec![flow(&format!("10.0.{}.{}:5060", number / 250, number % 250))]);
        }
        let held: Vec<_> = table.targets().map(|target| target.paths.write().unwrap()).collect();
        assert!(table.leads_to("10.0.3.249".parse().unwrap()) && !table.leads_to("10.1.0.0".parse().unwrap()));
        assert_eq!(held.len(), 1_000);
    }

    #[test]
    fn an_address_counts_as_long_as_a_path_leads_there() {
        let table = table(&["sip:a.example", "sip:b.example"]);
        let [a, b] = [0, 1].map(|number| table.targets().nth(number).unwrap());
        let leads = |ip: &str| table.leads_to(ip.parse().unwrap());
        assert!(!leads("10.0.0.1"));
        table.set_paths(a, vec![flow("10.0.0.1:5060"), flow("10.0.0.1:5070"), flow("[2001:db8::1]:5060")]);
        table.set_paths(b, vec![flow("10.0.0.1:5060"), flow("[::ffff:10.0.0.2]:5060")]);
        for ip in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "10.0.0.2", "::ffff:10.0.0.2"] {
            assert!(leads(ip), "{ip}");
        }
        table.set_paths(a, Vec::new());
        assert!(leads("10.0.0.1") && !leads("2001:db8::1"), "the other target is still there");
        let newer = self::table(&["sip:c.example", "sip:b.example"]);
        newer.take_paths(&table);
        assert!(newer.leads_to("10.0.0.1".parse().unwrap()));
        table.set_paths(b, vec![flow("10.0.0.3:5060")]);
        assert!(!leads("10.0.0.1") && !leads("10.0.0.2") && leads("10.0.0.3"));
        assert_eq!(table.addresses.read().unwrap().len(), 1);
    }
}
