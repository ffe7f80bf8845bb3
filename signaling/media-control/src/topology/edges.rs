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
    /// The two legs cannot come to one worker.
    Failed,
}

/// The place of an edge in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EdgeSlot(u32);

impl EdgeSlot {
    pub(crate) const NONE: Self = Self(u32::MAX);
}

/// An edge from one leg to another, by their places in the table of legs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) kind: EdgeKind,
    /// A leg could not be moved to the other one.
    pub(crate) has_failed: bool,
    /// The next edge that comes out of `from`; of a free place the next free one.
    pub(crate) next_out: EdgeSlot,
}

/// All edges. A leg has at most one that comes in, because the media plane mixes nothing yet, and any number that go out.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    rows: Vec<Option<Edge>>,
    free: Vec<u32>,
}

/// Fewer rows than this are not worth giving back.
const KEPT_ROW_COUNT: usize = 1_024;

impl Edges {
    pub(crate) fn get(&self, slot: EdgeSlot) -> Option<&Edge> {
        self.rows.get(slot.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: EdgeSlot) -> Option<&mut Edge> {
        self.rows.get_mut(slot.0 as usize)?.as_mut()
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Adds one. It is as many as there are legs at most.
    pub(crate) fn add(&mut self, edge: Edge) -> EdgeSlot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            (self.rows.len() - 1) as u32
        });
        self.rows[slot as usize] = Some(edge);
        EdgeSlot(slot)
    }

    pub(crate) fn remove(&mut self, slot: EdgeSlot) -> Option<Edge> {
        let edge = self.rows.get_mut(slot.0 as usize)?.take()?;
        self.free.push(slot.0);
        if self.free.len() == self.rows.len() && self.rows.len() > KEPT_ROW_COUNT {
            (self.rows, self.free) = (Vec::new(), Vec::new());
        }
        Some(edge)
    }

    /// The edges that come out of a leg, from its first one on.
    pub(crate) fn outgoing(&self, first: EdgeSlot) -> impl Iterator<Item = &Edge> {
        std::iter::successors(self.get(first), |edge| self.get(edge.next_out))
    }
}
