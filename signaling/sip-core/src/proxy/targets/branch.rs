//! One target of a request: its client transaction (RFC 3261 §16.6).

use crate::flow::Flow;
use crate::proxy::Target;
use crate::table::slab::Handle;
use crate::transactions::ClientUse;

pub(crate) struct Branch {
    pub(crate) context: Handle,
    /// A CANCEL of ours: its responses concern nobody.
    pub(crate) is_cancel: bool,
    /// The request belongs to a dialog.
    pub(crate) is_in_dialog: bool,
    /// Its final response, or the lack of one, was noted.
    pub(crate) is_final: bool,
    /// Further paths to its target, and the breadth that it was given.
    pub(crate) again: Option<Box<(Waiting, u8)>>,
}

impl Branch {
    /// The CANCEL of this one.
    pub(crate) fn cancel(&self) -> Self {
        Self { context: self.context, is_cancel: true, is_in_dialog: self.is_in_dialog, is_final: false, again: None }
    }
}

impl ClientUse for Branch {
    /// CANCEL follows a provisional response.
    fn is_of_known_peer(&self) -> bool {
        self.is_cancel || self.is_in_dialog
    }
}

/// A target that was not tried yet.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) flow: Flow,
    pub(crate) alternates: Box<[Flow]>,
    pub(crate) uri: Option<Box<str>>,
    pub(crate) route: Option<Box<str>>,
    pub(crate) group: u32,
}

/// Targets of a redirection go before all that were named first.
const FIRST_NAMED_GROUP: u32 = 1 << 16;

impl Waiting {
    pub(crate) fn new(target: &Target<'_>, is_redirection: bool) -> Self {
        Self {
            flow: target.flow,
            alternates: target.alternates.into(),
            uri: target.uri.map(Into::into),
            route: target.route.map(Into::into),
            group: u32::from(target.group) + if is_redirection { 0 } else { FIRST_NAMED_GROUP },
        }
    }

    /// Bytes that are kept for it.
    pub(crate) fn bytes(&self) -> usize {
        let of_text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        size_of::<Self>() + size_of_val(&*self.alternates) + of_text(&self.uri) + of_text(&self.route)
    }

    /// The same target by its next path.
    pub(crate) fn by_next_path(&self) -> Option<Self> {
        let (flow, rest) = self.alternates.split_first()?;
        Some(Self { flow: *flow, alternates: rest.into(), ..self.clone() })
    }
}
