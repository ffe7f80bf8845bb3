//! 3xx answers that the proxy follows itself (RFC 3261 §16.5), as far as policy lets it.

use super::pending::{Contact, Pending};
use super::{Relay, contacts};
use crate::dialplan::routes::Called;
use clock::Instant;
use sip_core::Flow;
use sip_core::proxy::{ProxyId, ProxyOutput, Target};
use sip_wire::{Scheme, Uri};

impl Relay {
    /// Where a 3xx leads to.
    pub(super) fn follow(
        &mut self,
        now: Instant,
        request: ProxyId,
        redirect: u32,
        message: &[u8],
        out: &mut ProxyOutput,
    ) {
        let uris = contacts::of_response(message);
        let contacts: Vec<Contact> = uris.into_iter().flat_map(|uri| self.callable(uri)).collect();
        let asked: Vec<String> = contacts.iter().map(|contact| contact.uri.clone()).collect();
        if contacts.iter().any(|contact| contact.paths.is_none()) {
            let wait = Pending::Redirect { request, redirect, contacts: contacts.clone() };
            // The names are asked for on behalf of the caller, not of the target that sent the 3xx.
            let caller = self.proxy.story(request).map_or(self.source, |story| story.remote).ip();
            if self.pending.ask(wait, asked, caller) {
                return;
            }
        }
        self.follow_by(now, request, redirect, &contacts, out);
    }

    /// A telephone number goes where the routes send it (RFC 3261 §19.1.6); it has no host of its own.
    fn callable(&self, uri: String) -> Vec<Contact> {
        match Uri::parse(uri.as_bytes()) {
            Ok(number) if number.scheme == Scheme::Tel => {
                let ways = self.routes.ways(&Called::of(&number)).unwrap_or_default();
                ways.into_iter().map(|way| Contact { uri: way.uri, paths: Some(way.paths) }).collect()
            }
            _ => {
                let paths = self.paths.find_now(&uri).map(|paths| self.allowed(paths));
                vec![Contact { uri, paths }]
            }
        }
    }

    /// Of the paths that a peer names, those that lead neither to this host itself nor to no host at all.
    pub(super) fn allowed(&self, mut paths: Vec<Flow>) -> Vec<Flow> {
        paths.retain(|flow| {
            let is_home = |remote| self.paths.home(remote).is_some();
            self.destinations.allow_address(flow.remote, |ip| self.paths.is_of_this_host(ip), is_home)
        });
        paths
    }

    pub(super) fn follow_by(
        &mut self,
        now: Instant,
        request: ProxyId,
        redirect: u32,
        contacts: &[Contact],
        out: &mut ProxyOutput,
    ) {
        let mut targets = Vec::new();
        for (index, contact) in contacts.iter().enumerate() {
            if let Some((flow, alternates)) = contact.paths.as_deref().and_then(<[Flow]>::split_first) {
                let uri = Some(contact.uri.as_str());
                targets.push(Target { flow: *flow, alternates, uri, route: None, group: index as u16 });
            }
        }
        if self.proxy.follow(now, (request, redirect), &targets, out).is_err() {
            // A contact that cannot stand in a request: the answer is the 3xx.
            let _ = self.proxy.follow(now, (request, redirect), &[], out);
        }
    }
}
