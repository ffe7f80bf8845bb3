//! The pcapng files of the writer. Captures of several legs may go into one file: each is an interface of it.

use super::pcapng::{self, Datagram};
use super::queue::PacketPiece;
use clock::{Duration, Instant};
use contract::Address;
use media_core::Side;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};

/// What waits to be written at most: then it is.
const WAITING_BYTES_MAX: usize = 64 * 1_024;
/// How long it waits at most.
const WRITE_EVERY: Duration = Duration::from_millis(300);
/// Remote hosts whose local address is remembered.
const LOCAL_ADDRESSES_MAX: usize = 64;

/// A file, by device and inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FileKey(u64, u64);

/// The packets of one leg on their way into a file.
#[derive(Default)]
pub(crate) struct Capture {
    /// `None`: the file has not come yet.
    place: Option<(FileKey, u32)>,
    /// Received and sent packets that are in the file.
    pub(super) packets: [u64; 2],
}

impl Capture {
    pub(crate) fn has_file(&self) -> bool {
        self.place.is_some()
    }

    pub(crate) fn packets(&self) -> [u64; 2] {
        self.packets
    }
}

/// All pcapng files that are open.
pub(crate) struct PacketFiles {
    files: Vec<PacketFile>,
    local: LocalAddresses,
    /// What has come of a datagram.
    datagram: Vec<u8>,
}

struct PacketFile {
    key: FileKey,
    file: File,
    /// Captures that write into it.
    users: usize,
    interfaces: u32,
    /// Whole blocks in the file.
    bytes: u64,
    /// Blocks that wait, with their time and place in `blocks`.
    waiting: Vec<(Instant, Range<usize>)>,
    blocks: Vec<u8>,
    written_at: Instant,
    /// Nanoseconds since 1970 at the clock's zero, one value for all of the file.
    epoch_ns: u64,
}

impl PacketFiles {
    /// `media_address`: what the ports are bound to, where that is one address.
    pub(crate) fn new(media_address: Option<IpAddr>) -> Self {
        let bound = media_address.filter(|address| !address.is_unspecified());
        let local = LocalAddresses { bound, known: Vec::new() };
        Self { files: Vec::new(), local, datagram: Vec::new() }
    }

    /// The capture goes into this file: at its end where another capture writes there now, or where it `continues`, else
    /// in place of what was there. `name`: of its interface.
    pub(crate) fn open(&mut self, capture: &mut Capture, file: File, name: &str, continues: bool) -> io::Result<()> {
        let facts = file.metadata()?;
        let key = FileKey(facts.dev(), facts.ino());
        let place = match self.files.iter().position(|file| file.key == key) {
            Some(place) => place,
            None => {
                let bytes = if continues { facts.len() } else { 0 };
                file.set_len(bytes)?;
                let now = clock::now();
                let epoch_ns = clock::wall_now().as_unix_nanos() - now.as_nanos();
                let (waiting, mut blocks) = (Vec::new(), Vec::new());
                pcapng::write_section(&mut blocks);
                let users = 0;
                let opened =
                    PacketFile { key, file, users, interfaces: 0, bytes, waiting, blocks, written_at: now, epoch_ns };
                self.files.push(opened);
                self.files.len() - 1
            }
        };
        let it = &mut self.files[place];
        if it.interfaces > 0 {
            it.write()?;
        }
        pcapng::write_interface(&mut it.blocks, name);
        capture.place = Some((key, it.interfaces));
        (it.users, it.interfaces) = (it.users + 1, it.interfaces + 1);
        // The section and the interface are there before any packet, whose blocks are put in the order of time.
        it.write()
    }

    /// Takes a piece; gives the facts of its datagram once that is whole. [`Self::add`] or nothing follows.
    pub(crate) fn join(&mut self, piece: &PacketPiece) -> bool {
        if piece.is_first {
            self.datagram.clear();
        }
        self.datagram.extend_from_slice(piece.bytes());
        piece.is_last()
    }

