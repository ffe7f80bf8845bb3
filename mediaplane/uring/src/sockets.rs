use crate::error::BindError;
use clock::{Duration, Instant};
use media_core::io::SocketIndex;
use rustix::fd::{AsRawFd, RawFd};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// Datagrams thrown away when a socket opens, at most: more than the largest default socket buffer holds.
const DRAIN_COUNT_MAX: usize = 8_192;
/// The discard port (RFC 863) of our own address: where a socket without a leg is connected to, so that the kernel
/// answers strangers as if the port were closed, and keeps nothing for them.
const NOWHERE_PORT: u16 = 9;

/// Where media sockets listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindTo {
    /// Every address, IPv6 and IPv4 on one socket; IPv4 only where the host has no IPv6.
    Any,
    /// One address of this host.
    Address(IpAddr),
}

impl From<IpAddr> for BindTo {
    /// `::` is every address of both families.
    fn from(ip: IpAddr) -> Self {
        if ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED) { Self::Any } else { Self::Address(ip) }
    }
}

/// The media sockets of the whole process, bound ahead of time: socket `i` is port `first_port + i`.
///
/// Shared by the workers; a socket is used by the one worker that runs its leg.
#[derive(Debug)]
pub struct Sockets {
    sockets: Box<[Option<Socket>]>,
    unavailable: Vec<u16>,
    first_port: u16,
    ip: IpAddr,
}

impl Sockets {
    /// Binds `count` ports from the even `first_port` on. A pair of which another program holds a port is left out and
    /// listed in [`Sockets::unavailable`].
    pub fn bind(first_port: u16, count: usize, to: BindTo) -> Result<Self, BindError> {
        assert!(first_port.is_multiple_of(2) && usize::from(first_port) + count <= 65_536, "ports out of range");
        let ip = listen_ip(to);
        let mut sockets: Box<[Option<Socket>]> = (0..count).map(|_| None).collect();
        let mut missing: Vec<usize> = (0..count).step_by(2).collect();
        let mut patience = Patience::new();
        loop {
            let before = missing.len();
            let mut failure = None;
            missing.retain(|&pair| match bind_pair(first_port, pair..count.min(pair + 2), ip) {
                Ok(bound) => {
                    sockets[pair..].iter_mut().zip(bound).for_each(|(place, socket)| *place = Some(socket));
                    false
                }
                Err((_, error)) if error.is_taken() => true,
                Err((port, error)) => {
                    failure.get_or_insert(error.explain(ip, port, count));
                    true
                }
            });
            if let Some(error) = failure {
                return Err(error);
            }
            if missing.is_empty() || !patience.wait(missing.len() < before) {
                break;
            }
        }
        if missing.len() == count.div_ceil(2) {
            return Err(BindError::NonePossible { first: first_port, last: first_port + (count.max(1) - 1) as u16 });
        }
        let unavailable = missing.into_iter().map(|pair| first_port + pair as u16).collect();
        Ok(Self { sockets, unavailable, first_port, ip })
    }

    /// `count` sockets on ports of the system's choice, for tests; [`Sockets::local_port`] tells them.
    pub fn ephemeral(count: usize, to: BindTo) -> Result<Self, BindError> {
        let ip = listen_ip(to);
        let bind = |_| bind_ephemeral(ip).map(Some).map_err(|error| error.explain(ip, 0, count));
        let sockets = (0..count).map(bind).collect::<Result<_, _>>()?;
        Ok(Self { sockets, unavailable: Vec::new(), first_port: 0, ip })
    }

    /// Even ports of the pairs that another program holds.
    pub fn unavailable(&self) -> &[u16] {
        &self.unavailable
    }

    /// How many sockets there could be.
    pub fn count(&self) -> usize {
        self.sockets.len()
    }

    /// The address that they are bound to.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The port of a socket.
    pub fn local_port(&self, index: SocketIndex) -> io::Result<u16> {
        Ok(self.get(index)?.local_addr()?.as_socket().map_or(0, |address| address.port()))
    }

    /// The socket of a port.
    pub fn index_of(&self, port: u16) -> Option<SocketIndex> {
        let index = port.checked_sub(self.first_port)?;
        (usize::from(index) < self.sockets.len()).then_some(SocketIndex(index.into()))
    }

    fn get(&self, index: SocketIndex) -> io::Result<&Socket> {
        self.sockets.get(index.0 as usize).and_then(Option::as_ref).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Descriptors in order, -1 where there is none.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        self.sockets.iter().map(|socket| socket.as_ref().map_or(-1, |socket| socket.as_raw_fd())).collect()
    }

    pub(crate) fn is_ipv6(&self) -> bool {
        self.ip.is_ipv6()
    }

