//! The sessions of a shard, by number. It holds no more than its limit and never moves one.

use crate::{Session, SessionId};

pub(crate) struct Table {
    rows: Vec<Row>,
    free: Vec<u32>,
    limit: usize,
}

struct Row {
    generation: u32,
    session: Option<Box<Session>>,
}

impl Table {
    pub(crate) fn new(limit: usize) -> Self {
        Self { rows: Vec::new(), free: Vec::new(), limit: limit.min(u32::MAX as usize) }
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
            self.rows.push(Row { generation: 0, session: None });
            self.rows.len() as u32 - 1
        });
        let row = &mut self.rows[index as usize];
        row.generation = row.generation.wrapping_add(1);
        let id = SessionId::new(index, row.generation);
        row.session = Some(Box::new(make(id)));
        Some(id)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.rows.get(id.index())?.session.as_deref().filter(|session| session.id() == id)
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.rows.get_mut(id.index())?.session.as_deref_mut().filter(|session| session.id() == id)
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Box<Session>> {
        self.get(id)?;
        self.free.push(id.index() as u32);
        self.rows[id.index()].session.take()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.rows.iter().filter_map(|row| row.session.as_deref())
    }

    pub(crate) fn ids(&self) -> Vec<SessionId> {
        self.iter().map(Session::id).collect()
    }
}
