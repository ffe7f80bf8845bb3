//! Record-Route values that only we can have written. Each carries a keyed hash over the dialog that it was written for
//! and over the place that requests of that dialog go to next, so that a Route is worth what the dialog is worth: it is no
//! ticket for another dialog, and none to another place.
//!
//! The value of the parameter has two halves. The first one says "this dialog, in this direction"; the second one "and
//! from here to that host". A target refresh moves a peer without changing the route set of the other side, so places
//! that were named in the dialog itself are remembered as well ([`RefreshedTargets`]).

use crate::table::hash::{Index, Key, Keyed};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use sip_wire::{Host, Params, Uri};

/// The URI parameter that carries the hash.
pub(crate) const PARAMETER: &str = "rp";
/// Characters of one half: 80 bits, five to a character. It can only be tried out against us.
const HALF_BYTES: usize = 16;
/// Both halves.
const PROOF_BYTES: usize = 2 * HALF_BYTES;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Sides of dialogs whose refreshed targets are remembered, in two generations of this many.
const GENERATION_COUNT_MAX: usize = 32_768;

/// One side of a dialog. The caller is who sent the request that made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Its tag is in From of that request.
    Caller,
    /// Its tag is in To.
    Callee,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// A dialog, and the side of it that a Route leads to.
#[derive(Clone, Copy)]
pub(crate) struct Toward<'a> {
    side: Side,
    call_id: &'a [u8],
    caller_tag: &'a [u8],
    /// Not known yet when the Route that leads to the caller is written.
    callee_tag: &'a [u8],
}

impl<'a> Toward<'a> {
    /// From one side's tag and the other's.
    pub(crate) fn new(side: Side, call_id: &'a [u8], own_tag: &'a [u8], peer_tag: &'a [u8]) -> Self {
        match side {
            Side::Caller => Self { side, call_id, caller_tag: own_tag, callee_tag: b"" },
            Side::Callee => Self { side, call_id, caller_tag: peer_tag, callee_tag: own_tag },
        }
    }

    /// Stands for this side of the dialog.
    pub(crate) fn key(&self, keyed: &Keyed) -> Key {
        let label: &[u8] = match self.side {
            Side::Caller => b"caller's side",
            Side::Callee => b"callee's side",
        };
        keyed.key(&[label, self.call_id, self.caller_tag, self.callee_tag])
    }
}

/// One half of a proof.
type Half = [u8; HALF_BYTES];

/// The half that says where requests of a dialog go to next.
pub(crate) type Place = Half;

/// Both halves: what the parameter holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof([u8; PROOF_BYTES]);

impl Proof {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Writes and checks proofs.
pub(crate) struct RouteKey(Hmac<Sha256>);

impl RouteKey {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        // RFC 2104 §2: a key shorter than a block is filled with zeros.
        let mut block = [0; 64];
        block[..secret.len()].copy_from_slice(secret);
        Self(<Hmac<Sha256> as hmac::digest::KeyInit>::new(&block.into()))
    }

    /// The proof of a value with this user part, for a dialog whose next hop on that side is `next_hop`.
    pub(crate) fn proof(&self, toward: &Toward<'_>, user: &[u8], next_hop: &[u8]) -> Proof {
        let mut proof = [0; PROOF_BYTES];
        proof[..HALF_BYTES].copy_from_slice(&self.half(b"dialog", toward, user));
        proof[HALF_BYTES..].copy_from_slice(&self.place(toward, next_hop));
        Proof(proof)
    }

    /// Whether a value was written for this dialog and direction.
    pub(crate) fn is_of_dialog(&self, toward: &Toward<'_>, uri: &Uri<'_>) -> bool {
        let Some((dialog, _)) = halves(&uri.params) else { return false };
        crate::auth::same(&self.half(b"dialog", toward, uri.user.unwrap_or_default()), dialog)
    }

    /// Whether it was written for this next hop.
    pub(crate) fn leads_to(&self, toward: &Toward<'_>, uri: &Uri<'_>, next_hop: &[u8]) -> bool {
        halves(&uri.params).is_some_and(|(_, place)| crate::auth::same(&self.place(toward, next_hop), place))
    }

    /// Host and port of a next hop, bound to the dialog and the direction. A request goes to `maddr` where the URI has one
    /// (RFC 3261 §19.1.1), so that is the host then, whatever stands before it.
    pub(crate) fn place(&self, toward: &Toward<'_>, next_hop: &[u8]) -> Place {
        let place = match Uri::parse(next_hop) {
            Ok(uri) => match uri.params.get("maddr").map_or(uri.host, Host::parse) {
                Some(host) => format!("{}:{}", host.bare().to_ascii_lowercase(), uri.port_or_default()).into_bytes(),
                None => uri.as_bytes().to_vec(),
            },
            Err(_) => next_hop.to_vec(),
        };
        self.half(b"place", toward, &place)
    }

