//! The sessions of a shard, by number. It holds no more than its limit and never moves one.
//!
//! Numbers count on for the whole table, so that it need not remember the rows that it gives back when it is empty.

use crate::{Session, SessionId};

pub(crate) struct Table {
    rows: Vec<Row>,
    free: Vec<u32>,
    last_generation: u32,
    limit: usize,
}

/// Fewer rows than this are not worth giving back.
const KEPT_ROW_COUNT: usize = 1_024;

type Row = Option<Box<Session>>;

impl Table {
    pub(crate) fn new(limit: usize) -> Self {
        Self { rows: Vec::new(), free: Vec::new(), last_generation: 0, limit: limit.min(u32::MAX as usize) }
    }

    /// Another limit for what is added from now on.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(u32::MAX as usize);
    }

    pub(crate) fn count(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count() >= self.limit
    }

    /// Adds the session that `make` builds for its number; `None` when full.
    pub(crate) fn add(&mut self, make: impl FnOnce(SessionId) -> Session) -> Option<SessionId> {
        if self.is_full() {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            self.rows.len() as u32 - 1
        });
        self.last_generation = self.last_generation.wrapping_add(1).max(1);
        let id = SessionId::new(index, self.last_generation);
        self.rows[index as usize] = Some(Box::new(make(id)));
        Some(id)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.rows.get(id.index())?.as_deref().filter(|session| session.id() == id)
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.rows.get_mut(id.index())?.as_deref_mut().filter(|session| session.id() == id)
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Box<Session>> {
        self.get(id)?;
        let session = self.rows[id.index()].take();
        self.free.push(id.index() as u32);
        if self.free.len() == self.rows.len() && self.rows.len() > KEPT_ROW_COUNT {
            (self.rows, self.free) = (Vec::new(), Vec::new());
        }
        session
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.rows.iter().filter_map(Option::as_deref)
    }

    pub(crate) fn ids(&self) -> Vec<SessionId> {
        self.iter().map(Session::id).collect()
    }
}
