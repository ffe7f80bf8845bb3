//! The typed accessors of [`Message`]: one method per header field, each reading its value when asked.

use crate::limits::VALUES_MAX_COUNT;
use crate::message::header_lines::HeaderLines;
use crate::values::u32_value;
use crate::{
    Address, Auth, CSeq, Contact, DialogId, ErrorKind, MediaType, Message, Name, ParseError, RAck, Reason, RetryAfter,
    SessionExpires, SipDate, SubscriptionState, Timestamp, TokenValue, Via, Warning, scan,
};

type Result<T> = core::result::Result<T, ParseError>;

/// Walks the comma-separated values of one name over all its header lines.
#[derive(Clone)]
pub struct RawValues<'a, 'm> {
    lines: HeaderLines<'a, 'm>,
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for RawValues<'a, '_> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let bytes = match self.rest.take() {
            Some(rest) => rest,
            None => self.lines.next()?,
        };
        let (value, rest) = scan::split_comma(bytes);
        self.rest = rest;
        Some(value)
    }
}

/// Walks the typed values of one name over all its header lines and commas, in the order of the message.
pub struct Values<'a, 'm, T> {
    raw: RawValues<'a, 'm>,
    name: Name,
    given: usize,
    parse: fn(&'a [u8]) -> Option<T>,
}

impl<T> Iterator for Values<'_, '_, T> {
    type Item = Result<T>;

    #[inline]
    fn next(&mut self) -> Option<Result<T>> {
        if self.given > VALUES_MAX_COUNT {
            return None;
        }
        let value = self.raw.next()?;
        self.given += 1;
        if self.given > VALUES_MAX_COUNT {
            return Some(Err(ParseError::of(ErrorKind::TooManyValues, self.name)));
        }
        Some((self.parse)(value).ok_or(ParseError::malformed(self.name)))
    }
}

macro_rules! optional {
    ($($method:ident $name:ident $type:ty, $parse:expr, $doc:literal;)*) => {
        $(#[doc = $doc]
        pub fn $method(&self) -> Result<Option<$type>> {
            self.optional(Name::$name, $parse)
        })*
    };
}

macro_rules! lists {
    ($($method:ident $name:ident $type:ty, $parse:expr, $doc:literal;)*) => {
        $(#[doc = $doc]
        pub fn $method(&self) -> Values<'a, '_, $type> {
            self.values(Name::$name, $parse)
        })*
    };
}

impl<'a> Message<'a> {
    /// The values of a list header field as raw bytes, split at commas outside quotes and angle brackets.
    pub fn raw_values(&self, name: Name) -> RawValues<'a, '_> {
        RawValues { lines: self.header_lines(name), rest: None }
    }

    /// The values of any list header field through a parser of your choice, `Address::parse` for example.
    pub fn values<T>(&self, name: Name, parse: fn(&'a [u8]) -> Option<T>) -> Values<'a, '_, T> {
        Values { raw: self.raw_values(name), name, given: 0, parse }
    }

    /// The tokens of a list such as Supported or Allow; empty ones are skipped (`Supported:` alone is legal).
    pub fn tokens(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.raw_values(name).filter(|t| !t.is_empty()).take(VALUES_MAX_COUNT)
    }

    /// Whether a token list holds `token`, in any case: option tags, methods, content codings.
    pub fn has_token(&self, name: Name, token: &str) -> bool {
        self.tokens(name).any(|t| t.eq_ignore_ascii_case(token.as_bytes()))
    }

    fn optional<T>(&self, name: Name, parse: impl Fn(&'a [u8]) -> Option<T>) -> Result<Option<T>> {
        match self.header(name) {
            None => Ok(None),
            Some(value) => parse(value).map(Some).ok_or(ParseError::malformed(name)),
        }
    }

    fn required<T>(&self, name: Name, parse: impl Fn(&'a [u8]) -> Option<T>) -> Result<T> {
        self.optional(name, parse)?.ok_or(ParseError::of(ErrorKind::Missing, name))
    }

    /// From.
    pub fn from(&self) -> Result<Address<'a>> {
        self.required(Name::From, Address::parse)
    }

    /// To.
    pub fn to(&self) -> Result<Address<'a>> {
        self.required(Name::To, Address::parse)
    }

    /// The tag of From, without the rest being judged; `None` when there is none.
    pub fn from_tag(&self) -> Option<&'a [u8]> {
        self.from().ok()?.tag()
    }

    /// The tag of To; `None` when there is none.
    pub fn to_tag(&self) -> Option<&'a [u8]> {
        self.to().ok()?.tag()
    }

