//! A table of things addressed by generational handles: a stale handle finds nothing.
//!
//! Each thing has a block of its own, so that a table that grows copies no things, and memory goes back as they go.

/// Where a thing stands and which of the things that stood there it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Handle {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

struct Slot<T> {
    generation: u32,
    value: Option<Box<T>>,
}

/// A table with more slots than this gives them back when it is empty.
const KEPT_SLOT_COUNT: usize = 1_024;

/// The table. At `limit` it says that it is full; it never holds more than `hard_limit` things.
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// Counts on for the whole table, so that it need not remember the slots that it gives back.
    last_generation: u32,
    limit: usize,
    hard_limit: usize,
}

impl<T> Slab<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self::with_reserve(limit, 0)
    }

    /// One that says it is full while there is still a reserve, for what cannot be refused any more.
    pub(crate) fn with_reserve(limit: usize, reserve: usize) -> Self {
        let hard_limit = limit.saturating_add(reserve).min(u32::MAX as usize);
        Self { slots: Vec::new(), free: Vec::new(), last_generation: 0, limit, hard_limit }
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count() >= self.limit
    }

    /// Puts a thing in; gives it back when the reserve is used up as well.
    pub(crate) fn insert(&mut self, value: T) -> Result<Handle, T> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() >= self.hard_limit => return Err(value),
            None => {
                self.slots.push(Slot { generation: 0, value: None });
                self.slots.len() as u32 - 1
            }
        };
        self.last_generation = self.last_generation.wrapping_add(1);
        let generation = self.last_generation;
        self.slots[index as usize] = Slot { generation, value: Some(Box::new(value)) };
        Ok(Handle { index, generation })
    }

    pub(crate) fn get(&self, handle: Handle) -> Option<&T> {
        let slot = self.slots.get(handle.index as usize)?;
        if slot.generation == handle.generation { slot.value.as_deref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        let slot = self.slots.get_mut(handle.index as usize)?;
        if slot.generation == handle.generation { slot.value.as_deref_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, handle: Handle) -> Option<Box<T>> {
        let slot = self.slots.get_mut(handle.index as usize)?;
        if slot.generation != handle.generation {
            return None;
        }
        let value = slot.value.take()?;
        self.free.push(handle.index);
        if self.free.len() == self.slots.len() && self.slots.len() > KEPT_SLOT_COUNT {
            (self.slots, self.free) = (Vec::new(), Vec::new());
        }
        Some(value)
    }

    pub(crate) fn handles(&self) -> impl Iterator<Item = Handle> + '_ {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.value.is_some())
            .map(|(index, slot)| Handle { index: index as u32, generation: slot.generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_handles_find_nothing_and_the_limit_holds() {
        let mut slab = Slab::new(2);
        let a = slab.insert("a").unwrap();
        let b = slab.insert("b").unwrap();
        assert_eq!(slab.insert("c"), Err("c"));
        assert!(slab.is_full());
        assert_eq!(slab.remove(a).as_deref(), Some(&"a"));
        assert_eq!((slab.remove(a), slab.get(a)), (None, None));
        let d = slab.insert("d").unwrap();
        assert_eq!((d.index, slab.get(a), slab.get(d)), (a.index, None, Some(&"d")));
        assert_eq!(slab.handles().collect::<Vec<_>>(), vec![d, b]);
        assert_eq!(slab.count(), 2);
    }

    #[test]
    fn an_empty_table_gives_its_slots_back_and_old_handles_stay_stale() {
        let count = KEPT_SLOT_COUNT + 1;
        let mut slab = Slab::new(count);
        let old: Vec<Handle> = (0..count).map(|number| slab.insert(number).unwrap()).collect();
        assert!(old.iter().all(|handle| slab.remove(*handle).is_some()));
        assert_eq!((slab.count(), slab.slots.capacity(), slab.free.capacity()), (0, 0, 0));
        (0..count).for_each(|number| assert!(slab.insert(number).is_ok()));
        assert!(slab.is_full() && old.iter().all(|handle| slab.get(*handle).is_none()));
    }
}
