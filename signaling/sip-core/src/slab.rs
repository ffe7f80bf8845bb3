//! A table of things addressed by generational handles: a stale handle finds nothing.

/// Where a thing stands and which of the things that stood there it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Handle {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// The table. At `limit` it says that it is full; it never holds more than `hard_limit` things.
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
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
        Self { slots: Vec::new(), free: Vec::new(), limit, hard_limit }
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count() >= self.limit
    }

    /// Puts a thing in; gives it back when the reserve is used up as well.
    pub(crate) fn insert(&mut self, value: T) -> Result<Handle, T> {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.value = Some(value);
            return Ok(Handle { index, generation: slot.generation });
        }
        if self.slots.len() >= self.hard_limit {
            return Err(value);
        }
        let index = self.slots.len() as u32;
        self.slots.push(Slot { generation: 1, value: Some(value) });
        Ok(Handle { index, generation: 1 })
    }

    pub(crate) fn get(&self, handle: Handle) -> Option<&T> {
        let slot = self.slots.get(handle.index as usize)?;
        if slot.generation == handle.generation { slot.value.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        let slot = self.slots.get_mut(handle.index as usize)?;
        if slot.generation == handle.generation { slot.value.as_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, handle: Handle) -> Option<T> {
        let slot = self.slots.get_mut(handle.index as usize)?;
        if slot.generation != handle.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(handle.index);
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
        assert_eq!(slab.remove(a), Some("a"));
        assert_eq!((slab.remove(a), slab.get(a)), (None, None));
        let d = slab.insert("d").unwrap();
        assert_eq!((d.index, slab.get(a), slab.get(d)), (a.index, None, Some(&"d")));
        assert_eq!(slab.handles().collect::<Vec<_>>(), vec![d, b]);
        assert_eq!(slab.count(), 2);
    }
}
