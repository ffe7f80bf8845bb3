//! A request outside dialogs as its user describes it.

use crate::content::{Content, Refused, is_line, is_uri};
use crate::event::AccountId;
use crate::flow::Flow;
use sip_wire::Address;

/// A request outside any dialog: a call, a REGISTER, an OPTIONS.
#[derive(Clone, Copy, Debug)]
pub struct NewRequest<'a> {
    /// The path that it takes.
    pub flow: Flow,
    /// The Request-URI.
    pub uri: &'a str,
    /// Who asks: `"Alice" <sip:alice@example.com>`, without tag.
    pub from: &'a str,
    /// Who is asked, without tag.
    pub to: &'a str,
    /// The Call-ID; `None` makes one. Registrations keep theirs, bridged legs choose theirs.
    pub call_id: Option<&'a str>,
    /// The CSeq number; registrations count theirs on. 0 stands for 1.
    pub cseq: u32,
    /// Hops that it may still take: 70, or one less than the request that it goes on from.
    pub max_forwards: u8,
    /// Route values, as `<sip:proxy.example.com;lr>`; the first is the next hop.
    pub routes: &'a [&'a str],
    /// Who answers challenges to it; without one the user hears of them.
    pub account: Option<AccountId>,
    /// Further header fields and the body.
    pub content: Content<'a>,
}

impl<'a> NewRequest<'a> {
    /// A request with nothing more than it needs.
    pub const fn new(flow: Flow, uri: &'a str, from: &'a str, to: &'a str) -> Self {
        Self {
            flow,
            uri,
            from,
            to,
            call_id: None,
            cseq: 0,
            max_forwards: 70,
            routes: &[],
            account: None,
            content: Content::NONE,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Refused> {
        self.content.check()?;
        let is_address =
            |text: &str| is_line(text) && Address::check(text).is_ok_and(|address| address.tag().is_none());
        let routes_are_fine = self.routes.iter().all(|route| is_line(route) && Address::check(route).is_ok());
        let call_id_is_fine = self.call_id.is_none_or(|call_id| is_uri(call_id) && call_id.len() <= 256);
        let all =
            is_uri(self.uri) && is_address(self.from) && is_address(self.to) && routes_are_fine && call_id_is_fine;
        if all && self.cseq < 1 << 31 { Ok(()) } else { Err(Refused::BadText) }
    }

    pub(crate) fn first_cseq(&self) -> u32 {
        self.cseq.max(1)
    }
}