    fn half(&self, what: &[u8], toward: &Toward<'_>, more: &[u8]) -> Half {
        let mut mac = self.0.clone();
        let side: &[u8] = match toward.side {
            Side::Caller => b"caller",
            Side::Callee => b"callee",
        };
        for part in [what, side, toward.call_id, toward.caller_tag, toward.callee_tag, more] {
            // The length of each goes in as well: `ab|c` and `a|bc` differ.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        let hash = mac.finalize().into_bytes();
        let mut half = [0; HALF_BYTES];
        for (eight, five) in half.chunks_mut(8).zip(hash.chunks(5)) {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for (index, character) in eight.iter_mut().enumerate() {
                *character = ALPHABET[(bits >> (5 * index) & 31) as usize];
            }
        }
        half
    }
}

fn halves<'a>(params: &Params<'a>) -> Option<(&'a [u8], &'a [u8])> {
    params.get(PARAMETER).filter(|value| value.len() == PROOF_BYTES)?.split_at_checked(HALF_BYTES)
}

/// Puts one proof in the place of another: they are of one size, so the message keeps its shape. Header fields only.
pub(crate) fn exchange(message: &mut [u8], head_bytes: usize, old: &Proof, new: &Proof) {
    let Some(head) = message.get_mut(..head_bytes) else { return };
    let mut at = 0;
    while let Some(found) = head.get(at..).and_then(|rest| rest.windows(PROOF_BYTES).position(|part| part == old.0)) {
        let start = at + found;
        if let Some(part) = head.get_mut(start..start + PROOF_BYTES) {
            part.copy_from_slice(&new.0);
        }
        at = start + PROOF_BYTES;
    }
}

/// Places that the peers of a dialog named in the dialog (RFC 3261 §12.2: target refresh): the last ones of each side.
/// Bounded: the older generation goes when the younger one is full. What is forgotten costs a peer its dialog that moved before
/// the peers of that many other dialogs did.
#[derive(Default)]
pub(crate) struct RefreshedTargets {
    young: Index<Places>,
    old: Index<Places>,
}

/// The last places of one side of a dialog.
#[derive(Clone, Copy, Default)]
struct Places {
    /// Those that the other side accepted, the latest first. A request that crossed a refresh still goes to the one before.
    accepted: [Option<Place>; 2],
    /// That of the last request of this side, accepted or not.
    offered: Option<Place>,
}

impl RefreshedTargets {
    /// Notes a place of the side of a dialog whose key is `side`: a 2xx has named or accepted it.
    pub(crate) fn note(&mut self, side: Key, place: Place) {
        self.change(side, |places| {
            let [last, before] = places.accepted;
            places.accepted = [Some(place), if last == Some(place) { before } else { last }];
        });
    }

    /// Notes a place that a request of that side has named, which the other side may still refuse. It takes the place of no
    /// accepted one.
    pub(crate) fn note_offered(&mut self, side: Key, place: Place) {
        self.change(side, |places| places.offered = Some(place));
    }

