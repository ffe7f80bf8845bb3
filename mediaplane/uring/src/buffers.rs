use crate::lending::Trim;
use io_uring::types::BufRingEntry;
use media_core::io::{BUFFER_BYTES, BufferIndex, Buffers, Span};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// Zeroed, page-aligned memory of our own.
struct Memory {
    start: NonNull<u8>,
    bytes: usize,
}

impl Memory {
    fn new(bytes: usize) -> io::Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, prot, MapFlags::PRIVATE) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes })
    }

    /// Gives the whole pages of the buffers from one up to another back to the system; their content is lost.
    fn trim(&mut self, from: usize, to: usize) {
        let page = rustix::param::page_size();
        let (start, end) = ((from * BUFFER_BYTES).next_multiple_of(page), to * BUFFER_BYTES / page * page);
        if start >= end || end > self.bytes {
            return;
        }
        // SAFETY: the range lies inside our mapping, which stays mapped: what is read there next is zero. `&mut self` says
        // that no slice into it lives. A failure leaves things as they were.
        let _ = unsafe { madvise(self.start.as_ptr().add(start).cast(), end - start, Advice::LinuxDontNeed) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made, and no reference into it outlives its owner. The kernel may
        // still hold the buffer ring's pages; it took its own reference to them.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// The packet memory of one worker: buffers that the kernel fills, then buffers for packets that we make.
///
/// A buffer is lent to the kernel (in the ring), or ours for the turn, never both; that is what makes the slices of
/// [`Buffers`] sound.
pub struct TurnBuffers {
    memory: Memory,
    receive_count: u16,
    count: u16,
    taken: u16,
}

impl TurnBuffers {
    pub(crate) fn new(receive_count: u16, send_count: u16) -> io::Result<Self> {
        let count = receive_count.checked_add(send_count).ok_or(io::ErrorKind::InvalidInput)?;
        let memory = Memory::new(usize::from(count) * BUFFER_BYTES)?;
        Ok(Self { memory, receive_count, count, taken: 0 })
    }

    /// Memory of all buffers.
    pub fn memory_bytes(&self) -> usize {
        self.memory.bytes
    }

    /// Buffers of our own packets in this turn.
    pub(crate) fn taken_count(&self) -> u16 {
        self.taken
    }

    /// Gives the memory of buffers that hold nothing back to the system; they stay usable, and are zero again.
    pub(crate) fn trim(&mut self, trim: Trim) {
        debug_assert_eq!(self.taken, 0, "a packet of this turn lies in a buffer");
        self.memory.trim(usize::from(trim.receive_from), usize::from(self.receive_count));
        self.memory.trim(
            usize::from(self.receive_count + trim.taken_from.min(self.count - self.receive_count)),
            self.count.into(),
        );
    }

    /// All taken buffers may be taken again: what they held has been sent.
    pub(crate) fn give_back_taken(&mut self) {
        self.taken = 0;
    }

    /// Where a span starts, checked to lie inside its buffer.
    pub(crate) fn pointer(&self, span: Span) -> *mut u8 {
        let (start, bytes) = (usize::from(span.start), usize::from(span.bytes));
        assert!(span.buffer.0 < self.count && start + bytes <= BUFFER_BYTES, "a span outside its buffer");
        // SAFETY: the assertion keeps the offset inside the mapping of `count * BUFFER_BYTES` bytes.
        unsafe { self.memory.start.as_ptr().add(usize::from(span.buffer.0) * BUFFER_BYTES + start) }
    }
}

impl Buffers for TurnBuffers {
    fn take(&mut self) -> Option<BufferIndex> {
        let index = self.receive_count + self.taken;
        (index < self.count).then(|| {
            self.taken += 1;
            BufferIndex(index)
        })
    }

    fn bytes(&self, span: Span) -> &[u8] {
        // SAFETY: `pointer` checked the bounds, the memory is initialised (zeroed by mmap), and a buffer that the core
        // can name is not lent to the kernel until the turn's `submit` has been carried out.
        unsafe { std::slice::from_raw_parts(self.pointer(span), usize::from(span.bytes)) }
    }

    fn bytes_mut(&mut self, span: Span) -> &mut [u8] {
        // SAFETY: as in `bytes`; `&mut self` makes it the only slice.
        unsafe { std::slice::from_raw_parts_mut(self.pointer(span), usize::from(span.bytes)) }
    }
}

/// The ring through which buffers are lent to the kernel.
pub(crate) struct BufferRing {
    memory: Memory,
    mask: u16,
    tail: u16,
}

impl BufferRing {
    /// `count` is a power of two, at most 32768.
    pub(crate) fn new(count: u16) -> io::Result<Self> {
        assert!(count.is_power_of_two() && count <= 1 << 15, "a buffer ring has 2^n entries, at most 32768");
        let memory = Memory::new(usize::from(count) * size_of::<BufRingEntry>())?;
        Ok(Self { memory, mask: count - 1, tail: 0 })
    }

    pub(crate) fn address(&self) -> u64 {
        self.memory.start.as_ptr() as u64
    }

    /// Puts a receive buffer into the ring; [`BufferRing::publish`] lets the kernel see it.
    pub(crate) fn push(&mut self, buffers: &TurnBuffers, index: u16) {
        debug_assert!(index < buffers.receive_count);
        let whole = Span { buffer: BufferIndex(index), start: 0, bytes: BUFFER_BYTES as u16 };
        let entry = self.memory.start.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the mask keeps the entry inside the ring. Only this thread writes entries, and the kernel does not
        // read this one before `publish`. Field writes leave the tail, which shares the first entry, alone.
        let entry = unsafe { &mut *entry.add(usize::from(self.tail & self.mask)) };
        entry.set_addr(buffers.pointer(whole) as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(index);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel all that was pushed.
    pub(crate) fn publish(&self) {
        // SAFETY: the memory starts with the ring's first entry, page aligned, whose `resv` field is the tail; the
        // kernel reads it with acquire order, which this release store pairs with.
        unsafe {
            let tail = BufRingEntry::tail(self.memory.start.as_ptr().cast::<BufRingEntry>());
            AtomicU16::from_ptr(tail.cast_mut()).store(self.tail, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_buffers_are_bounded_and_come_back() {
        let mut buffers = TurnBuffers::new(4, 2).unwrap();
        let first = buffers.take().unwrap();
        assert_eq!((first, buffers.take(), buffers.take()), (BufferIndex(4), Some(BufferIndex(5)), None));
        let span = Span { buffer: first, start: 12, bytes: 160 };
        buffers.bytes_mut(span).fill(0xd5);
        assert!(buffers.bytes(span).iter().all(|byte| *byte == 0xd5));
        buffers.give_back_taken();
        assert_eq!(buffers.take(), Some(first));
    }

    #[test]
    fn trimmed_buffers_are_empty_and_the_others_untouched() {
        let mut buffers = TurnBuffers::new(1_024, 64).unwrap();
        let span = |buffer| Span { buffer: BufferIndex(buffer), start: 0, bytes: 100 };
        [0, 511, 512, 1_023, 1_024, 1_087].into_iter().for_each(|buffer| buffers.bytes_mut(span(buffer)).fill(7));
        buffers.trim(Trim { receive_from: 512, taken_from: 60 });
        let first = |buffer| buffers.bytes(span(buffer))[0];
        assert_eq!([0, 511, 512, 1_023, 1_024, 1_087].map(first), [7, 7, 0, 0, 7, 0]);
        buffers.trim(Trim { receive_from: 0, taken_from: 60_000 });
        let first = |buffer| buffers.bytes(span(buffer))[0];
        assert_eq!([0, 511, 1_024].map(first), [0, 0, 7]);
    }

    #[test]
    #[should_panic(expected = "outside its buffer")]
    fn a_span_beyond_its_buffer_is_our_bug() {
        let buffers = TurnBuffers::new(4, 2).unwrap();
        buffers.bytes(Span { buffer: BufferIndex(0), start: 2_000, bytes: 100 });
    }
}