    /// Call-ID.
    pub fn call_id(&self) -> Result<&'a [u8]> {
        self.required(Name::CallId, call_id)
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq<'a>> {
        self.required(Name::CSeq, CSeq::parse)
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Result<Via<'a>> {
        self.vias().next().unwrap_or(Err(ParseError::of(ErrorKind::Missing, Name::Via)))
    }

    /// Max-Forwards; `None` when absent (RFC 3261 §16.3: then it counts as 70).
    pub fn max_forwards(&self) -> Result<Option<u8>> {
        self.optional(Name::MaxForwards, |v| scan::number(v, 255).map(|v| v as u8))
    }

    /// The first Contact's address; `None` when there is no Contact or it is `*`.
    pub fn contact(&self) -> Result<Option<Address<'a>>> {
        Ok(self.contacts().next().transpose()?.and_then(|c| c.address().copied()))
    }

    /// Subject, as a person reads it; empty when the header field is.
    pub fn text(&self, name: Name) -> Option<std::borrow::Cow<'a, str>> {
        self.header(name).map(crate::text)
    }

    optional! {
        content_type ContentType MediaType<'a>, MediaType::parse, "Content-Type.";
        content_disposition ContentDisposition TokenValue<'a>, TokenValue::parse, "Content-Disposition.";
        expires Expires u32, u32_value, "Expires, in seconds.";
        min_expires MinExpires u32, u32_value, "Min-Expires, in seconds.";
        session_expires SessionExpires SessionExpires, SessionExpires::parse, "Session-Expires.";
        min_se MinSe u32, |v| SessionExpires::parse(v).map(|s| s.seconds), "Min-SE, in seconds.";
        rseq RSeq u32, u32_value, "RSeq.";
        rack RAck RAck, RAck::parse, "RAck.";
        refer_to ReferTo Address<'a>, Address::parse, "Refer-To.";
        referred_by ReferredBy Address<'a>, Address::parse, "Referred-By.";
        reply_to ReplyTo Address<'a>, Address::parse, "Reply-To.";
        replaces Replaces DialogId<'a>, DialogId::parse, "Replaces.";
        join Join DialogId<'a>, DialogId::parse, "Join.";
        target_dialog TargetDialog DialogId<'a>, DialogId::parse, "Target-Dialog.";
        event Event TokenValue<'a>, TokenValue::parse, "Event: package and parameters.";
        subscription_state SubscriptionState SubscriptionState<'a>, SubscriptionState::parse, "Subscription-State.";
        retry_after RetryAfter RetryAfter<'a>, RetryAfter::parse, "Retry-After.";
        timestamp Timestamp Timestamp<'a>, Timestamp::parse, "Timestamp.";
        date Date SipDate, SipDate::parse, "Date.";
        refer_sub ReferSub TokenValue<'a>, TokenValue::parse, "Refer-Sub.";
        info_package InfoPackage TokenValue<'a>, TokenValue::parse, "Info-Package.";
        sip_etag SipEtag &'a [u8], token, "SIP-ETag.";
        sip_if_match SipIfMatch &'a [u8], token, "SIP-If-Match.";
        authentication_info AuthenticationInfo Auth<'a>, Auth::parse_info, "Authentication-Info.";
        flow_timer FlowTimer u32, u32_value, "Flow-Timer, in seconds (RFC 5626).";
        max_breadth MaxBreadth u32, u32_value, "Max-Breadth (RFC 5393).";
    }

    lists! {
        vias Via Via<'a>, Via::parse, "Every Via, topmost first.";
        contacts Contact Contact<'a>, Contact::parse, "Every Contact.";
        routes Route Address<'a>, Address::parse, "Every Route.";
        record_routes RecordRoute Address<'a>, Address::parse, "Every Record-Route.";
        paths Path Address<'a>, Address::parse, "Every Path (RFC 3327).";
        service_routes ServiceRoute Address<'a>, Address::parse, "Every Service-Route (RFC 3608).";
        asserted_identities PAssertedIdentity Address<'a>, Address::parse, "Every P-Asserted-Identity (RFC 3325).";
        preferred_identities PPreferredIdentity Address<'a>, Address::parse, "Every P-Preferred-Identity (RFC 3325).";
        remote_party_ids RemotePartyId Address<'a>, Address::parse, "Every Remote-Party-ID.";
        associated_uris PAssociatedUri Address<'a>, Address::parse, "Every P-Associated-URI (RFC 7315).";
        diversions Diversion Address<'a>, Address::parse, "Every Diversion (RFC 5806).";
        history_infos HistoryInfo Address<'a>, Address::parse, "Every History-Info; `index` is a parameter (RFC 7044).";
        reasons Reason Reason<'a>, Reason::parse, "Every Reason.";
        warnings Warning Warning<'a>, Warning::parse, "Every Warning.";
        accepts Accept MediaType<'a>, MediaType::parse, "Every media range of Accept.";
        alert_infos AlertInfo Address<'a>, Address::parse, "Every Alert-Info.";
        call_infos CallInfo Address<'a>, Address::parse, "Every Call-Info.";
        recv_infos RecvInfo TokenValue<'a>, TokenValue::parse, "Every Recv-Info package (RFC 6086).";
    }

    /// Authorization: one credentials per header line, since their commas separate parameters.
    pub fn authorizations(&self) -> impl Iterator<Item = Result<Auth<'a>>> + '_ {
        self.auths(Name::Authorization)
    }

    /// Proxy-Authorization.
    pub fn proxy_authorizations(&self) -> impl Iterator<Item = Result<Auth<'a>>> + '_ {
        self.auths(Name::ProxyAuthorization)
    }

    /// WWW-Authenticate.
    pub fn www_authenticates(&self) -> impl Iterator<Item = Result<Auth<'a>>> + '_ {
        self.auths(Name::WwwAuthenticate)
    }

    /// Proxy-Authenticate.
    pub fn proxy_authenticates(&self) -> impl Iterator<Item = Result<Auth<'a>>> + '_ {
        self.auths(Name::ProxyAuthenticate)
    }

    fn auths(&self, name: Name) -> impl Iterator<Item = Result<Auth<'a>>> + '_ {
        self.header_lines(name).map(move |v| Auth::parse(v).ok_or(ParseError::malformed(name)))
    }
}

/// `word [@ word]`: one word, nothing of it interpreted (RFC 3261 §20.8).
#[inline]
pub(crate) fn call_id(value: &[u8]) -> Option<&[u8]> {
    let lowest = value.iter().fold(u8::MAX, |lowest, b| lowest.min(*b));
    (!value.is_empty() && lowest > b' ').then_some(value)
}

fn token(value: &[u8]) -> Option<&[u8]> {
    scan::is_token(value).then_some(value)
}
