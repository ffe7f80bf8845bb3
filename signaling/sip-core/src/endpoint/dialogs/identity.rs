//! What identifies a dialog (RFC 3261 §12): Call-ID, the names of the two ends and their tags.

use crate::endpoint::dialogs::dialog::Seed;
use crate::table::hash::{Key, Keyed};

/// Lengths in the block of text are kept in 16 bits; messages are no longer than that.
const MAX_TEXT_BYTES: usize = u16::MAX as usize;

/// Call-ID, our name with tag, our tag, the peer's name with tag and the peer's tag, in one block. None of them changes.
pub(crate) struct Identity {
    text: Box<[u8]>,
    ends: [u16; 4],
}

impl Identity {
    /// `None` when the names are longer than any message that could carry them back.
    pub(crate) fn new(seed: &Seed<'_>) -> Option<Self> {
        let mut text = Vec::with_capacity(
            seed.call_id.len()
                + seed.local.len()
                + seed.remote.len()
                + seed.remote_tag.len()
                + 2 * seed.local_tag.len()
                + 5,
        );
        let mut ends = [0; 4];
        text.extend_from_slice(seed.call_id);
        ends[0] = text.len() as u16;
        text.extend_from_slice(seed.local);
        text.extend_from_slice(b";tag=");
        text.extend_from_slice(seed.local_tag);
        ends[1] = text.len() as u16;
        text.extend_from_slice(seed.local_tag);
        ends[2] = text.len() as u16;
        text.extend_from_slice(seed.remote);
        ends[3] = text.len() as u16;
        text.extend_from_slice(seed.remote_tag);
        (text.len() <= MAX_TEXT_BYTES).then(|| Self { text: text.into_boxed_slice(), ends })
    }

    fn part(&self, from: usize, to: usize) -> &[u8] {
        self.text.get(from..to).unwrap_or_default()
    }

    pub(crate) fn call_id(&self) -> &[u8] {
        self.part(0, self.ends[0].into())
    }

    /// Our name with our tag.
    pub(crate) fn local(&self) -> &[u8] {
        self.part(self.ends[0].into(), self.ends[1].into())
    }

    pub(crate) fn local_tag(&self) -> &[u8] {
        self.part(self.ends[1].into(), self.ends[2].into())
    }

    /// The peer's name with its tag.
    pub(crate) fn remote(&self) -> &[u8] {
        self.part(self.ends[2].into(), self.ends[3].into())
    }

    pub(crate) fn remote_tag(&self) -> &[u8] {
        self.part(self.ends[3].into(), self.text.len())
    }

    pub(crate) fn key(&self, keyed: &Keyed) -> Key {
        key(keyed, self.call_id(), self.local_tag(), self.remote_tag())
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.text.len()
    }
}

/// The table key of a dialog as we see it: our tag is the local one.
pub(crate) fn key(keyed: &Keyed, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> Key {
    keyed.key(&[b"dialog", call_id, local_tag, remote_tag])
}
