//! The mapping itself: the only unsafe code of this crate.

use crate::sync::{AtomicU64, Words};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

/// A shared memory file of a size that cannot change, mapped for as long as this lives.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<AtomicU64>,
    words: usize,
    fd: OwnedFd,
}

// SAFETY: the memory is only reached as `&[AtomicU64]`, which any thread may use; `start` is never handed out.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// Seals that keep the size: without them a peer could truncate the file and kill us with SIGBUS.
const SIZE_SEALS: SealFlags = SealFlags::GROW.union(SealFlags::SHRINK);

impl Mapping {
    /// New memory, all zero. Its pages cost nothing until they are touched.
    pub(crate) fn create(bytes: usize) -> io::Result<Self> {
        let fd = rustix::fs::memfd_create("ringplane", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&fd, bytes as u64)?;
        rustix::fs::fcntl_add_seals(&fd, SIZE_SEALS | SealFlags::SEAL)?;
        Self::map(fd, bytes)
    }

    /// The size of a file, if it is one that cannot change any more.
    pub(crate) fn sealed_bytes(fd: &OwnedFd) -> io::Result<Option<u64>> {
        let sealed = rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SIZE_SEALS));
        Ok(sealed.then_some(rustix::fs::fstat(fd)?.st_size as u64))
    }

    /// Maps a file of which [`Mapping::sealed_bytes`] has told the size.
    pub(crate) fn map(fd: OwnedFd, bytes: usize) -> io::Result<Self> {
        let (read_write, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at an address that the kernel chooses, so no other memory is affected. `bytes` is not
        // beyond the file's end, and the seals keep it so.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), bytes, read_write, shared, &fd, 0)? };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, words: bytes / 8, fd })
    }
}

impl Words for Mapping {
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` is page-aligned, mapped for `words` words until `drop`, and the file cannot shrink. Any bit
        // pattern is an `AtomicU64`, and nobody reaches this memory in our process except through such references, so
        // that writes of other processes are what atomics are for.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl AsFd for Mapping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` mapped; references to it borrow `self`, so none is left.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.words * 8) };
    }
}