    /// The datagram whose last piece this is belongs to a capture.
    pub(crate) fn add(&mut self, capture: &mut Capture, piece: &PacketPiece) -> io::Result<()> {
        let Some((key, interface)) = capture.place else { return Ok(()) };
        let Some(it) = self.files.iter_mut().find(|file| file.key == key) else { return Ok(()) };
        let facts = piece.packet;
        let remote = facts.remote.get().unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        let local = SocketAddr::new(self.local.towards(facts.remote), facts.local_port);
        let is_inbound = facts.side == Side::Received;
        let (from, to) = if is_inbound { (remote, local) } else { (local, remote) };
        let at_ns = it.epoch_ns + facts.at.as_nanos();
        let start = it.blocks.len();
        let datagram = Datagram { interface, at_ns, is_inbound, from, to, payload: &self.datagram };
        pcapng::write_packet(&mut it.blocks, &datagram);
        it.waiting.push((facts.at, start..it.blocks.len()));
        capture.packets[usize::from(!is_inbound)] += 1;
        if it.blocks.len() >= WAITING_BYTES_MAX { it.write() } else { Ok(()) }
    }

    /// Writes what has waited long enough.
    pub(crate) fn advance(&mut self, capture: &Capture, now: Instant) -> io::Result<()> {
        match self.file_of(capture) {
            Some(it) if now.since(it.written_at) >= WRITE_EVERY => {
                it.written_at = now;
                it.write()
            }
            _ => Ok(()),
        }
    }

    /// Writes the rest of a capture. Its file is closed with its last capture.
    pub(crate) fn finish(&mut self, capture: &Capture) -> io::Result<()> {
        self.file_of(capture).map_or(Ok(()), PacketFile::write)
    }

    /// The capture is over.
    pub(crate) fn close(&mut self, capture: &mut Capture) {
        let Some((key, _)) = capture.place.take() else { return };
        self.files.retain_mut(|file| {
            file.users -= usize::from(file.key == key);
            file.users > 0
        });
    }

    /// Bytes of the file that a capture goes into.
    pub(crate) fn file_bytes(&self, capture: &Capture) -> u64 {
        let file = capture.place.and_then(|(key, _)| self.files.iter().find(|file| file.key == key));
        file.map_or(0, |file| file.bytes + file.blocks.len() as u64)
    }

    fn file_of(&mut self, capture: &Capture) -> Option<&mut PacketFile> {
        let (key, _) = capture.place?;
        self.files.iter_mut().find(|file| file.key == key)
    }
}

impl PacketFile {
    /// Writes whole blocks, oldest first: what is in the file is valid at any time.
    fn write(&mut self) -> io::Result<()> {
        if self.blocks.is_empty() {
            return Ok(());
        }
        // Packets of two workers come one worker after the other.
        self.waiting.sort_by_key(|(at, _)| *at);
        let begun = self.waiting.iter().map(|(_, range)| range.start).min().unwrap_or(self.blocks.len());
        let mut ordered = Vec::with_capacity(self.blocks.len());
        ordered.extend_from_slice(&self.blocks[..begun]);
        for (_, range) in &self.waiting {
            ordered.extend_from_slice(&self.blocks[range.clone()]);
        }
        let written = self.file.write_all_at(&ordered, self.bytes);
        match &written {
            Ok(()) => self.bytes += ordered.len() as u64,
            // A part of a block is not left behind; where that cannot be helped readers say that the last one is cut off.
            Err(_) => drop(self.file.set_len(self.bytes)),
        }
        self.blocks.clear();
        self.waiting.clear();
        written
    }
}

/// Our addresses towards remote hosts: the ports are usually bound to any.
struct LocalAddresses {
    bound: Option<IpAddr>,
    known: Vec<(IpAddr, IpAddr)>,
}

impl LocalAddresses {
    /// The one that the kernel sends from to a host.
    fn towards(&mut self, remote: Address) -> IpAddr {
        if let Some(bound) = self.bound {
            return bound;
        }
        let Some(remote) = remote.get() else { return Ipv4Addr::UNSPECIFIED.into() };
        if let Some((_, local)) = self.known.iter().find(|(known, _)| *known == remote.ip()) {
            return *local;
        }
        let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { [0_u16; 8].into() };
        // Connecting a UDP socket sends nothing, and makes the kernel choose the address.
        let local = UdpSocket::bind((any, 0)).and_then(|socket| {
            socket.connect(remote)?;
            Ok(socket.local_addr()?.ip())
        });
        let local = local.unwrap_or(any);
        if self.known.len() == LOCAL_ADDRESSES_MAX {
            self.known.remove(0);
        }
        self.known.push((remote.ip(), local));
        local
    }
}
