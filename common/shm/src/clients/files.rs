//! Files that a control client hands to the media process: a few bytes that say what for, and the descriptor beside them
//! (SCM_RIGHTS), over the socket that the region came over.
//!
//! So a file is opened by who wants it, with its rights and from its directory, and the media process writes only where
//! it was asked to.

use contract::FileOffer;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use zerocopy::{FromZeros, IntoBytes};

/// Descriptors of one message that are taken; a client sends one.
const FDS_MAX: usize = 4;
const ANCILLARY_BYTES: usize = rustix::cmsg_space!(ScmRights(FDS_MAX));

/// What came over a client's socket.
#[derive(Debug)]
pub enum FromSocket {
    /// Nothing more now.
    Nothing,
    /// Its end: the client is dead.
    Gone,
    /// Nothing that makes sense.
    Nonsense,
    /// A file.
    File(FileOffer, File),
}

/// Hands a file to the media process. Neither waits nor sends a part: without room the answer is `WouldBlock`.
pub fn give_file(stream: &UnixStream, offer: &FileOffer, file: &File) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [file.as_fd()];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("a descriptor does not fit its message"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = sendmsg(stream, &[IoSlice::new(offer.as_bytes())], &mut ancillary, flags)?;
    if sent == size_of::<FileOffer>() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// The next thing that a client says on its socket, without waiting.
pub fn take_file(stream: &UnixStream) -> FromSocket {
    let mut offer = FileOffer::new_zeroed();
    let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(stream, &mut [IoSliceMut::new(offer.as_mut_bytes())], &mut ancillary, flags);
    let bytes = match received {
        Err(Errno::AGAIN | Errno::INTR) => return FromSocket::Nothing,
        Err(_) => return FromSocket::Gone,
        Ok(received) => received.bytes,
    };
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    // Descriptors that are not wanted are closed by their owner, this list.
    match (bytes, offer.check(), fds.pop()) {
        (0, ..) => FromSocket::Gone,
        (bytes, Ok(offer), Some(fd)) if bytes == size_of::<FileOffer>() => FromSocket::File(offer, fd.into()),
        _ => FromSocket::Nonsense,
    }
}