    /// Takes packets from anybody, starting with what comes from now on.
    pub(crate) fn open(&self, index: SocketIndex, dscp: u8) -> io::Result<()> {
        let socket = self.get(index)?;
        disconnect(socket)?;
        drain(socket);
        let traffic_class = i32::from(dscp & 63) << 2;
        if self.is_ipv6() {
            set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, traffic_class)?;
        }
        // On a dual-stack socket this marks what goes to IPv4.
        match set_option(socket, libc::IPPROTO_IP, libc::IP_TOS, traffic_class) {
            Err(error) if !self.is_ipv6() => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes packets from one peer only.
    pub(crate) fn connect(&self, index: SocketIndex, to: SocketAddr) -> io::Result<()> {
        let socket = self.get(index)?;
        // A connected socket keeps the local address of its first route; let the new one be chosen afresh.
        disconnect(socket)?;
        let to = match to {
            SocketAddr::V4(v4) if self.is_ipv6() => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
            other => other,
        };
        socket.connect(&to.into())
    }

    /// Takes packets from anybody again.
    pub(crate) fn disconnect(&self, index: SocketIndex) -> io::Result<()> {
        disconnect(self.get(index)?)
    }

    /// Takes no packets.
    pub(crate) fn park(&self, index: SocketIndex) -> io::Result<()> {
        park(self.get(index)?, self.ip)
    }
}

/// `::` unless the host has no IPv6.
fn listen_ip(to: BindTo) -> IpAddr {
    match to {
        BindTo::Address(ip) => ip,
        BindTo::Any if bind_one((Ipv6Addr::UNSPECIFIED, 0).into()).is_ok() => Ipv6Addr::UNSPECIFIED.into(),
        BindTo::Any => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// Which call failed, and how.
struct SocketError(&'static str, io::Error);

impl SocketError {
    fn is_taken(&self) -> bool {
        matches!(self.1.raw_os_error(), Some(libc::EADDRINUSE | libc::EACCES))
    }

    fn explain(self, ip: IpAddr, port: u16, needed: usize) -> BindError {
        match self.1.raw_os_error() {
            Some(libc::EMFILE) => {
                let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
                BindError::Descriptors { needed, limit: limit.current.unwrap_or(u64::MAX) }
            }
            Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => BindError::Address { address: ip, source: self.1 },
            _ => BindError::Socket { port, what: self.0, source: self.1 },
        }
    }
}

/// Both sockets of a pair, or none; the error says which port.
fn bind_pair(first_port: u16, pair: Range<usize>, ip: IpAddr) -> Result<Vec<Socket>, (u16, SocketError)> {
    let bind = |offset| {
        let port = first_port + offset as u16;
        bind_one(SocketAddr::new(ip, port)).map_err(|error| (port, error))
    };
    pair.map(bind).collect()
}

/// How long binding tries again. The kernel closes the sockets of a process that died a little after it has gone: its
/// rings are torn down in the background. So ports that get free are waited for, ports that stay taken are not.
struct Patience {
    until: Instant,
}

impl Patience {
    const STEP: Duration = Duration::from_millis(10);
    const WITHOUT_PROGRESS: Duration = Duration::from_millis(100);

    fn new() -> Self {
        Self { until: clock::now() + Self::WITHOUT_PROGRESS }
    }

    fn wait(&mut self, progress: bool) -> bool {
        let now = clock::now();
        if progress {
            self.until = now + Self::WITHOUT_PROGRESS;
        }
        if now >= self.until {
            return false;
        }
        std::thread::sleep(Self::STEP);
        true
    }
}

fn bind_one(address: SocketAddr) -> Result<Socket, SocketError> {
    let step = |what| move |error| SocketError(what, error);
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).map_err(step("socket"))?;
    if domain == Domain::IPV6 {
        let both = address.ip().is_unspecified();
        socket.set_only_v6(!both).map_err(step("IPV6_V6ONLY"))?;
    }
    set_option(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1).map_err(step("SO_TIMESTAMPNS"))?;
    socket.bind(&address.into()).map_err(step("bind"))?;
    // Without a route to ourselves the socket stays open to strangers until its leg opens and drains it.
    let _ = park(&socket, address.ip());
    Ok(socket)
}

/// A port that the system chose, but bound by its number: disconnecting would give the number up otherwise.
fn bind_ephemeral(ip: IpAddr) -> Result<Socket, SocketError> {
    let mut tries = 16;
    loop {
        let asked = std::net::UdpSocket::bind((ip, 0)).and_then(|socket| socket.local_addr());
        match bind_one(asked.map_err(|error| SocketError("bind", error))?) {
            Err(error) if error.is_taken() && tries > 0 => tries -= 1,
            result => return result,
        }
    }
}

fn park(socket: &Socket, ip: IpAddr) -> io::Result<()> {
    let nowhere = match ip {
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        own => own,
    };
    disconnect(socket)?;
    socket.connect(&SocketAddr::new(nowhere, NOWHERE_PORT).into())
}

/// Reads away what waits, and a pending error with it.
fn drain(socket: &Socket) {
    for _ in 0..DRAIN_COUNT_MAX {
        let mut byte = [0; 1];
        if rustix::net::recv(socket, &mut byte[..], rustix::net::RecvFlags::DONTWAIT) == Err(Errno::AGAIN) {
            return;
        }
    }
}

fn disconnect(socket: &Socket) -> io::Result<()> {
    match rustix::net::connect_unspec(socket) {
        // Linux says so when the socket was not connected on some versions; the outcome is what we want.
        Ok(()) | Err(Errno::AFNOSUPPORT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn set_option(socket: &Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let bytes = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the options that we set take an int, which lives over the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), bytes) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests;