    fn change(&mut self, side: Key, change: impl FnOnce(&mut Places)) {
        let mut places = self.places(&side).copied().unwrap_or_default();
        change(&mut places);
        self.young.insert(side, places);
        if self.young.len() >= GENERATION_COUNT_MAX {
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn places(&self, side: &Key) -> Option<&Places> {
        self.young.get(side).or_else(|| self.old.get(side))
    }

    pub(crate) fn has(&self, side: &Key, place: &Place) -> bool {
        let Some(Places { accepted, offered }) = self.places(side) else { return false };
        accepted.iter().chain([offered]).any(|known| known.as_ref() == Some(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri_with(proof: &Proof, user: &str) -> String {
        format!("sip:{user}192.0.2.1;lr;{PARAMETER}={}", std::str::from_utf8(proof.as_bytes()).unwrap())
    }

    #[test]
    fn a_proof_is_for_one_dialog_direction_user_and_place() {
        let key = RouteKey::new(&[7; 32]);
        let toward = Toward::new(Side::Callee, b"call", b"b", b"a");
        let text = uri_with(&key.proof(&toward, b"x", b"sip:h.example:5070;lr"), "x@");
        let uri = Uri::parse(text.as_bytes()).unwrap();
        assert!(key.is_of_dialog(&toward, &uri) && key.leads_to(&toward, &uri, b"sip:other@H.Example:5070"));
        assert!(!key.leads_to(&toward, &uri, b"sip:h.example") && !key.leads_to(&toward, &uri, b"tel:+49"));
        for maddr in ["192.0.2.66", "[2001:db8::66]", "other.example", "%", ""] {
            let elsewhere = format!("sip:x@h.example:5070;maddr={maddr}");
            assert!(!key.leads_to(&toward, &uri, elsewhere.as_bytes()), "{maddr}");
        }
        assert!(key.leads_to(&toward, &uri, b"sip:x@192.0.2.9:5070;maddr=h.example"));
        let others = [
            Toward::new(Side::Callee, b"call", b"b2", b"a"),
            Toward::new(Side::Callee, b"call", b"b", b"a2"),
            Toward::new(Side::Callee, b"call2", b"b", b"a"),
            Toward::new(Side::Callee, b"cal", b"b", b"la"),
            Toward::new(Side::Caller, b"call", b"b", b"a"),
        ];
        for other in others {
            assert!(!key.is_of_dialog(&other, &uri) && !key.leads_to(&other, &uri, b"sip:h.example:5070"));
        }
        assert!(!RouteKey::new(&[8; 32]).is_of_dialog(&toward, &uri));
        let stripped = text.replace("x@", "");
        assert!(!key.is_of_dialog(&toward, &Uri::parse(stripped.as_bytes()).unwrap()), "another user part");
        for at in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
            let is_good =
                |uri: Uri<'_>| key.is_of_dialog(&toward, &uri) && key.leads_to(&toward, &uri, b"sip:h.example:5070");
            let is_in_proof = at >= text.len() - PROOF_BYTES;
            assert!(!is_in_proof || !Uri::parse(&wrong).is_ok_and(is_good), "{at}");
        }
    }

    #[test]
    fn the_caller_is_found_by_its_tag_alone() {
        let key = RouteKey::new(&[7; 32]);
        let early = Toward::new(Side::Caller, b"call", b"a", b"");
        let text = uri_with(&key.proof(&early, b"", b"sip:a@192.0.2.9"), "");
        let uri = Uri::parse(text.as_bytes()).unwrap();
        assert!(key.is_of_dialog(&Toward::new(Side::Caller, b"call", b"a", b"b"), &uri));
    }

    #[test]
    fn proofs_are_exchanged_in_the_head_only() {
        let key = RouteKey::new(&[1; 32]);
        let proof = |host: &[u8]| key.proof(&Toward::new(Side::Caller, b"c", b"a", b""), b"", host);
        let (old, new) = (proof(b"sip:a"), proof(b"sip:b"));
        let text = |proof: &Proof| String::from_utf8(proof.as_bytes().to_vec()).unwrap();
        let head = format!("{0},{0}\r\n\r\n", text(&old));
        let mut message = format!("{head}{}", text(&old)).into_bytes();
        exchange(&mut message, head.len(), &old, &new);
        assert_eq!(String::from_utf8(message).unwrap(), format!("{0},{0}\r\n\r\n{1}", text(&new), text(&old)));
    }

    fn place(number: u32) -> Place {
        format!("{number:016}").into_bytes().try_into().unwrap()
    }

    #[test]
    fn refreshed_targets_are_bounded() {
        let mut targets = RefreshedTargets::default();
        (0..200_000).for_each(|number| targets.note(Key(number.into()), place(number)));
        assert!(targets.has(&Key(199_999), &place(199_999)) && !targets.has(&Key(0), &place(0)));
        assert!(!targets.has(&Key(199_999), &place(199_998)));
        assert!(targets.young.len() + targets.old.len() <= 2 * GENERATION_COUNT_MAX);
    }

    /// Requests that are refused, and name one place after the other, take the peer none of those that were accepted.
    #[test]
    fn offered_places_push_out_no_accepted_one() {
        let mut targets = RefreshedTargets::default();
        targets.note(Key(1), place(1));
        targets.note(Key(1), place(2));
        (3..9).for_each(|number| targets.note_offered(Key(1), place(number)));
        assert!([1, 2, 8].iter().all(|number| targets.has(&Key(1), &place(*number))));
        assert!(!targets.has(&Key(1), &place(7)));
        targets.note(Key(1), place(8));
        assert!(!targets.has(&Key(1), &place(1)) && targets.has(&Key(1), &place(2)));
    }

    /// A peer that says again and again that it has moved makes the proxy forget no other peer.
    #[test]
    fn the_places_of_one_dialog_push_out_those_of_no_other() {
        let mut targets = RefreshedTargets::default();
        targets.note(Key(1), place(1));
        (0..200_000).for_each(|number| targets.note(Key(2), place(number)));
        assert!(targets.has(&Key(1), &place(1)));
        assert!([199_998, 199_999].iter().all(|number| targets.has(&Key(2), &place(*number))));
        assert!(!targets.has(&Key(2), &place(199_997)));
        assert_eq!(targets.young.len() + targets.old.len(), 2);
        // What is noted again is as young as the youngest.
        (0..200_000).for_each(|number| {
            targets.note(Key(100 + u128::from(number)), place(number));
            targets.note(Key(1), place(1));
        });
        assert!(targets.has(&Key(1), &place(1)) && !targets.has(&Key(2), &place(199_999)));
    }
}
