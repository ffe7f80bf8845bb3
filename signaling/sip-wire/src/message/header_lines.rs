//! The header fields of one name, in the order of the message.

use crate::{Message, Name};

/// Walks the header fields of one name; made by [`Message::header_lines`].
#[derive(Clone)]
pub struct HeaderLines<'a, 'm> {
    pub(super) message: &'m Message<'a>,
    pub(super) name: Name,
    pub(super) next: usize,
}

impl<'a> Iterator for HeaderLines<'a, '_> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let names = self.message.index.names.get(self.next..self.message.header_count())?;
        let index = self.next + names.iter().position(|n| *n == self.name)?;
        self.next = index + 1;
        self.message.header_at(index).map(|h| h.value)
    }
}
