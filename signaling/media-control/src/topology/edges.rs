//! The topology: edges along which media goes from one leg to another.

/// How media gets from one leg to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EdgeKind {
    /// Packets are passed on as they are, with payload types and numbers rewritten where needed.
    #[default]
    Relay,
}

/// How far an edge has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EdgeState {
    /// One of the two legs does not run yet, has no formats, or plays something to a peer on hold.
    Waiting,
    /// One of the two legs is on its way to the worker of the other one, or has to go there.
    Moving,
    /// The media plane has been told to pass media on and has not confirmed it.
    Told,
    /// Media flows.
    Flowing,
    /// Media could flow, but the sink hears a source that was connected earlier: hearing both needs a mixer, and the media
    /// plane has none. The edge flows once no earlier source can be heard.
    NeedsMixer,
    /// The two legs cannot come to one worker.
    Failed,
}

/// Most sources of one leg.
pub const SOURCES_MAX: usize = 8;

/// The place of an edge in the table, in three bytes: an edge with its links fits into twelve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EdgeSlot([u8; 3]);

const _: () = assert!(crate::LEGS_MAX * SOURCES_MAX < 0xff_0000, "no edge has a place that looks like none");

impl EdgeSlot {
    pub(crate) const NONE: Self = Self([u8::MAX; 3]);

    /// The high byte tells: comparing all three is a call.
    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.0[2] == u8::MAX
    }

    #[inline]
    fn new(index: usize) -> Self {
        let [low, middle, high, ..] = index.to_le_bytes();
        Self([low, middle, high])
    }

    #[inline]
    const fn index(self) -> usize {
        let [low, middle, high] = self.0;
        u32::from_le_bytes([low, middle, high, 0]) as usize
    }
}

/// An edge from one leg to another, by their places in the table of legs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) kind: EdgeKind,
    /// A leg could not be moved to the other one.
    pub(crate) has_failed: bool,
    /// Another edge into `to` was connected before this one.
    pub(crate) has_earlier: bool,
    /// The next edge that comes out of `from`.
    pub(crate) next_out: EdgeSlot,
    /// The edge into `to` that was connected next after this one.
    pub(crate) next_in: EdgeSlot,
}

/// The places of a leg's sources. One needs no allocation: nearly every leg of a call has one.
pub(crate) struct Places {
    pub(crate) first: Option<u16>,
    pub(crate) further: Vec<u16>,
}

impl Edge {
    /// Whether it is the only edge into its sink.
    #[inline]
    pub(crate) fn is_alone(&self) -> bool {
        !self.has_earlier && self.next_in.is_none()
    }
}

/// All edges. Any number goes out of a leg; at most [`SOURCES_MAX`] come in, in the order in which they were connected.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    rows: Vec<Option<Edge>>,
    free: Vec<EdgeSlot>,
}

/// Fewer rows than this are not worth giving back.
const KEPT_ROW_COUNT: usize = 1_024;

impl Edges {
    #[inline]
    pub(crate) fn get(&self, slot: EdgeSlot) -> Option<&Edge> {
        self.rows.get(slot.index())?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: EdgeSlot) -> Option<&mut Edge> {
        self.rows.get_mut(slot.index())?.as_mut()
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Adds one.
    pub(crate) fn add(&mut self, edge: Edge) -> EdgeSlot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            EdgeSlot::new(self.rows.len() - 1)
        });
        self.rows[slot.index()] = Some(edge);
        slot
    }

    pub(crate) fn remove(&mut self, slot: EdgeSlot) -> Option<Edge> {
        let edge = self.rows.get_mut(slot.index())?.take()?;
        self.free.push(slot);
        if self.free.len() == self.rows.len() && self.rows.len() > KEPT_ROW_COUNT {
            (self.rows, self.free) = (Vec::new(), Vec::new());
        }
        Some(edge)
    }

    /// The edges that come out of a leg, from its first one on.
    pub(crate) fn outgoing(&self, first: EdgeSlot) -> impl Iterator<Item = &Edge> {
        std::iter::successors(self.get(first), |edge| self.get(edge.next_out))
    }

    /// The places of the sources of a leg.
    pub(crate) fn sources(&self, first: EdgeSlot) -> Places {
        let first = self.get(first);
        let further = match first {
            Some(edge) if !edge.next_in.is_none() => self.incoming(edge.next_in).map(|edge| edge.from).collect(),
            _ => Vec::new(),
        };
        Places { first: first.map(|edge| edge.from), further }
    }

    /// The edges that come into a leg, from its first one on: in the order in which they were connected.
    pub(crate) fn incoming(&self, first: EdgeSlot) -> impl Iterator<Item = &Edge> {
        std::iter::successors(self.get(first), |edge| self.get(edge.next_in))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_has_twelve_bytes() {
        println!("an edge: {} bytes", size_of::<Option<Edge>>());
        assert_eq!(size_of::<Option<Edge>>(), 12);
        assert_eq!(EdgeSlot::new(0x12_3456).index(), 0x12_3456);
    }
}
