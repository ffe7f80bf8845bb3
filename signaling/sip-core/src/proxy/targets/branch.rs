//! One target of a request: its client transaction (RFC 3261 §16.6).

use crate::flow::Flow;
use crate::proxy::Target;
use crate::table::slab::Handle;
use crate::transactions::ClientUse;
use sip_wire::Message;

pub(crate) struct Branch {
    pub(crate) context: Handle,
    /// A CANCEL of ours: its responses concern nobody.
    pub(crate) is_cancel: bool,
    /// The request belongs to a dialog.
    pub(crate) is_in_dialog: bool,
    /// Its final response, or the lack of one, was noted.
    pub(crate) is_final: bool,
    /// The attempt that it is, where further paths lead to its target.
    pub(crate) again: Option<Box<Attempt>>,
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

/// A target that is to be tried, with the breadth that it is given (RFC 5393 §5.3).
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) target: Waiting,
    pub(crate) breadth: u8,
}

/// Why a branch gets no answer that could be taken.
#[derive(Clone, Copy)]
pub(crate) enum Failure<'m> {
    /// Its target has refused.
    Refusal { status: u16, message: &'m Message<'m> },
    /// Its target has not answered in time.
    Silence,
    /// Its path is broken.
    Path,
}

impl<'m> Failure<'m> {
    /// The status that it counts as (RFC 3261 §16.7, §16.9).
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Refusal { status, .. } => *status,
            Self::Silence => 408,
            Self::Path => 503,
        }
    }

    /// What the target said.
    pub(crate) fn message(&self) -> Option<&'m Message<'m>> {
        match self {
            Self::Refusal { message, .. } => Some(message),
            Self::Silence | Self::Path => None,
        }
    }

    /// Whether it is the path that failed, and not the target (RFC 3263 §4.3).
    pub(crate) fn is_of_path(&self) -> bool {
        self.message().is_none() || self.status() == 503
    }
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
