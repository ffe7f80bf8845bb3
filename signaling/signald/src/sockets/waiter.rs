//! What a shard sleeps on: its sockets, its inbox, the media plane, and the request to stop.

use rustix::event::{Timespec, epoll};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Most descriptors that one wait tells of; the others come with the next.
const READY_COUNT: usize = 16;
/// Most sockets: one bit each.
pub(crate) const SOCKET_COUNT_MAX: usize = 32;

const STOP: u64 = 0;
const INBOX: u64 = 1;
const MEDIA_EVENTS: u64 = 2;
const MEDIA_SOCKET: u64 = 3;
const FIRST_SOCKET: u64 = 16;

/// Why a wait ended, apart from wake-ups, whose queues are looked at in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ready {
    /// Sockets with something to read, by index.
    pub(crate) sockets: u32,
    /// Sockets with bad news of what was sent.
    pub(crate) errors: u32,
    pub(crate) is_stopping: bool,
    pub(crate) media_hung_up: bool,
}

/// An epoll. Wake-ups (eventfds) are watched for edges: nobody has to read them, which saves a system call each.
pub(crate) struct Waiter {
    epoll: OwnedFd,
}

impl Waiter {
    pub(crate) fn new(stop: impl AsFd, inbox: impl AsFd) -> io::Result<Self> {
        let waiter = Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? };
        waiter.watch_stop(stop)?;
        waiter.add(inbox, INBOX, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        Ok(waiter)
    }

    fn add(&self, fd: impl AsFd, what: u64, flags: epoll::EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(what), flags)?)
    }

    /// Watches a request to stop.
    pub(crate) fn watch_stop(&self, stop: impl AsFd) -> io::Result<()> {
        self.add(stop, STOP, epoll::EventFlags::IN)
    }

    /// Watches a socket as number `index`.
    pub(crate) fn add_socket(&self, fd: impl AsFd, index: usize) -> io::Result<()> {
        assert!(index < SOCKET_COUNT_MAX, "{index} sockets");
        self.add(fd, FIRST_SOCKET + index as u64, epoll::EventFlags::IN)
    }

    /// Watches a media plane: its wake-ups, and the socket whose end is its end.
    pub(crate) fn add_media(&self, events: impl AsFd, socket: impl AsFd) -> io::Result<()> {
        self.add(events, MEDIA_EVENTS, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        self.add(socket, MEDIA_SOCKET, epoll::EventFlags::IN | epoll::EventFlags::RDHUP)
    }

    /// No longer watches something.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        // What is not watched needs no removal.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something happens or the limit is over; an interrupted wait looks like one that is over.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Ready {
        let limit = limit
            .map(|limit| Timespec { tv_sec: limit.as_secs().min(86_400) as i64, tv_nsec: limit.subsec_nanos().into() });
        let none = epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(INBOX) };
        let mut events = [none; READY_COUNT];
        let count = epoll::wait(&self.epoll, &mut events, limit.as_ref()).unwrap_or(0);
        let mut ready = Ready::default();
        for event in events.iter().take(count) {
            let (flags, data) = (event.flags, event.data);
            match data.u64() {
                STOP => ready.is_stopping = true,
                MEDIA_SOCKET => ready.media_hung_up = true,
                what if what >= FIRST_SOCKET => {
                    let bit = 1 << (what - FIRST_SOCKET);
                    ready.sockets |= bit;
                    if flags.contains(epoll::EventFlags::ERR) {
                        ready.errors |= bit;
                    }
                }
                _ => {}
            }
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stop;
    use shm::WakeFd;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixStream;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    #[test]
    fn every_wake_up_is_told_once_and_every_datagram_until_it_is_read() {
        let (stop, inbox) = (Stop::new().unwrap(), WakeFd::new().unwrap());
        let waiter = Waiter::new(&stop, &inbox).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        waiter.add_socket(&socket, 3).unwrap();
        assert_eq!(waiter.wait(NOW), Ready::default());
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        let readable = Ready { sockets: 1 << 3, ..Ready::default() };
        assert_eq!((waiter.wait(None), waiter.wait(None)), (readable, readable));
        socket.recv(&mut [0]).unwrap();
        inbox.wake();
        assert_eq!(waiter.wait(None), Ready::default(), "it wakes");
        assert_eq!(waiter.wait(NOW), Ready::default());
        inbox.wake();
        assert_eq!(waiter.wait(None), Ready::default(), "it wakes again, though nobody read it");
        stop.request();
        assert!(waiter.wait(None).is_stopping);
        waiter.remove(&stop);
        assert!(!waiter.wait(NOW).is_stopping);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let events = WakeFd::new().unwrap();
        waiter.add_media(&events, &ours).unwrap();
        assert!(!waiter.wait(NOW).media_hung_up);
        drop(theirs);
        assert!(waiter.wait(None).media_hung_up);
    }
}
