//! How a region gets from the media process to a client: one message over a Unix stream socket, with the descriptors
//! of the memory, of each worker's wake-up and of the client's own (SCM_RIGHTS).

use crate::{AttachError, ClientEnd, ClientIndex, Region, RegionPlan, WakeFd};
use clock::{Duration, Instant};
use contract::LAYOUT_VERSION;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// The message. Magic and version stay where they are in every version.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Hello {
    magic: [u8; 8],
    version: u32,
    /// [`OFFERED`] or [`REFUSED`].
    answer: u32,
    workers: u32,
    client: u32,
    epoch: u32,
    /// Places for clients, to say so in a refusal.
    clients: u32,
    reserved: [u8; 32],
}

const MAGIC: [u8; 8] = *b"ringhand";
const OFFERED: u32 = 1;
const REFUSED: u32 = 2;
/// The memory, every worker's wake-up, and the client's.
const MAX_FDS: usize = RegionPlan::MAX_WORKERS + 2;
const ANCILLARY_BYTES: usize = rustix::cmsg_space!(ScmRights(MAX_FDS));

/// Why a client did not get the region.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The media process has no place.
    #[error(
        "the media process refuses: all {0} places for control clients are taken. End one, or plan for more clients"
    )]
    NoClientSlot(u32),
    /// Nothing came, or not all of it.
    #[error("the media process has not handed over its region within {0:?}: is it overloaded or stopped?")]
    TimedOut(Duration),
    /// The socket was closed.
    #[error("the media process closed the socket before it handed over its region: its log says why")]
    HungUp,
    /// Another version.
    #[error(
        "the media process speaks layout version {theirs}, this program version {ours}: start both from the same build"
    )]
    Version { ours: u32, theirs: u32 },
    /// What came is no hand-over.
    #[error("what answers on the control socket is not a media process of ringplane: {0}")]
    Foreign(&'static str),
    /// The region in it was not accepted.
    #[error(transparent)]
    Region(#[from] AttachError),
    /// The socket or the kernel refused.
    #[error("cannot take over the shared region: {0}")]
    System(#[from] io::Error),
}

pub(crate) fn offer(
    stream: &UnixStream,
    region: &Region,
    worker_wakes: &[WakeFd],
    client_wake: &WakeFd,
    client: ClientIndex,
    epoch: u32,
) -> io::Result<()> {
    let mut fds = vec![region.as_fd(), client_wake.as_fd()];
    fds.extend(worker_wakes.iter().map(AsFd::as_fd));
    let plan = region.plan();
    let hello = Hello {
        answer: OFFERED,
        workers: plan.workers as u32,
        client: client.0.into(),
        epoch,
        clients: plan.clients as u32,
        ..hello()
    };
    send(stream, &hello, &fds)
}

pub(crate) fn refuse(stream: &UnixStream, clients: usize) -> io::Result<()> {
    send(stream, &Hello { answer: REFUSED, clients: clients as u32, ..hello() }, &[])
}

fn hello() -> Hello {
    Hello { magic: MAGIC, version: LAYOUT_VERSION, ..Hello::new_zeroed() }
}

/// The first bytes on a new socket: there is always room, so that this neither waits nor sends a part.
fn send(stream: &UnixStream, hello: &Hello, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("more descriptors than one message takes"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = sendmsg(stream, &[IoSlice::new(hello.as_bytes())], &mut ancillary, flags)?;
    if sent == size_of::<Hello>() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Takes over what [`crate::Host::offer`] sends. Watch the stream from then on: its hang-up is the death of the media
/// process.
pub fn accept_offer(stream: &UnixStream, timeout: Duration) -> Result<ClientEnd, HandoverError> {
    let (hello, fds) = receive(stream, timeout)?;
    if hello.magic != MAGIC {
        return Err(HandoverError::Foreign("its greeting is unknown"));
    }
    if hello.version != LAYOUT_VERSION {
        return Err(HandoverError::Version { ours: LAYOUT_VERSION, theirs: hello.version });
    }
    match hello.answer {
        OFFERED => {}
        REFUSED => return Err(HandoverError::NoClientSlot(hello.clients)),
        _ => return Err(HandoverError::Foreign("its answer is unknown")),
    }
    let mut fds = fds.into_iter();
    let (Some(memory), Some(own_wake)) = (fds.next(), fds.next()) else {
        return Err(HandoverError::Foreign("descriptors are missing"));
    };
    let wakes: Vec<WakeFd> = fds.map(WakeFd::from).collect();
    let region = Region::attach(memory)?;
    let client = u8::try_from(hello.client).map(ClientIndex).ok().filter(|c| c.index() < region.plan().clients);
    let client = client.ok_or(HandoverError::Foreign("our place is outside the region"))?;
    if wakes.len() != region.plan().workers {
        return Err(HandoverError::Foreign("there is not one wake-up descriptor per worker"));
    }
    Ok(ClientEnd::new(region, client, wakes, own_wake.into()))
}

fn receive(stream: &UnixStream, timeout: Duration) -> Result<(Hello, Vec<OwnedFd>), HandoverError> {
    let deadline = clock::now() + timeout;
    let (mut hello, mut fds, mut filled) = (Hello::new_zeroed(), Vec::new(), 0);
    while filled < size_of::<Hello>() {
        if !wait_readable(stream, deadline)? {
            return Err(HandoverError::TimedOut(timeout));
        }
        let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let rest = &mut hello.as_mut_bytes()[filled..];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = match recvmsg(stream, &mut [IoSliceMut::new(rest)], &mut ancillary, flags) {
            Err(Errno::INTR | Errno::AGAIN) => continue,
            other => other.map_err(io::Error::from)?,
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(HandoverError::Foreign(
                "descriptors were lost: too many, or our limit of open files is too low",
            ));
        }
        if received.bytes == 0 {
            return Err(HandoverError::HungUp);
        }
        filled += received.bytes;
    }
    Ok((hello, fds))
}

fn wait_readable(stream: &UnixStream, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.since(clock::now());
        let left = Timespec { tv_sec: left.as_secs().min(86_400) as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
