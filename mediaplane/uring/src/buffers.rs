use io_uring::types::BufRingEntry;
use media_core::io::{BUFFER_BYTES, BufferIndex, Buffers, Span};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
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

    pub(crate) fn receive_count(&self) -> u16 {
        self.receive_count
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
    #[should_panic(expected = "outside its buffer")]
    fn a_span_beyond_its_buffer_is_our_bug() {
        let buffers = TurnBuffers::new(4, 2).unwrap();
        buffers.bytes(Span { buffer: BufferIndex(0), start: 2_000, bytes: 100 });
    }
}
