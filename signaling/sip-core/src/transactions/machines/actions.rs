//! The list through which a machine's work leaves it.

/// The most that one input can ask for.
const CAPACITY: usize = 2;

/// What a machine wants done, in order. The caller owns it and empties it after each call.
#[derive(Clone, Copy, Debug)]
pub struct Actions<A: Copy> {
    list: [Option<A>; CAPACITY],
    count: usize,
}

impl<A: Copy> Default for Actions<A> {
    fn default() -> Self {
        Self { list: [None; CAPACITY], count: 0 }
    }
}

impl<A: Copy> Actions<A> {
    pub(super) fn push(&mut self, action: A) {
        assert!(self.count < CAPACITY, "a machine asks for at most two things at once");
        self.list[self.count] = Some(action);
        self.count += 1;
    }
}

impl<A: Copy> IntoIterator for Actions<A> {
    type Item = A;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<A>, CAPACITY>>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter().flatten()
    }
}
